"""What people do in the inbox, and (from engage.inbox.arrival) what happens when a reply comes in."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q

from engage.accounts.models import Clinic, User
from engage.audit.models import record
from engage.inbox.arrival import Prepared, prepare, receive
from engage.inbox.consequences import UNREAD_WITHIN
from engage.inbox.flags import add_flag, confirm, dismiss, restore
from engage.inbox.matching import match, unmatch
from engage.inbox.models import Conversation, InboxError, Level, Reading
from engage.inbox.permission import decide_doubt, doubted
from engage.inbox.senders import NOT_THEIRS
from engage.lib import clock, text
from engage.messaging import actions as messaging
from engage.messaging.models import Lane, Message
from engage.patients.models import ContactPoint, Patient
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome, Reason, Task, TaskQuerySet

__all__ = [
    "InboxError",
    "Prepared",
    "add_flag",
    "confirm",
    "decide_doubt",
    "dismiss",
    "doubted",
    "match",
    "prepare",
    "receive",
    "restore",
    "unmatch",
]
STAYS_HERE = (
    Message.State.SUPPRESSED,
    Message.State.FAILED,
    Message.State.EXPIRED,
    Message.State.NEEDS_REVIEW,
)
NEWER = "The patient wrote again while you were writing. Read it, then send your answer once more."
ANSWERED = "A colleague answered while you were writing. Read it, then send yours if it is still needed."
# Tasks that an answer, or closing, settles; the last says that an earlier answer did not arrive. A complaint is for
# supervisors, whoever answers the patient.
ANSWERED_BY_WRITING = (Reason.REPLY, Reason.SYMPTOM, Reason.UNMATCHED_REPLY, Reason.DELIVERY_REVIEW)


def mark_seen(conversation: Conversation, user: User) -> bool:
    """Notes who first saw the last reply; False when it was seen, or a newer reply has come meanwhile."""
    unseen = Conversation.objects.filter(
        pk=conversation.pk, seen_at=None, last_message_at=conversation.last_message_at
    )
    if not unseen.update(seen_by=user, seen_at=clock.now()):
        return False
    conversation.seen_by, conversation.seen_at = user, clock.now()
    return True


def take(conversation: Conversation, user: User, *, over: int | None = None) -> bool:
    """Makes a person the owner; False when somebody else is (unless `over` names exactly them)."""
    free = Q(owner=None) | Q(owner=user) | (Q(owner_id=over) if over else Q(owner=None))
    with transaction.atomic():
        if not Conversation.objects.filter(free, pk=conversation.pk).update(owner=user):
            return False
        conversation.owner = user
        record(user, "conversation.take", conversation)
    return True


def release(conversation: Conversation, *, by: User) -> None:
    """Gives a conversation back to everybody."""
    with transaction.atomic():
        Conversation.objects.filter(pk=conversation.pk, owner=by).update(owner=None)
        record(by, "conversation.release", conversation)


def hand_back(conversation: Conversation, owner: User, *, by: User) -> bool:
    """Undo of taking over: the other's again. False when it is no longer this person's, or the other may not see it."""
    mine = Conversation.objects.visible_to(owner).filter(pk=conversation.pk, owner=by)
    with transaction.atomic():
        if not mine.update(owner=owner):
            return False
        record(by, "conversation.hand_back", conversation, to=owner.pk)
    return True


def snooze(conversation: Conversation, until: datetime, *, by: User, last: int | None = None) -> None:
    """Away until a moment (business time), or until the patient writes again. `last`: see close."""
    if until <= clock.now():
        raise InboxError("Choose a time that is still to come.")
    with transaction.atomic():
        _refuse_to_leave(conversation.lock(), "snoozed", last)
        conversation.state, conversation.snoozed_until = Conversation.State.SNOOZED, until
        conversation.save(update_fields=["state", "snoozed_until"])
        record(by, "conversation.snooze", conversation, until=until.isoformat())


def close(
    conversation: Conversation,
    *,
    by: User,
    outcome: str = Outcome.ANSWERED,
    note: str = "",
    last: int | None = None,
) -> None:
    """Done with it; tasks of their own (a visit, an opt-out) stay.

    Refused while something urgent has no outcome, while the machine is still at a reply, and when one has come after the
    reply `last`, the newest that was shown.
    """
    with transaction.atomic():
        _refuse_to_leave(conversation.lock(), "closed", last)
        worklist.close_about(conversation.about, outcome, note, by=by, reasons=ANSWERED_BY_WRITING)
        conversation.state, conversation.snoozed_until = Conversation.State.CLOSED, None
        conversation.waiting_since, conversation.level = None, Level.ROUTINE
        conversation.save(update_fields=["state", "snoozed_until", "waiting_since", "level"])
        record(by, "conversation.close", conversation, outcome=str(outcome))


def reopen(conversation: Conversation, *, by: User) -> None:
    """Back among the open ones, waiting since the last reply, with the tasks that closing settled."""
    with transaction.atomic():
        _wait_again(conversation.lock())
        _reopen_tasks(conversation, by)
        record(by, "conversation.reopen", conversation)


def _wait_again(conversation: Conversation) -> None:
    conversation.state, conversation.snoozed_until = Conversation.State.OPEN, None
    waiting = conversation.waiting_since or conversation.last_heard_at
    conversation.waiting_since = waiting or conversation.last_message_at
    conversation.save(update_fields=["state", "snoozed_until", "waiting_since"])
    conversation.settle_level()


def _not_answered(conversation: Conversation) -> bool:
    """After an answer that did not arrive (its task is open): it waits for a person again. False when it does already."""
    with transaction.atomic():
        if conversation.lock().state not in (Conversation.State.WAITING, Conversation.State.CLOSED):
            return False
        if not _lost().filter(about=conversation.about).exists():
            return False
        _wait_again(conversation)
        record("system:delivery", "conversation.reopen", conversation)
    return True


def _lost() -> TaskQuerySet:
    return Task.objects.open().filter(reason=Reason.DELIVERY_REVIEW, about__startswith="conversation:")


def reopen_unanswered() -> int:
    """Every conversation with an answer that did not arrive waits for a person again; how many did not yet."""
    clinics = [*Clinic.objects.values_list("pk", flat=True)]
    lost = _lost().filter(Q(clinic__in=clinics) | Q(clinic=None))  # said so that the clinics' index serves
    pks = [int(about.partition(":")[2]) for about in lost.values_list("about", flat=True)]
    ended = Conversation.objects.filter(
        pk__in=pks, state__in=(Conversation.State.WAITING, Conversation.State.CLOSED)
    )
    return sum(_not_answered(conversation) for conversation in ended)


def _reopen_tasks(conversation: Conversation, by: User) -> None:
    """Those that this person settled last, all at once, unless the like is open again."""
    mine = Task.objects.filter(about=conversation.about, state=Task.State.DONE, closed_by=by)
    known = [Reason.UNMATCHED_REPLY] if conversation.patient_id else []
    done = mine.filter(reason__in=ANSWERED_BY_WRITING).exclude(reason__in=known)
    done = done.filter(closed_at__gte=conversation.last_heard_at or clock.now()).order_by("-closed_at", "-pk")
    last = done.first()
    for task in done.filter(closed_at=last.closed_at) if last else ():
        worklist.reopen(task, by=by)


def reply(conversation: Conversation, body: str, *, by: User, key: str, shown: str | None = None) -> Message:
    """A staff answer by text, through the gate; ten seconds to take it back. A repeated `key` answers once.

    `shown` is what newest() gave when the writer saw the conversation: refused when anybody has written since.
    When the gate refuses, the message is kept with the reason and the conversation goes on waiting.
    """
    body = text.clean(body).strip()
    if conversation.patient is None:
        raise InboxError("Choose the patient first: an answer goes to a person, not to a number.")
    if not body:
        raise InboxError("Write something to send.")
    with transaction.atomic():
        conversation.lock()
        if shown is not None and not Message.objects.filter(key=key).exists():
            _refuse_crossing(conversation, shown)
        heard = (
            conversation.messages()
            .filter(direction=Message.Direction.IN)
            .order_by("-created_at", "-id")
            .first()
        )
        message = messaging.queue(
            body=body,
            key=key,
            patient=conversation.patient,
            contact_point=_point(conversation),
            lane=Lane.STAFF,
            about=conversation.about,
            author=by,
            reply_to=heard,
            clinic=conversation.clinic,
        )
        record(by, "conversation.reply", conversation, message=message.pk, state=message.state)
        if message.state not in STAYS_HERE:
            _answered(conversation, by)
    return message


def _answered(conversation: Conversation, by: User) -> None:
    """The patient's turn, unless something urgent still waits for its outcome."""
    worklist.close_about(conversation.about, Outcome.ANSWERED, "", by=by, reasons=ANSWERED_BY_WRITING)
    conversation.owner = conversation.owner or by
    conversation.last_message_at = clock.now()
    if not urgent_open(conversation):
        conversation.state, conversation.snoozed_until = Conversation.State.WAITING, None
        conversation.waiting_since, conversation.level = None, Level.ROUTINE
    conversation.save(
        update_fields=["owner", "last_message_at", "state", "snoozed_until", "waiting_since", "level"]
    )


def take_back(conversation: Conversation, message: Message, *, by: User) -> bool:
    """Cancels a staff answer that has not gone yet and puts the conversation back; False when it is too late."""
    with transaction.atomic():
        if message.author_id != by.pk or not messaging.cancel_message(message, by=by):
            return False
        reopen(conversation, by=by)
    return True


def write_to(patient: Patient, *, by: User) -> Conversation:
    """The conversation with a patient, made when there is none, so that staff can write first."""
    with transaction.atomic():
        conversation, new = Conversation.objects.get_or_create(
            patient=patient,
            defaults={
                "clinic": patient.clinic,
                "state": Conversation.State.WAITING,
                "language": patient.language,
            },
        )
        if new:
            record(by, "conversation.start", conversation)
    return conversation


def _point(conversation: Conversation) -> ContactPoint | None:
    """The number the patient last wrote from, while it is theirs; otherwise the gate's choice."""
    known = conversation.patient.contact_points.all() if conversation.patient else ()
    return next((p for p in known if p.value == conversation.address and p.state not in NOT_THEIRS), None)


def urgent_open(conversation: Conversation) -> bool:
    """Whether something urgent in it has no outcome yet."""
    return Task.objects.open().filter(about=conversation.about, reason=Reason.URGENT_REPLY).exists()


def last_heard(conversation: Conversation) -> int:
    """The id of the last reply that came in: a form carries it, so that nothing is done over a newer one."""
    heard = conversation.messages().filter(direction=Message.Direction.IN)
    return heard.aggregate(last=Max("pk"))["last"] or 0


def newest(conversation: Conversation) -> str:
    """The last reply and the last answer a person gave, as a form carries them."""
    given = Q(direction=Message.Direction.OUT, author__isnull=False) & ~Q(state=Message.State.SUPPRESSED)
    heard = Q(direction=Message.Direction.IN)
    last = conversation.messages().aggregate(heard=Max("pk", filter=heard), given=Max("pk", filter=given))
    return f"{last['heard'] or 0}.{last['given'] or 0}"


def _refuse_crossing(conversation: Conversation, shown: str) -> None:
    now = newest(conversation)
    if shown.partition(".")[0] != now.partition(".")[0]:
        raise InboxError(NEWER)
    if shown != now:
        raise InboxError(ANSWERED)


def refuse_unread(about: str, last: int) -> None:
    """InboxError when a reply that needs a person has come after the reply `last`, the newest that was shown.

    `about` is a task's key. Its conversation is held until the transaction ends; one that names none is let through.
    """
    conversation = _held(about)
    if conversation is None:
        return
    newer = conversation.unanswered().filter(pk__gt=last)
    if newer.exclude(reading__level=Level.ROUTINE, reading__complete=True).exists():
        raise InboxError(
            "The patient wrote again since you opened this. Read it, then end the task once more."
        )


def _held(about: str) -> Conversation | None:
    kind, _, pk = about.partition(":")
    if kind != "conversation" or not pk.isdigit():
        return None
    return Conversation.objects.select_for_update().filter(pk=pk).first()


def settle_urgent(about: str, *, by: User | str = "system", last: int | None = None) -> None:
    """After the urgent task of a conversation has ended, or is open again: the conversation's level follows it.

    `about` is the task's key; nothing happens for one that names no conversation. It stays open: a person closes it.
    What came after the reply `last`, the newest that was shown (or after the task's end), was not handled with it.
    """
    with transaction.atomic():
        conversation = _held(about)
        if conversation is None or conversation.state != Conversation.State.OPEN:
            return
        if urgent_open(conversation):
            conversation.level = Level.URGENT
            conversation.save(update_fields=["level"])
            return
        _lower(conversation, last, by)
        conversation.settle_level()


def _lower(conversation: Conversation, last: int | None, by: User | str) -> None:
    handled = conversation.unanswered()
    if last is None:
        ended = Task.objects.filter(about=conversation.about, reason=Reason.URGENT_REPLY)
        handled = handled.filter(created_at__lte=ended.aggregate(at=Max("closed_at"))["at"] or clock.now())
    else:
        handled = handled.filter(pk__lte=last)
    urgent = Reading.objects.filter(message__in=handled, level=Level.URGENT)
    lowered = list(urgent.values_list("message_id", flat=True))
    if lowered:
        urgent.update(level=Level.SIGNIFICANT)
        record(by, "conversation.settle", conversation, messages=lowered)


def _refuse_to_leave(conversation: Conversation, done: str, last: int | None) -> None:
    if urgent_open(conversation):
        raise InboxError(
            f"This cannot be {done} yet: an urgent reply has no outcome. "
            "Record what was done, or that it is not significant."
        )
    if last is not None and last_heard(conversation) > last:
        raise InboxError(f"Not {done}: the patient wrote again since you opened this. Read it first.")
    fresh = conversation.unanswered().filter(created_at__gt=clock.now() - UNREAD_WITHIN)
    if fresh.filter(reading__complete=False).exists():
        raise InboxError(
            f"This cannot be {done} yet: the machine has not read a reply to the end. It tries again each minute."
        )


def undo_until(message: Message) -> timedelta | None:
    """How long the author can still take a message back (machine time), or None; a held one as long as it is held."""
    if message.state == Message.State.HELD:
        return (message.not_before or clock.now()) - clock.now()
    if message.undo_until is None or message.state not in Message.UNSENT:
        return None
    left = message.undo_until - clock.machine_now()
    return left if left > timedelta(0) else None
