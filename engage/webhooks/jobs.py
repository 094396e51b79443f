"""What webhooks lost: the carrier's own list of replies, read every five minutes."""

import asyncio
import logging
from datetime import timedelta

from django.conf import settings

from engage.inbox import actions as inbox
from engage.lib import clock
from engage.messaging.models import Message
from engage.messaging.twilio import Listed, ListingError, Provider

log = logging.getLogger(__name__)
LOOK_BACK = timedelta(hours=24)


def recover_inbound() -> int:
    """Takes in replies that never reached the webhook, oldest first; how many. A reply is kept once, by its id."""
    try:
        listed = asyncio.run(_replies())
    except ListingError as error:
        log.warning("the carrier's list of replies could not be read: %s", error)
        return 0
    known = set(Message.objects.filter(key__in=[f"in:{r.sid}" for r in listed]).values_list("key", flat=True))
    # The list is newest first, and its times are whole seconds.
    lost = sorted((r for r in reversed(listed) if f"in:{r.sid}" not in known), key=lambda r: r.created)
    taken = sum(_take_in(reply) for reply in lost)
    if taken:
        log.warning("%s replies had been lost on their way and were recovered", taken)
    return taken


async def _replies() -> list[Listed]:
    provider = Provider()
    try:
        rows = await provider.listed(to=settings.TWILIO_FROM, since=clock.machine_now() - LOOK_BACK)
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
