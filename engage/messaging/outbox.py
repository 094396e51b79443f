"""The outbox: claim a micro-batch, hand it over, write down what came of it.

A claim and its attempts are committed durably before the first byte leaves; nothing is locked while the carrier is asked.
What happened is written afterwards; when that is lost (a crash), the row is in doubt and reconcile.py finds out.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
from django.conf import settings
from django.db import transaction

from engage.lib import clock, signing
from engage.messaging import actions, losses, pace, safety, twilio, waiting
from engage.messaging.breaker import Guard
from engage.messaging.evidence import is_automated
from engage.messaging.models import Attempt, Lane, Message
from engage.messaging.policy import Allowed, Verdict, decide_many
from engage.messaging.recording import Pair, accepted, record, sorted_out
from engage.messaging.rows import Statement, ask_all, insert_rows, update_rows
from engage.messaging.status import TOKEN
from engage.messaging.stops import Stops
from engage.messaging.transports import Answer, NotAccepted, NotAttempted, Parcel, Transport
from engage.messaging.transports.sms import Text
from engage.worklist import actions as worklist
from engage.worklist.models import Reason

log = logging.getLogger(__name__)
BATCH = 50
MARGIN = 0.02  # of the lease, kept free between the last moment of a POST and the lease's end
ALL_LANES = tuple(Lane)
FIRST_LANES = (Lane.URGENT, Lane.STAFF)
TRANSPORTS: dict[str, Callable[[], Transport]] = {"sms": Text}
State = Message.State


@dataclass
class Batch:
    """What one claim took: the parcels to hand over, and how many rows it judged in all."""

    parcels: list[Parcel] = field(default_factory=list)
    judged: int = 0


def claim(lanes: Sequence[Lane], stops: Stops, limit: int = BATCH) -> Batch:
    """One durable transaction: rows, a fresh run of the gate, and an attempt for each that may go."""
    with transaction.atomic():
        return _claim(lanes, stops, limit)


def _claim(lanes: Sequence[Lane], stops: Stops, limit: int) -> Batch:
    fence = time.monotonic() + settings.LEASE * (1 - MARGIN) - settings.HTTP_TIMEOUT
    allowance = pace.hold(twilio.sender(), stops.stream_rates)
    stops.full_streams = allowance.full_streams()
    rows = allowance.fit(waiting.due(allowance.lanes(lanes), stops, limit))
    if not rows:
        return Batch()
    now = clock.now()
    judged = list(zip(rows, decide_many(rows, now), strict=True))
    parcels = _take([(m, v) for m, v in judged if isinstance(v, Allowed)], now, fence)
    allowance.spend([m for m, v in judged if v.allowed])
    _leave([(m, v) for m, v in judged if not v.allowed], now)
    return Batch(parcels, len(rows))


def _take(allowed: list[tuple[Message, Allowed]], now: datetime, fence: float) -> list[Parcel]:
    if not allowed:
        return []
    machine, token = clock.machine_now(), str(uuid4())
    until = machine + timedelta(seconds=settings.LEASE)
    deadline = until + timedelta(seconds=settings.HTTP_TIMEOUT)
    tokens = [signing.new_token() for _ in allowed]
    attempts = insert_rows(
        Attempt,
        {"started_at": machine, "deadline": deadline},
        ("message_id", "number", "token_digest"),
        [
            (message.pk, message.attempts_made + 1, signing.digest(secret, TOKEN))
            for (message, _), secret in zip(allowed, tokens, strict=True)
        ],
    )
    made: dict[int, int] = dict(ask_all([attempts, _sending(allowed, now, machine, token, until)])[0])
    return [
        _parcel(message, verdict, made[message.pk], secret, now, fence)
        for (message, verdict), secret in zip(allowed, tokens, strict=True)
    ]


def _sending(
    allowed: list[tuple[Message, Allowed]], now: datetime, machine: datetime, token: str, until: datetime
) -> Statement:
    return update_rows(
        Message,
        {
            "state": State.SENDING,
            "lease_token": token,
            "lease_until": until,
            "done_at": machine,
            "retry_at": None,
            "sender": twilio.sender(),
        },
        ("verdict", "state_reason", "attempts_made"),
        [(m.pk, orjson.dumps(v.record(now)).decode(), v.why[:300], m.attempts_made + 1) for m, v in allowed],
    )


def _parcel(
    message: Message, verdict: Allowed, attempt_id: int, secret: str, now: datetime, fence: float
) -> Parcel:
    ends = [m for m in (verdict.closes_at, message.expires_at) if m is not None]
    closes = (min(ends) - now).total_seconds() if ends else None
    return Parcel(
        message_id=message.pk,
        attempt_id=attempt_id,
        channel=message.channel,
        to=message.address,
        body=message.body,
        token=secret,
        validity=twilio.validity(closes),
        fence=fence,
        lane=message.lane,
        automated=is_automated(message),
        safety=message.safety,
        tried=message.attempts_made + 1,
        patient_id=message.patient_id,
        stream_id=message.stream_id,
        clinic_id=message.clinic_id,
        segments=message.segments,
    )


def _leave(others: list[tuple[Message, Verdict]], now: datetime) -> None:
    """Rows the gate does not let go: held, suppressed, failed or too old, each with its reason."""
    for message, verdict in others:
        fields = actions.apply(message, verdict, now)
        message.save(update_fields=fields)
        if message.state == State.NEEDS_REVIEW:
            _tell(message)
        elif message.state not in Message.UNSENT:
            losses.tell_author(message)
        if message.state not in Message.UNSENT and safety.is_alert(message):
            safety.alert_failed(message)


def _tell(message: Message) -> None:
    """Nobody could judge it."""
    worklist.open_task(
        reason=Reason.DELIVERY_REVIEW,
        summary=message.state_reason,
        about=actions.row_about(message),
        due_at=clock.now() + timedelta(hours=8),
        clinic=message.clinic,
        patient=message.patient,
        opened_by="delivery",
    )


class Carriers:
    """The transports of one event loop, made when first needed."""

    def __init__(self) -> None:
        self._open: dict[str, Transport] = {}

    def of(self, channel: str) -> Transport:
        if channel not in self._open:
            self._open[channel] = TRANSPORTS[channel]()
        return self._open[channel]

    async def close(self) -> None:
        for transport in self._open.values():
            await transport.close()
        self._open.clear()


Handed = Sequence[Pair]  # one micro-batch that came back, each parcel with its answer
Refresh = Callable[[], Awaitable[None]]


async def hand_over(
    parcels: Sequence[Parcel], carriers: Carriers, stops: Stops, refresh: Refresh
) -> list[Pair]:
    """Every parcel at once, each with its answer, in the same order. Touches no row."""
    answers = await asyncio.gather(*(_hand_over(p, carriers, stops, refresh) for p in parcels))
    return list(zip(parcels, answers, strict=True))


async def _hand_over(parcel: Parcel, carriers: Carriers, stops: Stops, refresh: Refresh) -> Answer:
    if stops.stale():
        await refresh()
    if why := stops.why(parcel):
        return NotAttempted(why)
    # The last thing before the POST: past the fence another sender may have the message.
    if time.monotonic() >= parcel.fence:
        return NotAttempted("Its turn came too late.")
    return await carriers.of(parcel.channel).send(parcel)


@dataclass
class Sender:
    """What one process keeps between micro-batches."""

    guard: Guard = field(default_factory=lambda: Guard(twilio.sender()))
    stops: Stops = field(default_factory=Stops)
    sent: int = 0

    def look(self) -> None:
        """Reads what stops: opt-outs, streams, breaker."""
        self.stops.read()
        self.guard.load()

    def room(self) -> int:
        """How many may be claimed now: as the switch, the breaker and the carrier's pace allow."""
        if self.stops.stale():
            self.look()
        return self.guard.room(BATCH) if settings.SENDING_ENABLED and not self.stops.everything else 0

    def claim(self, lanes: Sequence[Lane] = ALL_LANES) -> Batch:
        """A micro-batch."""
        room = self.room()
        batch = claim(lanes, self.stops, room) if room else Batch()
        self.guard.claimed(len(batch.parcels))
        return batch

    def turn(self, handed: Sequence[Handed], lanes: Sequence[Lane]) -> Batch:
        """Writes down what came back and claims the next micro-batch: one durable commit for both, for a commit waits
        for the disk. No lanes: claims nothing."""
        pairs = [pair for one in handed for pair in one]
        try:
            for one in handed:
                self.guard.note([answer for _, answer in one])
            returned = [p for p, answer in pairs if isinstance(answer, NotAttempted | NotAccepted)]
            pace.give_back(twilio.sender(), sum(p.segments for p in returned))
            batch = self._turn(pairs, lanes)
        except Exception:
            if not pairs:
                raise
            # What is known is written in any case, alone; writing it twice changes nothing.
            log.exception("a claim failed; %s answers are written without it", len(pairs))
            record(pairs)
            return Batch(judged=len(pairs))
        self.guard.claimed(len(batch.parcels))
        return batch

    def _turn(self, pairs: Handed, lanes: Sequence[Lane]) -> Batch:
        room = self.room() if lanes else 0
        if not room:
            self.sent += record(pairs)
            return Batch()
        taken, others = sorted_out(pairs)
        with transaction.atomic():
            accepted(taken)
            batch = _claim(lanes, self.stops, room)
        self.sent += len(taken)
        record(others)
        return batch


def deliver_once(sender: Sender | None = None) -> int:
    """One micro-batch in this thread; how many rows it judged. For tests, and for whoever cannot wait for the sender."""
    sender = sender or Sender()
    sender.look()
    batch = sender.claim()
    if batch.parcels:
        sender.stops.read()
        sender.turn([asyncio.run(_all(batch.parcels, sender.stops))], ())
    return batch.judged


async def _all(parcels: Sequence[Parcel], stops: Stops) -> list[Pair]:
    async def nothing() -> None: ...

    carriers = Carriers()
    try:
        return await hand_over(parcels, carriers, stops, nothing)
    finally:
        await carriers.close()


def counts() -> dict[str, Any]:
    """Rows that have not come to an end, by state."""
    open_states = (*Message.UNSENT, State.SENDING, State.IN_DOUBT, State.NEEDS_REVIEW)
    return {
        str(s): Message.objects.filter(state=s, direction=Message.Direction.OUT).count() for s in open_states
    }
