"""What the provider checks before it accepts a message, beyond what its published description says."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from engage.simulator.errors import ApiError

LONGEST_BODY = 1600
LONGEST_VALIDITY = 36_000
E164 = re.compile(r"\+[1-9]\d{6,14}")
SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
HOST = re.compile(r"[A-Za-z0-9.-]+|[0-9a-fA-F:]+")

Form = dict[str, list[str]]


@dataclass(slots=True)
class Order:
    """A message somebody asks to be sent, checked; `send_at` is seconds since the epoch."""

    to: str
    sender: str
    service: str
    body: str
    callback: str
    validity: int
    media: int
    send_at: float | None


def one(form: Form, name: str) -> str:
    """The last value of a parameter, "" when absent."""
    return form[name][-1] if name in form else ""


def e164(text: str) -> str:
    """A number as the provider understands it: its own punctuation gone, ten digits taken as American; "" if none."""
    number = re.sub(r"[\s().-]", "", text)
    if re.fullmatch(r"\d{10}", number):
        number = "+1" + number
    elif re.fullmatch(r"1\d{10}", number):
        number = "+" + number
    if not E164.fullmatch(number) or (number.startswith("+1") and len(number) != 12):
        return ""
    return number


def checked(form: Form, numbers: tuple[str, ...], services: tuple[str, ...]) -> Order:
    """The order in a form.

    Raises:
        ApiError: with the code the provider refuses it with.
    """
    service = messaging_service(one(form, "MessagingServiceSid"), services)
    media = len([url for url in form.get("MediaUrl", []) if url])
    to = recipient(one(form, "To"))
    return Order(
        to=to,
        sender=sender(one(form, "From"), to, service, numbers),
        service=service,
        body=text(one(form, "Body"), media),
        callback=callback_url(one(form, "StatusCallback")),
        validity=validity(one(form, "ValidityPeriod")),
        media=media,
        send_at=scheduled(form, service),
    )


def recipient(given: str) -> str:
    if not given.strip():
        raise ApiError(21604)
    if not (number := e164(given)):
        raise ApiError(21211, detail=f"The 'To' number {given[:20]!r} is not a valid phone number.")
    return number


def messaging_service(sid: str, services: tuple[str, ...]) -> str:
    if sid and not SERVICE.fullmatch(sid):
        raise ApiError(21705)
    if sid and services and sid not in services:
        raise ApiError(21701)
    return sid


def sender(given: str, to: str, service: str, numbers: tuple[str, ...]) -> str:
    """The sender asked for; "" leaves the choice to the service."""
    if not given.strip():
        if service:
            return ""
        raise ApiError(21603)
    if not (number := e164(given)):
        raise ApiError(21212)
    if number == to:
        raise ApiError(21266)
    if number not in numbers:
        raise ApiError(21659, detail=f"The 'From' number {number} does not belong to this account.")
    return number


def text(body: str, media: int) -> str:
    if not body and not media:
        raise ApiError(21602)
    if len(body) > LONGEST_BODY:
        raise ApiError(21617)
    return body


def callback_url(url: str) -> str:
    """A http(s) address whose host has no underscore, or "" when none was given."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and HOST.fullmatch(parts.hostname or "") and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ApiError(21609, detail=f"The 'StatusCallback' address {url[:200]!r} is not valid.")
    return url


def validity(given: str) -> int:
    if not given:
        return LONGEST_VALIDITY
    try:
        seconds = int(given)
    except ValueError:
        raise ApiError(21624) from None
    if not 1 <= seconds <= LONGEST_VALIDITY:
        raise ApiError(21625)
    return seconds


def scheduled(form: Form, service: str) -> float | None:
    """The moment of a scheduled message; only a service schedules."""
    if one(form, "ScheduleType") != "fixed":
        return None
    try:
        at = datetime.fromisoformat(one(form, "SendAt"))
    except ValueError:
        raise ApiError(20001, detail="'SendAt' is not a date and time of ISO 8601.") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not service or at.timestamp() < time.time():
        raise ApiError(20001, detail="Only a messaging service schedules, and only for later.")
    return at.timestamp()
