"""The red-flag lexicon: data that a clinician can read, and the matcher that runs it.

A pattern is a row of words. `a|b` either; `word*` any ending; `@set` any word of a named set; `_3` up to three
words between; `A ~3 B` within three words of each other in either order; `^` and `$` the ends of the message
(`tonight|$`: that word, or nothing more).
Matching walks sorted lists of positions, never backtracks, and is linear in the length of the text.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from engage.inbox.triage.assertion import Scope
from engage.inbox.triage.reading import Level
from engage.inbox.triage.text import Word

DATA = Path(__file__).parent / "data"
Span = tuple[int, int]  # words [first, last)
HELD = frozenset({"negated", "past", "hypothetical", "idiom"})


@dataclass(frozen=True, slots=True)
class Step:
    """One element of a pattern: which item, after at most `gap` other words."""

    item: int
    gap: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled row of steps; `opens` and `closes` tie it to the ends of the message."""

    steps: tuple[Step, ...]
    opens: bool
    closes: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing the lexicon knows: what it means, how people say it, what must not be mistaken for it."""

    id: str
    label: str
    level: Level
    says: str  # after "mentions"
    lang: str
    patterns: tuple[Pattern, ...]
    holds: frozenset[str]  # which of negated, past, hypothetical, idiom silence it
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry found in a text: words [first, last), and why it does not count, if it does not."""

    entry: Entry
    first: int
    last: int
    held: str  # "", negated, past, hypothetical, idiom


@dataclass(slots=True)
class _Builder:
    sets: Mapping[str, list[str]]
    items: dict[str, int] = field(default_factory=dict)
    exact: dict[str, list[int]] = field(default_factory=dict)
    prefixes: dict[str, list[int]] = field(default_factory=dict)
    compounds: dict[tuple[str, str], list[tuple[tuple[str, ...], int]]] = field(default_factory=dict)

    def item(self, spec: str) -> int:
        if spec not in self.items:
            number = self.items[spec] = len(self.items)
            for word in self._members(spec):
                self._file(word, number)
        return self.items[spec]

    def _members(self, spec: str) -> Iterator[str]:
        for part in spec.split("|"):
            if part.startswith("@"):
                for member in self.sets[part[1:]]:
                    yield from self._members(member) if member.startswith("@") else (member,)
            else:
                yield part

    def _file(self, word: str, number: int) -> None:
        parts = word.replace("+", " ").split(" ")
        if len(parts) > 1:
            self.compounds.setdefault((parts[0], parts[1]), []).append((tuple(parts), number))
        elif word.endswith("*"):
            self.prefixes.setdefault(word[:-1], []).append(number)
        else:
            self.exact.setdefault(word, []).append(number)


class Lexicon:
    """A version of the lexicon, ready to run."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self.version: str = source["version"]
        self._builder = _Builder(source["words"])
        self.entries = tuple(self._entry(e) for e in source["entries"])
        self.idioms = tuple(p for i in source["idioms"] for p in self._patterns(i["patterns"]))
        self.idiom_source: list[dict[str, Any]] = source["idioms"]
        self._concepts = {self._builder.item(f"@{name}"): name for name in source["words"]}
        self._starting = _by_first_step(
            [(i, p) for i, entry in enumerate(self.entries) for p in entry.patterns]
        )
        self._idioms_starting = _by_first_step([(0, p) for p in self.idioms])
        self._longest_prefix = max(map(len, self._builder.prefixes), default=0)
        self._cache: dict[str, tuple[int, ...]] = {}

    def _entry(self, source: Mapping[str, Any]) -> Entry:
        return Entry(
            id=source["id"],
            label=source["label"],
            level=source["level"],
            says=source["says"],
            lang=source.get("lang", ""),
            patterns=self._patterns(source["patterns"]),
            holds=frozenset(source["holds"]) if "holds" in source else HELD,
            examples=tuple(source["examples"]),
            counter_examples=tuple(source["counter_examples"]),
        )

    def _patterns(self, rows: list[str]) -> tuple[Pattern, ...]:
        return tuple(self._pattern(parts) for row in rows for parts in _orders(row.split()))

    def _pattern(self, parts: list[str]) -> Pattern:
        steps, gap = [], 0
        for part in parts:
            if part[0] == "_":
                gap = int(part[1:])
            elif part not in "^$":
                steps.append(Step(self._builder.item(part), gap))
                gap = 0
        return Pattern(tuple(steps), parts[0] == "^", parts[-1] == "$")

    def _items(self, word: str) -> tuple[int, ...]:
        known = self._cache.get(word)
        if known is None:
            found = list(self._builder.exact.get(word, ()))
            for length in range(2, min(len(word), self._longest_prefix) + 1):
                found += self._builder.prefixes.get(word[:length], ())
            known = tuple(found)
            if len(self._cache) < 50_000:
                self._cache[word] = known
        return known

    def positions(self, words: list[Word]) -> dict[int, list[Span]]:
        """Where each item stands in the text, in rising order."""
        places: dict[int, list[Span]] = {}
        for i, word in enumerate(words):
            for item in self._items(word.text):
                places.setdefault(item, []).append((i, i + 1))
            following = words[i + 1].text if i + 1 < len(words) else ""
            for parts, item in self._builder.compounds.get((word.text, following), ()):
                end = i + len(parts)
                if end <= len(words) and all(words[i + j].text == p for j, p in enumerate(parts)):
                    places.setdefault(item, []).append((i, end))
        for item in self._builder.exact.get("$", ()) if words else ():
            places.setdefault(item, []).append((len(words), len(words)))
        return places

    def scan(self, words: list[Word], places: dict[int, list[Span]] | None = None) -> list[Hit]:
        """Every entry that the text mentions: once as meant if it is, otherwise once with why it is not."""
        places = self.positions(words) if places is None else places
        idioms = [
            span
            for _, pattern in _possible(self._idioms_starting, places)
            for span, _ in self._spans(pattern, words, places)
        ]
        scope = Scope(words, idioms)
        found: dict[int, Hit] = {}
        for number, pattern in _possible(self._starting, places):
            known = found.get(number)
            if known is None or known.held:
                hit = self._hit(self.entries[number], pattern, words, places, scope)
                if hit and (known is None or not hit.held):
                    found[number] = hit
        return [found[number] for number in sorted(found)]

    def concepts(self, places: dict[int, list[Span]]) -> list[tuple[int, str]]:
        """The named sets that words of a text belong to, in the order of the words."""
        found = [(start, name) for item, name in self._concepts.items() for start, _ in places.get(item, ())]
        return sorted(found)

    def _hit(
        self, entry: Entry, pattern: Pattern, words: list[Word], places: dict[int, list[Span]], scope: Scope
    ) -> Hit | None:
        silent = None
        for (first, last), used in self._spans(pattern, words, places):
            held = scope.held(first, last, used, entry.holds)
            if not held:
                return Hit(entry, first, last, held)
            silent = silent or Hit(entry, first, last, held)
        return silent

    def _spans(
        self, pattern: Pattern, words: list[Word], places: dict[int, list[Span]]
    ) -> Iterator[tuple[Span, list[Span]]]:
        rows = [places.get(step.item) for step in pattern.steps]
        if any(row is None for row in rows):
            return
        for span in rows[0] or ():
            if (pattern.opens and span[0] > 0) or span[0] == len(words):
                return
            used = self._walk(span, pattern, rows, words)
            if used and not (pattern.closes and used[-1][1] < len(words)):
                yield (span[0], used[-1][1]), used

    def _walk(
        self, span: Span, pattern: Pattern, rows: list[list[Span] | None], words: list[Word]
    ) -> list[Span] | None:
        used = [span]
        for step, row in zip(pattern.steps[1:], rows[1:], strict=True):
            end = used[-1][1]
            at = bisect_left(row or (), (end, 0))
            if row is None or at == len(row) or row[at][0] > end + step.gap:
                return None
            if words[min(row[at][0], len(words) - 1)].sentence != words[end - 1].sentence:
                return None
            used.append(row[at])
        return used


def _orders(parts: list[str]) -> list[list[str]]:
    """A row once for each order that its `~` allow: what stands left of one may also follow what stands right of it."""
    near = [i for i, part in enumerate(parts) if part[0] == "~"]
    if not near:
        return [parts]
    gap, right = "_" + parts[near[-1]][1:], parts[near[-1] + 1 :]
    return [
        row for left in _orders(parts[: near[-1]]) for row in ([*left, gap, *right], [*right, gap, *left])
    ]


Filed = dict[int, list[tuple[int, Pattern]]]


def _by_first_step(patterns: list[tuple[int, Pattern]]) -> Filed:
    filed: Filed = {}
    for number, pattern in patterns:
        filed.setdefault(pattern.steps[0].item, []).append((number, pattern))
    return filed


def _possible(filed: Filed, places: dict[int, list[Span]]) -> Iterator[tuple[int, Pattern]]:
    """The patterns all of whose steps stand somewhere in the text."""
    for item in places:
        for number, pattern in filed.get(item, ()):
            if all(step.item in places for step in pattern.steps):
                yield number, pattern


@cache
def load(path: Path = DATA / "lexicon.json") -> Lexicon:
    """The lexicon in the tree. Raises ValueError on a broken file, KeyError on a missing field or unknown set."""
    return Lexicon(json.loads(path.read_text(encoding="utf-8")))
