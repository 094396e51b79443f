"""The measurement period, and windows of days counted from it. No measure names a year."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from dateutil.relativedelta import relativedelta

from engage.caregaps.words import Words, day_text

EPOCH = date(1970, 1, 1).toordinal()
DAY = 86_400
LOOK_BACK = 150  # years; nothing on record is older


def first_second(day: date) -> int:
    """Seconds of the local wall clock from 1970-01-01T00:00 to the day's first second (see records.models)."""
    return (day.toordinal() - EPOCH) * DAY


def last_second(day: date) -> int:
    return first_second(day) + DAY - 1


def day_of(seconds: int) -> date:
    """The local day on which that second falls."""
    return date.fromordinal(EPOCH + seconds // DAY)


def years_after(day: date, years: int) -> date:
    """The same day so many years later; 28 Feb for a 29 Feb that is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


@dataclass(frozen=True)
class Period:
    """First and last day of measurement."""

    start: date
    end: date

    @classmethod
    def of(cls, day: date) -> "Period":
        """The calendar year of a day."""
        return cls(date(day.year, 1, 1), date(day.year, 12, 31))

    def years_later(self, years: int) -> "Period":
        return Period(years_after(self.start, years), years_after(self.end, years))


@dataclass(frozen=True)
class Window:
    """Whole days, counted from a measurement period; without arguments the period itself."""

    years_before: int = 0  # begins so many years before the period
    months_before: int = 0  # and so many months
    last_months: int = 0  # or: only the last so many months up to the period's end
    first_months: int = 0  # or: only the first so many months of the period
    ever: bool = False  # or: any time up to the period's end
    months_to_as_of: int = 0  # or: the months up to the day we ask as of

    def days(self, period: Period, as_of: date | None = None) -> tuple[date, date]:
        """First and last day."""
        if self.ever:
            return date.min, period.end
        if self.months_to_as_of:
            last = as_of or period.end
            return last - relativedelta(months=self.months_to_as_of), last
        if self.last_months:
            return period.end + timedelta(days=1) - relativedelta(months=self.last_months), period.end
        if self.first_months:
            return period.start, period.start + relativedelta(months=self.first_months) - timedelta(days=1)
        return period.start - relativedelta(years=self.years_before, months=self.months_before), period.end

    def seconds(self, period: Period, as_of: date | None = None) -> tuple[int, int]:
        """First and last second, as events store them."""
        first, last = self.days(period, as_of)
        return first_second(first), last_second(last)

    def covered_until(self, day: date, period: Period) -> int:
        """The last year whose window still holds a fact of that day."""
        begins = self.begins(period)
        return period.start.year - LOOK_BACK + max(0, bisect_right(begins, day) - 1)

    @lru_cache(maxsize=1000)  # noqa: B019 - windows are constants of the measures
    def begins(self, period: Period) -> list[date]:
        """The window's first day in each of the years up to the period's, the oldest first."""
        return [self.days(period.years_later(step))[0] for step in range(-LOOK_BACK, 1)]

    def words(self, period: Period, as_of: date | None = None) -> Words:
        """ "from 1 Oct 2023 to 31 Dec 2025"."""
        first, last = self.days(period, as_of)
        said = {lang: (day_text(first, lang), day_text(last, lang)) for lang in ("en", "es")}
        if self.ever:
            return Words(f"up to {said['en'][1]}", f"hasta el {said['es'][1]}")
        return Words(f"from {said['en'][0]} to {said['en'][1]}", f"del {said['es'][0]} al {said['es'][1]}")


THE_PERIOD = Window()
FIRST_SIX_MONTHS = Window(first_months=6)
EVER = Window(ever=True)
TWO_YEARS_TO_AS_OF = Window(months_to_as_of=24)


def period_and_years_before(years: int) -> Window:
    """The period and so many calendar years before it."""
    return Window(years_before=years)


def period_and_months_before(months: int) -> Window:
    """The period and so many calendar months before it."""
    return Window(months_before=months)


def last_months(months: int) -> Window:
    """The last so many months up to the period's end."""
    return Window(last_months=months)
