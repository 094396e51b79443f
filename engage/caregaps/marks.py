"""The latest fact of a patient as one integer, and when a fact was last known to be, in SQL and in words."""

from dataclasses import dataclass
from datetime import date

from engage.caregaps.period import EPOCH
from engage.caregaps.words import Words, day_text
from engage.records.models import NEVER_BEGAN, NEVER_ENDS, Kind

# A mark is one integer per patient, (day, event id), so that the latest fact is a plain MAX() on every database.
ID_BITS = 41
EVENTS = (1 << ID_BITS) - 1
DAY_ZERO = 100_000  # days before 1970-01-01: keeps every day positive
UNKNOWN_DAY = 0


@dataclass(frozen=True)
class Mark:
    """The latest fact of a patient: its event and the day, None when it has no date."""

    event: int
    day: date | None

    @classmethod
    def read(cls, mark: int) -> "Mark":
        days = mark >> ID_BITS
        ordinal = EPOCH + days - DAY_ZERO
        known = days != UNKNOWN_DAY and 0 < ordinal <= date.max.toordinal()
        return cls(mark & EVENTS, date.fromordinal(ordinal) if known else None)


def mark(event: int, day: date) -> int:
    """The integer of a fact of that day."""
    return day.toordinal() - EPOCH + DAY_ZERO << ID_BITS | event


def latest_second(kind: Kind, bound: str = "lo") -> str:
    """SQL: the last second known of a fact (a condition: the first), NULL when it has no date."""
    edges = ("start", "end") if kind == Kind.CONDITION else ("end", "start")
    return known(*(f"e.{edge}_{bound}" for edge in edges))


def known(*columns: str) -> str:
    """SQL: the first of these seconds that is one, else NULL."""
    tests = " ".join(f"WHEN {c} > {NEVER_BEGAN} AND {c} < {NEVER_ENDS} THEN {c}" for c in columns)
    return f"CASE {tests} END"


def mark_of(kind: Kind) -> str:
    """SQL: (day, event id) of a fact as one integer."""
    day = f"COALESCE(({latest_second(kind)} + {DAY_ZERO * 86_400}) / 86400, {UNKNOWN_DAY})"
    return f"{day} * {1 << ID_BITS} + e.id"


ON = Words("on", "el")
WHEN = {
    Kind.CONDITION: Words("since", "desde el"),
    Kind.MEDICATION_PERIOD: Words("supplied until", "con suministro hasta el"),
}


def day_told(kind: Kind, day: date | None, language: str) -> str:
    """ "on 3 Feb 2023", or "" without a day."""
    return f"{WHEN.get(kind, ON)[language]} {day_text(day, language)}" if day else ""
