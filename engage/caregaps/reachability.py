"""A patient who is due and whom nobody can reach is a task for a person, not a silent skip."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.expressions import RawSQL

from engage.audit.models import AuditEvent, event
from engage.caregaps.models import CareGap
from engage.caregaps.writing import BY, batches
from engage.lib import clock
from engage.patients.actions import unreachable
from engage.patients.models import Patient
from engage.worklist.actions import close_about
from engage.worklist.models import Outcome, Reason, Task

SUMMARY = "Due for care, and nobody can reach this patient: find a phone number or another way."
DAYS = 7


def settle_reachability(among: str = "") -> tuple[int, int]:
    """Opens and closes "no way to reach" tasks so that they match the record; gives (opened, closed).

    `among`: SQL of the patients to look at, "" everybody.
    """
    due = Exists(CareGap.objects.filter(patient=OuterRef("pk"), status=CareGap.Status.OPEN))
    lonely = set(some(unreachable().filter(due), "pk", among).order_by().values_list("pk", flat=True))
    tasks = Task.objects.open().filter(
        reason=Reason.NO_WAY_TO_REACH, about__startswith="patient:", opened_by=BY
    )
    asked = set(some(tasks, "patient_id", among).values_list("patient_id", flat=True))
    opened = sum(open_tasks(part) for part in batches(sorted(lonely - asked), 1_000))
    over = [f"patient:{pk}" for pk in asked - lonely]
    why = "The patient can be reached now, or nothing is due."
    closed = close_about(over, Outcome.BY_SYSTEM, why, by=BY, reasons=[Reason.NO_WAY_TO_REACH]) if over else 0
    return opened, closed


def some(rows: QuerySet[Any], column: str, among: str) -> QuerySet[Any]:
    return rows.filter(**{f"{column}__in": RawSQL(among, [])}) if among else rows  # noqa: S611


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
