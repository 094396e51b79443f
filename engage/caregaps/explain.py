"""A gap explains itself, from the expressions that found it and the evidence it keeps: English and Spanish."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from engage.caregaps.algebra import Question
from engage.caregaps.facts import Facts
from engage.caregaps.measure import Group, Measure
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap
from engage.caregaps.period import Period
from engage.caregaps.vocabulary import MissingValueSet
from engage.caregaps.words import Words, capital, day_text, listed
from engage.lib import clock
from engage.records.models import Event

Status = CareGap.Status
NONE_ON_RECORD = Words("No {what} on record", "No hay {what} en el expediente")
LAST = Words("Last {what}{comma} {day}", "Último registro: {what}, {day}")
DUE = Words("due since {day}", "pendiente desde el {day}")
PUT_OFF = Words("Put off until {day}", "Aplazado hasta el {day}")
BY_RECORD = Words("The record shows {fact}", "El expediente muestra: {fact}")
BY_STAFF = Words("Recorded by staff: {fact} ({known})", "Registrado por el personal: {fact} ({known})")
LEFT = Words("The measure no longer includes this patient", "La medida ya no incluye a este paciente")
APPLIES_NOT = Words("Does not apply: {why}", "No corresponde: {why}")
SETTLED = Words("No longer due", "Ya no está pendiente")
KNOWN = {
    "patient_says": Words("the patient says so", "lo dice el paciente"),
    "report_seen": Words("the report was seen", "se vio el informe"),
    "other_clinic": Words("another clinic confirmed it", "otra clínica lo confirmó"),
}


@dataclass(frozen=True)
class Explanation:
    """Why a gap is as it is, each part a phrase or sentence for a person; `due_since` is a day."""

    sentence: str
    why_in: str
    looked_for: str
    last_fact: str
    due_since: date | None
    closes: list[str] = field(default_factory=list)


def explain(gap: CareGap, language: str = "en") -> Explanation:
    """Everything about one gap, asked afresh for this one patient (a dozen small queries).

    Where a value set is missing, its sentence stands instead: a page about a patient opens all the same.
    """
    measure, group = definition(gap)
    if measure is None or group is None:
        return Explanation(gap.measure, "", "", "", gap.due_since)
    try:
        return explained(gap, group, language)
    except MissingValueSet as missing:
        return Explanation(str(missing), "", "", "", gap.due_since)


def explained(gap: CareGap, group: Group, language: str) -> Explanation:
    question = question_for(gap)
    why = listed(group.population.why(question, language), language, Words("and", "y"))
    looked_for = listed(group.numerator.sought(question, language), language)
    return Explanation(
        sentence=sentence(gap, language),
        why_in=capital(why),
        looked_for=capital(looked_for),
        last_fact=last_fact(gap, group, language),
        due_since=gap.due_since,
        closes=[capital(phrase) for phrase in group.numerator.sought(question, language)],
    )


def sentence(gap: CareGap, language: str = "en") -> str:
    """One sentence from the stored evidence alone: "Last mammogram 3 Feb 2023; due since 1 Jan 2025." """
    _, group = definition(gap)
    if group is None:
        return ""
    if gap.status == Status.EXCLUDED:
        return APPLIES_NOT.format(why=why_excluded(gap, group, language))[language] + "."
    if gap.status == Status.CLOSED:
        return closed(gap, group, language) + "."
    due = DUE.format(day=day_text(gap.due_since, language))[language] if gap.due_since else ""
    parts = [last_or_none(gap, group, language), due]
    if gap.status == Status.DEFERRED and gap.deferred_until:
        parts.insert(0, PUT_OFF.format(day=day_text(gap.deferred_until, language))[language])
    return "; ".join(part for part in parts if part) + "."


def definition(gap: CareGap) -> tuple[Measure | None, Group | None]:
    """The measure and the group of its rules in the gap's year."""
    measure = MEASURES.get(gap.measure)
    groups = measure.rules(gap.period_start.year).groups if measure else ()
    return measure, next((g for g in groups if g.number == gap.group), None)


def question_for(gap: CareGap) -> Question:
    """The nightly question about this one patient."""
    period = Period.of(gap.period_start)
    as_of = min(max(clock.today(), period.start), period.end)
    return Question(period, as_of=as_of, recent_visits=True, patients=[gap.patient_id])


# --- parts of a sentence -----------------------------------------------------------------------------------------
def last_or_none(gap: CareGap, group: Group, language: str) -> str:
    fact = gap.evidence.get("last")
    leaves = list(group.numerator.facts())
    if not fact:
        names = listed((leaf.name(language) for leaf in leaves), language)
        return NONE_ON_RECORD.format(what=names)[language]
    leaf = leaf_of(fact, leaves)
    value = value_text(gap.last_event) if leaf and gap.last_event_id else ""
    what = f"{leaf.name(language) if leaf else fact['what']}{' ' + value if value else ''}"
    day = day_text(date.fromisoformat(fact["day"]), language) if fact.get("day") else "?"
    return LAST.format(what=what, day=day, comma="," if value else "")[language]


def why_excluded(gap: CareGap, group: Group, language: str) -> str:
    reasons = (*group.exclusions, *group.exceptions)
    reason = next((r for r in reasons if r.slug == gap.evidence.get("excluded")), None)
    if reason is None:
        return "?"
    told = fact_text(gap.evidence.get("fact"), list(reason.patients.facts()), language)
    name = reason.words[language]
    return told if told.startswith(name) else f"{name} ({told})" if told else name


def closed(gap: CareGap, group: Group, language: str) -> str:
    if gap.closed_by == CareGap.ClosedBy.STAFF:
        return closed_by_staff(gap, language)
    if gap.closed_by == CareGap.ClosedBy.RECORD:
        told = fact_text(gap.evidence.get("fact"), list(group.numerator.facts()), language)
        return BY_RECORD.format(fact=told)[language] if told else SETTLED[language]
    return LEFT[language]


def closed_by_staff(gap: CareGap, language: str) -> str:
    closure = gap.closures.filter(withdrawn_at=None).order_by("-pk").first()
    measure = MEASURES[gap.measure]
    closer = measure.closer(closure.what, gap.group) if closure else None
    if closure is None or closer is None:
        return SETTLED[language]
    fact = f"{closer.branch.name(language)}, {day_text(closure.done_on, language, closure.precision)}"
    return BY_STAFF.format(fact=fact, known=KNOWN[closure.known_by][language])[language]


def last_fact(gap: CareGap, group: Group, language: str) -> str:
    """The last relevant fact with its day, value and source."""
    leaves = [*group.numerator.facts(), *(f for r in group.exclusions for f in r.patients.facts())]
    told = fact_text(gap.evidence.get("last") or gap.evidence.get("fact"), leaves, language)
    event = gap.last_event if told else None
    if event is None:
        return capital(told)
    value = value_text(event)
    source = Words("source", "fuente")[language]
    return capital(f"{told}{': ' + value if value else ''} ({source}: {event.source.name})")


def fact_text(fact: dict[str, Any] | None, leaves: list[Facts], language: str) -> str:
    """ "colonoscopy on 3 Feb 2023", or "" without a fact."""
    leaf = leaf_of(fact, leaves) if fact else None
    if fact is None or leaf is None:
        return ""
    return leaf.told(date.fromisoformat(fact["day"]) if fact.get("day") else None, language)


def leaf_of(fact: dict[str, Any], leaves: list[Facts]) -> Facts | None:
    return next((leaf for leaf in leaves if leaf.tag == fact.get("what")), None)


def value_text(event: Event | None) -> str:
    """ "152/95 mm Hg", "7.4 %" or "" when there is no number."""
    if event is None or event.value is None:
        return ""
    second = f"/{event.value2:g}" if event.value2 is not None else ""
    return f"{event.value:g}{second} {event.unit.replace('mm[Hg]', 'mm Hg')}".strip()
