"""Many webhooks at once, signed as the carrier signs them, at a rate that waits for nobody."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp
import uvloop
from twilio.request_validator import RequestValidator

from tests.simulator.harness import Carrier

URGENT = "I have chest pain and can't breathe"
WORDS = (
    ["ok thank you", "Yes", "No", "Please call me tomorrow", "who is this?", "Can I move my appointment?"] * 3
    + ["ya me hice la prueba en marzo", "gracias", "I had it done last year at the hospital", "👍", "¿Cuánto cuesta?"]
    + ["STOP"]
)  # fmt: skip


@dataclass(frozen=True)
class Reply:
    sid: str
    number: str
    body: str

    @property
    def path(self) -> str:
        return "/webhooks/twilio/message"

    @property
    def form(self) -> dict[str, str]:
        return {
            "MessageSid": self.sid, "SmsMessageSid": self.sid, "SmsSid": self.sid, "AccountSid": Carrier.account,
            "From": self.number, "To": Carrier.number, "Body": self.body, "NumMedia": "0", "NumSegments": "1",
            "SmsStatus": "received", "ApiVersion": "2010-04-01",
        }  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What became of a text of ours, known by the token of its attempt."""

    sid: str
    token: str
    word: str

    @property
    def path(self) -> str:
        return f"/webhooks/twilio/status/{self.token}"

    @property
    def form(self) -> dict[str, str]:
        return {
            "MessageSid": self.sid, "SmsSid": self.sid, "AccountSid": Carrier.account, "From": Carrier.number,
            "MessageStatus": self.word, "SmsStatus": self.word, "ApiVersion": "2010-04-01",
        }  # fmt: skip


Call = Reply | Report


@dataclass(frozen=True)
class Answered:
    """One webhook: when it was due, how long until its answer (from then on, waiting in line included)."""

    due: float  # as time.time()
    seconds: float
    status: int  # 0: no answer


def sid(n: int) -> str:
    """An id that no text of a test's carrier has: those count from 1."""
    return f"SM{2**64 + n:032x}"


def replies(numbers: Sequence[str], count: int, first: int = 0) -> list[Reply]:
    """Everyday words, from everybody in turn."""
    chance = random.Random(first)
    return [Reply(sid(first + n), numbers[n % len(numbers)], chance.choice(WORDS)) for n in range(count)]


def pour(base: str, wanted: Sequence[Call], per_second: float, tries: int = 1) -> list[Answered]:
    """Each at its time, whatever became of those before; again after an answer of 5xx or none, as carriers can be told.

    All are signed beforehand: on a machine of two cores who calls takes from whom is called.
    """
    letters = [Letter.of(base + call.path, call.form) for call in wanted]
    return uvloop.run(_pour(letters, per_second, tries))


@dataclass(frozen=True)
class Letter:
    """A webhook as it goes over the wire."""

    url: str
    body: bytes
    headers: dict[str, str]

    @classmethod
    def of(cls, url: str, form: dict[str, str]) -> "Letter":
        signature = RequestValidator(Carrier.token).compute_signature(url, form)
        kind = "application/x-www-form-urlencoded"
        return cls(url, urlencode(form).encode(), {"Content-Type": kind, "X-Twilio-Signature": signature})


async def _pour(letters: Sequence[Letter], per_second: float, tries: int) -> list[Answered]:
    began = time.time() + 0.2
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:

        async def one(n: int, letter: Letter) -> Answered:
            due = began + n / per_second
            await asyncio.sleep(max(0.0, due - time.time()))
            status = 0
            for _ in range(tries):
                status = await _post(session, letter)
                if 200 <= status < 500:
                    break
                await asyncio.sleep(1)
            return Answered(due, time.time() - due, status)

        return await asyncio.gather(*(one(n, letter) for n, letter in enumerate(letters)))


async def _post(session: aiohttp.ClientSession, letter: Letter) -> int:
    try:
        async with session.post(letter.url, data=letter.body, headers=letter.headers) as answer:
            await answer.read()
            return answer.status
    except aiohttp.ClientError:
        return 0


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
