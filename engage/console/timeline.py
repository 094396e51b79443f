"""Everything that happened with one patient, newest first, with automatic steps folded together."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby

from engage.campaigns.models import Enrollment
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap
from engage.lib import clock
from engage.messaging.models import Message
from engage.patients.models import Consent, Patient
from engage.records.models import NEVER_BEGAN, NEVER_ENDS, Appointment, Event, Kind
from engage.worklist.models import Task

LIMIT = 60  # rows read of each kind; older ones are reached by "earlier"
FACT_TITLES = {
    Kind.ENCOUNTER: "Visit",
    Kind.CONDITION: "Condition recorded",
    Kind.OBSERVATION: "Result",
    Kind.PROCEDURE: "Procedure",
    Kind.DIAGNOSTIC_REPORT: "Report",
    Kind.IMMUNIZATION: "Immunization",
    Kind.MEDICATION_REQUEST: "Prescription",
    Kind.SERVICE_REQUEST: "Order",
    Kind.DEVICE_REQUEST: "Device order",
    Kind.ALLERGY: "Allergy recorded",
    Kind.ADVERSE_EVENT: "Adverse event",
}


@dataclass
class Entry:
    """One line of the timeline. `kind` decides its mark; `folded` holds automatic steps shown on demand."""

    at: datetime
    kind: str  # heard, said, step, task, gap, consent, campaign, record, visit
    title: str
    text: str = ""
    note: str = ""
    href: str = ""
    automatic: bool = False
    date_only: bool = False
    folded: list["Entry"] = field(default_factory=list)


def timeline(patient: Patient, before: datetime | None = None) -> list[Entry]:
    """The newest entries before a moment (now when None); a fixed number of queries."""
    before = before or clock.now() + timedelta(days=3650)
    sources = (messages, tasks, gaps, consents, campaigns, facts, appointments)
    entries = [e for source in sources for e in source(patient, before)]
    entries.sort(key=lambda e: e.at, reverse=True)
    return list(fold(entries[: 2 * LIMIT]))


def fold(entries: list[Entry]) -> Iterator[Entry]:
    """Neighbouring automatic steps become one line, such as "3 reminders, none answered"."""
    for automatic, run in groupby(entries, key=lambda e: e.automatic):
        steps = list(run)
        if not automatic or len(steps) == 1:
            yield from steps
            continue
        texts = sum(e.kind == "said" for e in steps)
        title = (
            f"{texts} automatic texts, none answered"
            if texts == len(steps)
            else f"{len(steps)} automatic steps"
        )
        yield Entry(steps[0].at, "step", title, automatic=True, folded=steps)


def messages(patient: Patient, before: datetime) -> Iterator[Entry]:
    rows = Message.objects.filter(patient=patient, created_at__lt=before).select_related("author")
    for m in rows.order_by("-created_at", "-id")[:LIMIT]:
        if m.direction == Message.Direction.IN:
            yield Entry(m.created_at, "heard", "Patient wrote", m.body or "(no text)")
            continue
        who = m.author.display_name if m.author else "Automatic text"
        note = m.get_state_display() + (f": {m.state_reason}" if m.state_reason else "")
        automatic = m.author is None and not m.safety
        yield Entry(m.created_at, "said", who, m.body, note, f"/messages/{m.pk}/", automatic)


def tasks(patient: Patient, before: datetime) -> Iterator[Entry]:
    rows = Task.objects.filter(patient=patient, created_at__lt=before).select_related("closed_by")
    for task in rows.order_by("-created_at")[:LIMIT]:
        href = f"/worklist/{task.pk}/"
        yield Entry(task.created_at, "task", f"Task: {task.get_reason_display()}", task.summary, href=href)
        if task.closed_at:
            who = task.closed_by.display_name if task.closed_by else "The system"
            title = f"{who} ended it: {task.get_outcome_display()}"
            yield Entry(task.closed_at, "task", title, task.outcome_note, automatic=task.closed_by is None)


def gaps(patient: Patient, before: datetime) -> Iterator[Entry]:
    for gap in CareGap.objects.filter(patient=patient).order_by("-opened_on")[:LIMIT]:
        measure = MEASURES.get(gap.measure)
        name = measure.title.en if measure else gap.measure
        opened = at_noon(gap.opened_on)
        if opened < before:
            yield Entry(opened, "gap", f"Care gap opened: {name}", date_only=True)
        if gap.closed_on and at_noon(gap.closed_on) < before:
            title = f"Care gap closed by {gap.get_closed_by_display().lower()}: {name}"
            yield Entry(at_noon(gap.closed_on), "gap", title, date_only=True)


def consents(patient: Patient, before: datetime) -> Iterator[Entry]:
    numbers = [p.value for p in patient.contact_points.all() if p.value]
    rows = Consent.objects.filter(at__lt=before).filter(patient=patient) | Consent.objects.filter(
        at__lt=before, patient=None, address__in=numbers
    )
    for row in rows.order_by("-at")[:LIMIT]:
        title = f"{row.get_channel_display()}: permission {row.get_decision_display().lower()}"
        told = row.source == Consent.Source.STAFF and row.evidence != row.get_source_display().lower()
        note = (
            f"{row.get_source_display()}: {row.evidence}"
            if told and row.evidence
            else row.get_source_display()
        )
        yield Entry(row.at, "consent", title, note=note, automatic=row.source == "ehr")


def campaigns(patient: Patient, before: datetime) -> Iterator[Entry]:
    rows = Enrollment.objects.filter(patient=patient, enrolled_at__lt=before).select_related("campaign")
    for row in rows.order_by("-enrolled_at")[:LIMIT]:
        if row.state == Enrollment.State.LEFT_OUT:
            title = f"Left out of {row.campaign.name}: {row.get_why_display().lower()}"
            yield Entry(row.enrolled_at, "campaign", title, automatic=True)
            continue
        yield Entry(row.enrolled_at, "campaign", f"Joined {row.campaign.name}", automatic=True)
        if row.ended_at:
            why = row.get_why_display() or row.get_state_display()
            yield Entry(row.ended_at, "campaign", f"Left {row.campaign.name}: {why.lower()}", automatic=True)


def facts(patient: Patient, before: datetime) -> Iterator[Entry]:
    limit = int(before.timestamp()) if before.year < 9000 else NEVER_ENDS
    rows = Event.objects.filter(patient=patient, start_lo__gt=NEVER_BEGAN, start_lo__lt=limit)
    again = [Kind.MEDICATION_PERIOD, Kind.MEDICATION_BOUNDS, Kind.OBSERVATION_NOT_DONE]
    rows = rows.exclude(kind__in=again).select_related("concept", "value_concept")
    for event in rows.order_by("-start_lo")[:LIMIT]:
        at = datetime.fromtimestamp(event.start_lo - event.start_offset * 60, UTC)
        title = FACT_TITLES.get(Kind(event.kind), Kind(event.kind).label)
        yield Entry(at, "record", f"{title}: {event.concept.display}", note=value_text(event), date_only=True)


def value_text(event: Event) -> str:
    """A result in words: "128/82 mm Hg", "6.8 %", "Positive"."""
    unit = event.unit.replace("mm[Hg]", "mm Hg")  # UCUM is for machines
    if event.value is not None and event.value2 is not None:
        return f"{event.value:g}/{event.value2:g} {unit}".strip()
    if event.value is not None:
        return f"{event.value:g} {unit}".strip()
    is_result = event.kind == Kind.OBSERVATION and event.value_concept is not None
    return str(event.value_concept) if is_result else ""


def appointments(patient: Patient, before: datetime) -> Iterator[Entry]:
    rows = Appointment.objects.filter(patient=patient, starts_at__lt=before).order_by("-starts_at")
    for row in rows[:LIMIT]:
        if row.starts_at:
            title = f"Appointment ({row.status})"
            yield Entry(row.starts_at, "visit", title, row.description)


def at_noon(day: object) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)  # type: ignore[arg-type]
