"""Notices that the database is older than what has been sent: a restored backup must not text everybody again.

A number counts up in the database and, just after, in a file outside it. A file ahead of the database means that the
database was put back, and knows nothing of the time between. Each sender that finds that pauses and says so in the database,
so that every host can tell. Sending goes on when an operator says so (switch.release), after the replies of that time have
been read again and what was due in it has been queued again; whatever waits then is looked up with the carrier first.
"""

import json
import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from engage.lib import clock, signing
from engage.messaging.models import Attempt, Heartbeat, Message
from engage.messaging.status import TOKEN

log = logging.getLogger(__name__)
RESTORED = "The database is older than what has been sent (a restored backup). An operator must look first."
PREFIX = "generation:"  # and the host: the heartbeat's name
LONGEST = timedelta(days=7)  # that we look back where the database has never heard of a host
REPLIES_READ, TOUCHES_MADE = (
    "replies read",
    "touches made",
)  # heartbeats of jobs that mend what a restore lost
State = Message.State


@dataclass(frozen=True)
class Forgotten:
    """What a restored database does not know of one host that sends: from its backup until the host last counted."""

    host: str
    number: int  # the host's own
    since: datetime
    until: datetime


def path() -> Path:
    """The file of this host; each host that sends has its own."""
    return Path(settings.VAR_DIR) / "generation.json"


def read() -> dict[str, Any] | None:
    """{"host": id, "number": n}, None when there is none or it cannot be read."""
    try:
        found = json.loads(path().read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "host" in found and "number" in found else None


def write(host: str, number: int) -> None:
    fresh = path().with_suffix(".new")
    fresh.write_text(json.dumps({"host": host, "number": number}))
    fresh.replace(path())


def restored() -> bool:
    """Whether a host's file is ahead of the database."""
    return bool(forgotten())


def forgotten() -> list[Forgotten]:
    """Of this host by its file, of the others by what their senders have said; empty when nothing was put back."""
    rows = {row.name.removeprefix(PREFIX): row for row in Heartbeat.objects.filter(name__startswith=PREFIX)}
    said = {host: row.detail for host, row in rows.items() if "ahead" in row.detail}
    if (kept := read()) is not None:
        said[str(kept["host"])] = _ahead(kept)
    return [
        Forgotten(host, int(detail["ahead"]), _saved(rows.get(host)), datetime.fromisoformat(detail["until"]))
        for host, detail in said.items()
        if _behind(int(detail["ahead"]), _number(rows.get(host)))
    ]


def _ahead(kept: dict[str, Any]) -> dict[str, Any]:
    """What a sender says in the database of its file, which is written only while all is well."""
    return {"ahead": kept["number"], "until": datetime.fromtimestamp(path().stat().st_mtime, UTC).isoformat()}


def _number(row: Heartbeat | None) -> int:
    return int(row.detail.get("number", 0)) if row else 0


def _saved(row: Heartbeat | None) -> datetime:
    """When the backup was made, nearly: the host's last count in it."""
    return row.at if row and _number(row) else clock.machine_now() - LONGEST


def _behind(outside: int, inside: int) -> bool:
    """A new demonstration beside an old file is no restored backup: with the simulator nobody is texted."""
    fresh_demo = inside == 0 and settings.CARRIER == "simulator"
    return outside > inside and not fresh_demo


def advance() -> bool:
    """Counts up, the database first; False, and nothing is counted, when the database was restored."""
    kept = read() or {"host": uuid.uuid4().hex[:12], "number": 0}
    name = f"{PREFIX}{kept['host']}"
    with transaction.atomic():
        row = Heartbeat.objects.select_for_update().filter(name=name).first()
        number = _number(row)
        if _behind(int(kept["number"]), number):
            said = {"detail": {"number": number} | _ahead(kept)}
            new = said | {"at": clock.machine_now()}
            Heartbeat.objects.update_or_create(name=name, defaults=said, create_defaults=new)
            return False
        number = max(number, int(kept["number"])) + 1
        now = {"at": clock.machine_now(), "detail": {"number": number}}
        Heartbeat.objects.update_or_create(name=name, defaults=now)
    write(str(kept["host"]), number)
    return True


def still_missing(gone: Iterable[Forgotten]) -> list[str]:
    """Jobs that have not gone over the lost time: without them opt-outs and what was sent would stay unknown."""
    gone = list(gone)
    since, until = min(f.since for f in gone), max(f.until for f in gone)
    rows = Heartbeat.objects.filter(name__in=(REPLIES_READ, TOUCHES_MADE), at__gt=until)
    run = dict(rows.values_list("name", "detail"))
    if not _reaches(run.get(REPLIES_READ, {}), since):
        run.pop(REPLIES_READ, None)
    return sorted({REPLIES_READ, TOUCHES_MADE} - set(run))


def _reaches(detail: dict[str, Any], since: datetime) -> bool:
    """Whether the list of replies was read back to the backup."""
    return "since" in detail and datetime.fromisoformat(detail["since"]) <= since


def waiting() -> Any:
    """Messages that may have gone out in the time nobody remembers."""
    states = (*Message.UNSENT, State.SENDING, State.IN_DOUBT)
    return Message.objects.filter(direction=Message.Direction.OUT, state__in=states)


def accept() -> int:
    """Goes on after a restore: whatever waits is in doubt, and looked up before it goes; how many messages that are."""
    gone = forgotten()
    with transaction.atomic():
        rows = list(waiting().select_for_update().values_list("pk", "attempts_made"))
        if gone:
            _into_doubt(rows, min(f.since for f in gone) - timedelta(minutes=10))
        for host in gone:
            now = {"at": clock.machine_now(), "detail": {"number": host.number}}
            Heartbeat.objects.update_or_create(name=f"{PREFIX}{host.host}", defaults=now)
    log.warning("sending goes on after a restore; %s messages are being looked up first", len(rows))
    return len(rows)


def _into_doubt(rows: list[tuple[int, int]], since: datetime) -> None:
    """An attempt that spans all the time nobody remembers, so that reconciliation finds what was sent in it."""
    Attempt.objects.bulk_create(
        [
            Attempt(
                message_id=pk,
                number=made + 1,
                token_digest=signing.digest(signing.new_token(), TOKEN),
                started_at=since,
                deadline=clock.machine_now(),
            )
            for pk, made in rows
        ],
        batch_size=500,
    )
    for low in range(0, len(rows), 500):
        Message.objects.filter(pk__in=[pk for pk, _ in rows[low : low + 500]]).update(
            state=State.IN_DOUBT,
            attempts_made=F("attempts_made") + 1,
            state_reason="The database was restored. Checking with the carrier.",
        )
