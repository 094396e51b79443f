"""A patient who is due and whom nobody can reach is a task for a person, not a silent skip."""

from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction

from engage.audit.models import AuditEvent, event
from engage.caregaps.algebra import Question
from engage.caregaps.models import CareGap
from engage.caregaps.sorting import among
from engage.caregaps.writing import BY, batches
from engage.lib import bulk, clock
from engage.patients.actions import unreachable
from engage.patients.models import Patient
from engage.worklist.actions import close_about
from engage.worklist.models import Outcome, Reason, Task

SUMMARY = "Due for care, and nobody can reach this patient: find a phone number or another way."
DAYS = 7


def settle_reachability(question: Question) -> tuple[int, int]:
    """Opens and closes "no way to reach" tasks of those asked about, as the record has it; gives (opened, closed)."""
    lonely = those_due(among(unreachable(), question, "pk").order_by().values_list("pk", flat=True))
    tasks = Task.objects.open().filter(
        reason=Reason.NO_WAY_TO_REACH, about__startswith="patient:", opened_by=BY
    )
    asked = set(among(tasks, question).values_list("patient_id", flat=True))
    opened = sum(open_tasks(part) for part in batches(sorted(lonely - asked), 1_000))
    over = [f"patient:{pk}" for pk in asked - lonely]
    why = "The patient can be reached now, or nothing is due."
    closed = close_about(over, Outcome.BY_SYSTEM, why, by=BY, reasons=[Reason.NO_WAY_TO_REACH]) if over else 0
    return opened, closed


def those_due(patients: Iterable[int]) -> set[int]:
    """Those who have an open gap."""
    sql = f"SELECT DISTINCT patient_id FROM caregaps_caregap WHERE status = %s AND {bulk.among('patient_id')}"  # noqa: S608
    return {pk for (pk,) in bulk.select(sql, [CareGap.Status.OPEN.value, bulk.listed(patients)])}


def open_tasks(patients: list[int]) -> int:
    """Many at once; those that somebody else has opened already stay as they are."""
    due_at = clock.now() + timedelta(days=DAYS)
    clinics = dict(Patient.objects.filter(pk__in=patients).values_list("pk", "clinic_id"))
    tasks = [
        Task(
            patient_id=pk, clinic_id=clinics[pk], reason=Reason.NO_WAY_TO_REACH, summary=SUMMARY, about=f"patient:{pk}",
            due_at=due_at, opened_by=BY,
        )
        for pk in patients
    ]  # fmt: skip
    with transaction.atomic():
        Task.objects.bulk_create(tasks, ignore_conflicts=True)
        AuditEvent.objects.bulk_create(
            event(BY, "task.open", patient_id=pk, clinic_id=clinics[pk], reason=Reason.NO_WAY_TO_REACH)
            for pk in patients
        )
    return len(tasks)
