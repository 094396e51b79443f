"""A draft of the word list is tried before it goes live: on the golden cases, and on what patients wrote last month."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from engage.inbox import wordlist
from engage.inbox.arrival import triage_of
from engage.inbox.consequences import LEVEL
from engage.inbox.models import Reading
from engage.inbox.triage import lexicon, read
from engage.inbox.triage.lexicon import Lexicon
from engage.inbox.triage.reading import Reading as Found
from engage.inbox.triage.text import set_aside, words
from engage.lib import clock
from engage.messaging.models import Message

MONTH = timedelta(days=30)
MOST_REPLIES = 5_000  # the newest: some seconds of one processor
MOST_KEPT = 500  # differences kept, all are counted
GOLDEN = (("grave.tsv", True), ("everyday.tsv", False))  # and whether they must be urgent
Spots = list[list[Any]]  # of findings: label, start, end


@dataclass(frozen=True)
class Golden:
    """A sentence whose level is known."""

    text: str
    urgent: bool


@cache
def golden_cases() -> tuple[Golden, ...]:
    """The sentences shipped for this: grave ones that must page somebody, everyday ones that must page nobody."""
    rows = []
    for name, urgent in GOLDEN:
        lines = (lexicon.DATA / name).read_text(encoding="utf-8").splitlines()
        rows += [Golden(line.split("\t")[2], urgent) for line in lines if line]
    return tuple(rows)


def run(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What a draft's changes (`after`) would make different from the live ones (`before`). Ids, places and counts only.

    `golden`: numbers of the shipped sentences whose urgency turns out otherwise. `rows`: [message id, level before, level
    after, findings gained, findings lost]. `levels`: [level before, level after, how many]. Some seconds long.
    """
    pair = Pair(before, after)
    replies = list(_replies())
    rows = [row for message in replies if (row := pair.differs(message))]
    levels: dict[tuple[int, int], int] = {}
    for row in rows:
        levels[row[1], row[2]] = levels.get((row[1], row[2]), 0) + 1
    return {
        "shipped": wordlist.shipped()["version"],
        "at": clock.now().isoformat(),
        "replies": len(replies),
        "golden": [n for n, case in enumerate(golden_cases()) if pair.turns(case.text)],
        "levels": [[was, now, count] for (was, now), count in sorted(levels.items())],
        "rows": sorted(rows, key=lambda row: min(row[1], row[2]))[:MOST_KEPT],
    }


def _replies() -> Iterator[Message]:
    """The newest replies of the last month, of every clinic: the list is one for all of them."""
    newest = Reading.objects.order_by("-pk").select_related("message__reply_to")[:MOST_REPLIES]
    since = clock.now() - MONTH
    return (reading.message for reading in newest if reading.message.created_at >= since)


class Pair:
    """Two lexicons over the same texts. Only a text in which changed entries find something else is read whole."""

    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        old, new = wordlist.merged(before), wordlist.merged(after, "+draft")
        self.old, self.new = Lexicon(old), Lexicon(new)
        changed = wordlist.changed_entries(old, new)
        self.few = [self.old, self.new]
        if wordlist.FIGURES not in changed:  # figures of speech reach every entry
            self.few = [
                Lexicon({**s, "entries": [e for e in s["entries"] if e["id"] in changed]}) for s in (old, new)
            ]

    def differs(self, message: Message) -> list[Any] | None:
        """A row of `run` for a reply that would be read otherwise."""
        outbound = message.reply_to.body if message.reply_to else ""
        if not self._touched(message.body, outbound):
            return None
        was, now = (triage_of(message, message.reply_to, known) for known in (self.old, self.new))
        before, after = _spots(was), _spots(now)
        gained, lost = [s for s in after if s not in before], [s for s in before if s not in after]
        if was.level == now.level and not gained and not lost:
            return None
        return [message.pk, int(LEVEL[was.level]), int(LEVEL[now.level]), gained, lost]

    def turns(self, text: str) -> bool:
        """Whether a sentence becomes urgent, or no longer is."""
        if not self._touched(text, ""):
            return False
        return (read(text, known=self.old).level == "urgent") != (
            read(text, known=self.new).level == "urgent"
        )

    def _touched(self, text: str, outbound: str) -> bool:
        said = words(set_aside(text, outbound))
        first, second = ({(h.entry.id, h.first, h.last, h.held) for h in few.scan(said)} for few in self.few)
        return first != second


def _spots(found: Found) -> Spots:
    return [[f.label, f.start, f.end] for f in found.findings]
