"""Whose replies are these? A person says so; the replies then do all they would have done had we known."""

from copy import copy

from django.db import transaction
from django.db.models import Max, Q, QuerySet

from engage.accounts.models import User
from engage.audit.models import record
from engage.inbox import arrival, permission
from engage.inbox.consequences import source_of
from engage.inbox.models import Conversation, Flag, InboxError, Level, Reading
from engage.inbox.run import Earlier
from engage.inbox.senders import Sender, answered_by_reply, identify
from engage.lib import clock
from engage.messaging.models import Message
from engage.patients import actions as patients
from engage.patients.models import Channel, Consent, ContactPoint, Patient
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome, Reason, Task

WHOEVER_WROTE = (Reason.URGENT_REPLY, Reason.OPT_OUT_DOUBT)  # tasks that need no known patient
MISTAKEN = "Matched by mistake: it is somebody else's number."


def match(
    conversation: Conversation, patient: Patient, *, by: User, remember: bool = False, last: int | None = None
) -> Conversation:
    """A person says whose replies these are: they join the patient's conversation, with all they ask for.

    That is what waits for somebody; what was closed before may be another person's on the same number, and stays there.
    `remember` keeps the number as the patient's own (unless texts to it were ended), so that the next reply
    is matched by itself. InboxError when a reply has come after `last`, the newest that was shown: it may be another's.
    """
    with transaction.atomic():
        conversation.lock()
        if conversation.patient is not None:
            raise InboxError("Somebody has already said whose reply this is.")
        if last is not None and conversation.unanswered().filter(pk__gt=last).exists():
            raise InboxError(
                "Another reply has come from this number. Read it, then choose the patient once more."
            )
        waiting = list(conversation.unanswered().values_list("pk", flat=True))
        replies = list(_last_words(conversation))
        told = conversation.clinic_id in (None, patient.clinic_id)  # those on call there, when it was urgent
        conversation.messages().filter(pk__in=[m.pk for m in replies]).update(
            patient=patient, clinic=patient.clinic
        )
        target = _join(conversation, patient, replies)
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
        _take_along(conversation, target, replies, by)
        if target.pk != conversation.pk:
            _leave(conversation)
        for message in replies:
            if message.pk in waiting:
                _process_again(message, target, patient, tell=not told)
        Reading.objects.filter(message__in=replies).update(matched_at=clock.machine_now())
        target.settle_level()
        target.refresh_from_db()
    return target


def _last_words(conversation: Conversation) -> QuerySet[Message]:
    """What was said with the number since it was last dealt with; its last reply when nothing waits."""
    said = conversation.messages().order_by("created_at", "id")
    since = conversation.waiting_since or conversation.last_heard_at
    return said.filter(created_at__gte=since) if since else said


def _take_along(conversation: Conversation, target: Conversation, replies: list[Message], by: User) -> None:
    """Whose reply it is has been answered; what else is open because of the replies is the patient's now."""
    outcome, note = Outcome.ANSWERED, "The patient was found."
    worklist.close_about(conversation.about, outcome, note, by=by, reasons=[Reason.UNMATCHED_REPLY])
    moved = {"", *map(source_of, replies)}
    rows = Task.objects.open().filter(about=conversation.about).select_for_update().order_by("pk")
    theirs = [task for task in rows if not task.because or {source for source, _ in task.because} & moved]
    worklist.move(
        theirs, about=target.about, link=target.link, patient=target.patient, clinic=target.clinic, by=by
    )


def _leave(conversation: Conversation) -> None:
    """The number's own conversation goes; or stays, closed, with what was dealt with before."""
    said = conversation.messages()
    if not said.exists():
        conversation.delete()
        return
    heard = said.filter(direction=Message.Direction.IN)
    conversation.last_heard_at = heard.aggregate(at=Max("created_at"))["at"]
    conversation.last_message_at = said.aggregate(at=Max("created_at"))["at"]
    conversation.state, conversation.snoozed_until = Conversation.State.CLOSED, None
    conversation.waiting_since, conversation.level = None, Level.ROUTINE
    conversation.save()


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
        theirs = _take_out(conversation, patient, wrong, by)
        unknown = _wait_again(wrong)
        _ask_there(theirs, unknown, wrong)
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


def _take_out(conversation: Conversation, patient: Patient, wrong: list[Message], by: User) -> list[Task]:
    """The replies with our automatic answers to them, what they ask for and the number that was kept because of them.

    Gives the open tasks that go along, whoever wrote, as they were.
    """
    out = Q(pk__in=[m.pk for m in wrong]) | Q(reply_to__in=wrong, author=None)
    conversation.messages().filter(out).update(patient=None)
    Reading.objects.filter(message__in=wrong).update(matched_at=None)
    rows = Task.objects.open().filter(patient=patient, link=conversation.link)
    tasks = list(rows.select_for_update().order_by("pk"))
    theirs = [copy(task) for task in tasks if task.reason in WHOEVER_WROTE]
    sources = set(map(source_of, wrong))
    worklist.forget(tasks, sources, Outcome.NOT_SIGNIFICANT, "Not this patient's replies.", by=by)
    addresses = {m.address for m in wrong}
    for point in patient.contact_points.filter(value__in=addresses, source="staff"):
        patients.mark_contact_point(point, ContactPoint.State.WRONG_PERSON, MISTAKEN, by=by)
    return theirs


def _ask_there(tasks: list[Task], unknown: Conversation, wrong: list[Message]) -> None:
    """What was open because of the replies is open where they wait again, whether triage or a person asked for it."""
    sources = set(map(source_of, wrong))
    for task in tasks:
        for source, says in task.because:
            if source in sources:
                worklist.open_task(
                    reason=task.reason,
                    summary=says,
                    about=unknown.about,
                    due_at=task.due_at,
                    clinic=unknown.clinic,
                    queue=task.queue,
                    priority=task.priority,
                    opened_by="triage",
                    link=unknown.link,
                    source=source,
                )


def _wait_again(wrong: list[Message]) -> Conversation:
    """The conversation of the number, with all that the replies ask for of somebody unknown."""
    for message in wrong:
        message.refresh_from_db()
        found = identify(message.address, message.created_at)
        sender = Sender(message.address, None, found.points, found.outbound)
        unknown = arrival.hear(message, sender)
        Message.objects.filter(pk=message.pk).update(clinic=unknown.clinic)
        Flag.objects.filter(message=message).update(conversation=unknown)
        arrival.process(message, unknown, sender, earlier=Earlier.of(message).anew(tell=False))
    return unknown


def _without(conversation: Conversation) -> None:
    """The patient's conversation as it is without those replies; what asks for something besides goes on asking."""
    mine = conversation.messages()
    heard = mine.filter(direction=Message.Direction.IN)
    conversation.last_heard_at = heard.aggregate(at=Max("created_at"))["at"]
    conversation.last_message_at = mine.aggregate(at=Max("created_at"))["at"] or conversation.last_message_at
    waiting = list(conversation.unanswered().order_by("created_at", "id"))
    conversation.waiting_since = waiting[0].created_at if waiting else None
    if not waiting and conversation.state == Conversation.State.OPEN:
        conversation.state = Conversation.State.WAITING if mine.exists() else Conversation.State.CLOSED
    conversation.save()
    conversation.settle_level()


def _join(conversation: Conversation, patient: Patient, replies: list[Message]) -> Conversation:
    """The patient's conversation with these replies in it; the unmatched one itself when it is the first and keeps none."""
    target = Conversation.objects.select_for_update().filter(patient=patient).first()
    if target is None and not conversation.messages().exists():
        conversation.patient, conversation.clinic, conversation.candidates = patient, patient.clinic, []
        conversation.save(update_fields=["patient", "clinic", "candidates"])
        return conversation
    if target is None:
        target = Conversation(
            patient=patient,
            clinic=patient.clinic,
            state=conversation.state,
            last_message_at=conversation.last_message_at,
        )
    waits = [w for w in (target.waiting_since, conversation.waiting_since) if w]
    target.waiting_since = min(waits, default=None)
    target.address, target.language = conversation.address, conversation.language or target.language
    target.last_heard_at = max(filter(None, (target.last_heard_at, conversation.last_heard_at)), default=None)
    target.last_message_at = max(target.last_message_at, conversation.last_message_at)
    if conversation.state == Conversation.State.OPEN:
        target.state, target.snoozed_until = Conversation.State.OPEN, None
    target.save()
    Flag.objects.filter(message__in=replies).update(conversation=target)
    return target


def _process_again(message: Message, target: Conversation, patient: Patient, *, tell: bool) -> None:
    """What could not be done for an unknown patient is done now; what was done is not repeated."""
    message.refresh_from_db()
    known = identify(message.address, message.created_at)
    answered = answered_by_reply(message.address, patient, message.created_at)
    sender = Sender(
        message.address, patient, [p for p in known.points if p.patient_id == patient.pk], answered
    )
    earlier = Earlier.of(message)
    tell = tell and earlier.reading.level == Level.URGENT
    arrival.process(message, target, sender, earlier=earlier.anew(tell=tell))


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
