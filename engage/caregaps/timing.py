"""When a fact must have been, as a condition on the columns of `records.Event` (aliased `e`).

A value less precise than a second is the range [lo, hi]; a condition holds only if it holds for the whole range
(measures.md §0.4). A fact whose period is unknown runs backwards (start NEVER_ENDS, end NEVER_BEGAN): every condition
here bounds both so that it matches nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from engage.caregaps.period import DAY, Window
from engage.records.models import NEVER_BEGAN, NEVER_ENDS, Kind

Condition = Callable[[int, int, Kind], str]


@dataclass(frozen=True)
class When:
    """A condition on a fact's time with the window it refers to."""

    condition: Condition
    window: Window

    def sql(self, low: int, high: int, kind: Kind) -> str:
        return self.condition(low, high, kind)


# --- By the calendar day as written, in its own offset ------------------------------------------------------
def during(low: int, high: int, kind: Kind) -> str:
    """Start and end both in the window; without a start or an end never."""
    return f"e.start_lo BETWEEN {low} AND {high} AND e.end_hi BETWEEN {low} AND {high}"


def ending(low: int, high: int, kind: Kind) -> str:
    """The end in the window, whatever the start; without an end never."""
    return f"e.end_lo >= {low} AND e.end_hi <= {high}"


def starting(low: int, high: int, kind: Kind) -> str:
    return f"e.start_lo >= {low} AND e.start_hi <= {high}"


def latest(low: int, high: int, kind: Kind) -> str:
    """The end if there is one, otherwise the start."""
    running = f"e.end_lo = {NEVER_ENDS} AND {starting(low, high, kind)}"
    return f"(({ending(low, high, kind)}) OR ({running}))"


def overlapping(low: int, high: int, kind: Kind) -> str:
    """Begun by the window's end and not over before it begins."""
    return f"e.start_hi <= {high} AND e.end_lo >= {low}"


def started_by(low: int, high: int, kind: Kind) -> str:
    return f"e.start_hi <= {high} AND {has_start(kind)}"


def started_before(low: int, high: int, kind: Kind) -> str:
    """Begun before the window's first day."""
    return f"e.start_hi < {low} AND {has_start(kind)}"


def ended_by(low: int, high: int, kind: Kind) -> str:
    return f"e.end_hi <= {high} AND e.end_lo > {NEVER_BEGAN}"


def has_start(kind: Kind) -> str:
    """A condition that only abated began at minus infinity; with neither day, or for other facts, it is unknown."""
    if kind == Kind.CONDITION:
        return f"(e.start_lo > {NEVER_BEGAN} OR e.end_lo < {NEVER_ENDS})"
    return f"e.start_lo > {NEVER_BEGAN}"


# --- By the instant, in UTC. A day without a time at the very edge is unknown and does not hold -----------------
START_AFTERMOST = "e.start_hi - 60 * e.start_offset + CASE WHEN e.start_lo < e.start_hi THEN 1 ELSE 0 END"
START_FOREMOST = "e.start_lo - 60 * e.start_offset - CASE WHEN e.start_lo < e.start_hi THEN 1 ELSE 0 END"
END_AFTERMOST = "e.end_hi - 60 * e.end_offset + CASE WHEN e.end_lo < e.end_hi THEN 1 ELSE 0 END"
END_FOREMOST = "e.end_lo - 60 * e.end_offset - CASE WHEN e.end_lo < e.end_hi THEN 1 ELSE 0 END"


def instant_overlapping(low: int, high: int, kind: Kind) -> str:
    return f"{START_AFTERMOST} <= {high} AND {END_FOREMOST} >= {low}"


def instant_started_by(low: int, high: int, kind: Kind) -> str:
    return f"{START_AFTERMOST} <= {high} AND {has_start(kind)}"


def instant_started_before(low: int, high: int, kind: Kind) -> str:
    """Begun before the window's last instant, which ends a second: the last whole second is before it."""
    return f"{START_AFTERMOST} <= {high} AND {has_start(kind)}"


def instant_ended_by(low: int, high: int, kind: Kind) -> str:
    return f"{END_AFTERMOST} <= {high} AND e.end_lo > {NEVER_BEGAN}"


def instant_during(low: int, high: int, kind: Kind) -> str:
    exactly = f"{START_FOREMOST} >= {low} AND {END_AFTERMOST} <= {high}"
    # A day from the edge no offset matters, which SQLite would read from the table and not from the index.
    inside = f"e.start_lo >= {low + DAY} AND e.end_hi <= {high - DAY}"
    near = f"e.start_lo >= {low - DAY} AND e.end_hi <= {high + DAY}"
    known = f"e.start_lo < {NEVER_ENDS} AND e.end_lo > {NEVER_BEGAN}"
    return f"{near} AND {known} AND (({inside}) OR ({exactly}))"
