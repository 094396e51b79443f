"""What is done to a patient and their contact points: consent, state, death. Each act is audited with it."""

from datetime import date

from django.db import transaction

from engage.accounts.models import User
from engage.audit import models as audit
from engage.lib import clock
from engage.lib.fixed import insert, update
from engage.patients.models import Consent, ContactPoint, Patient
from engage.patients.reach import CONSENT_FIELD, unreachable, usable_text_points, why_unreachable

__all__ = [
    "mark_contact_point",
    "record_consent",
    "record_death",
    "unreachable",
    "usable_text_points",
    "why_unreachable",
]
WHO = {
    Consent.Source.EHR: "system:import",
    Consent.Source.PATIENT_TEXT: "patient",
    Consent.Source.PATIENT_CALL: "patient",
    Consent.Source.STAFF: "system:staff",
    Consent.Source.PROVIDER: "carrier",
    Consent.Source.DEMO: "system:demo",
}
SUMMED_UP = ("all", "care")  # topics that the contact point's own column stands for


def record_consent(
    *,
    address: str,
    channel: str,
    decision: str,
    source: str,
    evidence: str = "",
    patient: Patient | None = None,
    by: User | str | None = None,
    topic: str = "all",
) -> Consent:
    """Adds a permission given or ended, and brings the contact points with that address in line.

    Without a patient it belongs to the address, hence to everyone on it; with one, to that patient's only.
    """
    with transaction.atomic():
        row = Consent(
            patient=patient,
            address=address,
            channel=channel,
            topic=topic,
            decision=decision,
            source=source,
            evidence=evidence[:200],
            recorded_by=by if isinstance(by, User) else None,
        )
        insert(row)
        field = CONSENT_FIELD.get(channel)  # type: ignore[call-overload]
        if field and topic in SUMMED_UP:
            points = ContactPoint.objects.filter(value=address)
            (points.filter(patient=patient) if patient else points).update(**{field: decision})
        audit.record(
            by or WHO.get(source, "system"),  # type: ignore[call-overload]
            "consent.record",
            row,
            patient_id=patient.pk if patient else None,
            clinic_id=patient.clinic_id if patient else None,
            channel=str(channel),
            decision=str(decision),
            topic=topic,
        )
    return row


def mark_contact_point(point: ContactPoint, state: str, reason: str, *, by: User | str) -> None:
    """Says what a number or address is good for, and why in a sentence; nothing is written when that is known."""
    reason = reason[:200]
    if (point.state, point.state_reason) == (state, reason):
        return
    with transaction.atomic():
        before, point.state, point.state_reason = point.state, state, reason
        update(point, "state", "state_reason")
        audit.record(
            by,
            "contact_point.mark",
            point,
            clinic_id=point.patient.clinic_id,
            before=str(before),
            after=str(state),
        )


def record_death(patient: Patient, on: date | None, *, by: User | str, about: str = "") -> None:
    """Notes that a patient has died (`on` may be unknown); whoever calls ends what was planned for them.

    `about` is what told it, such as "task:12"; only that takes it back (`told_of_death`).
    """
    with transaction.atomic():
        patient.deceased, patient.deceased_on, patient.updated_at = True, on, clock.machine_now()
        patient.save(update_fields=["deceased", "deceased_on", "updated_at"])
        audit.record(by, "patient.death", patient, patient_id=patient.pk, about=about)


def told_of_death(patient: Patient) -> str:
    """What the death on record was told by; "" when the record itself says it."""
    words = audit.AuditEvent.objects.filter(
        patient_id=patient.pk, action__in=("patient.death", "patient.death_withdrawn")
    )
    last = words.order_by("-pk").first()
    known = last is not None and last.action == "patient.death" and patient.deceased
    return str(last.detail.get("about", "")) if last and known else ""


def withdraw_death(patient: Patient, *, by: User | str) -> None:
    """A death told by mistake. The next import looks at the patient anew: the record may have said it since."""
    with transaction.atomic():
        patient.deceased, patient.digest = False, 0
        patient.save(update_fields=["deceased", "digest"])
        audit.record(by, "patient.death_withdrawn", patient, patient_id=patient.pk)
