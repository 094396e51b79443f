"""What webhooks lost: the carrier's own list of replies, read every five minutes."""

import asyncio
import logging
from datetime import datetime, timedelta

from engage.inbox import actions as inbox
from engage.lib import clock
from engage.messaging.generation import REPLIES_READ, forgotten
from engage.messaging.models import Heartbeat, Message
from engage.messaging.twilio import Listed, ListingError, Provider

log = logging.getLogger(__name__)
FIRST = timedelta(hours=24)  # where the list has never been read
LISTED_FOR = timedelta(days=365)  # the carrier keeps them a little longer
OVERLAP = timedelta(minutes=15)
PAGE, MOST_PAGES = 1000, 500  # a flood of replies must not hide those that were lost in it
CHUNK = 500  # keys asked for at once


def recover_inbound() -> int:
    """Takes in replies that never reached the webhook, oldest first; how many. A reply is kept once, by its id."""
    began, since = clock.machine_now(), _since()
    try:
        listed = asyncio.run(_replies(since))
    except ListingError as error:
        log.warning("the carrier's list of replies could not be read: %s", error)
        return 0
    known = _known([f"in:{r.sid}" for r in listed])
    # A number's list is newest first, and its times are whole seconds.
    lost = sorted((r for r in reversed(listed) if f"in:{r.sid}" not in known), key=lambda r: r.created)
    taken = sum(_take_in(reply) for reply in lost)
    if taken == len(lost):
        detail = {"found": taken, "since": since.isoformat()}
        Heartbeat.objects.update_or_create(name=REPLIES_READ, defaults={"at": began, "detail": detail})
    if taken:
        log.warning("%s replies had been lost on their way and were recovered", taken)
    return taken


def _since() -> datetime:
    """From where on the list is read: where it was read to, however long ago; one reply that could not be taken in keeps
    the place. As long as a restored database is not released, from its backup on."""
    now = clock.machine_now()
    last = Heartbeat.objects.filter(name=REPLIES_READ).values_list("at", flat=True).first() or now - FIRST
    return max(min([last, *(gone.since for gone in forgotten())]) - OVERLAP, now - LISTED_FOR)


def _known(keys: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(keys), CHUNK):
        rows = Message.objects.filter(key__in=keys[start : start + CHUNK])
        found.update(rows.values_list("key", flat=True))
    return found


async def _replies(since: datetime) -> list[Listed]:
    provider = Provider()
    rows: list[Listed] = []
    try:
        for number in await provider.numbers():
            rows += await provider.listed(to=number, since=since, page_size=PAGE, most_pages=MOST_PAGES)
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
