"""The outbox: claim a micro-batch, hand it over, write down what came of it.

A claim and its attempts are committed durably before the first byte leaves; nothing is locked while the carrier is asked.
What happened is written afterwards; when that is lost (a crash), the row is in doubt and reconcile.py finds out.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction

from engage.lib import clock, signing
from engage.messaging import actions, pace, twilio
from engage.messaging.breaker import Guard
from engage.messaging.evidence import is_automated
from engage.messaging.models import Attempt, Lane, Message
from engage.messaging.policy import Allowed, Verdict, decide_many
from engage.messaging.recording import record
from engage.messaging.rows import update_rows
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
WITH = ("patient", "contact_point", "stream", "clinic", "template", "reply_to")
# Reading whole rows of six tables costs more than judging them.
READ = (
    *(
        "channel",
        "lane",
        "address",
        "body",
        "about",
        "safety",
        "state",
        "withdrawn",
        "not_before",
        "expires_at",
    ),
    *(
        "attempts_made",
        "segments",
        "author_id",
        "stream_id",
        "clinic_id",
        "patient_id",
        "contact_point_id",
        "reply_to_id",
    ),
    *(
        f"patient__{f}"
        for f in ("deceased", "active", "merged_into_id", "confidential", "state", "time_zone")
    ),
    *(f"contact_point__{f}" for f in ("patient_id", "value", "valid", "state", "state_reason")),
    *(f"contact_point__{f}" for f in ("sms_consent", "voice_consent", "email_consent")),
    *(
        "stream__state",
        "clinic__state",
        "clinic__time_zone",
        "clinic__sunday_sending",
        "clinic__sending_hours",
        "clinic__sending_paused",
    ),
    *("clinic__on_call_number", "template__purpose", "template__approved_at", "template__key"),
    *("template__language", "template__version", "reply_to__address", "reply_to__created_at"),
)


@dataclass
class Batch:
    """What one claim took: the parcels to hand over, and how many rows it judged in all."""

    parcels: list[Parcel] = field(default_factory=list)
    judged: int = 0


def due(lanes: Sequence[Lane], stops: Stops, limit: int = BATCH) -> list[Message]:
    """Rows that may be claimed now, urgent ones first; locked against other senders where the database can."""
    ids: list[int] = []
    for lane in lanes:
        if len(ids) < limit:
            ids += _due_in(lane, stops, limit - len(ids))
    if not ids:
        return []
    return picked(ids)


def picked(ids: Sequence[int]) -> list[Message]:
    """Rows with all that the gate reads, and no more, in the order of their ids given."""
    rows = Message.objects.select_related(*WITH).only(*READ).in_bulk(ids)
    return [rows[pk] for pk in ids if pk in rows]


def _due_in(lane: Lane, stops: Stops, limit: int) -> list[int]:
    """One seek in the index of waiting rows. Written in SQL because it runs four times a second for each lane."""
    skip, excluded = _paused(lane, stops)
    locking = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM messaging_message WHERE lane = %s AND state IN ('queued', 'held') AND not_before <= %s"  # noqa: S608
            " AND (undo_until IS NULL OR undo_until <= %s) AND (retry_at IS NULL OR retry_at <= %s)"
            f"{skip} ORDER BY not_before, id LIMIT %s {locking}",
            [lane, *_moments(clock.now(), clock.machine_now(), clock.machine_now()), *excluded, limit],
        )
        return [row[0] for row in cursor.fetchall()]


def _paused(lane: Lane, stops: Stops) -> tuple[str, list[int]]:
    """What waits for a person or for its turn: rows of paused streams and of those at their rate, and a stopped clinic's
    automatic ones. Cancelled ones are let through, for the gate to end them."""
    sql, excluded = "", []
    if waiting := stops.paused_streams | stops.full_streams:
        sql += f" AND (stream_id IS NULL OR stream_id NOT IN ({_places(waiting)}))"
        excluded += sorted(waiting)
    if stops.paused_clinics and lane != Lane.URGENT:
        allowed = f"clinic_id NOT IN ({_places(stops.paused_clinics)})"
        sql += f" AND (clinic_id IS NULL OR {allowed} OR author_id IS NOT NULL OR safety)"
        excluded += sorted(stops.paused_clinics)
    return sql, excluded


def _places(values: Collection[int]) -> str:
    return ", ".join(["%s"] * len(values))


def _moments(*moments: datetime) -> list[Any]:
    """As this database stores them."""
    return [connection.ops.adapt_datetimefield_value(m) for m in moments]


def claim(lanes: Sequence[Lane], stops: Stops, limit: int = BATCH) -> Batch:
    """One durable transaction: rows, a fresh run of the gate, and an attempt for each that may go."""
    fence = time.monotonic() + settings.LEASE * (1 - MARGIN) - settings.HTTP_TIMEOUT
    with transaction.atomic():
        allowance = pace.hold(twilio.sender(), stops.stream_rates)
        stops.full_streams = allowance.full_streams()
        rows = allowance.fit(_not_claimed_elsewhere(due(allowance.lanes(lanes), stops, limit)))
        if not rows:
            return Batch()
        now = clock.now()
        judged = list(zip(rows, decide_many(rows, now), strict=True))
        parcels = _take([(m, v) for m, v in judged if isinstance(v, Allowed)], now, fence)
        allowance.spend([m for m, v in judged if v.allowed])
        _leave([(m, v) for m, v in judged if not v.allowed], now)
    return Batch(parcels, len(rows))


def _not_claimed_elsewhere(rows: list[Message]) -> list[Message]:
    """Two senders must not claim two messages of one patient at once, or neither sees that the other uses up the day.

    On SQLite a claim is alone anyway.
    """
    patients = sorted({m.patient_id for m in rows if m.patient_id and m.lane == Lane.BULK})
    if connection.vendor != "postgresql" or not patients:
        return rows
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM unnest(%s::bigint[]) AS id WHERE NOT pg_try_advisory_xact_lock(72, (id %% 2147483647)::int)",
            [patients],
        )
        busy = {row[0] for row in cursor.fetchall()}
    return [m for m in rows if m.lane != Lane.BULK or m.patient_id not in busy]


def _take(allowed: list[tuple[Message, Allowed]], now: datetime, fence: float) -> list[Parcel]:
    if not allowed:
        return []
    machine, token = clock.machine_now(), str(uuid4())
    until = machine + timedelta(seconds=settings.LEASE)
    deadline = until + timedelta(seconds=settings.HTTP_TIMEOUT)
    tokens = [signing.new_token() for _ in allowed]
    attempts = Attempt.objects.bulk_create(
        Attempt(
            message=message,
            number=message.attempts_made + 1,
            token_digest=signing.digest(secret, TOKEN),
            started_at=machine,
            deadline=deadline,
        )
        for (message, _), secret in zip(allowed, tokens, strict=True)
    )
    _mark_sending(allowed, now, machine, token, until)
    return [
        _parcel(message, verdict, attempt, secret, now, fence)
        for (message, verdict), attempt, secret in zip(allowed, attempts, tokens, strict=True)
    ]


def _mark_sending(
    allowed: list[tuple[Message, Allowed]], now: datetime, machine: datetime, token: str, until: datetime
) -> None:
    update_rows(
        Message,
        {
            "state": State.SENDING,
            "lease_token": token,
            "lease_until": until,
            "done_at": machine,
            "retry_at": None,
            "sender": twilio.sender(),
        },
        {"verdict": "json", "state_reason": "text", "attempts_made": "int"},
        [(m.pk, json.dumps(v.record(now)), v.why[:300], m.attempts_made + 1) for m, v in allowed],
    )


def _parcel(
    message: Message, verdict: Allowed, attempt: Attempt, secret: str, now: datetime, fence: float
) -> Parcel:
    ends = [m for m in (verdict.closes_at, message.expires_at) if m is not None]
    closes = (min(ends) - now).total_seconds() if ends else None
    return Parcel(
        message_id=message.pk,
        attempt_id=attempt.pk,
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
        if message.state == State.NEEDS_REVIEW or (message.state == State.EXPIRED and message.author_id):
            _tell(message)


def _tell(message: Message) -> None:
    """Somebody wrote it and believes it went, or nobody could judge it."""
    expired = message.state == State.EXPIRED
    worklist.open_task(
        reason=Reason.DELIVERY_REVIEW,
        summary="A text to the patient was not sent in time." if expired else message.state_reason,
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


Refresh = Callable[[], Awaitable[None]]


async def hand_over(
    parcels: Sequence[Parcel], carriers: Carriers, stops: Stops, refresh: Refresh
) -> list[Answer]:
    """Every parcel at once; the answers in the same order. Touches no row."""
    return await asyncio.gather(*(_hand_over(p, carriers, stops, refresh) for p in parcels))


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

    def claim(self, lanes: Sequence[Lane] = ALL_LANES) -> Batch:
        """A micro-batch, as large as the carrier's pace and the breaker allow."""
        if self.stops.stale():
            self.look()
        room = self.guard.room(BATCH)
        if not room or not settings.SENDING_ENABLED or self.stops.everything:
            return Batch()
        batch = claim(lanes, self.stops, room)
        self.guard.claimed(len(batch.parcels))
        return batch

    def record(self, parcels: Sequence[Parcel], answers: Sequence[Answer]) -> None:
        self.guard.note(list(answers))
        self.sent += record(parcels, answers)
        returned = [
            p for p, a in zip(parcels, answers, strict=True) if isinstance(a, NotAttempted | NotAccepted)
        ]
        pace.give_back(twilio.sender(), sum(p.segments for p in returned))


def deliver_once(sender: Sender | None = None) -> int:
    """One micro-batch in this thread; how many rows it judged. For tests, and for whoever cannot wait for the sender."""
    sender = sender or Sender()
    sender.look()
    batch = sender.claim()
    if batch.parcels:
        sender.stops.read()
        sender.record(batch.parcels, asyncio.run(_all(batch.parcels, sender.stops)))
    return batch.judged


async def _all(parcels: Sequence[Parcel], stops: Stops) -> list[Answer]:
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
