"""When the next touch is due: the same hour on a later day, in the clinic's own zone and in business time."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from engage.campaigns.models import Touch

CLOSING = time(17, 0)


@lru_cache(maxsize=8)
def federal_holidays(year: int) -> frozenset[date]:
    """The days on which federal offices are closed (5 U.S.C. 6103), observed days included."""
    return frozenset(holidays.country_holidays("US", years=year))


def working(day: date) -> bool:
    return day.weekday() < 5 and day not in federal_holidays(day.year)


def days_later(day: date, days: int, business: bool) -> date:
    """The day so many days, or working days, after `day`."""
    if not business:
        return day + timedelta(days=days)
    for _ in range(days):
        day += timedelta(days=1)
        while not working(day):
            day += timedelta(days=1)
    return day


def after(start: datetime, touch: Touch, zone: str) -> datetime:
    """When `touch` is due if the one before it was made at `start`; UTC. The local hour stays through a clock change."""
    local = start.astimezone(ZoneInfo(zone))
    day = days_later(local.date(), touch.wait_days, touch.business_days)
    return datetime.combine(day, local.timetz()).astimezone(UTC)


def closing_time(start: datetime, days: int, zone: str) -> datetime:
    """Five in the afternoon so many working days after `start`: a staff task's deadline; UTC."""
    local = start.astimezone(ZoneInfo(zone))
    day = days_later(local.date(), days, business=True)
    return datetime.combine(day, CLOSING, ZoneInfo(zone)).astimezone(UTC)


def sentence(touches: Iterable[Touch]) -> str:
    """The cadence in words: "text, 3 days later text, 4 days later staff call"."""
    parts = []
    for touch in touches:
        unit = "working day" if touch.business_days else "day"
        wait = (
            f"{touch.wait_days} {unit}{'' if touch.wait_days == 1 else 's'} later " if touch.wait_days else ""
        )
        parts.append(wait + touch.get_kind_display().lower())
    return ", ".join(parts)
