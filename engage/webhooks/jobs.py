"""What webhooks lost: the carrier's own list of replies, read every five minutes."""

import asyncio
import logging
from datetime import datetime, timedelta

from django.conf import settings

from engage.inbox import actions as inbox
from engage.lib import clock
from engage.messaging.generation import REPLIES_READ
from engage.messaging.models import Heartbeat, Message
from engage.messaging.twilio import Listed, ListingError, Provider

log = logging.getLogger(__name__)
LOOK_BACK = timedelta(hours=24)  # at most; usually since the last time the list could be read
OVERLAP = timedelta(minutes=15)
PAGE, MOST_PAGES = 1000, 500  # a flood of replies must not hide those that were lost in it


def recover_inbound() -> int:
    """Takes in replies that never reached the webhook, oldest first; how many. A reply is kept once, by its id."""
    began = clock.machine_now()
    try:
        listed = asyncio.run(_replies(_since()))
    except ListingError as error:
        log.warning("the carrier's list of replies could not be read: %s", error)
        return 0
    known = set(Message.objects.filter(key__in=[f"in:{r.sid}" for r in listed]).values_list("key", flat=True))
    # The list is newest first, and its times are whole seconds.
    lost = sorted((r for r in reversed(listed) if f"in:{r.sid}" not in known), key=lambda r: r.created)
    taken = sum(_take_in(reply) for reply in lost)
    if taken == len(lost):
        Heartbeat.objects.update_or_create(
            name=REPLIES_READ, defaults={"at": began, "detail": {"found": taken}}
        )
    if taken:
        log.warning("%s replies had been lost on their way and were recovered", taken)
    return taken


def _since() -> datetime:
    """From where on the list is read: one reply that could not be taken in keeps the place."""
    last = Heartbeat.objects.filter(name=REPLIES_READ).values_list("at", flat=True).first()
    earliest = clock.machine_now() - LOOK_BACK
    return max(earliest, last - OVERLAP) if last else earliest


async def _replies(since: datetime) -> list[Listed]:
    provider = Provider()
    try:
        rows = await provider.listed(
            to=settings.TWILIO_FROM, since=since, page_size=PAGE, most_pages=MOST_PAGES
        )
    finally:
        await provider.close()
    return [row for row in rows if row.inbound]


def _take_in(reply: Listed) -> bool:
    """One reply; a poisoned one must not keep the others out."""
    at = clock.now() - (clock.machine_now() - reply.created)  # business time may stand still
    try:
        inbox.receive(sid=reply.sid, address=reply.sender, to=reply.to, body=reply.body or "", raw={}, at=at)
    except Exception as error:
        log.error("a lost reply could not be taken in (%s)", type(error).__name__)
        return False
    return True
