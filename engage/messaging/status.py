"""What the carrier tells us afterwards: in any order, twice, before our own commit, contradictory, about nobody.

    rank: waiting or unknown 0 < ACCEPTED 1 < SENT 2 < DELIVERED | UNDELIVERED | FAILED 3
A report is applied when it raises the rank; of two contradictory ends the first is kept and people are told.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction

from engage.lib import clock, signing
from engage.lib.fixed import Fixed, insert, update
from engage.messaging import breaker, errors, twilio
from engage.messaging.locks import LOCKS
from engage.messaging.models import Attempt, Message, ProviderEvent
from engage.worklist import actions as worklist
from engage.worklist.models import Reason, Task

log = logging.getLogger(__name__)
TOKEN = "attempt"  # noqa: S105 - the purpose of the digest
PARKED_FOR = timedelta(hours=24)  # reports about nobody we know
State = Message.State
RANK: dict[str, int] = {
    State.ACCEPTED: 1,
    State.SENT: 2,
    State.DELIVERED: 3,
    State.UNDELIVERED: 3,
    State.FAILED: 3,
}
SAID = {
    State.ACCEPTED: "The carrier has taken it.",
    State.SENT: "On its way; the carrier has not confirmed it.",
    State.DELIVERED: "The carrier confirmed that it arrived.",
}
CONFLICT = "The carrier says it took this text twice, or as another one, or gave two different ends; the first is kept."


@dataclass(frozen=True)
class Change:
    """One thing the carrier says about one message."""

    sid: str
    state: Message.State
    error: str = ""


def apply_status(token: str, params: Mapping[str, str]) -> None:
    """A status callback, already proven to be the carrier's. Safe to repeat.

    A valid attempt token proves that the message was accepted, even when we crashed before we could write that down.
    """
    report = twilio.read_report(params)
    if not report.sid:
        return
    with transaction.atomic():
        message = _locked(token, report.sid)
        event = ProviderEvent(
            provider_sid=report.sid, status=report.word, error_code=report.error, message=message
        )
        if not insert(event, once=True):
            (event,) = KEPT(sid=report.sid, word=report.word, error=report.error)
        if message is None or report.state is None or event.applied:
            return
        event.message, event.applied = message, apply(message, Change(report.sid, report.state, report.error))
        update(event, "message", "applied")


ATTEMPT = Fixed(lambda digest: Attempt.objects.filter(token_digest=digest))
KEPT = Fixed(
    lambda sid, word, error: ProviderEvent.objects.filter(provider_sid=sid, status=word, error_code=error)
)
HELD = Message.objects.select_for_update(of=("self",)).select_related("stream", "clinic", "patient")
BY_KEY = Fixed(lambda pk: HELD.filter(pk=pk))
BY_SID = Fixed(lambda sid: HELD.filter(provider_sid=sid, direction=Message.Direction.OUT))


def _locked(token: str, sid: str) -> Message | None:
    """The message of an attempt token, else of the carrier's id, held until the transaction ends."""
    for attempt in ATTEMPT(digest=signing.digest(token, TOKEN)):
        _note_on_attempt(attempt, sid)
        return BY_KEY(pk=attempt.message_id)[0]
    return BY_SID.first(sid=sid)


def _note_on_attempt(attempt: Attempt, sid: str) -> None:
    unknown = ("", Attempt.Outcome.DOUBT)
    if attempt.outcome in unknown:  # looked at again while it is changed: the sender may know by then
        rows = Attempt.objects.filter(pk=attempt.pk, outcome__in=unknown)
        rows.update(outcome=Attempt.Outcome.ACCEPTED, provider_sid=sid)


def apply(message: Message, change: Change) -> bool:
    """Moves a locked message forward; False when the news is old, or contradicts what is known."""
    if _anothers(message, change.sid):
        return _conflict(message)
    before, after = RANK.get(message.state, 0), RANK[change.state]
    if after <= before:
        return _conflict(message) if after == before == 3 and change.state != message.state else False
    fields = _move(message, change)
    update(message, *fields)
    if change.state == State.DELIVERED:
        errors.delivered(message.address)
    elif change.state in (State.UNDELIVERED, State.FAILED):
        log.info("message %s: %s, code %s", message.pk, change.state, change.error or "none")
        errors.take_effect(message, change.error)
        if change.error in LOCKS:
            breaker.lock(twilio.sender(), LOCKS[change.error])
    return True


def _anothers(message: Message, sid: str) -> bool:
    """Whether the message has another id, or the id another message."""
    return message.provider_sid != sid if message.provider_sid else bool(OWNER(sid=sid))


OWNER = Fixed(lambda sid: Message.objects.filter(provider_sid=sid).values_list("pk")[:1])


def _move(message: Message, change: Change) -> list[str]:
    if message.state in (State.SUPPRESSED, State.EXPIRED):
        log.warning("message %s: was %s, but the carrier has it", message.pk, message.state)
    message.state, message.error_code = change.state, change.error
    message.state_reason = SAID.get(change.state) or errors.sentence(change.error)
    message.provider_sid, message.done_at = change.sid, clock.machine_now()
    message.accepted_at = message.accepted_at or clock.now()
    message.retry_at = None
    return [
        "state",
        "error_code",
        "state_reason",
        "provider_sid",
        "done_at",
        "accepted_at",
        "retry_at",
    ]


def _conflict(message: Message) -> bool:
    """The first stays; a person is told. Always False: nothing was applied."""
    if not message.status_conflict:
        message.status_conflict = True
        message.save(update_fields=["status_conflict"])
        log.error("message %s: contradictory reports", message.pk)
        worklist.open_task(
            reason=Reason.DELIVERY_REVIEW,
            summary=CONFLICT,
            about=f"message:{message.pk}",
            due_at=clock.now() + timedelta(days=1),
            clinic=message.clinic,
            patient=message.patient,
            queue=Task.Queue.SUPERVISORS,
            opened_by="delivery",
        )
    return False


def adopt(message_id: int, change: Change) -> bool:
    """What an answer or a listing proves about one message, in a transaction of its own."""
    with transaction.atomic():
        return apply(HELD.get(pk=message_id), change)


def settle_parked() -> int:
    """Applies reports that came before anybody knew their message, and forgets those nobody asked for in a day."""
    done = 0
    parked = ProviderEvent.objects.filter(message=None, applied=False)
    known = Message.objects.filter(
        provider_sid__in=parked.values("provider_sid"), direction=Message.Direction.OUT
    )
    for pk, sid in known.values_list("pk", "provider_sid"):
        for event in parked.filter(provider_sid=sid).order_by("pk"):
            state = twilio.STATES.get(event.status)
            applied = bool(state and adopt(pk, Change(event.provider_sid, state, event.error_code)))
            ProviderEvent.objects.filter(pk=event.pk).update(message_id=pk, applied=applied)
            done += applied
    parked.filter(received_at__lt=clock.machine_now() - PARKED_FOR).delete()
    return done
