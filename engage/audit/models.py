"""AuditEvent: who did what to whom. Append-only: the database itself refuses a change (migration 0002)."""

from typing import Any

from django.db import models

from engage.lib import clock
from engage.lib.fixed import insert


class AuditEvent(models.Model):
    """One act or one view. Names its subject by text and id, never by a foreign key, so nothing can cascade into it.

    `detail` holds ids, counts and states, never names, numbers or message text.
    """

    at = models.DateTimeField(default=clock.machine_now, db_index=True)
    actor = models.CharField(max_length=150)  # a username, or "system:<job>", "patient", "carrier"
    actor_id = models.BigIntegerField(null=True)
    action = models.CharField(max_length=60)  # "patient.view", "task.finish", …: area.verb
    subject_type = models.CharField(max_length=40, blank=True)
    subject_id = models.CharField(max_length=64, blank=True)
    patient_id = models.BigIntegerField(null=True)
    clinic_id = models.BigIntegerField(null=True)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["patient_id", "-id"]),
            models.Index(fields=["clinic_id", "-id"]),
            models.Index(fields=["actor_id", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.subject_type}:{self.subject_id}"


def actor_of(user: Any) -> tuple[str, int | None]:
    """The actor's name and id: a signed-in user, or text such as "system:sweep"."""
    if isinstance(user, str):
        return user, None
    return user.get_username(), user.pk


def event(
    by: Any,
    action: str,
    subject: models.Model | None = None,
    *,
    patient_id: int | None = None,
    clinic_id: int | None = None,
    **detail: Any,
) -> AuditEvent:
    """An unsaved event, for writing many at once."""
    name, pk = actor_of(by)
    return AuditEvent(
        actor=name,
        actor_id=pk,
        action=action,
        subject_type=(subject._meta.model_name or "") if subject else "",
        subject_id=str(subject.pk) if subject else "",
        patient_id=patient_id if patient_id is not None else getattr(subject, "patient_id", None),
        clinic_id=clinic_id if clinic_id is not None else getattr(subject, "clinic_id", None),
        detail=detail,
    )


def record(by: Any, action: str, subject: models.Model | None = None, **more: Any) -> AuditEvent:
    """Writes one event; call it inside the transaction of the act it records."""
    row = event(by, action, subject, **more)
    insert(row)
    return row
