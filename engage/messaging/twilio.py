"""The provider's client and its words, which stop here.

Texts go over a wire of ours, as the very requests the official SDK would make (tests/messaging/test_contract.py), for a
quarter of the cost (docs/decisions/0013). Whatever is asked seldom goes through the SDK itself over one aiohttp session.
Either way: a time-out on every request, no retries (neither the SDK's nor the library's), no proxies from the environment,
and the address of TWILIO_API_BASE_URL.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
import orjson
from django.conf import settings
from twilio.base.exceptions import TwilioException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from engage.messaging.locks import LOCKS
from engage.messaging.models import Message
from engage.messaging.transports import Accepted, Answer, Doubt, NotAccepted, Parcel, Refused
from engage.messaging.wire import Reply, Unreachable, Wire

API = "https://api.twilio.com"
SERVICES = "https://messaging.twilio.com"  # the host that knows which numbers a messaging service has
KEEP_ALIVE = (
    10  # seconds; shorter than the provider's own, so that no request meets a connection it has just closed
)
PAGE, MOST_PAGES = 200, 50  # of the list, for one number
State = Message.State
# The provider's word → our state. A word not here changes nothing.
STATES: dict[str, Message.State] = {
    "accepted": State.ACCEPTED,
    "scheduled": State.ACCEPTED,
    "queued": State.ACCEPTED,
    "sending": State.ACCEPTED,
    "sent": State.SENT,
    "delivered": State.DELIVERED,
    "read": State.DELIVERED,
    "undelivered": State.UNDELIVERED,
    "failed": State.FAILED,
    "canceled": State.FAILED,
}


class TooMany(Exception):
    """429: the carrier took nothing and asks for a lower rate."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("too many requests")
        self.retry_after = retry_after


class ListingError(Exception):
    """The carrier's list could not be read, so nothing is proven by it."""


@dataclass(frozen=True)
class Listed:
    """One message of the carrier's list. `body` is None when the carrier does not keep texts."""

    sid: str
    to: str
    sender: str
    service: str
    body: str | None
    created: datetime
    word: str
    error: str
    inbound: bool


@dataclass(frozen=True)
class Report:
    """A status callback: which message, its state by our words (None: a word we do not know), the error's code."""

    sid: str
    word: str
    state: Message.State | None
    error: str


class Session(AsyncHttpClient):  # type: ignore[misc]
    """The SDK's way out: one keep-alive session, made inside the loop that uses it."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger("engage.messaging.twilio"), True, settings.HTTP_TIMEOUT)
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
                trust_env=False,
            )
        return self._session

    async def request(
        self,
        method: str,
        url: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """One request, tried once; raises what aiohttp raises, and TooMany for a 429."""
        url = where(url)
        if auth:
            headers = {**(headers or {}), "Authorization": aiohttp.encode_basic_auth(*auth)}
        async with self.session().request(
            method,
            url,
            params=params,
            data=data,
            headers=headers,
            allow_redirects=False,
            timeout=limit(method),
        ) as answer:
            if answer.status == 429:
                raise TooMany(seconds(answer.headers.get("Retry-After")))
            return Response(answer.status, await answer.text(), answer.headers)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def where(url: str) -> str:
    """The address of a request of the SDK's at TWILIO_API_BASE_URL; only the provider itself has a second host."""
    base: str = settings.TWILIO_API_BASE_URL
    if url.startswith(SERVICES) and base.endswith(".twilio.com"):
        base = base.replace("//api.", "//messaging.", 1)
    return base + url.removeprefix(API).removeprefix(SERVICES)


def limit(method: str) -> aiohttp.ClientTimeout:
    """A question may take its time; a POST may not, or it would outlive its lease."""
    longest = settings.HTTP_TIMEOUT
    return aiohttp.ClientTimeout(total=4 * longest if method == "GET" else longest, sock_connect=longest / 2)


def seconds(text: str | None) -> float | None:
    try:
        return max(0.0, min(float(text or ""), 3600.0))
    except ValueError:
        return None


def sender() -> str:
    """Our side of every text: the messaging service, or the number."""
    return settings.TWILIO_MESSAGING_SERVICE_SID or settings.TWILIO_FROM


class Form:
    """The form of a text, in the SDK's own order. What is the same in each is encoded once; a token needs no encoding."""

    def __init__(self) -> None:
        service = settings.TWILIO_MESSAGING_SERVICE_SID
        self.callback = urlencode({"StatusCallback": callback_url("")})
        self.sender = urlencode(
            {"MessagingServiceSid": service} if service else {"From": settings.TWILIO_FROM}
        )

    def of(self, parcel: Parcel) -> str:
        return (
            f"To={quote_plus(parcel.to)}&{self.callback}{parcel.token}&ValidityPeriod={parcel.validity}"
            f"&{self.sender}&Body={quote_plus(parcel.body)}"
        )


def callback_url(token: str) -> str:
    return f"{settings.PUBLIC_BASE_URL}/webhooks/twilio/status/{token}"


UNREAD = (TwilioException, TooMany, aiohttp.ClientError, OSError, TimeoutError, ValueError)


class Provider:
    """Sends texts and reads the list; belongs to one event loop."""

    def __init__(self) -> None:
        self.http = Session()
        tokens: list[str] = settings.TWILIO_AUTH_TOKENS
        self.client = Client(
            settings.TWILIO_ACCOUNT_SID,
            tokens[0] if tokens else "",
            http_client=self.http,
            environment={"-": ""},
        )

        headers = self.client.get_headers("POST", {"Accept": "application/json"})
        headers["Authorization"] = aiohttp.encode_basic_auth(*self.client.auth)
        self.wire = Wire(
            settings.TWILIO_API_BASE_URL, headers, seconds=settings.HTTP_TIMEOUT, keep=KEEP_ALIVE
        )
        self.form = Form()
        self.path = f"/2010-04-01/Accounts/{settings.TWILIO_ACCOUNT_SID}/Messages.json"

    async def close(self) -> None:
        await self.wire.close()
        await self.http.close()

    async def text(self, parcel: Parcel) -> Answer:
        """One POST, tried once; every way it can end is one of the five answers."""
        try:
            form = self.form.of(parcel)
        except UnicodeEncodeError:
            return Refused("", "The text holds half a character, which no phone can show.")
        try:
            return answered(await self.wire.post(self.path, form))
        except Exception as error:
            return classified(error)

    async def listed(
        self, *, to: str = "", since: datetime, page_size: int = PAGE, most_pages: int = MOST_PAGES
    ) -> list[Listed]:
        """Every message of the carrier's list created since a moment, newest first; raises ListingError.

        Not narrowed by the date of sending: what waits in the carrier's queue has none yet.
        """
        found: list[Listed] = []
        try:
            page = await self.client.messages.page_async(page_size=page_size, **({"to": to} if to else {}))
            for _ in range(most_pages):
                rows = [listed(row) for row in page]
                found += [r for r in rows if r.created >= since]
                url = page.next_page_url
                if not url or not rows or rows[-1].created < since:
                    return found
                page = await self.client.messages.get_page_async(url)
        except UNREAD as error:
            raise ListingError(type(error).__name__) from error
        raise ListingError("too many pages")

    async def numbers(self) -> list[str]:
        """Those that patients write to: every one of the messaging service, and the one we send from; raises
        ListingError."""
        found = [settings.TWILIO_FROM] if settings.TWILIO_FROM else []
        if settings.TWILIO_MESSAGING_SERVICE_SID:
            service = self.client.messaging.v1.services(settings.TWILIO_MESSAGING_SERVICE_SID)
            try:
                found += [row.phone_number for row in await service.phone_numbers.list_async()]
                found += [row.short_code for row in await service.short_codes.list_async()]
            except UNREAD as error:
                raise ListingError(type(error).__name__) from error
        return list(dict.fromkeys(found))


def listed(row: Any) -> Listed:
    created = row.date_created or datetime.now(UTC)
    return Listed(
        sid=row.sid,
        to=row.to or "",
        sender=row.from_ or "",
        service=row.messaging_service_sid or "",
        body=row.body or None,
        created=created if created.tzinfo else created.replace(tzinfo=UTC),
        word=str(row.status),
        error=str(row.error_code or ""),
        inbound=row.direction == "inbound",
    )


def answered(reply: Reply) -> Answer:
    """What an answer to the POST of a text proves."""
    if reply.status == 429:
        return classified(TooMany(seconds(reply.headers.get("retry-after"))))
    try:
        facts = orjson.loads(reply.body)
    except ValueError:
        facts = None
    facts = facts if isinstance(facts, dict) else {}
    if 200 <= reply.status < 300:
        sid = facts.get("sid")
        if isinstance(sid, str) and sid:
            return Accepted(sid, reply.status)
        return Doubt("The carrier's answer has no id.", reply.status)
    return refusal(reply.status, str(facts.get("code") or reply.status), str(facts.get("message") or ""))


def classified(error: Exception) -> Answer:
    """What an exception proves. When nothing is proven the answer is doubt: never "try again"."""
    if isinstance(error, TooMany):
        return NotAccepted(
            "The carrier asks for a lower rate.", "20429", 429, retry_after=error.retry_after, slow=True
        )
    if isinstance(error, Unreachable):
        return NotAccepted("The carrier cannot be reached.")
    return Doubt(f"No answer from the carrier ({type(error).__name__}).")


def refusal(status: int, code: str, why: str) -> Answer:
    """What an answer other than "taken" proves. `code` is the provider's, or the status where it gave none."""
    if status >= 500 or status < 400 or status in (408, 409, 425):
        return Doubt(f"The carrier answered {status}.", status)
    if status in (401, 403) or code in LOCKS:
        return NotAccepted("The carrier refuses this sender.", code, status, lock=lock_reason(code, status))
    if code == str(status):  # no code of the provider's: something else answers at this address
        said = f"The carrier's address answers {status}."
        return NotAccepted(said, code, status, lock=said)
    return Refused(code, why, status)


def lock_reason(code: str, status: int) -> str:
    return LOCKS.get(code) or f"The carrier refuses our account ({status})."


def read_report(params: Mapping[str, str]) -> Report:
    """The parameters of a status callback."""
    word = params.get("MessageStatus") or params.get("SmsStatus") or ""
    return Report(
        sid=(params.get("MessageSid") or params.get("SmsSid") or "")[:64],
        word=word[:24],
        state=STATES.get(word),
        error=(params.get("ErrorCode") or "")[:10],
    )


def validity(closes_in: float | None) -> int:
    """Seconds the carrier may keep trying: four hours at most, and never past closing (with a margin)."""
    longest = timedelta(hours=4).total_seconds()
    return int(max(5, min(longest, closes_in - 60 if closes_in is not None else longest)))
