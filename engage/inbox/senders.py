"""Whose number is it? One living patient, or nobody yet: a person chooses, the program never guesses."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import QuerySet

from engage.accounts.models import Clinic
from engage.lib import phone
from engage.lib.fixed import Fixed
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
        """Every patient who has or had the number."""
        return list({p.patient_id: p.patient for p in self.points}.values())

    @property
    def theirs(self) -> list[Patient]:
        """Every patient whose number it still is; an opt-out covers them all, and nobody else."""
        return list({p.patient_id: p.patient for p in self.points if p.state not in NOT_THEIRS}.values())

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
    points = [p for p in POINTS(address=address) if p.patient.merged_into_id is None]
    living = {
        p.patient_id: p.patient
        for p in points
        if p.patient.active and not p.patient.deceased and p.state not in NOT_THEIRS
    }
    patient = next(iter(living.values())) if len(living) == 1 else None
    return Sender(address, patient, points, answered_by_reply(address, patient, at))


def answered_by_reply(address: str, patient: Patient | None, at: datetime) -> Message | None:
    """The last text of ours to the number (to this patient, when known): what a reply answers."""
    since = at - ANSWERS_WITHIN
    if patient is None:
        return LAST_TEXT.first(address=address, since=since, until=at)
    return LAST_TEXT_TO.first(address=address, since=since, until=at, patient=patient.pk)


def _texts(address: str, since: datetime, until: datetime) -> QuerySet[Message]:
    reached = (*Message.GONE_OUT, Message.State.SENDING, Message.State.IN_DOUBT)
    return Message.objects.filter(
        direction=Message.Direction.OUT,
        address=address,
        safety=False,
        state__in=reached,
        created_at__gte=since,
        created_at__lte=until,
    ).order_by("-created_at", "-id")


# Who was merged is left out above: asked here, PostgreSQL without statistics begins with everybody who was not.
POINTS = Fixed(lambda address: ContactPoint.objects.filter(value=address).select_related("patient__clinic"))
LAST_TEXT = Fixed(lambda address, since, until: _texts(address, since, until)[:1])
LAST_TEXT_TO = Fixed(
    lambda address, since, until, patient: _texts(address, since, until).filter(patient_id=patient)[:1]
)
LAST_WORDS = Fixed(  # of LAST_TEXT, and the language of whom it went to
    lambda address, since, until: _texts(address, since, until).values_list(
        "body", "about", "patient__language"
    )[:1]
)
