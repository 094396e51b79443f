"""Whether messages go out: for the banner on every page, for /readyz and for /metrics."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, Min

from engage.lib import clock
from engage.messaging import generation, pace, switch, twilio
from engage.messaging.models import Attempt, Breaker, Heartbeat, Lane, Message, ProviderEvent, SendingStop

State = Message.State
MINUTE, RECENT = timedelta(minutes=1), 1000
COUNTED, MANY = "depths", 20_000
UNSETTLED = (*Message.UNSENT, State.SENDING, State.IN_DOUBT, State.NEEDS_REVIEW)


def beat(name: str, **detail: Any) -> None:
    """Says that a long-lived process is alive."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": clock.machine_now(), "detail": detail})


def age_of(name: str) -> float | None:
    """Seconds since a process last showed itself; None: never."""
    row = Heartbeat.objects.filter(name=name).only("at").first()
    return (clock.machine_now() - row.at).total_seconds() if row else None


def sender_state() -> dict[str, Any]:
    """`ok`, and `sentence` ("" when ok): what a person must know about sending. Five small queries, no counting.

    `down`: no sender has shown itself for HEARTBEAT_LATE seconds. `age`: seconds since the last heartbeat, or None.
    """
    age = age_of("deliver")
    down = age is None or age > settings.HEARTBEAT_LATE
    breaker = Breaker.objects.filter(sender=twilio.sender()).exclude(state=Breaker.State.CLOSED).first()
    restored, stop = generation.restored(), switch.current()
    sentence = _sentence(down, age, restored, breaker, stop)
    return {
        "ok": not sentence,
        "down": down,
        "age": age,
        "enabled": settings.SENDING_ENABLED,
        "restored": restored,
        "stopped": stop is not None,
        "breaker": breaker.state if breaker else Breaker.State.CLOSED.value,
        "sentence": sentence,
    }


def _sentence(
    down: bool, age: float | None, restored: bool, breaker: Breaker | None, stop: SendingStop | None
) -> str:
    if not settings.SENDING_ENABLED:
        return "Sending is switched off: no message leaves."
    if stop is not None:
        return f"All sending was stopped by {stop.begun_by}: {stop.why}"
    if restored:
        return f"Sending is paused. {generation.RESTORED}"
    if down:
        since = "has not started" if age is None else f"has been silent for {ago(age)}"
        return f"No messages are going out: the sender {since}."
    if breaker is not None and breaker.state == Breaker.State.LOCKED:
        return f"Sending has stopped: {breaker.reason}"
    if breaker is not None:
        return "The carrier does not answer; messages wait and go out by themselves."
    return ""


def ago(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{minutes // 60} hours" if minutes < 2880 else f"{minutes // 1440} days"


def depths() -> list[dict[str, Any]]:
    """Messages without an end, by lane and state, with the oldest's age in seconds of business time."""
    rows = Message.objects.filter(direction=Message.Direction.OUT, state__in=UNSETTLED)
    now = clock.now()
    return [
        {
            "lane": Lane(row["lane"]).name.lower(),
            "state": row["state"],
            "count": row["n"],
            "oldest_seconds": max(0.0, (now - row["oldest"]).total_seconds()),
        }
        for row in rows.values("lane", "state")
        .annotate(n=Count("pk"), oldest=Min("created_at"))
        .order_by("lane")
    ]


def depths_lately() -> tuple[list[dict[str, Any]], datetime]:
    """`depths()` and when they were counted (machine time). Counting a million takes a second: then it is done once for
    everybody who looks, and not again before twenty times as long has gone by."""
    if (kept := cache.get(COUNTED)) is not None:
        return kept
    at, began = clock.machine_now(), time.perf_counter()
    found = depths(), at
    if sum(row["count"] for row in found[0]) > MANY:
        cache.set(COUNTED, found, 20 * (time.perf_counter() - began))
    return found


@dataclass(frozen=True)
class LaneDepth:
    """One row of the delivery page: what one lane holds by state, and how long its oldest waiting message waits."""

    name: str
    counts: dict[str, int]
    oldest: float | None  # seconds of business time

    @property
    def in_order(self) -> list[int]:
        return [self.counts.get(str(s), 0) for s in UNSETTLED]


def by_lane(rows: list[dict[str, Any]]) -> list[LaneDepth]:
    """`depths()` as a table: every lane, urgent first."""
    found = []
    for lane in Lane:
        mine = {r["state"]: r for r in rows if r["lane"] == lane.name.lower()}
        waits = mine.get(str(State.QUEUED))
        counts = {state: int(row["count"]) for state, row in mine.items()}
        found.append(LaneDepth(str(lane.label), counts, waits["oldest_seconds"] if waits else None))
    return found


def rate() -> float:
    """Messages a second handed to the carrier, over the last minute (of a busy one: over its last thousand)."""
    now = clock.machine_now()
    tried = Attempt.objects.exclude(outcome=Attempt.Outcome.NOT_ATTEMPTED).order_by("-pk")
    recent = [at for at in tried.values_list("started_at", flat=True)[:RECENT] if at > now - MINUTE]
    if len(recent) < RECENT:
        return len(recent) / MINUTE.total_seconds()
    return len(recent) / max(1.0, (now - min(recent)).total_seconds())


def last_callback() -> datetime | None:
    """When the carrier last reported on a message of ours (machine time)."""
    last = ProviderEvent.objects.order_by("-pk").only("received_at").first()
    return last.received_at if last else None


def heartbeats() -> dict[str, datetime]:
    """Name → when each long-lived process, and the reading of the carrier's list of replies, last showed itself."""
    rows = Heartbeat.objects.exclude(name__startswith="generation:")
    return dict(rows.order_by("name").values_list("name", "at"))


def allowance() -> pace.State:
    return pace.state_of(twilio.sender())
