"""What people decide about findings: confirm, dismiss as not significant, add what triage missed."""

from django.db import transaction

from engage.accounts.models import User
from engage.audit.models import record
from engage.inbox import consequences, permission
from engage.inbox.models import Conversation, Flag, InboxError, Level, Reading
from engage.inbox.senders import identify
from engage.inbox.triage.reading import LABELS, URGENT_LABELS
from engage.lib import clock
from engage.messaging.models import Message
from engage.patients import actions as patients
from engage.patients.models import ContactPoint
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome, Reason, Task


def dismiss(flag: Flag, *, by: User) -> None:
    """Not significant: a recorded act. The last urgent flag dismissed ends the urgent task with that outcome."""
    with transaction.atomic():
        _decide(flag, Flag.State.DISMISSED, by)
        conversation = flag.conversation
        _regrade(flag.message)
        conversation.settle_level()
        left = conversation.flags.filter(level=Level.URGENT).exclude(state=Flag.State.DISMISSED)
        if flag.level == Level.URGENT and not left.exists():
            note = "Not significant."
            worklist.close_about(
                conversation.about, Outcome.NOT_SIGNIFICANT, note, by=by, reasons=[Reason.URGENT_REPLY]
            )
        if flag.label == "wrong_person":
            _their_number_after_all(flag, by)


def restore(flag: Flag, *, by: User) -> None:
    """Undo of a dismissal: the flag stands as it was proposed, and the urgent task that it ended is open again."""
    with transaction.atomic():
        if not Flag.objects.filter(pk=flag.pk, state=Flag.State.DISMISSED).update(
            state=Flag.State.PROPOSED, decided_by=None, decided_at=None
        ):
            return
        conversation, message = flag.conversation, flag.message
        record(by, "flag.restore", flag, label=flag.label, **_where(conversation))
        _regrade(message)
        conversation.settle_level()
        if flag.level == Level.URGENT:
            ended = Task.objects.filter(
                about=conversation.about, reason=Reason.URGENT_REPLY, state=Task.State.DONE
            )
            last = ended.filter(outcome=Outcome.NOT_SIGNIFICANT).order_by("-closed_at", "-pk").first()
            if last is not None:
                worklist.reopen(last, by=by)
        point = message.contact_point
        if flag.label == "wrong_person" and point is not None and point.state == ContactPoint.State.ACTIVE:
            patients.mark_contact_point(point, ContactPoint.State.WRONG_PERSON, consequences.NEWCOMER, by=by)


def _where(conversation: Conversation) -> dict[str, int | None]:
    return {"patient_id": conversation.patient_id, "clinic_id": conversation.clinic_id}


def _their_number_after_all(flag: Flag, by: User) -> None:
    point = flag.message.contact_point
    if point is not None and point.state_reason == consequences.NEWCOMER:
        patients.mark_contact_point(point, ContactPoint.State.ACTIVE, "", by=by)


def confirm(flag: Flag, by: User) -> None:
    """A person agrees with the finding."""
    with transaction.atomic():
        _decide(flag, Flag.State.CONFIRMED, by)


def add_flag(message: Message, label: str, *, by: User) -> Flag:
    """A person says what triage missed; an urgent label opens the urgent task and alerts. ValueError: unknown."""
    if label not in LABELS:
        raise InboxError("Choose one of the listed meanings.")
    level = Level.URGENT if label in URGENT_LABELS else Level.SIGNIFICANT
    with transaction.atomic():
        conversation = Conversation.of(message)
        flag, new = Flag.objects.get_or_create(
            message=message,
            label=label,
            source="staff",
            start=0,
            defaults={
                "conversation": conversation,
                "level": level,
                "evidence": message.body[:400],
                "end": len(message.body),
                "state": Flag.State.CONFIRMED,
                "decided_by": by,
                "decided_at": clock.now(),
            },
        )
        if not new:
            _decide(flag, Flag.State.CONFIRMED, by)
        else:
            record(
                by, "flag.add", flag, patient_id=message.patient_id, clinic_id=message.clinic_id, label=label
            )
        _regrade(message)
        conversation.settle_level()
        if level == Level.URGENT:
            summary = f"{consequences.MENTIONS[label]} (seen by staff): “{message.body.strip()[:200]}”."
            consequences.open_urgent(conversation, clock.now(), summary, message)
            consequences.alert_about(conversation)
        if label == "opt_out":
            permission.suspend(message, identify(message.address, message.created_at), conversation)
    return flag


def _decide(flag: Flag, state: str, by: User) -> None:
    flag.state, flag.decided_by, flag.decided_at = state, by, clock.now()
    flag.save(update_fields=["state", "decided_by", "decided_at"])
    record(by, f"flag.{state}", flag, label=flag.label, **_where(flag.conversation))


def _regrade(message: Message) -> None:
    """The level of a reply follows from the flags that people have left standing."""
    levels = message.flags.exclude(state=Flag.State.DISMISSED).values_list("level", flat=True)
    Reading.objects.filter(message=message).update(level=min(levels, default=Level.ROUTINE))
