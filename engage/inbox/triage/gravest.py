"""The gravest phrases, and a few plain ones, in languages that we don't otherwise read."""

import json
import re
import unicodedata
from functools import cache
from pathlib import Path

from engage.inbox.triage.reading import Level

PATH = Path(__file__).parent / "data" / "gravest.json"
Found = tuple[str, Level, str, int, int]  # label, level, what it mentions, start, end


@cache
def _patterns() -> dict[str, list[tuple[str, Level, str, re.Pattern[str]]]]:
    source = json.loads(PATH.read_text(encoding="utf-8"))
    return {
        lang: [
            (entry["label"], entry["level"], entry["says"], _any_of(entry["phrases"])) for entry in entries
        ]
        for lang, entries in source["languages"].items()
    }


def _any_of(phrases: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(same_length(p)) for p in phrases))


def same_length(text: str) -> str:
    """Lower case without marks, character by character, so that offsets stay."""
    return "".join(_bare(c) for c in text)


def _bare(char: str) -> str:
    if char in "đĐ":
        return "d"
    if not "\u00c0" <= char <= "\u1eff" and not "A" <= char <= "Z":
        return char
    base = unicodedata.normalize("NFD", char)[0].lower()
    return base if len(base) == 1 else char


def gravest(body: str, langs: set[str]) -> list[Found]:
    """Known phrases of some languages (all of them, when none is given) in a text; fixed phrases, so linear."""
    plain = same_length(body)
    return [
        (label, level, says, *found.span())
        for lang, entries in _patterns().items()
        if not langs or lang in langs
        for label, level, says, pattern in entries
        if (found := pattern.search(plain)) and (level == "urgent" or lang in langs)
    ]
