"""Calls the product's webhooks as the provider does: form-encoded, signed over the public URL, tried again."""

import asyncio
import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from twilio.request_validator import RequestValidator

BODY_KEPT = 64 * 1024
PLAUSIBLE = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000), "rc": (0, 5)}


@dataclass(slots=True)
class Policy:
    """How often and how long; the provider's defaults, changed by the fragment of the URL (`#rc=5&rp=all`)."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0
    retries: int = 1
    on: frozenset[str] = frozenset({"ct"})


@dataclass(slots=True)
class Outcome:
    """`status` is the last HTTP status, 0 when there was none; `tries` counts the requests that were made."""

    status: int
    body: str
    tries: int
    error: str = ""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


def policy_of(fragment: str) -> Policy:
    """Reads a fragment; values outside the provider's limits are left at its defaults."""
    words = dict(parse_qsl(fragment))
    number = {}
    for key, (low, high) in PLAUSIBLE.items():
        if re.fullmatch(r"\d{1,5}", words.get(key, "")) and low <= int(words[key]) <= high:
            number[key] = int(words[key])
    return Policy(
        connect=number.get("ct", 5_000) / 1000,
        read=number.get("rt", 15_000) / 1000,
        total=number.get("tt", 15_000) / 1000,
        retries=number.get("rc", 1),
        on=frozenset(words.get("rp", "ct").split(",")),
    )


def retried(outcome: Outcome, on: frozenset[str]) -> bool:
    """Whether the policy tries again: ct connecting, rt reading, 4xx, 5xx, all."""
    kind = outcome.error if not outcome.status else f"{outcome.status // 100}xx"
    return not outcome.good and ("all" in on or kind in on)


class Caller:
    """One pool of connections for every callback and every inbound text."""

    def __init__(self, token: str, doors: tuple[tuple[str, str], ...] = ()) -> None:
        self.validator = RequestValidator(token)
        self.doors = doors
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"},
        )

    async def close(self) -> None:
        await self.session.close()

    def sign(self, url: str, form: dict[str, str]) -> str:
        """The signature for the public URL, exactly as it was given, and the form with its blanks."""
        return str(self.validator.compute_signature(url, form))

    def door(self, url: str) -> str:
        """Where a public URL is really reached: what a reverse proxy would do."""
        for public, local in self.doors:
            if url == public or url.startswith((f"{public}/", f"{public}?")):
                return local + url[len(public) :]
        return url

    async def post(self, url: str, form: dict[str, str], *, signature: str | None = None) -> Outcome:
        """One event, with its retries inside the total time; every try carries the same idempotency token."""
        address, _, fragment = url.partition("#")
        policy = policy_of(fragment)
        headers = {"I-Twilio-Idempotency-Token": os.urandom(16).hex()}
        made = self.sign(address, form) if signature is None else signature
        if made:
            headers["X-Twilio-Signature"] = made
        if self.door(address) != address:
            headers["Host"] = urlsplit(address).netloc
        return await self._tries(self.door(address), form, headers, policy)

    async def _tries(
        self, url: str, form: dict[str, str], headers: dict[str, str], policy: Policy
    ) -> Outcome:
        loop = asyncio.get_running_loop()
        end = loop.time() + policy.total
        outcome = Outcome(0, "", 0, "ct")
        for tried in range(1, policy.retries + 2):
            left = end - loop.time()
            if left <= 0:
                break
            outcome = await self._once(url, form, headers, policy, left)
            outcome.tries = tried
            if not retried(outcome, policy.on):
                break
        return outcome

    async def _once(
        self, url: str, form: dict[str, str], headers: dict[str, str], policy: Policy, left: float
    ) -> Outcome:
        timeout = aiohttp.ClientTimeout(total=left, sock_connect=policy.connect, sock_read=policy.read)
        words: dict[str, Any] = {"data": form, "headers": headers, "timeout": timeout}
        try:
            async with self.session.post(url, allow_redirects=False, **words) as answer:
                body = await answer.content.read(BODY_KEPT)
                return Outcome(answer.status, body.decode(errors="replace"), 1)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Outcome(0, "", 1, "ct")
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return Outcome(0, "", 1, "rt")
