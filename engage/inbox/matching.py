"""Whose replies are these? A person says so; the replies then do all they would have done had we known."""

from django.db import transaction
from django.db.models import Max, Q

from engage.accounts.models import User
from engage.audit.models import record
from engage.inbox import arrival, permission
from engage.inbox.models import Conversation, Flag, InboxError, Reading
from engage.inbox.senders import Sender, answered_by_reply, identify
from engage.lib import clock
from engage.messaging.models import Message
from engage.patients import actions as patients
from engage.patients.models import Channel, Consent, ContactPoint, Patient
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome, Task

MISTAKEN = "Matched by mistake: it is somebody else's number."


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
        Reading.objects.filter(message__in=replies).update(matched_at=clock.machine_now())
        target.refresh_from_db()
    return target


def unmatch(conversation: Conversation, *, by: User) -> Conversation:
    """The last match was a mistake: its replies leave the chart and wait again for somebody who knows whose they are.

    What staff wrote since stays with the patient it was written to. A campaign that the replies ended stays ended.
    Gives the conversation of the number. InboxError when no reply here was matched by a person.
    """
    with transaction.atomic():
        conversation.lock()
        patient = conversation.patient
        matched = Reading.objects.filter(message__in=conversation.messages())
        last = matched.aggregate(at=Max("matched_at"))["at"]
        if patient is None or last is None:
            raise InboxError("No reply here was matched by hand.")
        wrong = [r.message for r in matched.filter(matched_at=last).select_related("message").order_by("pk")]
        _take_out(conversation, patient, wrong, by)
        unknown = _wait_again(wrong)
        _without(conversation)
        record(
            by,
            "conversation.unmatch",
            conversation,
            patient_id=patient.pk,
            messages=len(wrong),
            unmatched=unknown.pk,
        )
    return unknown


def _take_out(conversation: Conversation, patient: Patient, wrong: list[Message], by: User) -> None:
    """The replies with our automatic answers to them, their tasks and the number that was kept because of them."""
    out = Q(pk__in=[m.pk for m in wrong]) | Q(reply_to__in=wrong, author=None)
    conversation.messages().filter(out).update(patient=None)
    Reading.objects.filter(message__in=wrong).update(matched_at=None)
    tasks = Task.objects.open().filter(patient=patient, link=conversation.link, opened_by="triage")
    abouts = list(tasks.values_list("about", flat=True).distinct())
    reasons = list(tasks.values_list("reason", flat=True).distinct())
    worklist.close_about(
        abouts, Outcome.NOT_SIGNIFICANT, "Not this patient's replies.", by=by, reasons=reasons
    )
    addresses = {m.address for m in wrong}
    for point in patient.contact_points.filter(value__in=addresses, source="staff"):
        patients.mark_contact_point(point, ContactPoint.State.WRONG_PERSON, MISTAKEN, by=by)


def _wait_again(wrong: list[Message]) -> Conversation:
    """The conversation of the number, with all that the replies ask for of somebody unknown."""
    for message in wrong:
        message.refresh_from_db()
        found = identify(message.address, message.created_at)
        sender = Sender(message.address, None, found.points, found.outbound)
        unknown = arrival.hear(message, sender)
        Message.objects.filter(pk=message.pk).update(clinic=unknown.clinic)
        Flag.objects.filter(message=message).update(conversation=unknown)
        arrival.process(message, unknown, sender)
    return unknown


def _without(conversation: Conversation) -> None:
    """The patient's conversation as it is without those replies; those that still wait ask for the same as before."""
    mine = conversation.messages()
    heard = mine.filter(direction=Message.Direction.IN)
    conversation.last_heard_at = heard.aggregate(at=Max("created_at"))["at"]
    conversation.last_message_at = mine.aggregate(at=Max("created_at"))["at"] or conversation.last_message_at
    waiting = list(conversation.unanswered().order_by("created_at", "id"))
    conversation.waiting_since = waiting[0].created_at if waiting else None
    if not waiting and conversation.state == Conversation.State.OPEN:
        conversation.state = Conversation.State.WAITING if mine.exists() else Conversation.State.CLOSED
    conversation.save()
    for message in waiting:
        if conversation.patient is not None:
            _process_again(message, conversation, conversation.patient)
    conversation.settle_level()


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
