"""The gate: the only way to a transport, for campaigns, staff and automatic answers alike.

It runs when a message is queued and again at every claim, in the claim's own transaction. Its verdict carries each check
and what was found, and is kept on the message, so that a person can read why it was sent or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engage.accounts.models import Clinic, User
from engage.lib import clock
from engage.messaging import checks
from engage.messaging.evidence import Evidence, gather
from engage.messaging.models import Lane, Message
from engage.messaging.windows import Place, opening
from engage.patients.models import Channel, ContactPoint, Patient


@dataclass(frozen=True)
class Verdict:
    """`why` is one sentence for a person; `checks` is every check that ran: {check, ok, found}."""

    code: str
    why: str
    checks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def allowed(self) -> bool:
        return isinstance(self, Allowed)

    def record(self, at: datetime) -> dict[str, Any]:
        """What is stored on the message."""
        return {"code": self.code, "why": self.why, "at": at.isoformat(), "checks": self.checks}


@dataclass(frozen=True)
class Allowed(Verdict):
    """May go now, and must have arrived by `closes_at` (business time; None: at any hour)."""

    closes_at: datetime | None = None


@dataclass(frozen=True)
class Held(Verdict):
    """Later: not before `until` (business time); None: until somebody lets it go on (a pause)."""

    until: datetime | None = None


@dataclass(frozen=True)
class Refused(Verdict):
    """Not at all."""


def decide(message: Message, now: datetime | None = None) -> Verdict:
    """Judges one message as it is now; writes nothing."""
    return decide_many([message], now)[0]


def decide_many(messages: Sequence[Message], now: datetime | None = None) -> list[Verdict]:
    """Judges a micro-batch with three queries in all; a message that is allowed counts for those after it.

    For a constant number of queries the messages come with patient, contact_point, stream, clinic, template and
    reply_to selected. A message that cannot be judged is refused alone (code "gate_failed").
    """
    evidence = gather(messages, now or clock.now())
    return [_judge_alone(message, evidence) for message in messages]


def consider(
    patient: Patient,
    *,
    channel: str = Channel.SMS,
    automated: bool = True,
    clinic: Clinic | None = None,
    author: User | None = None,
    contact_point: ContactPoint | None = None,
) -> Verdict:
    """What the gate would say now to an ordinary message to this patient; for previews and the composer."""
    point = contact_point or pick_point(patient, channel)
    message = Message(
        patient=patient,
        contact_point=point,
        address=point.value if point else "",
        channel=channel,
        clinic=clinic or patient.clinic,
        lane=Lane.BULK if automated else Lane.STAFF,
        body="-",
        author=author,
        created_at=clock.now(),
    )
    if not automated and author is None:
        message.author_id = 0  # a person, whoever it will be
    return decide(message)


def pick_point(patient: Patient, channel: str) -> ContactPoint | None:
    """The contact point a message would go to: the first usable by rank; else the first, whose state says why not."""
    system = ContactPoint.System.EMAIL if channel == Channel.EMAIL else ContactPoint.System.PHONE
    points = sorted(
        (p for p in patient.contact_points.all() if p.system == system), key=lambda p: (p.rank, p.pk)
    )
    usable = (p for p in points if checks.point_problem(p) is None and checks.permitted(p, channel))
    return next(usable, points[0] if points else None)


def _judge_alone(message: Message, evidence: Evidence) -> Verdict:
    try:
        verdict = judge(message, evidence)
    except Exception as error:
        # Fails closed, and alone: a poisoned row must not hold up its batch.
        return Refused("gate_failed", f"The gate could not judge this message ({type(error).__name__}).")
    if verdict.allowed:
        evidence.admit(message)
    return verdict


def judge(message: Message, evidence: Evidence) -> Verdict:
    """Every check in order; the first refusal ends it, holds are gathered and the latest counts."""
    log: list[dict[str, Any]] = []
    holds: list[checks.Found] = []
    for check in checks.ALL:
        found = check(message, evidence)
        if found is None:
            continue
        log.append({"check": found.check, "ok": not (found.refuses or found.holds), "found": found.found})
        if found.refuses:
            return Refused(found.refuses, found.found, log)
        if found.holds:
            holds.append(found)
    return _timed(message, evidence, holds, log)


def _timed(
    message: Message, evidence: Evidence, holds: list[checks.Found], log: list[dict[str, Any]]
) -> Verdict:
    """The hours of the recipient, from the moment on at which every other hold is over."""
    waiting = next((h for h in holds if h.until is None), None)
    if waiting is not None:
        return Held(waiting.holds, waiting.found, log)
    last = max(holds, key=lambda h: h.until or evidence.now, default=None)
    earliest = last.until if last and last.until else evidence.now
    place = checks.place_of(message, evidence)
    if place is None:
        log.append({"check": "hours", "ok": True, "found": "Hours do not apply to this message."})
        return Held(last.holds, last.found, log, earliest) if last else Allowed("allowed", "May go.", log)
    return _in_hours(place, earliest, last, log)


def _in_hours(
    place: Place, earliest: datetime, last: checks.Found | None, log: list[dict[str, Any]]
) -> Verdict:
    found = opening(place, earliest)
    zones = " and ".join(place.zones)
    if found is None:
        why = f"There is no permitted hour within two weeks in {zones}."
        log.append({"check": "hours", "ok": False, "found": why})
        return Refused("no_permitted_hour", why, log)
    starts, ends = found
    now_open = last is None and starts <= earliest
    said = f"Permitted until {checks.local(ends, place)}." if now_open else checks.quiet(starts, place)
    log.append({"check": "hours", "ok": now_open, "found": f"{said} Zone: {zones}."})
    if now_open:
        return Allowed("allowed", f"May go: permitted until {checks.local(ends, place)}.", log, ends)
    if last is not None:
        return Held(last.holds, last.found, log, starts)
    return Held("quiet_hours", said, log, starts)
