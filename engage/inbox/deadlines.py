"""When a reply must have been looked at: minutes run always, working hours run while a clinic is open."""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from engage.accounts.models import Clinic

OPENS, CLOSES = time(9), time(17)
DAY = 8.0  # working hours in a business day
FALLBACK_ZONE = "America/New_York"


@lru_cache(maxsize=16)
def federal_holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("US", years=year))


def is_working_day(day: date) -> bool:
    return day.weekday() < 5 and day not in federal_holidays(day.year)


def after_working_hours(at: datetime, clinic: Clinic | None, hours: float) -> datetime:
    """The moment so many working hours (Monday to Friday, 9 to 5 at the clinic, no federal holidays) after `at`."""
    zone = ZoneInfo(clinic.time_zone if clinic else FALLBACK_ZONE)
    left, day = timedelta(hours=hours), at.astimezone(zone).date()
    local = at.astimezone(zone)
    while True:
        start = max(local, datetime.combine(day, OPENS, zone))
        room = datetime.combine(day, CLOSES, zone) - start
        if is_working_day(day) and room > timedelta(0):
            if left <= room:
                return start + left
            left -= room
        day += timedelta(days=1)


def next_morning(at: datetime, clinic: Clinic | None, days: int = 1) -> datetime:
    """Nine o'clock at the clinic on the first working day at least `days` days later."""
    zone = ZoneInfo(clinic.time_zone if clinic else FALLBACK_ZONE)
    day = at.astimezone(zone).date() + timedelta(days=days)
    while not is_working_day(day):
        day += timedelta(days=1)
    return datetime.combine(day, OPENS, zone)
