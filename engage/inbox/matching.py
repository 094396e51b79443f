"""Whose replies are these? A person says so; the replies then do all they would have done had we known."""

from django.db import transaction

from engage.accounts.models import User
from engage.audit.models import record
from engage.inbox import arrival, permission
from engage.inbox.models import Conversation, Flag, InboxError
from engage.inbox.senders import Sender, answered_by_reply, identify
from engage.messaging.models import Message
from engage.patients import actions as patients
from engage.patients.models import Channel, Consent, ContactPoint, Patient
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome


def match(conversation: Conversation, patient: Patient, *, by: User, remember: bool = False) -> Conversation:
    """A person says whose replies these are: they join the patient's conversation, with all they ask for.

    `remember` keeps the number as the patient's own (unless texts to it were ended), so that the next reply
    is matched by itself.
    """
    with transaction.atomic():
        conversation.lock()
        if conversation.patient is not None:
            raise InboxError("Somebody has already said whose reply this is.")
        replies = list(conversation.messages().order_by("created_at", "id"))
        conversation.messages().update(patient=patient, clinic=patient.clinic)
        target = _join(conversation, patient)
        if remember:
            _remember(conversation.address, patient, replies, by)
        record(
            by,
            "conversation.match",
            target,
            patient_id=patient.pk,
            messages=len(replies),
            unmatched=conversation.pk,
        )
        outcome, note = Outcome.ANSWERED, "The patient was found."
        worklist.close_about(conversation.about, outcome, note, by=by)
        if target.pk != conversation.pk:
            conversation.delete()
        for message in replies:
            if message.direction == Message.Direction.IN:
                _process_again(message, target, patient)
        target.refresh_from_db()
    return target


def _join(conversation: Conversation, patient: Patient) -> Conversation:
    """The patient's conversation with the unmatched one merged into it; the unmatched one itself when it is the first."""
    target = Conversation.objects.select_for_update().filter(patient=patient).first()
    if target is None:
        conversation.patient, conversation.clinic, conversation.candidates = patient, patient.clinic, []
        conversation.save(update_fields=["patient", "clinic", "candidates"])
        return conversation
    Flag.objects.filter(conversation=conversation).update(conversation=target)
    waits = [w for w in (target.waiting_since, conversation.waiting_since) if w]
    target.waiting_since = min(waits, default=None)
    target.address, target.language = conversation.address, conversation.language or target.language
    target.last_heard_at = max(filter(None, (target.last_heard_at, conversation.last_heard_at)), default=None)
    target.last_message_at = max(target.last_message_at, conversation.last_message_at)
    if conversation.state == Conversation.State.OPEN:
        target.state, target.snoozed_until = Conversation.State.OPEN, None
    target.save()
    return target


def _process_again(message: Message, target: Conversation, patient: Patient) -> None:
    """What could not be done for an unknown patient is done now; what was done is not repeated."""
    message.refresh_from_db()
    known = identify(message.address, message.created_at)
    answered = answered_by_reply(message.address, patient, message.created_at)
    sender = Sender(
        message.address, patient, [p for p in known.points if p.patient_id == patient.pk], answered
    )
    arrival.process(message, target, sender)


def _remember(address: str, patient: Patient, replies: list[Message], by: User) -> None:
    if patient.contact_points.filter(value=address).exists() or permission.opted_out(address):
        return
    lowest = patient.contact_points.filter(system=ContactPoint.System.PHONE).count() + 1
    ContactPoint.objects.create(
        patient=patient,
        system=ContactPoint.System.PHONE,
        use="mobile",
        rank=lowest,
        raw=address,
        value=address,
        source="staff",
    )
    patients.record_consent(
        address=address,
        channel=Channel.SMS,
        decision=Consent.Decision.GRANTED,
        source=Consent.Source.STAFF,
        evidence=f"message:{replies[-1].pk}" if replies else "",
        patient=patient,
        by=by,
    )
