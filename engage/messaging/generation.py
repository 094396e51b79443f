"""Notices that the database is older than what has been sent: a restored backup must not text everybody again.

A number counts up in the database and, just after, in a file outside it. A file ahead of the database means that the
database was put back: sending stays paused until an operator says `manage.py resume_sending`, which sends everything that
was waiting through reconciliation first.
"""

import json
import logging
import uuid
from datetime import datetime, timedelta
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
State = Message.State


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


def number_of(host: str) -> int:
    row = Heartbeat.objects.filter(name=f"generation:{host}").first()
    return int(row.detail.get("number", 0)) if row else 0


def restored() -> bool:
    """Whether the file is ahead of the database."""
    kept = read()
    return kept is not None and _behind(int(kept["number"]), number_of(str(kept["host"])))


def _behind(outside: int, inside: int) -> bool:
    """A new demonstration beside an old file is no restored backup: with the simulator nobody is texted."""
    fresh_demo = inside == 0 and settings.CARRIER == "simulator"
    return outside > inside and not fresh_demo


def advance() -> bool:
    """Counts up, the database first; False, and nothing is counted, when the database was restored."""
    kept = read() or {"host": uuid.uuid4().hex[:12], "number": 0}
    host = str(kept["host"])
    with transaction.atomic():
        row = Heartbeat.objects.select_for_update().filter(name=f"generation:{host}").first()
        number = int(row.detail.get("number", 0)) if row else 0
        if _behind(int(kept["number"]), number):
            return False
        number = max(number, int(kept["number"]))
        Heartbeat.objects.update_or_create(
            name=f"generation:{host}", defaults={"at": clock.machine_now(), "detail": {"number": number + 1}}
        )
    write(host, number + 1)
    return True


def accept() -> int:
    """Goes on after a restore: what was waiting may have gone out since the backup, so it is looked up first.

    Gives the number of messages put in doubt.
    """
    kept = read()
    since = last_seen()
    with transaction.atomic():
        waiting = Message.objects.select_for_update().filter(
            direction=Message.Direction.OUT, state__in=(*Message.UNSENT, State.SENDING)
        )
        count = _into_doubt(list(waiting), since)
        if kept is not None:
            Heartbeat.objects.update_or_create(
                name=f"generation:{kept['host']}",
                defaults={"at": clock.machine_now(), "detail": {"number": int(kept["number"])}},
            )
    log.warning("sending goes on after a restore; %s messages are being looked up first", count)
    return count


def last_seen() -> datetime:
    """When the database was saved, nearly: the sender's last heartbeat in it."""
    row = Heartbeat.objects.filter(name="deliver").first()
    return (row.at if row else clock.machine_now() - timedelta(days=7)) - timedelta(minutes=10)


def _into_doubt(rows: list[Message], since: datetime) -> int:
    """An attempt that spans all the time nobody remembers, so that reconciliation finds what was sent in it."""
    Attempt.objects.bulk_create(
        [
            Attempt(
                message=m,
                number=m.attempts_made + 1,
                token_digest=signing.digest(signing.new_token(), TOKEN),
                started_at=since,
                deadline=clock.machine_now(),
            )
            for m in rows
        ],
        batch_size=500,
    )
    Message.objects.filter(pk__in=[m.pk for m in rows]).update(
        state=State.IN_DOUBT,
        attempts_made=F("attempts_made") + 1,
        state_reason="The database was restored. Checking with the carrier.",
    )
    return len(rows)
