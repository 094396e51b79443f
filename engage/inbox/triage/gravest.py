"""The gravest phrases, and a few plain ones, in languages that we don't otherwise read.

Whoever writes two words of Creole in an English reply is not recognised as writing Creole: so what is urgent is looked
for in every reply, by phrases of two or more words or in another script. Single Latin words count only in their language.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from engage.inbox.triage.reading import Level

PATH = Path(__file__).parent / "data" / "gravest.json"
Found = tuple[str, Level, str, int, int]  # label, level, what it mentions, start, end
Entry = tuple[str, Level, str, re.Pattern[str]]
WORD = re.compile(r"[^\W\d_]+")
OTHER_SCRIPT = re.compile(r"[\u0370-\u1dff\u2e80-\ud7ff\uf900-\ufdff\ufe70-\ufefe]")
TATWEEL = "\u0640"
# One letter of Arabic, Persian and Urdu, typed by different keyboards.
SAME_LETTER = {"đ": "d", "ł": "l", "ي": "ی", "ى": "ی", "ك": "ک", "ة": "ه", "ہ": "ه", "ھ": "ه", "’": "'"}


@cache
def _source() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return found


@cache
def _patterns() -> dict[str, list[Entry]]:
    return {
        lang: [
            (entry["label"], entry["level"], entry["says"], _any_of(entry["phrases"])) for entry in entries
        ]
        for lang, entries in _source()["languages"].items()
    }


@cache
def _of_other_scripts() -> list[Entry]:
    """What is urgent, in scripts that English and Spanish have no letter of."""
    return [
        (entry["label"], entry["level"], entry["says"], _any_of(phrases))
        for entry in _urgent()
        if (phrases := [p for p in entry["phrases"] if OTHER_SCRIPT.search(p)])
    ]


@cache
def _by_first_word() -> dict[str, list[tuple[list[str], dict[str, Any]]]]:
    """What is urgent in Latin letters and means nothing in English and Spanish, by its first word."""
    distinct, homographs = _source()["distinct"], _source()["homographs"]
    found: dict[str, list[tuple[list[str], dict[str, Any]]]] = {}
    for entry in _urgent():
        for phrase in entry["phrases"]:
            words = WORD.findall(_bared(phrase)[0])
            known = len(words) > 1 or phrase in distinct
            if known and phrase not in homographs and not OTHER_SCRIPT.search(phrase):
                found.setdefault(words[0], []).append((words, entry))
    return found


def _urgent() -> Iterator[dict[str, Any]]:
    return (e for entries in _source()["languages"].values() for e in entries if e["level"] == "urgent")


def _any_of(phrases: list[str]) -> re.Pattern[str]:
    """Spaces may be missing: Persian writes them as one of no width."""
    return re.compile("|".join(r"\s{0,3}".join(map(re.escape, _bared(p)[0].split(" "))) for p in phrases))


def _bared(text: str) -> tuple[str, Sequence[int]]:
    """Lower case without marks and invisible characters, and where each character left stood."""
    if text.isascii():
        return text.lower(), range(len(text))
    kept = [(letter, at) for at, c in enumerate(text) if (letter := _bare(c))]
    return "".join(letter for letter, _ in kept), [at for _, at in kept]


@lru_cache(maxsize=4096)
def _bare(char: str) -> str:
    """One character or none. Marks of Indian scripts are vowels and stay."""
    if (
        char == TATWEEL
        or unicodedata.category(char) == "Cf"
        or re.match(r"[\u0300-\u036f\u0483-\u0487\u064b-\u065f\u0670]", char)
    ):
        return ""
    if not re.match(r"[A-Z\u00c0-\u052f\u0620-\u06ff\u1e00-\u1eff’]", char):
        return char
    base = unicodedata.normalize("NFD", char)[0].lower()
    return SAME_LETTER.get(base, base if len(base) == 1 else char)


def gravest(body: str, langs: set[str]) -> list[Found]:
    """What is known of some languages in a text, and what is urgent in any. Fixed phrases, so linear."""
    plain, places = _bared(body)
    entries = [entry for lang in sorted(langs) for entry in _patterns().get(lang, ())]
    if OTHER_SCRIPT.search(plain):
        entries += _of_other_scripts()
    found = [
        (label, level, says, *match.span())
        for label, level, says, pattern in entries
        if (match := pattern.search(plain))
    ]
    found += _in_latin_letters(plain)
    return [
        (label, level, says, places[start], places[end - 1] + 1)
        for label, level, says, start, end in dict.fromkeys(found)
    ]


def _in_latin_letters(plain: str) -> Iterator[Found]:
    known = _by_first_word()
    words = list(WORD.finditer(plain))
    said = [word.group() for word in words]
    for at, word in enumerate(said):
        for phrase, entry in known.get(word, ()):
            if said[at : at + len(phrase)] == phrase:
                span = words[at].start(), words[at + len(phrase) - 1].end()
                yield entry["label"], entry["level"], entry["says"], *span
