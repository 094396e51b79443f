"""Is the sender alive, and may it send? For the banner, /readyz and /metrics."""

from datetime import timedelta
from typing import Any

from django.conf import settings

from engage.lib import clock
from engage.messaging.models import Heartbeat


def sender_state() -> dict[str, Any]:
    """`down` (bool), `reason` (a sentence, "" when up), `age` (seconds since the sender showed itself, None: never)."""
    beat = Heartbeat.objects.filter(name="deliver").first()
    age = (clock.machine_now() - beat.at).total_seconds() if beat else None
    if not settings.SENDING_ENABLED:
        return {"down": True, "reason": "sending is switched off (SENDING_ENABLED).", "age": age}
    if age is None or timedelta(seconds=age) > timedelta(seconds=settings.HEARTBEAT_LATE):
        return {"down": True, "reason": "the sender has been silent for two minutes.", "age": age}
    return {"down": False, "reason": "", "age": age}
