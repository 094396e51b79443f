"""Writing what a night changed, in small transactions: each row is guarded by what it was when it was read.

Whoever closes a gap takes back its unsent messages and ends its tasks in the same transaction. Killed anywhere and run
again, the rest is written and nothing twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

import orjson
from django.db import transaction

from engage.audit.models import AuditEvent, event
from engage.caregaps.models import CareGap, GapRun
from engage.caregaps.sorting import Change, Sorted, among
from engage.lib import bulk, clock
from engage.messaging.actions import suppress_about
from engage.worklist.actions import close_about
from engage.worklist.models import Outcome

BY = "system:find_gaps"
Status = CareGap.Status
LIVE = (Status.OPEN, Status.DEFERRED)
NEW_ROWS, CHANGED_ROWS = 20_000, 1_000
TABLE = "caregaps_caregap"
NEW = (
    "patient_id", "measure", "group", "period_start", "rules", "status", "opened_on", "due_since", "closed_on",
    "closed_by", "deferred_until", "evidence", "last_event_id", "evidence_key", "changed_at",
)  # fmt: skip
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


def carry_over(group: Sorted) -> int:
    """A new period: what is open, put off or excluded moves on with it, and keeps its messages and tasks."""
    rows = among(CareGap.objects.filter(measure=group.measure.id, group=group.group.number), group.question)
    start = group.question.period.start
    live = rows.filter(period_start__lt=start, status__in=(Status.OPEN, Status.DEFERRED, Status.EXCLUDED))
    there = rows.filter(period_start=start).values("patient_id")
    return live.exclude(patient_id__in=there).update(
        period_start=start, rules=group.rules.version, changed_at=clock.machine_now()
    )


class Writer:
    """Writes one group's changes; `beat` is called after each transaction."""

    def __init__(self, group: Sorted, as_of: date, run: GapRun) -> None:
        self.group, self.as_of, self.run = group, as_of, run
        self.moment = bulk.moment(clock.machine_now())
        self.today = bulk.day(as_of)
        self.done = Written()
        self.born: dict[int, date | None] = {}
        self.dues: dict[date, Any] = {}  # as the database takes them: the same few days again and again

    def write(self, changes: Iterable[Change]) -> Iterator[int]:
        """Gives the number of rows of each transaction as it is committed."""
        stored: list[Change] = []
        fresh: list[Change] = []
        for change in changes:
            (stored if change.was else fresh).append(change)
        for part in batches(stored, CHANGED_ROWS):
            yield self.update(part)
        for part in batches(fresh, NEW_ROWS):
            yield self.insert(part)

    # --- new rows -----------------------------------------------------------------------------------------
    def insert(self, changes: list[Change]) -> int:
        self.learn_births(changes)
        group = self.group
        start = bulk.day(group.question.period.start)
        fixed = (group.measure.id, group.group.number, start, group.rules.version)
        rows = [
            (
                c.patient,
                *fixed,
                str(c.status),
                self.today,
                due,
                None,
                "",
                None,
                evidence,
                last,
                c.key,
                self.moment,
            )
            for c in changes
            for due, evidence, last in (self.told(c),)
        ]
        with transaction.atomic():
            bulk.append(TABLE, NEW, rows)
        self.done.opened += sum(c.status == Status.OPEN for c in changes)
        self.done.excluded += sum(c.status == Status.EXCLUDED for c in changes)
        self.done.written += len(rows)
        return len(rows)

    # --- stored rows --------------------------------------------------------------------------------------
    def update(self, changes: list[Change]) -> int:
        """One transaction: the rows, the messages about them, the tasks about them, the audit."""
        self.learn_births(changes)
        gaps = {g.patient_id: g for g in self.rows_of(changes)}
        written, ended = 0, []
        with transaction.atomic():
            for change in changes:
                gap = gaps.get(change.patient)
                if gap is None or not self.save(gap, change):
                    continue
                written += 1
                self.count(change)
                if change.was in LIVE and change.status not in LIVE:
                    ended.append((gap, change))
            self.end(ended)
        self.done.written += written
        return written

    def rows_of(self, changes: list[Change]) -> list[CareGap]:
        rows = CareGap.objects.filter(
            measure=self.group.measure.id,
            group=self.group.group.number,
            period_start=self.group.question.period.start,
            patient_id__in=[c.patient for c in changes],
        )
        return list(rows.only("pk", "patient_id", "measure"))

    def save(self, gap: CareGap, change: Change) -> bool:
        """Writes the row unless somebody changed it since it was read."""
        due, evidence, last = self.told(change)
        columns: dict[str, Any] = {
            "status": change.status, "rules": self.group.rules.version, "due_since": due, "evidence": orjson.loads(evidence),
            "last_event_id": last, "evidence_key": change.key, "changed_at": clock.machine_now(),
        }  # fmt: skip
        if change.status != change.was:
            closed = change.status == Status.CLOSED
            columns |= {
                "closed_on": self.as_of if closed else None,
                "closed_by": change.closed_by,
                "deferred_until": None,
            }
            if change.status == Status.OPEN and change.was != Status.DEFERRED:
                columns["opened_on"] = self.as_of
        if change.status in (Status.CLOSED, Status.EXCLUDED):
            columns.pop("due_since")  # since when it was due stays on record
        mine = CareGap.objects.filter(pk=gap.pk, status=change.was, evidence_key=change.was_key)
        return mine.update(**columns) == 1

    def count(self, change: Change) -> None:
        if change.status == change.was:
            return
        self.done.opened += change.status == Status.OPEN
        self.done.closed += change.status == Status.CLOSED
        self.done.excluded += change.status == Status.EXCLUDED

    def end(self, ended: list[tuple[CareGap, Change]]) -> None:
        """What was under way because of these gaps stops."""
        for status, why in WHY.items():
            keys = [gap.about for gap, change in ended if change.status == status]
            if keys:
                suppress_about(keys, why)
                close_about(keys, Outcome.BY_SYSTEM, why, by=BY)
        AuditEvent.objects.bulk_create(
            event(
                BY, f"gap.{change.status}", gap, run=self.run.pk, closed_by=change.closed_by, was=change.was
            )
            for gap, change in ended
        )

    # --- evidence ------------------------------------------------------------------------------------------
    def told(self, change: Change) -> tuple[Any, str, int | None]:
        """(due since, evidence as JSON, last event id) of a row."""
        evidence = self.group.evidence(change.key)
        fact = evidence.get("last") or evidence.get("fact") or {}
        due = None
        if change.status in (Status.OPEN, Status.DEFERRED):
            last = date.fromisoformat(fact["day"]) if fact.get("day") else None
            group = self.group
            due = group.measure.due_since(
                group.group, fact.get("what", ""), last, group.question, self.born.get(change.patient)
            )
        if due is not None and due not in self.dues:
            self.dues[due] = bulk.day(due)
        return due and self.dues[due], orjson.dumps(evidence).decode(), fact.get("event")

    def learn_births(self, changes: list[Change]) -> None:
        """Birth dates of those whose last fact may lie before they were old enough."""
        wanted = [c.patient for c in changes if c.status in LIVE and self.group.has_last(c.key)]
        self.born = {}
        for part in batches(wanted, 10_000):
            sql = f"SELECT id, birth_date FROM patients_patient WHERE id IN ({','.join(map(str, part))})"  # noqa: S608
            rows = self.group.question.rows(sql)
            self.born.update((pk, day_read(day)) for pk, day in rows)


def day_read(value: Any) -> date | None:
    """A date as a plain query gives it: SQLite keeps text."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def batches(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rows = iter(rows)
    while part := list(islice(rows, size)):
        yield part
