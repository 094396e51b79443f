"""The lexicon as it runs here: the shipped one with what this installation's clinicians changed laid over it.

Changes are kept by entry id, so that a new shipped lexicon keeps them:

    {"entries": {"chest-pain": {"off": false, "add": [pattern…], "drop": [pattern…],
                                "examples": {"add": […], "drop": […]}, "counter_examples": {…},
                                "as": {"label", "level", "says", "lang"}}},
     "figures": {"add": [pattern…], "drop": [pattern…]}}

`as` is what the entry was when it was changed: an entry of the clinic's own, or one that a later shipped lexicon no longer
has. A list that cannot be read never stops triage: replies are read with the shipped lexicon, and everybody is told.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from engage.inbox.models import WordList
from engage.inbox.triage import lexicon
from engage.inbox.triage.lexicon import Lexicon
from engage.inbox.triage.text import words
from engage.lib.fixed import Fixed
from engage.lib.text import clean

log = logging.getLogger(__name__)
Source = dict[str, Any]
FIGURES = "figures-of-speech"  # the id under which the pages show what only sounds grave
KINDS = ("examples", "counter_examples")
BROKEN = "The clinic's changes to the word list cannot be read; replies are sorted with the shipped list."


@cache
def shipped() -> Source:
    """The lexicon of the tree as data. Not to be changed in place."""
    source: Source = json.loads((lexicon.DATA / "lexicon.json").read_text(encoding="utf-8"))
    return source


def live() -> Lexicon:
    """The lexicon that reads replies now: one small query, compiled once for each version and process."""
    return _current()[0]


def trouble() -> str:
    """What a person must know when the live changes cannot be read; "" when all is well."""
    return _current()[1]


LIVE = Fixed(lambda: WordList.objects.filter(state=WordList.State.LIVE).values_list("pk", "number", "digest"))


def _current() -> tuple[Lexicon, str]:
    row = LIVE.first()
    return _compiled(*row) if row else (lexicon.load(), "")


@lru_cache(maxsize=4)
def _compiled(pk: int, number: int, digest: str) -> tuple[Lexicon, str]:
    """Of one published version. Its changes are read once: what went live is not changed again, which the digest proves."""
    try:
        changes = WordList.objects.values_list("changes", flat=True).get(pk=pk)
        if digest_of(changes) != digest:
            raise ValueError("these are not the changes that went live")
        return compiled(changes, f"+{number}"), ""
    except Exception as error:
        log.error(
            "word list %s cannot be read (%s): the shipped lexicon is used", number, type(error).__name__
        )
        return lexicon.load(), BROKEN


def digest_of(changes: Mapping[str, Any]) -> str:
    """What proves that changes are the ones that went live."""
    return hashlib.sha256(json.dumps(changes, sort_keys=True).encode()).hexdigest()


def compiled(changes: Mapping[str, Any], suffix: str) -> Lexicon:
    """A lexicon with these changes; `suffix` marks its version. Raises whatever malformed changes lead to."""
    return Lexicon(merged(changes, suffix))


def merged(changes: Mapping[str, Any], suffix: str = "") -> Source:
    """The shipped lexicon with the changes laid over it, as data that `Lexicon` reads."""
    base = shipped()
    changed = changes.get("entries", {})
    entries = [_over(entry, changed.get(entry["id"], {})) for entry in base["entries"]]
    known = {entry["id"] for entry in base["entries"]}
    entries += [_over(_bare(pk, change["as"]), change) for pk, change in changed.items() if pk not in known]
    figures = changes.get("figures", {})
    idioms = [*base["idioms"], {"patterns": list(figures.get("add", []))}]
    dropped = set(figures.get("drop", []))
    return {
        **base,
        "version": base["version"] + suffix,
        "entries": [e for e in entries if e["patterns"] and not changed.get(e["id"], {}).get("off")],
        "idioms": [{"patterns": [p for p in i["patterns"] if p not in dropped]} for i in idioms],
    }


def _bare(pk: str, about: Mapping[str, str]) -> Source:
    """An entry of the clinic's own, or one the shipped lexicon no longer has."""
    own = {name: about[name] for name in ("label", "level", "says")}
    return {
        **own,
        "id": pk,
        "lang": about.get("lang", ""),
        "patterns": [],
        "examples": [],
        "counter_examples": [],
    }


def _over(entry: Source, change: Mapping[str, Any]) -> Source:
    kept = {kind: _laid(entry[kind], change.get(kind, {})) for kind in KINDS}
    return {**entry, **kept, "patterns": _laid(entry["patterns"], change)}


def _laid(rows: list[str], change: Mapping[str, list[str]]) -> list[str]:
    """Rows without the dropped ones, then the added ones."""
    dropped = set(change.get("drop", []))
    return [*(r for r in rows if r not in dropped), *change.get("add", [])]


def entry_of(source: Source, pk: str) -> Source | None:
    """One entry of a lexicon as data; None when there is none."""
    if pk == FIGURES:
        return figures_of(source)
    return next((e for e in source["entries"] if e["id"] == pk), None)


def figures_of(source: Source) -> Source:
    """Figures of speech, shaped as an entry: what they touch is not taken as said."""
    rows = [p for idiom in source["idioms"] for p in idiom["patterns"]]
    return {
        "id": FIGURES, "label": "", "level": "routine", "says": "figures of speech", "lang": "",
        "patterns": rows, "examples": [], "counter_examples": [],
    }  # fmt: skip


# --- What is wrong with a list, and what it no longer catches ---------------------------------------------------
def problems(known: Lexicon, only: str = "") -> Iterator[tuple[str, str]]:
    """(entry id, sentence) for each example that an entry does not find and each counter-example that it does."""
    for entry in known.entries:
        if only and entry.id != only:
            continue
        for text in entry.examples:
            held = finds(known, entry.id, text)
            if held is None:
                yield entry.id, f"The example “{text}” is not found by any phrase of “{entry.says}”."
            elif held:
                yield (
                    entry.id,
                    f"The example “{text}” is found, but does not count: it reads as {HELD_WORDS[held]}.",
                )
        for text in entry.counter_examples:
            if finds(known, entry.id, text) == "":
                yield entry.id, f"“{text}” must not raise “{entry.says}”, but it does."


HELD_WORDS = {
    "negated": "denied", "past": "something of long ago", "hypothetical": "a supposition", "idiom": "a figure of speech",
}  # fmt: skip


def finds(known: Lexicon, pk: str, text: str) -> str | None:
    """How an entry reads a sentence: "" found, why it does not count, or None when no phrase is in it."""
    return next((hit.held for hit in known.scan(words(text)) if hit.entry.id == pk), None)


def narrowed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """In sentences, how the second set of changes makes fewer things urgent than the first; empty when it does not."""
    old, new = merged(before), merged(after)
    found = []
    for entry in old["entries"]:
        if entry["level"] != "urgent":
            continue
        now = entry_of(new, entry["id"])
        lost = set(entry["patterns"]) - set(now["patterns"] if now else [])
        if now is None:
            found.append(f"“{entry['says']}” is switched off.")
        elif now["level"] != "urgent":
            found.append(f"“{entry['says']}” is no longer urgent.")
        elif lost:
            found.append(f"“{entry['says']}” loses {len(lost)} phrase{'s' if len(lost) > 1 else ''}.")
    gained = set(figures_of(new)["patterns"]) - set(figures_of(old)["patterns"])
    if gained:
        found.append(
            f"{len(gained)} figure{'s' if len(gained) > 1 else ''} of speech more: what they touch is not taken as said."
        )
    return found


def changed_entries(before: Source, after: Source) -> set[str]:
    """The ids of entries whose phrases, meaning or level differ between two lexicons."""

    def facts(source: Source) -> dict[str, tuple[Any, ...]]:
        return {
            e["id"]: (e["label"], e["level"], tuple(e["patterns"]))
            for e in [*source["entries"], figures_of(source)]
        }

    old, new = facts(before), facts(after)
    return {pk for pk in old | new if old.get(pk) != new.get(pk)}


def cleaned(line: str) -> str:
    """One line of a form as it may be kept."""
    return " ".join(clean(line).split())
