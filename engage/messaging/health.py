"""Whether messages go out: for the banner on every page, for /readyz and for /metrics."""

from typing import Any

from django.conf import settings
from django.db.models import Count, Min

from engage.lib import clock
from engage.messaging import generation, twilio
from engage.messaging.models import Breaker, Heartbeat, Lane, Message

State = Message.State
UNSETTLED = (*Message.UNSENT, State.SENDING, State.IN_DOUBT, State.NEEDS_REVIEW)


def beat(name: str, **detail: Any) -> None:
    """Says that a long-lived process is alive."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": clock.machine_now(), "detail": detail})


def age_of(name: str) -> float | None:
    """Seconds since a process last showed itself; None: never."""
    row = Heartbeat.objects.filter(name=name).only("at").first()
    return (clock.machine_now() - row.at).total_seconds() if row else None


def sender_state() -> dict[str, Any]:
    """`ok`, and `sentence` ("" when ok): what a person must know about sending. Four small queries, no counting.

    `down`: no sender has shown itself for HEARTBEAT_LATE seconds. `age`: seconds since the last heartbeat, or None.
    """
    age = age_of("deliver")
    down = age is None or age > settings.HEARTBEAT_LATE
    breaker = Breaker.objects.filter(sender=twilio.sender()).exclude(state=Breaker.State.CLOSED).first()
    restored = generation.restored()
    sentence = _sentence(down, age, restored, breaker)
    return {
        "ok": not sentence,
        "down": down,
        "age": age,
        "enabled": settings.SENDING_ENABLED,
        "restored": restored,
        "breaker": breaker.state if breaker else Breaker.State.CLOSED.value,
        "sentence": sentence,
    }


def _sentence(down: bool, age: float | None, restored: bool, breaker: Breaker | None) -> str:
    if not settings.SENDING_ENABLED:
        return "Sending is switched off: no message leaves."
    if restored:
        return f"Sending is paused. {generation.RESTORED}"
    if down:
        since = "has not started" if age is None else f"has been silent for {_ago(age)}"
        return f"No messages are going out: the sender {since}."
    if breaker is not None and breaker.state == Breaker.State.LOCKED:
        return f"Sending has stopped: {breaker.reason}"
    if breaker is not None:
        return "The carrier does not answer; messages wait and go out by themselves."
    return ""


def _ago(seconds: float) -> str:
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
