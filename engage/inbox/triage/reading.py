"""What a reading of a reply consists of."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["urgent", "significant", "routine"]
Source = Literal["optout", "lexicon", "question", "classifier", "llm"]

LEVELS: tuple[Level, ...] = ("routine", "significant", "urgent")  # rising

# Most important first: the order in which labels are shown.
LABELS = (
    "emergency",
    "self_harm",
    "abuse",
    "deceased",
    "opt_out",
    "wrong_person",
    "symptom",
    "medication",
    "complaint",
    "language",
    "call_me",
    "trust",
    "contact_update",
    "reschedule",
    "already_done",
    "decline",
    "barrier",
    "accept",
    "preference",
    "question",
    "survey_answer",
    "auto_reply",
    "thanks",
    "other",
)
URGENT_LABELS = frozenset({"emergency", "self_harm", "abuse"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One proposal with the patient's words that caused it: text[start:end] == evidence."""

    label: str
    level: Level
    evidence: str
    start: int
    end: int
    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply seems to say. A proposal for people: nothing is closed or answered because of it alone."""

    labels: tuple[str, ...]
    level: Level
    findings: tuple[Finding, ...]
    lang: str  # ISO 639-1, or "" when nothing can be told
    keyword: Literal["stop", "start", "help"] | None
    suspect_opt_out: bool  # probably a revocation: suspend sending, let a person decide
    version: str

    @property
    def named(self) -> tuple[str, ...]:
        """The labels, then what findings above routine name besides: the language it is written in."""
        more = {f.label for f in self.findings if f.level != "routine"} - set(self.labels)
        return (*self.labels, *sorted(more))


@dataclass(frozen=True, slots=True)
class Attempt:
    """What could be read although a stage failed. Its level may be too low while `failures` names one."""

    reading: Reading | None  # None: nothing could be prepared
    failures: tuple[str, ...]  # "classifier: KeyError", "lexicon: took too long"; never the patient's words


def highest(levels: list[Level]) -> Level:
    """The gravest of some levels; routine for none."""
    return max(levels, key=LEVELS.index, default="routine")
