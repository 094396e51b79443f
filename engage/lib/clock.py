"""Two clocks: business time, which `NOW` can hold still, and machine time, which always runs on.

Business time decides what a person would see on a calendar: ages, as-of days, local windows, cadences, frequency caps,
`not_before`, `expires_at`. Machine time decides what happens between programs: leases, attempts, sessions, tokens, undo.
"""

from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo

from django.conf import settings


def now() -> datetime:
    """Business time, aware, in UTC."""
    frozen: datetime | None = settings.NOW
    return frozen.astimezone(UTC) if frozen else datetime.now(UTC)


def machine_now() -> datetime:
    """Machine time, aware, in UTC; never frozen."""
    return datetime.now(UTC)


def today(zone: str | tzinfo | None = None) -> date:
    """The business day in a zone (an IANA name or a tzinfo); by default where the clinics are, whatever day it is in UTC."""
    zone = zone or settings.BUSINESS_TIME_ZONE
    return now().astimezone(ZoneInfo(zone) if isinstance(zone, str) else zone).date()
