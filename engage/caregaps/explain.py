"""A gap explains itself, from the expressions that found it and the evidence it keeps: English and Spanish.

What a gap is stands as the last run stored it; why is asked afresh of the record, for this one patient. Where the record
has changed since, that is said: staff must not call about what was done this morning.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from engage.caregaps.algebra import Proof, Question
from engage.caregaps.marks import Mark
from engage.caregaps.measure import Group, Measure
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap
from engage.caregaps.period import Period
from engage.caregaps.telling import Telling
from engage.caregaps.vocabulary import MissingValueSet
from engage.caregaps.words import Words, listed
from engage.lib import clock
from engage.records.models import Event

LABELS = {
    "why_in": Words("Why in", "Por qué se incluye"),
    "looked_for": Words("Looked for", "Se buscó"),
    "last_fact": Words("Last fact", "Último dato"),
    "left_out": Words("Why it does not apply", "Por qué no corresponde"),
    "shown_by": Words("Shown by", "Lo muestra"),
    "due": Words("Due since", "Pendiente desde"),
    "closes": Words("Would close it", "Se cerraría con"),
    "both": Words("Looked for; closes it", "Se buscó; lo cierra"),
}


@dataclass(frozen=True)
class Explanation:
    """Why a gap is as it is, each part a phrase or sentence for a person; `due_since` is a day.

    `news`: what the record has had since the last run that will change this gap, "" when nothing.
    `lines`: (label, phrases) of everything else, in the order to be read.
    """

    sentence: str
    why_in: str
    looked_for: str
    last_fact: str
    due_since: date | None
    closes: list[str] = field(default_factory=list)
    news: str = ""
    lines: list[tuple[str, list[str]]] = field(default_factory=list)


class Reading:
    """One patient's record, read once for all of their gaps and both languages."""

    def __init__(self, gaps: Iterable[CareGap] = ()) -> None:
        self.questions: dict[tuple[int, date], Question] = {}
        self.events: dict[int, Event] = {}
        self.fetch(gap.last_event_id for gap in gaps)

    def question(self, gap: CareGap) -> Question:
        """The nightly question about this one patient."""
        key = (gap.patient_id, gap.period_start)
        if key not in self.questions:
            period = Period.of(gap.period_start)
            as_of = min(max(clock.today(), period.start), period.end)
            self.questions[key] = Question.nightly(period, as_of, [gap.patient_id])
        return self.questions[key]

    def fetch(self, ids: Iterable[int | None]) -> None:
        """Reads these events with their sources, unless they are here."""
        wanted = {pk for pk in ids if pk} - set(self.events)
        if wanted:
            self.events |= Event.objects.select_related("source").in_bulk(wanted)

    def of(self, proofs: Iterable[Proof]) -> list[Proof]:
        """The same facts, their events read."""
        proofs = list(proofs)
        self.fetch(Mark.read(mark).event for mark, _ in proofs)
        return proofs

    def explain(self, gap: CareGap, language: str = "en") -> Explanation:
        """Everything about one gap. Where a value set is missing, its sentence stands instead: the page opens."""
        measure, group = definition(gap)
        if measure is None or group is None:
            return Explanation(gap.measure, "", "", "", gap.due_since)
        try:
            return explained(Telling(gap, measure, group, self.question(gap), self, language))
        except MissingValueSet as missing:
            return Explanation(str(missing), "", "", "", gap.due_since)


def explain(gap: CareGap, language: str = "en") -> Explanation:
    """Everything about one gap, asked afresh for this one patient (a dozen small queries)."""
    return Reading([gap]).explain(gap, language)


def explain_all(gaps: Iterable[CareGap], *languages: str) -> list[tuple[Any, ...]]:
    """(gap, its explanation in each language) for the gaps of one patient, from one reading of the record."""
    gaps = list(gaps)
    reading = Reading(gaps)
    return [(gap, *(reading.explain(gap, language) for language in languages)) for gap in gaps]


def sentence(gap: CareGap, language: str = "en") -> str:
    """One sentence: "Last mammogram 3 Feb 2023; due since 1 Jan 2025." """
    return explain(gap, language).sentence


def explained(telling: Telling) -> Explanation:
    parts: dict[str, list[str]] = {
        "why_in": telling.why_in(),
        "left_out": telling.left_out(),
        "looked_for": telling.looked_for(),
        "shown_by": telling.shown_by(),
        "last_fact": telling.last_fact(),
        "due": telling.due(),
        "closes": telling.closes(),
    }
    looked_for = listed(parts["looked_for"], telling.language)
    told = dict(parts)
    if told["closes"] == told["looked_for"]:
        told = {("both" if name == "looked_for" else name): p for name, p in told.items() if name != "closes"}
    return Explanation(
        sentence=telling.sentence(),
        why_in=" ".join(parts["why_in"]),
        looked_for=looked_for,
        last_fact=" ".join(parts["last_fact"]),
        due_since=telling.gap.due_since,
        closes=parts["closes"],
        news=telling.news(),
        lines=[(LABELS[name][telling.language], phrases) for name, phrases in told.items() if phrases],
    )


def definition(gap: CareGap) -> tuple[Measure | None, Group | None]:
    """The measure and the group of its rules in the gap's year."""
    measure = MEASURES.get(gap.measure)
    groups = measure.rules(gap.period_start.year).groups if measure else ()
    return measure, next((g for g in groups if g.number == gap.group), None)
