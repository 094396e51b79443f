"""What may be done with messages: queue, suppress, take back, pause, decide what could not be settled.

Everything here is a change of rows. Sending is the outbox's, which finds the rows by itself.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from django.db import transaction
from django.db.models import QuerySet

from engage.accounts.models import Clinic, User
from engage.audit.models import record
from engage.lib import clock, text
from engage.lib.fixed import Fixed, insert
from engage.messaging import losses, policy
from engage.messaging.checks import DESPITE_OPT_OUT
from engage.messaging.evidence import AGAIN, key_again
from engage.messaging.models import Lane, Message, Stream, Template
from engage.patients.models import Channel, ContactPoint, Patient
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome, Reason

UNDO_SECONDS = 10  # machine time: an author can take a message back
OF_USE = {Lane.URGENT: timedelta(hours=1), Lane.STAFF: timedelta(hours=72), Lane.BULK: timedelta(days=7)}
# The gate's refusals that say something about the text, not about the permission to send it.
BROKEN = ("empty", "too_long", "unprintable", "no_transport")
STOPPED_WORDS = "What it belongs to was stopped."
State = Message.State
UNDER_WAY = (State.SENDING, State.IN_DOUBT, State.NEEDS_REVIEW)
WITH_CARRIER = (State.ACCEPTED, State.SENT)  # may fail yet, and would then be tried once more


class MessageError(ValueError):
    """An act that makes no sense for this message; one sentence for the person who tried it."""


def queue(
    *,
    body: str,
    key: str,
    patient: Patient | None = None,
    contact_point: ContactPoint | None = None,
    address: str = "",
    channel: str = Channel.SMS,
    lane: int = Lane.BULK,
    stream: Stream | None = None,
    about: str = "",
    language: str = "",
    template: Template | None = None,
    author: User | None = None,
    reply_to: Message | None = None,
    not_before: datetime | None = None,
    expires_at: datetime | None = None,
    safety: bool = False,
    clinic: Clinic | None = None,
) -> Message:
    """Writes one message and lets the gate judge it; a `key` that exists gives back the row that has it.

    Without a contact point the gate's choice among the patient's is taken. The row is QUEUED, HELD, SUPPRESSED, FAILED
    (the text itself is at fault) or EXPIRED, each with its reason; it goes out after commit.
    """
    if found := BY_KEY.first(key=key):
        return found
    message = draft(
        body=body,
        key=key,
        patient=patient,
        contact_point=contact_point,
        address=address,
        channel=channel,
        lane=lane,
        stream=stream,
        about=about,
        language=language,
        template=template,
        author=author,
        reply_to=reply_to,
        not_before=not_before,
        expires_at=expires_at,
        safety=safety,
        clinic=clinic,
    )
    verdict = policy.decide(message, message.created_at)
    apply(message, verdict, message.created_at)
    if expires_at is None and isinstance(verdict, policy.Held) and verdict.until is not None:
        # What the night holds must not be too old in the morning, unless somebody said so.
        message.expires_at = verdict.until + OF_USE[Lane(lane)]
    return _insert(message)


def queue_many(drafts: Sequence[Message]) -> list[Message]:
    """`queue` for many drafts at once, in a fixed number of queries; the rows in the drafts' order.

    For that the drafts' patients come with their contact points. A key that exists gives back the row that has it.
    """
    there = _by_key(drafts)
    fresh = [d for d in drafts if d.key not in there]
    for message, verdict in zip(fresh, policy.decide_many(fresh, clock.now()), strict=True):
        apply(message, verdict, message.created_at)
    Message.objects.bulk_create(fresh, ignore_conflicts=True)
    there |= _by_key(fresh)
    return [there[d.key] for d in drafts]


def _by_key(messages: Sequence[Message]) -> dict[str, Message]:
    return {m.key: m for m in Message.objects.filter(key__in=[m.key for m in messages])} if messages else {}


def draft(
    *,
    body: str,
    key: str,
    patient: Patient | None = None,
    contact_point: ContactPoint | None = None,
    address: str = "",
    channel: str = Channel.SMS,
    lane: int = Lane.BULK,
    stream: Stream | None = None,
    about: str = "",
    language: str = "",
    template: Template | None = None,
    author: User | None = None,
    reply_to: Message | None = None,
    not_before: datetime | None = None,
    expires_at: datetime | None = None,
    safety: bool = False,
    clinic: Clinic | None = None,
) -> Message:
    """A message as `queue` would write it, unsaved and not judged yet."""
    point = contact_point or (policy.pick_point(patient, channel) if patient and not address else None)
    now, body = clock.now(), text.clean(body)
    return Message(
        body=body,
        key=key,
        patient=patient,
        contact_point=point,
        address=address or (point.value if point else ""),
        channel=channel,
        lane=lane,
        stream=stream,
        about=about,
        language=language or (patient.language if patient else ""),
        template=template,
        author=author,
        reply_to=reply_to,
        not_before=not_before or now,
        expires_at=expires_at or (not_before or now) + OF_USE[Lane(lane)],
        safety=safety,
        clinic=clinic or (patient.clinic if patient else None),
        undo_until=clock.machine_now() + timedelta(seconds=UNDO_SECONDS) if author else None,
        segments=min(text.size(body).segments, 32767),
        created_at=now,
    )


def _insert(message: Message) -> Message:
    """One row per key, however many try at once."""
    return message if insert(message, once=True) else BY_KEY(key=message.key)[0]


BY_KEY = Fixed(lambda key: Message.objects.filter(key=key))


def apply(message: Message, verdict: policy.Verdict, now: datetime) -> list[str]:
    """Sets a waiting message's state by the gate's verdict; the names of the fields that changed. Saves nothing."""
    message.verdict = verdict.record(now)
    message.state_reason = verdict.why[:300]
    message.state = state_for(verdict)
    if isinstance(verdict, policy.Held) and verdict.until is not None:
        message.not_before = verdict.until
    message.done_at = clock.machine_now()
    return ["verdict", "state_reason", "state", "not_before", "done_at"]


def state_for(verdict: policy.Verdict) -> State:
    if isinstance(verdict, policy.Held):
        return State.HELD if verdict.until is not None else State.QUEUED
    if verdict.allowed:
        return State.QUEUED
    if verdict.code == "expired":
        return State.EXPIRED
    if verdict.code == "gate_failed":
        return State.NEEDS_REVIEW
    return State.FAILED if verdict.code in BROKEN else State.SUPPRESSED


def suppress(messages: QuerySet[Message], why: str) -> int:
    """Takes back what has not left, and keeps from being tried again what has; how many were taken back.

    Whoever wrote one of them is told.
    """
    rows, why = messages.filter(direction=Message.Direction.OUT), why[:300]
    with transaction.atomic():
        rows.filter(state__in=(*UNDER_WAY, *WITH_CARRIER)).update(withdrawn=why)
        written = rows.filter(state__in=Message.UNSENT, author__isnull=False).select_related("author")
        for message in written.select_for_update(of=("self",)):
            message.state_reason = why
            losses.tell_author(message)
        return rows.filter(state__in=Message.UNSENT).update(
            state=State.SUPPRESSED, state_reason=why, done_at=clock.machine_now()
        )


def suppress_about(about: str | Iterable[str], why: str) -> int:
    """By what the messages are about, such as "caregap:812"."""
    keys = [about] if isinstance(about, str) else list(about)
    count = 0
    for start in range(0, len(keys), 500):
        count += suppress(Message.objects.filter(about__in=keys[start : start + 500]), why)
    return count


def suppress_patient(patient: Patient, why: str) -> int:
    return suppress(Message.objects.filter(patient=patient, safety=False), why)


def suppress_address(address: str, channel: str, why: str) -> int:
    """After an opt-out: everything to the number, but the confirmation, the crisis answer and alerts to staff."""
    if not PENDING(address=address, channel=channel):
        return 0
    rows = Message.objects.filter(address=address, channel=channel)
    rows = rows.exclude(template__purpose=Template.Purpose.ON_CALL)
    return suppress(rows.exclude(safety=True, template__purpose__in=DESPITE_OPT_OUT), why)


PENDING = Fixed(
    lambda address, channel: Message.objects.filter(
        address=address, channel=channel, state__in=(*Message.UNSENT, *UNDER_WAY)
    ).values_list("pk")[:1]
)


def cancel_message(message: Message, *, by: User) -> bool:
    """Takes a message back before it leaves; False when it is too late."""
    with transaction.atomic():
        mine = Message.objects.filter(pk=message.pk, state__in=Message.UNSENT)
        if not mine.update(
            state=State.SUPPRESSED, state_reason="Taken back before it left.", done_at=clock.machine_now()
        ):
            return False
        message.refresh_from_db()
        record(by, "message.cancel", message)
    return True


def set_rate(stream: Stream | None, per_minute: int | None) -> None:
    """How many of its messages may go in a minute, None: as many as the sender may; in force within a second."""
    if stream is not None:
        Stream.objects.filter(pk=stream.pk).update(rate_per_minute=per_minute)


def pause_stream(stream: Stream) -> None:
    """Its messages wait; in force from the next micro-batch on. Nothing for one that is cancelled."""
    Stream.objects.filter(pk=stream.pk, state=Stream.State.ACTIVE).update(state=Stream.State.PAUSED)
    stream.refresh_from_db()


def resume_stream(stream: Stream) -> None:
    Stream.objects.filter(pk=stream.pk, state=Stream.State.PAUSED).update(state=Stream.State.ACTIVE)
    stream.refresh_from_db()


def cancel_stream(stream: Stream, why: str = STOPPED_WORDS) -> int:
    """Ends it for good and suppresses what has not left; how many messages."""
    with transaction.atomic():
        Stream.objects.filter(pk=stream.pk).update(state=Stream.State.CANCELLED)
        stream.refresh_from_db()
        # Most of a large campaign may be with the carrier: the gate lets nothing of a cancelled stream be tried again.
        return suppress(Message.objects.filter(stream=stream).exclude(state__in=WITH_CARRIER), why)


def again(message: Message, not_before: datetime, *, key: str = "") -> Message | None:
    """The same words once more, later, after a failure that passes; None when that was the second try or it was withdrawn.

    Goes through the gate like any other message. Under a `key` of its own it is no second try.
    """
    if message.withdrawn or (not key and message.key.endswith(AGAIN)):
        return None
    lasts = message.expires_at - message.created_at if message.expires_at else OF_USE[Lane(message.lane)]
    return queue(
        body=message.body,
        key=key or key_again(message.key),
        patient=message.patient,
        contact_point=message.contact_point,
        address=message.address,
        channel=message.channel,
        lane=message.lane,
        stream=message.stream,
        about=message.about,
        language=message.language,
        template=message.template,
        author=message.author,
        reply_to=message.reply_to,
        not_before=not_before,
        expires_at=not_before + lasts,
        clinic=message.clinic,
    )


def review(message: Message, decision: str, *, by: User) -> Message:
    """A person settles a message whose fate is unknown: "resend" it, "drop" it, or "ask" the patient first.

    Raises MessageError when it is not in review any more, or to be sent again though it was withdrawn meanwhile. Gives the
    message that goes out, or the settled one.
    """
    if decision not in ("resend", "drop", "ask"):
        raise MessageError("Choose: send again, drop, or ask the patient.")
    with transaction.atomic():
        row = Message.objects.select_for_update().get(pk=message.pk)
        if row.state != State.NEEDS_REVIEW:
            raise MessageError("Somebody has settled this message already.")
        record(by, "message.review", row, decision=decision)
        if decision == "ask":
            _ask(row)
            return row
        worklist.close_about(row_about(row), Outcome.ANSWERED, f"Decided: {decision}.", by=by)
        row.state, row.done_at = State.SUPPRESSED, clock.machine_now()
        row.state_reason = "A person decided not to send it again."
        if decision == "resend":
            row.state_reason = "A person sent it again, as a message of its own."
        row.save(update_fields=["state", "state_reason", "done_at"])
        if decision != "resend":
            return row
        resent = _resent(row, by)
        if row.withdrawn and resent.state in Message.UNSENT:
            raise MessageError(f"It must not be sent again: {row.withdrawn} Drop it.")
        return resent


def _resent(row: Message, by: User) -> Message:
    return queue(
        body=row.body,
        key=f"resent:{row.pk}:{uuid4().hex[:8]}",
        patient=row.patient,
        contact_point=row.contact_point,
        address=row.address,
        channel=row.channel,
        lane=row.lane,
        stream=row.stream,
        about=row.about,
        language=row.language,
        template=row.template,
        author=by,
        clinic=row.clinic,
    )


def row_about(message: Message) -> str:
    """The key under which tasks name a message."""
    return f"message:{message.pk}"


def _ask(row: Message) -> None:
    """A call to the patient: did it arrive?"""
    worklist.open_task(
        reason=Reason.CALL,
        summary="Ask the patient whether our last text arrived; then send it again or drop it.",
        about=row_about(row),
        due_at=clock.now() + timedelta(hours=8),
        clinic=row.clinic,
        patient=row.patient,
        opened_by="delivery",
        link=f"/patients/{row.patient_id}/" if row.patient_id else "",
    )
