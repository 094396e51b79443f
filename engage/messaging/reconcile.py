"""What became of messages nobody can vouch for: found in the carrier's list, proven absent, or left to a person.

A message is in doubt when its lease ran out or no answer came. A callback settles it for nothing (status.py). Otherwise
the carrier's list is read once it has had time to settle: a match is adopted; absent from two listings LISTING_GAP apart
means it was never taken, so it may be sent again; when the list cannot be read in time, a person decides. Voice calls are
never repeated this way.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from engage.lib import clock, text
from engage.messaging import actions, twilio
from engage.messaging.models import Attempt, Message
from engage.messaging.status import RANK, Change, adopt, settle_parked
from engage.messaging.twilio import Listed, ListingError, Provider
from engage.worklist import actions as worklist
from engage.worklist.models import Reason

log = logging.getLogger(__name__)
State = Message.State
MOST_ATTEMPTS = 5  # in doubt that often: something about the message itself is wrong
ABSENT_TWICE = 2
GAPS_UNTIL_REVIEW = 3  # the fourth listing that says nothing, 15 minutes after the first, is the last
SLACK = timedelta(minutes=2)  # the carrier's clock against ours
AT_ONCE = 10  # listings at the same time
MOST = 1000  # rows in one run
CHUNK = 20  # rows settled in one transaction


@dataclass(frozen=True)
class Doubtful:
    """One attempt whose end nobody knows, with what identifies it in the carrier's list."""

    message_id: int
    attempt_id: int
    to: str
    body: str
    started_at: datetime
    deadline: datetime
    absent: int
    unread: int
    last_listing_at: datetime | None

    def could_be(self, row: Listed) -> bool:
        """Same number, our side, within the time of the attempt."""
        in_time = self.started_at - SLACK <= row.created <= self.deadline + SLACK
        return not row.inbound and row.to == self.to and in_time and _ours(row)

    def is_(self, row: Listed) -> bool:
        """In its words too; a carrier may have written typographic marks in their plain form."""
        same = row.body is not None and text.plain_punctuation(row.body) == text.plain_punctuation(self.body)
        return same and self.could_be(row)


def _ours(row: Listed) -> bool:
    if settings.TWILIO_MESSAGING_SERVICE_SID:
        return row.service == settings.TWILIO_MESSAGING_SERVICE_SID
    return bool(row.sender == settings.TWILIO_FROM)


@dataclass(frozen=True)
class Seen:
    """What one number's listing showed; None: it could not be read."""

    rows: list[Listed] | None


def expire_leases() -> int:
    """SENDING past its lease: whoever had it is gone, or will refuse to send (the fence)."""
    rows = Message.objects.filter(state=State.SENDING, lease_until__lt=clock.machine_now())
    return rows.update(
        state=State.IN_DOUBT, state_reason="The sender stopped meanwhile. Checking with the carrier."
    )


def due() -> list[Doubtful]:
    """Doubtful attempts whose time for a (further) listing has come, oldest first."""
    machine = clock.machine_now()
    settled = machine - timedelta(seconds=settings.SETTLE)
    looked = machine - timedelta(seconds=settings.LISTING_GAP)
    rows = Attempt.objects.filter(
        Q(last_listing_at=None) | Q(last_listing_at__lte=looked),
        message__state=State.IN_DOUBT,
        number=F("message__attempts_made"),
        deadline__lt=settled,
    )
    fields = (
        "message_id",
        "pk",
        "message__address",
        "message__body",
        "started_at",
        "deadline",
        "absent_listings",
        "unread_listings",
        "last_listing_at",
    )
    return [Doubtful(*row) for row in rows.order_by("deadline").values_list(*fields)[:MOST]]


async def look(doubts: Iterable[Doubtful], provider: Provider) -> dict[str, Seen]:
    """Reads the carrier's list for each number concerned; touches no row."""
    since: dict[str, datetime] = {}
    for doubt in doubts:
        start = doubt.started_at - SLACK
        since[doubt.to] = min(start, since.get(doubt.to, start))
    room = asyncio.Semaphore(AT_ONCE)

    async def one(to: str) -> tuple[str, Seen]:
        async with room:
            try:
                return to, Seen(await provider.listed(to=to, since=since[to]))
            except ListingError as error:
                log.warning("the carrier's list could not be read: %s", error)
                return to, Seen(None)

    return dict(await asyncio.gather(*(one(to) for to in since)))


def settle(doubts: Sequence[Doubtful], seen: Mapping[str, Seen]) -> dict[str, int]:
    """Adopts, gives back, or hands to a person, in one transaction; counts by what happened."""
    done: dict[str, int] = defaultdict(int)
    by_number: dict[str, list[Doubtful]] = defaultdict(list)
    for doubt in doubts:
        by_number[doubt.to].append(doubt)
    with transaction.atomic():
        for to, here in by_number.items():
            rows = seen[to].rows
            free = None if rows is None else _free(rows)
            matched = match(here, free or [])
            left = None if free is None else [r for r in free if r not in matched.values()]
            for doubt in here:
                done[_settle_one(doubt, left, matched.get(doubt.message_id))] += 1
    return dict(done)


def chunks(doubts: list[Doubtful]) -> Iterator[list[Doubtful]]:
    """A few numbers at a time, all doubts of one number together, so that claims come in between."""
    ordered = sorted(doubts, key=lambda d: d.to)
    chunk: list[Doubtful] = []
    for doubt in ordered:
        if len(chunk) >= CHUNK and doubt.to != chunk[-1].to:
            yield chunk
            chunk = []
        chunk.append(doubt)
    if chunk:
        yield chunk


def _free(rows: list[Listed]) -> list[Listed]:
    """Those no message of ours owns."""
    owned = set(
        Message.objects.filter(provider_sid__in=[r.sid for r in rows]).values_list("provider_sid", flat=True)
    )
    return [r for r in rows if r.sid not in owned]


def match(doubts: list[Doubtful], rows: list[Listed]) -> dict[int, Listed]:
    """One to one, oldest to oldest: two equal texts to one number are never taken for the same."""
    left = sorted(rows, key=lambda r: (r.created, r.sid))
    found: dict[int, Listed] = {}
    for doubt in sorted(doubts, key=lambda d: (d.started_at, d.message_id)):
        row = next((r for r in left if doubt.is_(r)), None)
        if row is not None:
            left.remove(row)
            found[doubt.message_id] = row
    return found


def _settle_one(doubt: Doubtful, left: list[Listed] | None, row: Listed | None) -> str:
    """`left`: what the list shows that is nobody's; a text of ours in other words, or without, may still be this one."""
    if row is not None:
        return _adopted(doubt, row)
    if left is None or any(doubt.could_be(r) for r in left):
        return _unproven(doubt)
    return _absent(doubt)


def _adopted(doubt: Doubtful, row: Listed) -> str:
    state = twilio.STATES.get(row.word, State.ACCEPTED)
    if RANK[state] > 1:
        adopt(doubt.message_id, Change(row.sid, State.ACCEPTED))
    adopt(doubt.message_id, Change(row.sid, state, row.error))
    Attempt.objects.filter(pk=doubt.attempt_id).update(outcome=Attempt.Outcome.ACCEPTED, provider_sid=row.sid)
    return "adopted"


def _absent(doubt: Doubtful) -> str:
    """Counts a listing without it; conditional, so that two runs at once count once."""
    with transaction.atomic():
        counted = Attempt.objects.filter(
            pk=doubt.attempt_id, absent_listings=doubt.absent, last_listing_at=doubt.last_listing_at
        ).update(absent_listings=doubt.absent + 1, last_listing_at=clock.machine_now())
        if not counted or doubt.absent + 1 < ABSENT_TWICE:
            return "absent"
        return _not_taken(doubt)


def _not_taken(doubt: Doubtful) -> str:
    Attempt.objects.filter(pk=doubt.attempt_id).update(outcome=Attempt.Outcome.NOT_ACCEPTED)
    row = Message.objects.select_for_update(of=("self",)).get(pk=doubt.message_id)
    if row.state != State.IN_DOUBT:
        return "settled"
    if (
        row.attempts.filter(outcome=Attempt.Outcome.NOT_ACCEPTED, absent_listings__gt=0).count()
        >= MOST_ATTEMPTS
    ):
        return _to_review(row, "It was in doubt five times.")
    row.state, row.done_at = State.QUEUED, clock.machine_now()
    row.state_reason, row.retry_at = "The carrier never took it; it goes again.", None
    row.save(update_fields=["state", "done_at", "state_reason", "retry_at"])
    return "requeued"


def _unproven(doubt: Doubtful) -> str:
    """The list says nothing: try again a gap later, then a person decides. Never sent again on a guess.

    Tries are counted, not time: after a long stop of the sender one failed listing must not end the search.
    """
    with transaction.atomic():
        counted = Attempt.objects.filter(
            pk=doubt.attempt_id, unread_listings=doubt.unread, last_listing_at=doubt.last_listing_at
        ).update(unread_listings=doubt.unread + 1, last_listing_at=clock.machine_now())
        if not counted or doubt.unread < GAPS_UNTIL_REVIEW:
            return "unproven"
        row = Message.objects.select_for_update(of=("self",)).get(pk=doubt.message_id)
        if row.state != State.IN_DOUBT:
            return "settled"
        return _to_review(row, "The carrier's list could not show whether it was taken.")


def _to_review(row: Message, why: str) -> str:
    row.state, row.state_reason, row.done_at = State.NEEDS_REVIEW, why, clock.machine_now()
    row.save(update_fields=["state", "state_reason", "done_at"])
    worklist.open_task(
        reason=Reason.DELIVERY_REVIEW,
        summary=f"{why} Ask the patient, send it again, or drop it.",
        about=actions.row_about(row),
        due_at=clock.now() + timedelta(hours=8),
        clinic=row.clinic,
        patient=row.patient,
        opened_by="delivery",
        link=f"/patients/{row.patient_id}/" if row.patient_id else "",
    )
    return "review"


def reconcile() -> dict[str, int]:
    """One run in this thread: leases, parked reports, listings. Safe to repeat, to kill and to run twice at once."""
    done = {"leases": expire_leases(), "parked": settle_parked()}
    doubts = due()
    seen = asyncio.run(_look_once(doubts)) if doubts else {}
    for chunk in chunks(doubts):
        for key, n in settle(chunk, seen).items():
            done[key] = done.get(key, 0) + n
    return {key: n for key, n in done.items() if n}


async def _look_once(doubts: list[Doubtful]) -> dict[str, Seen]:
    provider = Provider()
    try:
        return await look(doubts, provider)
    finally:
        await provider.close()
