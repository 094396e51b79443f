"""One-off messages from another system, as JSON Lines: read, checked, and handed to the same gate as everything else."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import DataError, transaction

from engage.lib import phone, text
from engage.messaging import actions, safety
from engage.messaging.models import Lane, Message
from engage.patients.models import Channel, ContactPoint, Patient

LANES = {"urgent": Lane.URGENT, "staff": Lane.STAFF, "bulk": Lane.BULK}
KNOWN = {"patient", "to", "channel", "body", "key", "not_before", "expires_at", "lane", "source"}
LONGEST_LINE = 64 * 1024
LONGEST_KEY = 80
LONGEST_SOURCE = 23  # with the key 110 characters at most: a second try adds its own ending to them
# Keys the product makes for itself; a source of that name could take the place of a crisis reply, or of a reply heard.
OURS = frozenset({"in", "alert", "campaign", "staff", "resent", "demo", *(w.key for w in safety.WORDINGS)})
# Beyond these a date means "ever" or "never", and a week more would be a year that no calendar has.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
CHUNK = 200  # lines in one transaction
Progress = Callable[[int], None]


class LineError(ValueError):
    """Why a line is refused; the sentence is what the counts are kept by."""


@dataclass
class Outcome:
    """What became of a file. `first` names a line for each reason."""

    queued: int = 0
    repeated: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: str, line: int) -> None:
        self.refused[reason] += 1
        self.first.setdefault(reason, line)

    def summary(self) -> dict[str, Any]:
        return {"queued": self.queued, "repeated": self.repeated, "refused": dict(self.refused)}


def take_in(lines: Iterable[bytes], source: str, progress: Progress | None = None) -> Outcome:
    """Queues what may be queued. Safe to repeat: a key of the same source queues nothing the second time."""
    outcome = Outcome()
    chunk: list[tuple[int, bytes]] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            chunk.append((number, line))
        if len(chunk) >= CHUNK:
            _take(chunk, source, outcome)
            chunk = []
            if progress:
                progress(number)
    _take(chunk, source, outcome)
    return outcome


def _take(chunk: list[tuple[int, bytes]], source: str, outcome: Outcome) -> None:
    with transaction.atomic():
        for number, line in chunk:
            try:
                with transaction.atomic():
                    _take_line(line, source, outcome, number)
            except LineError as error:
                outcome.refuse(str(error), number)
            except (ValueError, OverflowError, DataError) as error:
                # A line nobody thought of must not undo the good ones beside it.
                outcome.refuse(f"The line could not be used ({type(error).__name__}).", number)


def _take_line(line: bytes, source: str, outcome: Outcome, number: int) -> None:
    facts = parse(line)
    key = f"{source_of(facts, source)}:{facts['key']}"
    if Message.objects.filter(key=key).exists():
        outcome.repeated += 1
        return
    message = actions.queue(**arguments(facts), key=key)
    if message.state in Message.UNSENT:
        outcome.queued += 1
    else:
        outcome.refuse(message.state_reason, number)


def parse(line: bytes) -> dict[str, Any]:
    """The object of one line, its names and kinds checked. Raises LineError."""
    if len(line) > LONGEST_LINE:
        raise LineError("The line is too long.")
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        raise LineError("The line is not JSON.") from None
    if not isinstance(facts, dict):
        raise LineError("The line is not a JSON object.")
    if unknown := sorted(set(facts) - KNOWN):
        raise LineError(f"There is no field “{unknown[0][:40]}”.")
    for name, value in facts.items():
        if value is not None and not isinstance(value, str):
            raise LineError(f"“{name}” must be text.")
        if name != "body" and value and text.clean(value) != value:
            raise LineError(f"“{name}” holds characters that cannot be kept.")
    key = (facts.get("key") or "").strip()
    if not key or len(key) > LONGEST_KEY:
        raise LineError(f"“key” is missing or longer than {LONGEST_KEY} characters.")
    return facts | {"key": key}


def source_of(facts: dict[str, Any], default: str) -> str:
    """The name within which the key is unique. Raises LineError."""
    source: str = (facts.get("source") or default).strip()
    if not source or len(source) > LONGEST_SOURCE or ":" in source or text.clean(source) != source:
        raise LineError(f"“source” is a name of at most {LONGEST_SOURCE} characters without a colon.")
    return f"other-{source}" if source in OURS else source


def arguments(facts: dict[str, Any]) -> dict[str, Any]:
    """What actions.queue is given for one line. Raises LineError."""
    channel = facts.get("channel") or Channel.SMS
    if channel not in Channel.values:
        raise LineError("There is no such channel.")
    lane = LANES.get(facts.get("lane") or "bulk")
    if lane is None:
        raise LineError("“lane” is urgent, staff or bulk.")
    patient, point = recipient(facts, channel)
    return {
        "body": text.clean(facts.get("body") or ""),
        "patient": patient,
        "contact_point": point,
        "channel": channel,
        "lane": lane,
        "not_before": moment(facts, "not_before"),
        "expires_at": moment(facts, "expires_at"),
    }


def recipient(facts: dict[str, Any], channel: str) -> tuple[Patient, ContactPoint | None]:
    """The patient by FHIR id, or by a number that belongs to a known contact point."""
    if facts.get("patient"):
        patient = patient_of(facts["patient"])
        return patient, point_of(patient, facts["to"]) if facts.get("to") else None
    if not facts.get("to"):
        raise LineError("“patient” or “to” is missing.")
    points = list(
        ContactPoint.objects.filter(value=address_of(facts["to"]))
        .select_related("patient__clinic")
        .order_by("pk")
    )
    if not points:
        raise LineError("The number belongs to nobody we know.")
    alive = [
        p for p in points if p.patient.active and not p.patient.deceased and p.patient.merged_into_id is None
    ]
    if len({p.patient_id for p in alive}) > 1:
        raise LineError("Several patients share the number; name the patient.")
    point = (alive or points)[0]
    return point.patient, point


def patient_of(fhir_id: str) -> Patient:
    name = fhir_id.removeprefix("Patient/")
    found = list(Patient.objects.filter(fhir_id=name).select_related("clinic")[:2])
    if not found:
        raise LineError("There is no such patient.")
    if len(found) > 1:
        raise LineError("Several records have this patient id.")
    return found[0]


def point_of(patient: Patient, to: str) -> ContactPoint:
    point = patient.contact_points.filter(value=address_of(to)).first()
    if point is None:
        raise LineError("The number is not this patient's.")
    return point


def address_of(to: str) -> str:
    return to.strip().lower() if "@" in to else phone.parse(to).e164


def moment(facts: dict[str, Any], name: str) -> datetime | None:
    if not facts.get(name):
        return None
    try:
        value = datetime.fromisoformat(facts[name])
    except ValueError:
        raise LineError(f"“{name}” is not an ISO date and time.") from None
    if value.tzinfo is None:
        raise LineError(f"“{name}” has no offset.")
    return min(max(value, EARLIEST), LATEST)
