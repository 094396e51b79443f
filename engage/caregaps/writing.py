"""Writing what a night changed, in small transactions: each row is guarded by what it was when it was read.

Whoever closes a gap takes back its unsent messages and ends its tasks in the same transaction. Killed anywhere and run
again, the rest is written and nothing twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from datetime import date
from itertools import chain, islice
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.expressions import RawSQL
from pyroaring import BitMap

from engage.audit.models import AuditEvent, event
from engage.caregaps.algebra import LIVING, Question
from engage.caregaps.models import CareGap, GapRun
from engage.caregaps.sorting import LEFT, UNDER_WAY, Change, Sorted, among, event_of, key_of, without_event
from engage.lib import bulk, clock
from engage.messaging.actions import suppress_about
from engage.worklist.actions import close_about
from engage.worklist.models import Outcome

BY = "system:find_gaps"
Status, ClosedBy = CareGap.Status, CareGap.ClosedBy
LIVE = (Status.OPEN, Status.DEFERRED)
NEW_ROWS, CHANGED_ROWS = 20_000, 1_000
TABLE = "caregaps_caregap"
NEW = ("patient_id", "status", "due_since", "evidence", "last_event_id", "evidence_key")
CHANGED = (
    "rules", "status", "opened_on", "due_since", "closed_on", "closed_by", "deferred_until", "evidence", "last_event_id",
    "evidence_key", "changed_at",
)  # fmt: skip
UPDATE = f"UPDATE {TABLE} SET {', '.join(f'{name} = %s' for name in CHANGED)} WHERE id = %s"  # noqa: S608
WHY = {
    Status.CLOSED: "The record shows that this is no longer due.",
    Status.EXCLUDED: "The record shows that this does not apply.",
}


@dataclass
class Written:
    """How many rows one group's changes came to."""

    opened: int = 0
    closed: int = 0
    excluded: int = 0
    written: int = 0

    def __add__(self, other: "Written") -> "Written":
        return Written(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


class Writer:
    """Writes one group's changes. Each transaction ends with the run's sign of life, so that only one run writes."""

    def __init__(self, group: Sorted, run: GapRun) -> None:
        self.group, self.as_of, self.run = group, run.as_of, run
        self.moment = bulk.moment(clock.machine_now())
        self.start = bulk.day(group.question.period.start)
        self.done = Written()
        self.new = {  # what all new rows have in common
            "measure": group.measure.id,
            "group": group.group.number,
            "period_start": self.start,
            "rules": group.rules.version,
            "opened_on": bulk.day(run.as_of),
            "closed_on": None,
            "closed_by": "",
            "deferred_until": None,
            "changed_at": self.moment,
        }
        self.alike: dict[tuple[bool, str, int], tuple[Any, str, str]] = {}
        self.lapsed: dict[int, Any] = {}
        self.ages = group.group.ages()
        self.born: dict[int, str] = {}
        self.grown: dict[str, Any] = {}

    def write(self, changes: Iterable[Change]) -> Iterator[int]:
        """Gives the number of rows of each transaction once it is committed."""
        stored: list[Change] = []
        fresh: list[Change] = []
        for change in changes:
            (stored if change.was else fresh).append(change)
        stored += self.redated(BitMap(change.patient for change in chain(stored, fresh)))
        for part in batches(stored, CHANGED_ROWS):
            yield self.update(part)
        for part in batches(fresh, NEW_ROWS):
            yield self.insert(part)

    def carry_over(self) -> None:
        """What another period left open, put off or excluded comes into this one, and keeps its messages and tasks.

        Where this period has a row of its own already, or a later row comes along, it ends: nobody would look at it again.
        """
        group, start = self.group, self.group.question.period.start
        mine = {"measure": group.measure.id, "group": group.group.number}
        strays = of_other_periods(group.question).filter(**mine)
        same = CareGap.objects.filter(**mine, patient=OuterRef("patient"))
        later = same.filter(status__in=UNDER_WAY, period_start__gt=OuterRef("period_start"))
        with transaction.atomic():
            moving = strays.exclude(Exists(same.filter(period_start=start))).exclude(Exists(later))
            count = moving.update(
                period_start=start, rules=group.rules.version, changed_at=clock.machine_now()
            )
            self.run.beat(count)
        self.done += Written(written=count) + leave(strays, self.run)

    # --- new rows -----------------------------------------------------------------------------------------
    def insert(self, changes: list[Change]) -> int:
        self.learn_births(changes)
        rows = [(c.patient, str(c.status), *self.told(c), c.key) for c in changes]
        with transaction.atomic():
            bulk.append(TABLE, NEW, rows, self.new)
            self.run.beat(len(rows))
        statuses = [c.status for c in changes]
        self.done.opened += statuses.count(Status.OPEN)
        self.done.excluded += statuses.count(Status.EXCLUDED)
        self.done.written += len(rows)
        return len(rows)

    # --- stored rows --------------------------------------------------------------------------------------
    def update(self, changes: list[Change]) -> int:
        """One transaction: the rows, the messages about them, the tasks about them, the audit."""
        with transaction.atomic():
            gaps = {gap.patient_id: gap for gap in self.held(changes)}
            mine = [(gaps[c.patient], c) for c in changes if is_as_read(gaps.get(c.patient), c)]
            self.rewrite(mine)
            for _, change in mine:
                self.count(change)
            ended = [(gap, c) for gap, c in mine if c.was in LIVE and c.status not in LIVE]
            end([(gap, c.status, c.closed_by) for gap, c in ended], self.run)
            self.run.beat(len(mine))
        self.done.written += len(mine)
        return len(mine)

    def rewrite(self, held: list[tuple[CareGap, Change]]) -> None:
        """The rows as they should be; the caller holds them."""
        self.learn_births([change for _, change in held])
        bulk.write_many(UPDATE, [self.rewritten(gap, change) for gap, change in held])

    def held(self, changes: list[Change]) -> QuerySet[CareGap]:
        """The stored rows, held until the end of the transaction."""
        rows = CareGap.objects.filter(
            measure=self.group.measure.id,
            group=self.group.group.number,
            period_start=self.group.question.period.start,
            patient_id__in=[c.patient for c in changes],
        )
        return rows.select_for_update(of=("self",)).defer("evidence")

    def rewritten(self, gap: CareGap, change: Change) -> tuple[Any, ...]:
        """The row's columns in the order of CHANGED, and its key."""
        due, evidence, last = self.told(change)
        if change.status in (Status.CLOSED, Status.EXCLUDED):
            due = bulk.day(gap.due_since)  # since when it was due stays on record
        opened, closed, until = gap.opened_on, gap.closed_on, gap.deferred_until
        if change.status != change.was:
            closed = self.as_of if change.status == Status.CLOSED else None
            until = None
            if change.status == Status.OPEN and change.was != Status.DEFERRED:
                opened = self.as_of
        days = (bulk.day(opened), due, bulk.day(closed), str(change.closed_by), bulk.day(until))
        told = (evidence, last, change.key, self.moment)
        return (self.group.rules.version, str(change.status), *days, *told, gap.pk)

    def count(self, change: Change) -> None:
        if change.status == change.was:
            return
        self.done.opened += change.status == Status.OPEN
        self.done.closed += change.status == Status.CLOSED
        self.done.excluded += change.status == Status.EXCLUDED

    # --- evidence ------------------------------------------------------------------------------------------
    def told(self, change: Change) -> tuple[Any, str, int | None]:
        """(due since, evidence as JSON, last event id) of a row. Most differ from one told before in the event only."""
        mark, live = change.mark, change.status in LIVE
        event = event_of(mark)
        known = live, change.kind, without_event(mark)
        if known not in self.alike:
            self.alike[known] = self.first_of_its_kind(change, event)
        due, before, after = self.alike[known]
        if not event:
            return due, before, None
        if live:
            due = self.no_earlier(due, self.born.get(change.patient))
        return due, f"{before}{event}{after}", event

    def first_of_its_kind(self, change: Change, event: int) -> tuple[Any, str, str]:
        """(due since, whatever the age; the evidence before its event; and after it)."""
        evidence = self.group.evidence(change.kind, change.mark)
        due = self.due_by_fact(change.mark) if change.status in LIVE else None
        text = orjson.dumps(evidence).decode()
        before, found, after = text.partition(f'"event":{event}') if event else (text, "", "")
        return due, before + found[: -len(str(event))] if found else before, after

    def no_earlier(self, due: Any, born: str | None) -> Any:
        """Than somebody born then was old enough, and no later than this period."""
        return min(self.start, max(due, self.of_age(born))) if born else due

    def of_age(self, born: str) -> Any:
        """The first day of the first year in which somebody born then was old enough, as the database takes it."""
        if born not in self.grown and self.ages:
            self.grown[born] = bulk.day(self.ages.turned_up(date.fromisoformat(born), self.group.question))
        return self.grown[born]

    def redated(self, changed: BitMap) -> Iterator[Change]:
        """Open gaps that changed in nothing but the day since when they are due: the birth date was corrected.

        Asked only where it can matter: a fact that covered this period's beginning leaves nothing to be too young for.
        """
        marks = {} if self.ages is None or not self.group.open else self.group.last
        kinds = {without_event(mark) for mark in marks.values()}
        early = {kind for kind in kinds if self.due_by_fact(kind) < self.start}
        long_due = {pk: m for pk, m in marks.items() if without_event(m) in early and pk not in changed}
        sql = (
            f"SELECT g.patient_id, g.status, g.evidence_key, CAST(g.due_since AS text), CAST(p.birth_date AS text)"  # noqa: S608
            f' FROM {TABLE} g JOIN patients_patient p ON p.id = g.patient_id WHERE g.measure = %s AND g."group" = %s'
            f" AND g.period_start = %s AND g.status IN ('open', 'deferred') AND {bulk.among('g.patient_id')}"
        )
        mine = (self.group.measure.id, self.group.group.number, self.start)
        rows = bulk.select(sql, [*mine, bulk.listed(long_due)]) if long_due else []
        for patient, status, key, due, born in rows:
            mark = long_due[patient]
            change = Change(patient, status, key, status, "", key[:2], mark)
            if str(self.no_earlier(self.due_by_fact(mark), born)) != due and change.key == key:
                yield change

    def due_by_fact(self, mark: int) -> Any:
        """Since when a gap with this last fact is due, whatever the age."""
        known = without_event(mark)
        if known not in self.lapsed:
            fact = self.group.fact(mark, self.group.leaves)
            last = date.fromisoformat(fact["day"]) if fact.get("day") else None
            due = self.group.group.due_since(fact.get("what", ""), last, self.group.question)
            self.lapsed[known] = bulk.day(due)
        return self.lapsed[known]

    def learn_births(self, changes: list[Change]) -> None:
        """Birth dates of those whose last fact may lie before they were old enough."""
        if self.ages:
            sql = f"SELECT id, CAST(birth_date AS text) FROM patients_patient WHERE {bulk.among('id')}"  # noqa: S608
            live = [change.patient for change in changes if change.status in LIVE]
            self.born = dict(bulk.select(sql, [bulk.listed(live)]))


# --- rows of which no group's changes speak -------------------------------------------------------------------------
def of_other_periods(question: Question) -> QuerySet[CareGap]:
    """Rows under way that belong to another period than the one asked about."""
    rows = CareGap.objects.filter(status__in=UNDER_WAY).exclude(period_start=question.period.start)
    return among(rows, question)


def groups_of_other_periods(question: Question) -> set[tuple[str, int]]:
    """(measure, group) of those rows: asked once for all, for it reads every gap of the patients."""
    return set(of_other_periods(question).values_list("measure", "group").distinct())


def leave_who_is_gone(question: Question, run: GapRun) -> Written:
    """A death ends every gap, also of a measure that the run left out or that nobody asks for any more."""
    gone = f"SELECT id FROM {question.people} WHERE NOT ({LIVING})"  # noqa: S608
    rows = CareGap.objects.filter(status__in=UNDER_WAY, patient__in=RawSQL(gone, []))  # noqa: S611
    return leave(among(rows, question), run)


def leave(rows: QuerySet[CareGap], run: GapRun) -> Written:
    """Closes these rows: they are of nobody whom a measure still includes, or of a period that is over."""
    done = Written()
    for part in batches(list(rows.values_list("pk", flat=True)), CHANGED_ROWS):
        with transaction.atomic():
            held = CareGap.objects.select_for_update(of=("self",)).filter(pk__in=part, status__in=UNDER_WAY)
            gaps = list(held.defer("evidence"))
            CareGap.objects.filter(pk__in=[gap.pk for gap in gaps]).update(
                status=Status.CLOSED, closed_by=ClosedBy.LEFT, closed_on=run.as_of, deferred_until=None,
                evidence={"closed": ClosedBy.LEFT}, evidence_key=key_of(LEFT, 0), last_event=None,
                changed_at=clock.machine_now(),
            )  # fmt: skip
            end([(gap, Status.CLOSED, ClosedBy.LEFT) for gap in gaps if gap.status in LIVE], run)
            run.beat(len(gaps))
        done += Written(closed=len(gaps), written=len(gaps))
    return done


def end(ended: list[tuple[CareGap, str, str]], run: GapRun) -> None:
    """What was under way because of these gaps stops: (the gap as it was, its status now, closed by)."""
    for status, why in WHY.items():
        keys = [gap.about for gap, now, _ in ended if now == status]
        if keys:
            suppress_about(keys, why)
            close_about(keys, Outcome.BY_SYSTEM, why, by=BY)
    AuditEvent.objects.bulk_create(
        event(BY, f"gap.{now}", gap, run=run.pk, closed_by=by, was=gap.status) for gap, now, by in ended
    )


def is_as_read(gap: CareGap | None, change: Change) -> bool:
    """Whether nobody has changed the row since it was read."""
    return gap is not None and (gap.status, gap.evidence_key) == (change.was, change.was_key)


def batches(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rows = iter(rows)
    while part := list(islice(rows, size)):
        yield part
