"""Whom time itself will move: a fact begins to count, or a visit ceases to, on a day to come (docs/decisions/0009).

A fact is read from the day on which it begins; a visit counts from the day on which it has ended, until the window of
recent visits begins after it. Ages and all other windows belong to the year.

To find them every fact is read. So a run that looks at everybody keeps those of each day until everybody's next turn, and
one that looks at a few finds the days of those few anew.
"""

from bisect import bisect_right
from collections import defaultdict
from datetime import date, timedelta

from pyroaring import BitMap

from engage.caregaps.algebra import EVENTS
from engage.caregaps.models import Moving
from engage.caregaps.period import TWO_YEARS_TO_AS_OF, Period, day_of, first_second, last_second
from engage.lib import bulk
from engage.records.models import Kind

Moves = dict[date, BitMap]


def moved_by_time(since: date, until: date) -> BitMap:
    """Patients with a fact that counts on one of these days and not on the other, as the last completed run kept them."""
    rows = Moving.objects.filter(day__gt=since, day__lte=until).values_list("patients", flat=True)
    return BitMap().union(*(BitMap.deserialize(bytes(patients)) for patients in rows))


def find(as_of: date, days: int, events: str = EVENTS) -> Moves:
    """Who will be moved on each of so many days after `as_of`, of those whose facts are in this table."""
    last = as_of + timedelta(days=days)
    low, high = last_second(as_of), last_second(last)
    gone = [begin_of_recent(as_of + timedelta(days=after)) for after in range(days + 1)]
    rows = bulk.select(
        f"SELECT patient_id, kind, start_lo, end_hi FROM {events} WHERE (start_lo > %s AND start_lo <= %s)"  # noqa: S608
        " OR (kind = %s AND ((start_lo >= %s AND start_lo < %s) OR (end_hi >= %s AND end_hi < %s)"
        " OR (end_hi > %s AND end_hi <= %s)))",
        [low, high, int(Kind.ENCOUNTER), gone[0], gone[-1], gone[0], gone[-1], low, high],
    )
    found: Moves = defaultdict(BitMap)
    for patient, kind, start, end in rows:
        for second in (start, end) if kind == Kind.ENCOUNTER else (start,):
            if low < second <= high:
                found[day_of(second)].add(patient)
            if kind == Kind.ENCOUNTER and gone[0] <= second < gone[-1]:
                found[as_of + timedelta(days=bisect_right(gone, second))].add(patient)
    return found


def begin_of_recent(day: date) -> int:
    """The first second of the window of recent visits as of that day."""
    return first_second(TWO_YEARS_TO_AS_OF.days(Period.of(day), day)[0])


def keep(found: Moves, asked: BitMap | None) -> None:
    """These are the last run's now; with `asked`, theirs in place of what the run before had for them."""
    known: Moves = {}
    if asked is not None:
        rows = Moving.objects.values_list("day", "patients")
        known = {day: BitMap.deserialize(bytes(patients)) - asked for day, patients in rows}
    Moving.objects.all().delete()
    Moving.objects.bulk_create(
        Moving(day=day, patients=(known.get(day, BitMap()) | found.get(day, BitMap())).serialize())
        for day in sorted({*known, *found})
    )
