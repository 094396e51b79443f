"""Segment: a saved choice of patients for a campaign. A closed list of keys, checked when saved and when read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from typing import Any

from django.db.models import Q

from engage.lib import clock

OLDEST = 130


class SegmentError(ValueError):
    """A segment that cannot be understood; its text is one sentence for a person."""


@dataclass(frozen=True)
class Segment:
    """Whom a campaign chooses among the open gaps of its measure and clinics; what is empty does not limit."""

    min_age: int | None = None
    max_age: int | None = None
    languages: tuple[str, ...] = ()
    pcps: tuple[int, ...] = ()  # Practitioner ids
    overdue_days: int = 0  # due for at least so many days

    @classmethod
    def parse(cls, data: Mapping[str, Any] | None) -> "Segment":
        """Reads what is stored in `Campaign.segment`; raises SegmentError with a sentence."""
        data = data or {}
        if unknown := sorted(set(data) - {f.name for f in fields(cls)}):
            raise SegmentError(
                f"“{unknown[0]}” is not something a segment can choose by; "
                f"use {', '.join(f.name for f in fields(cls))}."
            )
        segment = cls(
            min_age=_number(data, "min_age", OLDEST),
            max_age=_number(data, "max_age", OLDEST),
            languages=tuple(_texts(data, "languages")),
            pcps=tuple(_ids(data, "pcps")),
            overdue_days=_number(data, "overdue_days", 36_500) or 0,
        )
        if None not in (segment.min_age, segment.max_age) and segment.min_age > segment.max_age:  # type: ignore[operator]
            raise SegmentError("The youngest age is above the oldest: nobody would be chosen.")
        return segment

    def stored(self) -> dict[str, Any]:
        """As `Campaign.segment` keeps it: only what limits."""
        kept = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in kept.items() if v not in (None, [], 0) or (k.endswith("_age") and v == 0)}

    def chosen(self) -> Q:
        """The filter on care gaps, by ages and days in business time."""
        today = clock.today()
        wanted = Q()
        if self.min_age is not None:
            wanted &= Q(patient__birth_date__lte=years_before(today, self.min_age))
        if self.max_age is not None:
            wanted &= Q(patient__birth_date__gt=years_before(today, self.max_age + 1))
        if self.languages:
            wanted &= Q(patient__language__in=self.languages)
        if self.pcps:
            wanted &= Q(patient__pcp__in=self.pcps)
        if self.overdue_days:
            wanted &= Q(due_since__lte=today - timedelta(days=self.overdue_days))
        return wanted

    def sentence(self) -> str:
        """The choice in words, "" when nothing limits it."""
        parts = [self._ages()]
        parts.append("speaking " + ", ".join(self.languages) if self.languages else "")
        parts.append(
            f"of {len(self.pcps)} clinicians" if len(self.pcps) > 1 else "of one clinician" * len(self.pcps)
        )
        parts.append(f"due for at least {self.overdue_days} days" if self.overdue_days else "")
        return ", ".join(p for p in parts if p)

    def _ages(self) -> str:
        if self.min_age is not None and self.max_age is not None:
            return f"aged {self.min_age} to {self.max_age}"
        if self.min_age is not None:
            return f"aged {self.min_age} and over"
        return f"aged up to {self.max_age}" if self.max_age is not None else ""


def years_before(day: date, years: int) -> date:
    """The same calendar day so many years earlier; 29 February becomes 28 February."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def _number(data: Mapping[str, Any], key: str, most: int) -> int | None:
    value = data.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise SegmentError(f"“{value}” does not fit {key}: give a whole number from 0 to {most}.")
    return value


def _texts(data: Mapping[str, Any], key: str) -> list[str]:
    value = data.get(key) or []
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) and 2 <= len(v) <= 8 for v in value):
        raise SegmentError(f"{key} must be a list of language codes such as en or es.")
    return sorted(set(value))


def _ids(data: Mapping[str, Any], key: str) -> list[int]:
    value = data.get(key) or []
    if not isinstance(value, list | tuple) or not all(type(v) is int for v in value):
        raise SegmentError(f"{key} must be a list of the clinicians' numbers.")
    return sorted(set(value))
