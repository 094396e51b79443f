"""Whose number is it? One living patient, or nobody yet: a person chooses, the program never guesses."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engage.accounts.models import Clinic
from engage.lib import phone
from engage.messaging.models import Message
from engage.patients.models import ContactPoint, Patient

ANSWERS_WITHIN = timedelta(days=30)  # an older text of ours is not what somebody answers
NOT_THEIRS = (ContactPoint.State.WRONG_PERSON, ContactPoint.State.OLD)


@dataclass(frozen=True)
class Sender:
    """Who may have written from a number. `patient` only when exactly one living patient has it."""

    address: str
    patient: Patient | None = None
    points: list[ContactPoint] = field(default_factory=list)  # of everybody on the number
    outbound: Message | None = None  # what the reply answers

    @property
    def candidates(self) -> list[int]:
        """The patients a person may choose from: without those who were reported as somebody else's."""
        return sorted({p.patient_id for p in self.points if p.state != ContactPoint.State.WRONG_PERSON})

    @property
    def everyone(self) -> list[Patient]:
        """Every patient on the number; an opt-out covers them all."""
        return list({p.patient_id: p.patient for p in self.points}.values())

    @property
    def clinic(self) -> Clinic | None:
        """Which clinic looks after the reply: the patient's, the one that wrote last, or the only one concerned."""
        if self.patient is not None:
            return self.patient.clinic
        if self.outbound is not None and self.outbound.clinic is not None:
            return self.outbound.clinic
        clinics = {p.clinic_id: p.clinic for p in self.everyone}
        return next(iter(clinics.values())) if len(clinics) == 1 else None


def normal(address: str) -> str:
    """A number as contact points keep it (E.164); anything else (a short code, a name) as it came."""
    return phone.parse(address.strip()).e164 or address.strip()[:200]


def identify(address: str, at: datetime) -> Sender:
    """The sender behind a number; three queries at most."""
    points = list(
        ContactPoint.objects.filter(value=address, patient__merged_into=None).select_related(
            "patient__clinic"
        )
    )
    living = {
        p.patient_id: p.patient
        for p in points
        if p.patient.active and not p.patient.deceased and p.state not in NOT_THEIRS
    }
    patient = next(iter(living.values())) if len(living) == 1 else None
    return Sender(address, patient, points, answered_by_reply(address, patient, at))


def answered_by_reply(address: str, patient: Patient | None, at: datetime) -> Message | None:
    """The last text of ours to the number (to this patient, when known): what a reply answers."""
    reached = (*Message.GONE_OUT, Message.State.SENDING, Message.State.IN_DOUBT)
    texts = Message.objects.filter(
        direction=Message.Direction.OUT,
        address=address,
        safety=False,
        state__in=reached,
        created_at__range=(at - ANSWERS_WITHIN, at),
    )
    if patient is not None:
        texts = texts.filter(patient=patient)
    return texts.select_related("clinic", "template").order_by("-created_at", "-id").first()
