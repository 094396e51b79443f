"""The receipt of a send or a non-send: on what consent, within which hours and limits, in which wording, how often it was
tried, and what the carrier answered. In words for a page, and as rows for an export."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from engage.lib import clock, phone, tables
from engage.messaging import errors, pace, switch, twilio
from engage.messaging.evidence import is_automated
from engage.messaging.models import Attempt, Lane, Message, ProviderEvent, Stream, Template
from engage.patients.models import Consent

CHUNK = 500
WITH = ("patient", "clinic", "template", "author", "stream", "contact_point")
State = Message.State


@dataclass(frozen=True)
class Receipt:
    """One message's receipt. `checks`: the gate's last run; `consents`: what was said about the number, newest first."""

    message: Message
    checks: list[dict[str, Any]]
    judged_at: datetime | None
    consents: list[Consent]
    attempts: list[Attempt]
    reports: list[ProviderEvent]

    @property
    def sent(self) -> bool:
        return self.message.state in (*Message.GONE_OUT, State.SENDING, State.IN_DOUBT, State.NEEDS_REVIEW)

    @property
    def by(self) -> str:
        """Who or what wrote it."""
        return who(self.message)

    @property
    def wording(self) -> str:
        return wording(self.message.template)

    @property
    def cost(self) -> float:
        """Dollars, when the carrier has taken it."""
        return price(self.message.segments) if self.message.accepted_at else 0.0

    @property
    def tries(self) -> list[tuple[Attempt, str]]:
        return [(a, attempt_words(a)) for a in self.attempts]

    @property
    def answers(self) -> list[tuple[ProviderEvent, str]]:
        return [(r, report_words(r)) for r in self.reports]

    @property
    def waits_for(self) -> str:
        return waiting(self.message)


def receipt(message: Message) -> Receipt:
    """Everything kept about one message to a patient."""
    consents = Consent.objects.filter(address=message.address, channel=message.channel)
    return Receipt(
        message,
        list((message.verdict or {}).get("checks", [])),
        judged_at(message),
        list(consents.select_related("recorded_by").order_by("-id")[:20]),
        list(message.attempts.order_by("number")),
        list(message.provider_events.order_by("received_at", "pk")),
    )


def judged_at(message: Message) -> datetime | None:
    at = (message.verdict or {}).get("at")
    return datetime.fromisoformat(at) if at else None


def price(segments: int) -> float:
    """Dollars for so many segments."""
    return float(segments * settings.SEGMENT_PRICE)


def who(message: Message) -> str:
    if message.author is not None:
        return message.author.display_name
    if message.safety:
        return "Automatic answer"
    return f"Campaign: {message.stream.name}" if message.stream else "Automatic"


def wording(template: Template | None) -> str:
    """ "Second reminder, es, version 3, approved by maria on 3 Feb 2026"."""
    if template is None:
        return "Written by hand, or by another system"
    said = f"{template.name}, {template.language}, version {template.version}"
    if template.approved_at is None:
        return f"{said}, not approved"
    return f"{said}, approved by {template.approved_by or 'nobody named'} on {template.approved_at:%-d %b %Y}"


def attempt_words(attempt: Attempt) -> str:
    """ "Refused for good (400): The number is a landline. [21635]"."""
    said = Attempt.Outcome(attempt.outcome).label if attempt.outcome else "Under way, or its end is not known"
    said += f" ({attempt.http_status})" if attempt.http_status else ""
    if attempt.error_code:
        said += f": {errors.sentence(attempt.error_code)} [{attempt.error_code}]"
    if attempt.absent_listings or attempt.unread_listings:
        said += f"; looked up in the carrier's list {attempt.absent_listings + attempt.unread_listings} times"
        said += f", not there {attempt.absent_listings} times" if attempt.absent_listings else ""
    return said


def report_words(event: ProviderEvent) -> str:
    """A report of the carrier's in our words; its own stop at twilio.py."""
    state = twilio.STATES.get(event.status)
    said = str(state.label) if state else "Something we have no word for"
    if event.error_code:
        said += f": {errors.sentence(event.error_code)} [{event.error_code}]"
    return said if event.applied else f"{said} (changed nothing: late, repeated or contradictory)"


def consent_words(row: Consent | None) -> str:
    if row is None:
        return "Nothing is recorded for this number"
    said = f"{row.get_decision_display()} on {row.at:%-d %b %Y}: {row.get_source_display().lower()}"
    return f"{said} ({row.evidence})" if row.evidence else said


def waiting(message: Message) -> str:
    """What a message that may go is still waiting for, "" when it is not waiting."""
    if message.state == State.HELD and message.not_before:
        return f"Until {message.not_before:%-d %b %Y, %H:%M} UTC, when the gate looks again."
    if message.state != State.QUEUED:
        return ""
    if message.stream is not None and message.stream.state == Stream.State.PAUSED:
        return "For somebody to resume what it belongs to."
    if (stop := switch.current()) is not None:
        return f"For sending to go on: {stop.begun_by} stopped it."
    if message.clinic is not None and message.clinic.sending_paused and is_automated(message):
        return "For the clinic to let automatic messages go on."
    if message.lane == Lane.BULK and (state := pace.state_of(twilio.sender())).bulk_full:
        most, on = state.limits.bulk_daily, f"{state.next_day:%-d %b, %H:%M}"
        return f"The day's {most:,} segments are used up; goes from {on} UTC on."
    return "For its turn."


# --- the export ---

COLUMNS = (
    *("message", "created", "clinic", "patient", "channel", "number", "lane", "by", "wording", "about", "segments"),
    *("dollars", "state", "reason", "judged", "consent", "checks", "not_before", "expires", "attempts", "carrier_id"),
    *("accepted", "ended", "error", "reports", "conflict"),
)  # fmt: skip


def rows(messages: QuerySet[Message]) -> Iterator[dict[str, Any]]:
    """One dictionary a message, oldest first, in a fixed number of queries for each chunk; needs no transaction."""
    last = 0
    while chunk := list(_chunk(messages, last)):
        last = chunk[-1].pk
        consents = _consents(chunk)
        yield from (_row(m, consents) for m in chunk)


def _chunk(messages: QuerySet[Message], last: int) -> QuerySet[Message]:
    found = messages.filter(direction=Message.Direction.OUT, pk__gt=last).select_related(*WITH)
    return found.prefetch_related("attempts", "provider_events").order_by("pk")[:CHUNK]


def _consents(chunk: Sequence[Message]) -> dict[tuple[str, str], list[Consent]]:
    found: dict[tuple[str, str], list[Consent]] = defaultdict(list)
    for row in Consent.objects.filter(address__in={m.address for m in chunk}).order_by("id"):
        found[row.address, row.channel].append(row)
    return found


def _row(message: Message, consents: dict[tuple[str, str], list[Consent]]) -> dict[str, Any]:
    moment = message.accepted_at or judged_at(message) or message.created_at
    said = [c for c in consents.get((message.address, message.channel), ()) if c.at <= moment]
    return {
        "message": message.pk,
        "created": iso(message.created_at),
        "clinic": message.clinic.name if message.clinic else "",
        "patient": message.patient_id,
        "channel": message.channel,
        "number": message.address,
        "lane": Lane(message.lane).name.lower(),
        "by": who(message),
        "wording": wording(message.template),
        "about": message.about,
        "segments": message.segments,
        "dollars": round(price(message.segments), 4) if message.accepted_at else 0,
        "state": message.get_state_display(),
        "reason": message.state_reason,
        "judged": (message.verdict or {}).get("at", ""),
        "consent": consent_words(said[-1] if said else None),
        "checks": [c["found"] for c in (message.verdict or {}).get("checks", [])],
        "not_before": iso(message.not_before),
        "expires": iso(message.expires_at),
        "attempts": [
            f"{iso(a.started_at)} {attempt_words(a)}" for a in sorted(message.attempts.all(), key=lambda a: a.number)
        ],
        "carrier_id": message.provider_sid or "",
        "accepted": iso(message.accepted_at),
        "ended": iso(message.done_at),
        "error": message.error_code,
        "reports": [
            f"{iso(r.received_at)} {report_words(r)}"
            for r in sorted(message.provider_events.all(), key=lambda r: (r.received_at, r.pk))
        ],
        "conflict": message.status_conflict,
    }  # fmt: skip


FORMATS = ("jsonl", "csv")


def lines(messages: QuerySet[Message], form: str) -> Iterator[str]:
    """The export as text, a line a message; `form` is one of FORMATS."""
    found = rows(messages)
    if form != "csv":
        return tables.json_lines(found)
    return tables.csv_lines(COLUMNS, (row | {"number": phone.display(row["number"])} for row in found))


def iso(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


def between(since: datetime, until: datetime | None = None) -> QuerySet[Message]:
    """Messages to patients written in a span of business time."""
    found = Message.objects.filter(direction=Message.Direction.OUT, created_at__gte=since)
    return found.filter(created_at__lt=until or clock.now())
