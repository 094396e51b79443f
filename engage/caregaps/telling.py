"""One gap in the words of one language: what the run stored, and why, asked of the record as it is now."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engage.caregaps.algebra import AllOf, Patients, Proof, Question
from engage.caregaps.facts import Facts
from engage.caregaps.marks import Mark
from engage.caregaps.measure import Exclusion, Group, Measure
from engage.caregaps.models import CareGap
from engage.caregaps.sorting import attested
from engage.caregaps.words import Words, capital, day_text, listed
from engage.records.models import Event

if TYPE_CHECKING:
    from engage.caregaps.explain import Reading

Status = CareGap.Status
LIVE = (Status.OPEN, Status.DEFERRED)
FEW = 3  # so many facts are told in a sentence; of more only the latest
LEFT = "left"
AND = Words("and", "y")
NONE_ON_RECORD = Words("No {what} on record", "No hay {what} en el expediente")
MISSING = Words("Missing: {what}", "Falta: {what}")
LAST = Words("Last {what}{comma} {day}", "Último registro: {what}, {day}")
DUE = Words("due since {day}", "pendiente desde el {day}")
PUT_OFF = Words("Put off until {day}", "Aplazado hasta el {day}")
BY_RECORD = Words("The record shows {fact}", "El expediente muestra: {fact}")
BY_STAFF = Words("Recorded by staff: {fact} ({known})", "Registrado por el personal: {fact} ({known})")
NO_LONGER = Words("The measure no longer includes this patient", "La medida ya no incluye a este paciente")
ASKS_FOR = Words("{said}: it asks for {what}", "{said}: pide {what}")
DIED = Words("the patient has died", "el paciente ha fallecido")
INACTIVE = Words("the record is not active any more", "el expediente ya no está activo")
APPLIES_NOT = Words("Does not apply: {why}", "No corresponde: {why}")
EXCUSED = Words("Excused: {why}", "Justificado: {why}")
SETTLED = Words("No longer due", "Ya no está pendiente")
SOURCE = Words("source", "fuente")
NEWS = {
    Status.CLOSED: Words(
        "New since the last run: the record shows {fact}. The next run closes this gap.",
        "Nuevo desde la última revisión: el expediente muestra {fact}. La próxima revisión cierra este pendiente.",
    ),
    Status.EXCLUDED: Words(
        "New since the last run: {fact}. The next run takes this gap off.",
        "Nuevo desde la última revisión: {fact}. La próxima revisión retira este pendiente.",
    ),
    LEFT: Words(
        "Since the last run: {fact}. The next run closes this gap.",
        "Desde la última revisión: {fact}. La próxima revisión cierra este pendiente.",
    ),
    Status.OPEN: Words(
        "Since the last run this is due: {fact}. The next run opens this gap.",
        "Desde la última revisión está pendiente: {fact}. La próxima revisión abre este pendiente.",
    ),
}
KNOWN = {
    "patient_says": Words("the patient says so", "lo dice el paciente"),
    "report_seen": Words("the report was seen", "se vio el informe"),
    "other_clinic": Words("another clinic confirmed it", "otra clínica lo confirmó"),
}


@dataclass
class Telling:
    """Asks a question about one patient and says the answers; `reading` has the events with their sources."""

    gap: CareGap
    measure: Measure
    group: Group
    question: Question
    reading: "Reading"
    language: str

    def say(self, words: Words, **values: object) -> str:
        return words.format(**values)[self.language]

    def day(self, day: date, precision: str = "day") -> str:
        return day_text(day, self.language, precision)

    # --- how it stands now --------------------------------------------------------------------------------
    @cached_property
    def hoped(self) -> Patients:
        """What would close the gap: the numerator, or what an inverse one lacks."""
        return getattr(self.group.numerator, "hoped", self.group.numerator)

    @cached_property
    def stands(self) -> str:
        """OPEN, EXCLUDED, CLOSED or LEFT by the record as it is now."""
        patient, who = self.gap.patient_id, self.gap.patient
        counted = self.group.count(self.question)
        if who.deceased or not who.active or who.merged_into_id or patient not in counted.denominator:
            return LEFT
        if patient in counted.excluded | counted.excepted:
            return Status.EXCLUDED
        return Status.CLOSED if patient in counted.met else Status.OPEN

    @cached_property
    def reason(self) -> Exclusion | None:
        """The first reason that holds now."""
        reasons = (*self.group.exclusions, *self.group.exceptions)
        return next((r for r in reasons if self.question.ask(r.patients)), None)

    def proofs(self, expression: Patients) -> list[Proof]:
        """Each fact that puts the patient in the set, once, with its event read."""
        return self.reading.of(dict.fromkeys(expression.proof(self.question)))

    # --- the parts ----------------------------------------------------------------------------------------
    def why_in(self) -> list[str]:
        if not self.question.ask(self.group.population):
            return []
        parts = self.group.population.why(self.question, self.language)
        if self.group.denominator is not None and self.question.ask(self.group.denominator):
            parts += self.group.denominator.why(self.question, self.language)
        return [capital(listed(dict.fromkeys(parts), self.language, AND))] if parts else []

    def looked_for(self) -> list[str]:
        phrases = self.group.numerator.sought(self.question, self.language)
        return [capital(phrase) for phrase in dict.fromkeys(phrases)]

    def left_out(self) -> list[str]:
        """The reason and each of its facts with day and source."""
        if self.gap.status != Status.EXCLUDED or self.stands != Status.EXCLUDED or self.reason is None:
            return []
        facts = [self.with_source(*proof) for proof in self.proofs(self.reason.patients)]
        return [capital(self.reason.words[self.language]), *facts]

    def shown_by(self) -> list[str]:
        if self.gap.status != Status.CLOSED or self.stands != Status.CLOSED:
            return []
        return [self.with_source(*proof) for proof in self.proofs(self.hoped)]

    def last_fact(self) -> list[str]:
        """The last relevant fact with its day, value and source."""
        stored = self.gap.evidence.get("last") or self.gap.evidence.get("fact")
        leaf = self.leaf_of(stored)
        if stored is None or leaf is None:
            return []
        event = self.reading.events.get(stored["event"])
        told = leaf.told(stored_day(stored), self.language)
        return [self.sourced(told, self.value_of(stored, event), event)]

    def due(self) -> list[str]:
        live = self.gap.status in LIVE
        return [self.day(self.gap.due_since)] if live and self.gap.due_since else []

    def closes(self) -> list[str]:
        """What would close an open gap: only what is missing still."""
        if self.gap.status not in LIVE:
            return []
        missing = self.hoped.missing(self.question, self.language)
        phrases = missing or self.hoped.sought(self.question, self.language)
        return [capital(phrase) for phrase in dict.fromkeys(phrases)]

    # --- the sentence -------------------------------------------------------------------------------------
    def sentence(self) -> str:
        if self.gap.status == Status.EXCLUDED:
            return self.excluded() + "."
        if self.gap.status == Status.CLOSED:
            return self.closed() + "."
        parts = [*self.put_off(), *self.missing_parts(), *self.last_or_none()]
        parts += [self.say(DUE, day=self.day(self.gap.due_since))] if self.gap.due_since else []
        return "; ".join(parts) + "."

    def put_off(self) -> list[str]:
        if self.gap.status != Status.DEFERRED or not self.gap.deferred_until:
            return []
        return [self.say(PUT_OFF, day=self.day(self.gap.deferred_until))]

    def missing_parts(self) -> list[str]:
        """Where several things are asked for: those that are missing still."""
        if not isinstance(self.hoped, AllOf):
            return []
        lacking = [part for part in self.hoped.parts if not self.question.ask(part)]
        names = [self.short_name(part) for part in lacking]
        return [self.say(MISSING, what=listed(names, self.language, AND))] if names else []

    def short_name(self, part: Patients) -> str:
        if isinstance(part, Facts):
            return part.name(self.language)
        return listed(part.missing(self.question, self.language), self.language)

    def last_or_none(self) -> list[str]:
        fact = self.gap.evidence.get("last")
        if not fact:
            if isinstance(self.hoped, AllOf):
                return []
            names = dict.fromkeys(leaf.name(self.language) for leaf in self.hoped.facts())
            return [self.say(NONE_ON_RECORD, what=listed(names, self.language))]
        leaf = self.leaf_of(fact)
        value = self.value_of(fact, self.reading.events.get(fact["event"]))
        name = leaf.name(self.language) if leaf else fact["what"]
        day = stored_day(fact)
        what = f"{name} {value}".strip()
        comma = "," if value else ""
        return [self.say(LAST, what=what, day=self.day(day) if day else "?", comma=comma)]

    def excluded(self) -> str:
        """By the reason that holds now, or by the one that was stored."""
        reasons = (*self.group.exclusions, *self.group.exceptions)
        reason = next((r for r in reasons if r.slug == self.gap.evidence.get("excluded")), None)
        if reason is None:
            return self.say(APPLIES_NOT, why="?")
        proofs = self.proofs(reason.patients) if self.question.ask(reason.patients) else []
        told = self.told(proofs) or self.stored_fact(reason.patients)
        name = reason.words[self.language]
        why = told if told.startswith(name) else f"{name} ({told})" if told else name
        return self.say(EXCUSED if reason in self.group.exceptions else APPLIES_NOT, why=why)

    def closed(self) -> str:
        if self.gap.closed_by == CareGap.ClosedBy.STAFF:
            return self.closed_by_staff()
        if self.gap.closed_by == CareGap.ClosedBy.LEFT:
            return self.left()
        proofs = self.proofs(self.hoped) if self.stands == Status.CLOSED else []
        told = self.told(proofs) or self.stored_fact(self.hoped)
        return self.say(BY_RECORD, fact=told) if told else SETTLED[self.language]

    def closed_by_staff(self) -> str:
        closure = self.gap.closures.filter(withdrawn_at=None).order_by("-pk").first()
        closer = self.measure.closer(closure.what) if closure else None
        if closure is None or closer is None:
            return SETTLED[self.language]
        fact = f"{closer.branch.name(self.language)}, {self.day(closure.done_on, closure.precision)}"
        return self.say(BY_STAFF, fact=fact, known=KNOWN[closure.known_by][self.language])

    def left(self) -> str:
        """Why the measure includes the patient no more."""
        said, who = NO_LONGER[self.language], self.gap.patient
        if who.deceased or not who.active or who.merged_into_id:
            return f"{said}: {(DIED if who.deceased else INACTIVE)[self.language]}"
        asked = self.group.population.missing(self.question, self.language)
        if not asked and self.group.denominator is not None:
            asked = self.group.denominator.missing(self.question, self.language)
        return self.say(ASKS_FOR, said=said, what=listed(asked, self.language, AND)) if asked else said

    def news(self) -> str:
        """What the record has had since the last run that will change this gap."""
        live = self.gap.status in LIVE
        if live == (self.stands == Status.OPEN) or (not live and self.vouched()):
            return ""
        if self.stands == LEFT:
            return self.say(NEWS[LEFT], fact=uncapital(self.left()))
        if self.stands == Status.EXCLUDED and self.reason is not None:
            told = self.told(self.proofs(self.reason.patients))
            return self.say(NEWS[Status.EXCLUDED], fact=told or self.reason.words[self.language])
        if self.stands == Status.CLOSED:
            fact = self.told(self.proofs(self.hoped))
            return self.say(NEWS[Status.CLOSED], fact=fact) if fact else ""
        return self.say(NEWS[Status.OPEN], fact=listed(self.closes_now(), self.language))

    def closes_now(self) -> list[str]:
        return list(dict.fromkeys(self.hoped.missing(self.question, self.language)))

    def vouched(self) -> bool:
        """Whether what staff recorded still stands for what the record lacks."""
        return self.gap.patient_id in set(attested(self.measure, self.group.number, self.question))

    # --- facts in words -----------------------------------------------------------------------------------
    def told(self, proofs: list[Proof]) -> str:
        """ "colonoscopy on 3 Feb 2023 and …": a few, or the latest of many."""
        if len(proofs) > FEW:
            proofs = [max(proofs, key=lambda proof: proof[0])]
        facts = [self.fact(*proof) for proof in proofs]
        return listed(dict.fromkeys(facts), self.language, AND)

    def fact(self, mark: int, leaf: Facts) -> str:
        return leaf.narrowed(self.question).told(Mark.read(mark).day, self.language)

    def with_source(self, mark: int, leaf: Facts) -> str:
        event = self.reading.events.get(Mark.read(mark).event)
        return self.sourced(self.fact(mark, leaf), value_text(event), event)

    def sourced(self, told: str, value: str, event: Event | None) -> str:
        source = f" ({SOURCE[self.language]}: {event.source.name})" if event else ""
        return capital(f"{told}{': ' + value if value else ''}{source}")

    def stored_fact(self, expression: Patients) -> str:
        """The fact that the run stored, when the record shows none now."""
        fact = self.gap.evidence.get("fact")
        leaf = next((f for f in expression.facts() if fact and f.tag == fact.get("what")), None)
        return leaf.told(stored_day(fact), self.language) if fact and leaf else ""

    def leaf_of(self, fact: dict[str, Any] | None) -> Facts | None:
        if not fact:
            return None
        reasons = (f for r in (*self.group.exclusions, *self.group.exceptions) for f in r.patients.facts())
        leaves = (*self.hoped.facts(), *reasons)
        return next((leaf for leaf in leaves if leaf.tag == fact.get("what")), None)

    def value_of(self, fact: dict[str, Any], event: Event | None) -> str:
        """The value that decides: that of the fact, or the lowest of its day where the measure looks at that."""
        branches = self.hoped.branches()
        holds = next((holds for leaf, holds in branches if leaf.tag == fact.get("what")), None)
        return (holds.reading(self.question, self.language) if holds else "") or value_text(event)


def stored_day(fact: dict[str, Any]) -> date | None:
    return date.fromisoformat(fact["day"]) if fact.get("day") else None


def uncapital(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def value_text(event: Event | None) -> str:
    """ "152/95 mm Hg", "7.4 %" or "" when there is no number."""
    if event is None or event.value is None:
        return ""
    second = f"/{event.value2:g}" if event.value2 is not None else ""
    return f"{event.value:g}{second} {event.unit.replace('mm[Hg]', 'mm Hg')}".strip()
