"""When a text may reach a patient: hours by state as data, and the next permitted moment in every zone concerned.

Sources: 47 CFR 64.1200(c)(1) (08:00 to 21:00 where the called party is); the states' own solicitation laws, adopted for
all automated outreach; the product's own hours, which are narrower than most. Where both speak, the narrower holds.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import holidays

Hours = tuple[time, time] | None  # None: not that day
Span = tuple[datetime, datetime]
MARGIN = timedelta(seconds=90)  # nothing is handed over so late that it could arrive after closing
LOOK_AHEAD_DAYS = 14


def hours(start: float, end: float) -> Hours:
    """Local hours of one day: `hours(13.5, 21)` is 13:30 to 21:00."""
    return time(int(start), round(start % 1 * 60)), time(int(end), round(end % 1 * 60))


class Week(NamedTuple):
    """Permitted local hours of one jurisdiction."""

    weekdays: Hours
    saturday: Hours
    sunday: Hours
    holidays: bool = True  # whether federal holidays are permitted


ALL_DAYS = hours(8, 21)
PRODUCT = Week(hours(9, 20), hours(9, 20), hours(12, 18), holidays=False)
UNKNOWN_ZONE = hours(11, 18)  # nobody knows where the phone is
# Reviewed November 2025 against published summaries of state laws; [?] marks what counsel must confirm.
STATES: dict[str, Week] = {
    "AL": Week(hours(8, 20), hours(8, 20), None, holidays=False),
    "CT": Week(hours(9, 20), hours(9, 20), hours(9, 20)),
    "FL": Week(hours(8, 20), hours(8, 20), hours(8, 20)),
    "KY": Week(hours(10, 21), hours(10, 21), hours(10, 21)),
    "LA": Week(hours(8, 20), hours(8, 20), None, holidays=False),
    "MA": Week(hours(8, 20), hours(8, 20), hours(8, 20)),
    "MD": Week(hours(8, 20), hours(8, 20), hours(8, 20)),
    "MI": Week(hours(9, 21), hours(9, 21), hours(9, 21)),
    "MN": Week(hours(9, 21), hours(9, 21), hours(9, 21)),
    "MS": Week(hours(8, 20), hours(8, 20), None),
    "NM": Week(hours(9, 21), hours(9, 21), hours(9, 21)),
    "NV": Week(hours(9, 20), hours(9, 20), hours(9, 20)),
    "OK": Week(hours(8, 20), hours(8, 20), hours(8, 20)),
    "PA": Week(ALL_DAYS, ALL_DAYS, hours(13.5, 21), holidays=False),  # [?]
    "RI": Week(hours(9, 18), hours(10, 17), None, holidays=False),  # [?]
    "TX": Week(hours(9, 21), hours(9, 21), hours(12, 21)),
    "UT": Week(ALL_DAYS, ALL_DAYS, None, holidays=False),
    "WA": Week(hours(8, 20), hours(8, 20), hours(8, 20)),
}
EVERYWHERE = Week(ALL_DAYS, ALL_DAYS, ALL_DAYS)
DAYS = ("weekdays", "saturday", "sunday")


class Place(NamedTuple):
    """What decides the hours of one recipient. `zones` are IANA names that must all be open at once."""

    zones: tuple[str, ...]
    state: str = ""  # USPS code
    sunday: bool = False  # the clinic allows Sunday afternoons
    unknown: bool = False  # the zone is only the clinic's
    own: Week | None = None  # the clinic's own hours; they only ever narrow
    number_state: str = ""  # the area code's: its law binds as well


@lru_cache(maxsize=64)
def federal_holidays(year: int) -> frozenset[date]:
    """Federal holidays with the weekday on which they are observed."""
    return frozenset(holidays.country_holidays("US", years=year))


def day_hours(week: Week, day: date) -> Hours:
    """The hours of one jurisdiction on a day."""
    if not week.holidays and day in federal_holidays(day.year):
        return None
    return (week.weekdays, week.saturday, week.sunday)[max(0, day.weekday() - 4)]


def narrower(one: Hours, other: Hours) -> Hours:
    if one is None or other is None:
        return None
    start, end = max(one[0], other[0]), min(one[1], other[1])
    return (start, end) if start < end else None


def own_week(stored: dict[str, Any]) -> Week | None:
    """A clinic's hours as stored: {"weekdays": ["10:00", "17:00"], "saturday": null}. A kind of day not named is open.

    Raises ValueError for hours that cannot be read: the gate then lets nothing through.
    """
    if not stored:
        return None
    return _week(*(_key(stored[d]) if d in stored else ("00:00", "23:59") for d in DAYS))


def _key(hours: list[str] | None) -> tuple[str, ...] | None:
    return tuple(hours) if hours is not None else None


@lru_cache(maxsize=512)
def _week(*days: tuple[str, ...] | None) -> Week:
    def read(day: tuple[str, ...] | None) -> Hours:
        if day is None:
            return None
        start, end = (time.fromisoformat(at) for at in day)
        return (start, end)

    weekdays, saturday, sunday = (read(day) for day in days)
    return Week(weekdays, saturday, sunday)


def widest(state: str) -> dict[str, Hours]:
    """What the law of a state and the product permit on each kind of day; a clinic may narrow it."""
    law = STATES.get(state, EVERYWHERE)
    return {day: narrower(getattr(PRODUCT, day), getattr(law, day)) for day in DAYS}


@lru_cache(maxsize=32768)
def span(
    zone: str, day: date, state: str, sunday: bool, unknown: bool, own: Week | None, number_state: str = ""
) -> Span | None:
    """The permitted moments (UTC) of one local day, or None. Across a clock change the local hours hold."""
    if day.weekday() == 6 and not sunday:
        return None
    found = day_hours(PRODUCT, day)
    for law in (state, number_state):
        found = narrower(found, day_hours(STATES.get(law, EVERYWHERE), day))
    if own is not None:
        found = narrower(found, day_hours(own, day))
    if unknown:
        found = narrower(found, UNKNOWN_ZONE)
    if found is None:
        return None
    # fold=0: an hour that comes twice means the first; one that is skipped is moved forward.
    start, end = (datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC) for at in found)
    return start, end


def next_span(place: Place, zone: str, at: datetime) -> Span | None:
    """The first permitted span of one zone that has more than the margin left at a moment."""
    today = at.astimezone(ZoneInfo(zone)).date()
    for ahead in range(LOOK_AHEAD_DAYS):
        day = today + timedelta(days=ahead)
        found = span(zone, day, place.state, place.sunday, place.unknown, place.own, place.number_state)
        if found is not None and found[1] - MARGIN > at:
            return found
    return None


@lru_cache(maxsize=4096)  # a micro-batch asks again and again for one moment
def opening(place: Place, at: datetime) -> Span | None:
    """The first moments from `at` on at which every zone is open: (start, end) in UTC; start == at when open now.

    None when there are none within two weeks.
    """
    moment = at
    for _ in range(4 * LOOK_AHEAD_DAYS):
        spans = [next_span(place, zone, moment) for zone in place.zones]
        found = [s for s in spans if s is not None]
        if len(found) < len(spans) or not found:
            return None
        start, end = max(moment, *(s[0] for s in found)), min(s[1] for s in found)
        if end - start > MARGIN:
            return start, end
        moment = start
    return None


def is_open(place: Place, at: datetime) -> bool:
    found = opening(place, at)
    return found is not None and found[0] <= at
