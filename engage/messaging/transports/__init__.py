"""Handing a message to a carrier: what a transport is given, and what it may answer.

A transport has one job. It does not check consent, choose wording or touch the worklist; it never retries, because
nobody else can know whether the carrier took the message.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Parcel(NamedTuple):
    """One attempt, as claimed. `fence` is the monotonic second after which it must not be tried any more."""

    message_id: int
    attempt_id: int
    channel: str
    to: str
    body: str
    token: str  # opaque; the carrier's reports come back with it
    validity: int  # seconds the carrier may keep trying
    fence: float
    lane: int
    automated: bool
    safety: bool = False
    tried: int = 1
    patient_id: int | None = None
    stream_id: int | None = None
    clinic_id: int | None = None
    segments: int = 1


@dataclass(frozen=True, slots=True)
class Accepted:
    """The carrier took it under this id."""

    sid: str
    http: int = 201


@dataclass(frozen=True, slots=True)
class Refused:
    """The carrier will never take it; `code` says why in the carrier's own numbers (see errors.py)."""

    code: str
    why: str
    http: int = 400


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """Proven not taken; may be tried again. `retry_after` in seconds; `lock` stops the sender until a person acts."""

    why: str
    code: str = ""
    http: int | None = None
    retry_after: float | None = None
    slow: bool = False  # the carrier asks for a lower rate
    lock: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Nobody knows whether it was taken."""

    why: str
    http: int | None = None


@dataclass(frozen=True, slots=True)
class NotAttempted:
    """Given back before the try: the lease is nearly over, or somebody said stop."""

    why: str


Answer = Accepted | Refused | NotAccepted | Doubt | NotAttempted


class Transport(Protocol):
    """Sends one parcel; raises nothing."""

    async def send(self, parcel: Parcel) -> Answer: ...

    async def close(self) -> None: ...
