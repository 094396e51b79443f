"""FHIR dates of any precision as ranges of whole seconds on the wall clock they were written for.

A moment is (lo, hi, offset): seconds from 1970-01-01T00:00 local, as written, and the offset in minutes east of UTC. What is
less precise than a second is the whole range it covers. Source: hl7.org/fhir/R4/datatypes.html#dateTime.
"""

import re
from calendar import monthrange
from datetime import date, timedelta
from typing import Any, NamedTuple

from engage.fhir.problems import BadResource

NEVER_BEGAN = -(2**53)
NEVER_ENDS = 2**53
DAY = 86_400
EPOCH = date(1970, 1, 1).toordinal()
WRITTEN = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?\Z", re.ASCII
)


class Moment(NamedTuple):
    """A time as written: local seconds, earliest and latest, and minutes east of UTC."""

    lo: int
    hi: int
    offset: int = 0


class Span(NamedTuple):
    """When a fact held. `no_start`: nothing says when it began."""

    start_lo: int
    start_hi: int
    end_lo: int
    end_hi: int
    start_offset: int = 0
    end_offset: int = 0
    no_start: bool = False


UNKNOWN = Span(NEVER_ENDS, NEVER_ENDS, NEVER_BEGAN, NEVER_BEGAN)
ALWAYS = Span(NEVER_BEGAN, NEVER_BEGAN, NEVER_ENDS, NEVER_ENDS, no_start=True)
BEGAN = Moment(NEVER_BEGAN, NEVER_BEGAN)
ENDS = Moment(NEVER_ENDS, NEVER_ENDS)


def moment(text: Any, what: str = "date") -> Moment:
    """Reads a date, dateTime or instant. Raises BadResource with a sentence when it is none or does not exist."""
    found = WRITTEN.match(text) if isinstance(text, str) else None
    if found is None:
        raise BadResource(f"The {what} {_shown(text)} is not a FHIR date.")
    year, month, day, hour, minute, second, zone = found.groups()
    try:
        if hour is not None:
            return _timed(date(int(year), int(month), int(day)), hour, minute, second, zone)
        if day is not None:
            return whole_days(date(int(year), int(month), int(day)), 1)
        if month is not None:
            return whole_days(date(int(year), int(month), 1), monthrange(int(year), int(month))[1])
        first = date(int(year), 1, 1)
        return whole_days(first, 366 if monthrange(first.year, 2)[1] == 29 else 365)
    except ValueError:
        raise BadResource(f"The {what} {_shown(text)} does not exist.") from None


def _timed(day: date, hour: str, minute: str, second: str | None, zone: str | None) -> Moment:
    hours, minutes = int(hour), int(minute)
    if hours > 23 or minutes > 59 or (second and int(second) > 60):
        raise ValueError
    lo = (day.toordinal() - EPOCH) * DAY + hours * 3600 + minutes * 60
    offset = _offset(zone)
    if second is None:
        return Moment(lo, lo + 59, offset)
    exact = lo + min(int(second), 59)  # a leap second is the second before it
    return Moment(exact, exact, offset)


def _offset(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:])
    if minutes > 14 * 60:
        raise ValueError
    return -minutes if zone[0] == "-" else minutes


def _shown(text: Any) -> str:
    return f'"{text[:40]}"' if isinstance(text, str) else f"({type(text).__name__})"


def whole_days(first: date, count: int) -> Moment:
    """`count` days from `first`, as a range."""
    lo = (first.toordinal() - EPOCH) * DAY
    return Moment(lo, lo + count * DAY - 1)


def day_of(seconds: int) -> date:
    """The calendar day of a local second."""
    return date.fromordinal(seconds // DAY + EPOCH)


def at(when: Moment) -> Span:
    """A fact of one moment."""
    return Span(when.lo, when.hi, when.lo, when.hi, when.offset, when.offset)


def between(start: Moment, end: Moment) -> Span:
    """From one moment to another; `no_start` when the start is BEGAN."""
    return Span(
        start.lo, start.hi, end.lo, end.hi, start.offset, end.offset, no_start=start.lo == NEVER_BEGAN
    )


def is_backward(start: Moment, end: Moment) -> bool:
    """Whether the end lies before the start whatever the imprecise parts are."""
    return end.hi - end.offset * 60 < start.lo - start.offset * 60


def period(value: Any) -> tuple[Span, str]:
    """A FHIR Period as a span, and a note ("" when all is well). Neither start nor end: unknown (measures.md §0.4)."""
    if not isinstance(value, dict):
        raise BadResource("A period is not an object with start and end.")
    start = moment(value["start"]) if value.get("start") is not None else BEGAN
    end = moment(value["end"]) if value.get("end") is not None else ENDS
    if start is BEGAN and end is ENDS:
        return UNKNOWN, ""
    if is_backward(start, end):
        return UNKNOWN, "The period ends before it starts; kept without a time."
    return between(start, end), ""


def before(end: Moment) -> Moment:
    """The last moment of a half-open interval that ends at `end`: one second, or one day, earlier."""
    step = min(DAY, end.hi - end.lo + 1)
    return Moment(end.lo - step, end.hi - step, end.offset)


def after(birth: date, age: Any) -> date:
    """The day somebody born on `birth` reached an age, a FHIR Age such as {"value": 40, "code": "a"}."""
    value = age.get("value") if isinstance(age, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 150 * 366:
        raise BadResource("An age has no number.")
    unit = str(age.get("code") or age.get("unit") or "a")
    days = {"d": 1, "day": 1, "days": 1, "wk": 7, "week": 7, "weeks": 7}.get(unit)
    if days:
        return birth + timedelta(days=int(value) * days)
    months = int(value) if unit in ("mo", "month", "months") else int(value * 12)
    return add_months(birth, months)


def one_year_on(birth: date, age: Any) -> date:
    """The last day of the interval [age, age + 1 year), as measures read an age."""
    return add_months(after(birth, age), 12) - timedelta(days=1)


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or its last day."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    if not 1 <= year <= 9999:
        raise BadResource("An age leads beyond the calendar.")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
