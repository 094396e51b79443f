"""The leaves of the algebra: patients who have a fact of a kind, with codes, status and time. One indexed query each."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Self

from django.utils.text import slugify
from pyroaring import BitMap

from engage.caregaps import timing
from engage.caregaps.aging import Aging
from engage.caregaps.algebra import Patients, Proof, Question
from engage.caregaps.marks import Mark, day_told, mark_of
from engage.caregaps.period import Window
from engage.caregaps.relations import Beside, Related
from engage.caregaps.timing import When
from engage.caregaps.units import AtLeast
from engage.caregaps.vocabulary import Codes
from engage.caregaps.words import Words, listed
from engage.records.models import Kind, Status, Trait

# Status filters, measures.md §0.6.
ENCOUNTER_PERFORMED = (
    Status.FINISHED, Status.ARRIVED, Status.TRIAGED, Status.IN_PROGRESS, Status.ON_LEAVE,
)  # fmt: skip
RESULT = (Status.FINAL, Status.AMENDED, Status.CORRECTED)
ORDERED = (Status.ACTIVE, Status.COMPLETED)

PRESCRIPTIONS = (Kind.MEDICATION_REQUEST, Kind.MEDICATION_PERIOD, Kind.MEDICATION_BOUNDS)


@dataclass(frozen=True)
class Facts(Related, Patients):
    """Patients with at least one such fact. Built step by step; each step gives a new expression."""

    kind: Kind
    codes: tuple[Codes, ...]
    statuses: tuple[Status, ...] = ()
    needs: int = 0  # bits of Trait, all of them
    needs_any: int = 0  # bits of Trait, at least one of them
    lacks: int = 0  # bits of Trait, none of them
    values: tuple[Codes, ...] = ()  # the coded value (disposition, body site) is one of these
    amount: AtLeast | None = None  # the value is a number of at least so much
    stays: int = 0  # class bits: not linked to an encounter of such a class
    when: When | None = None
    aged: Aging | None = None  # how old the patient was then
    beside: tuple[Beside, ...] = ()  # other facts of the patient, each in a relation to this one
    times: int = 1  # so many such facts
    slug: str = ""
    words: Words | None = None

    # --- what it is ---------------------------------------------------------------------------------------
    def named(self, slug: str, en: str, es: str) -> Self:
        """What a person calls it; the slug names it in evidence and closures."""
        return replace(self, slug=slug, words=Words(en, es))

    def status(self, *statuses: Status) -> Self:
        return replace(self, statuses=statuses)

    def final(self) -> Self:
        """A result: final, amended or corrected."""
        return self.status(*RESULT)

    def completed(self) -> Self:
        return self.status(Status.COMPLETED)

    def ordered(self) -> Self:
        """An order in force or fulfilled."""
        return replace(self, statuses=ORDERED, needs=self.needs | Trait.INTENT_ORDER)

    def survey(self) -> Self:
        return replace(self.final(), needs=self.needs | Trait.SURVEY)

    def laboratory(self) -> Self:
        return replace(self.final(), needs=self.needs | Trait.LABORATORY)

    def imaging(self) -> Self:
        return replace(self.final(), needs=self.needs | Trait.IMAGING)

    def exam(self) -> Self:
        return replace(self.final(), needs=self.needs | Trait.EXAM)

    def problem_or_concern(self) -> Self:
        """On the problem list, or a health concern: not only the diagnosis of a visit (measures.md §13.0)."""
        return replace(self, needs_any=Trait.PROBLEM_LIST | Trait.HEALTH_CONCERN)

    def with_a_value(self) -> Self:
        return replace(self, needs=self.needs | Trait.HAS_VALUE)

    def valued(self, *values: Codes) -> Self:
        """Its coded value is one of these."""
        return replace(self, values=values)

    def of_at_least(self, amount: AtLeast) -> Self:
        """Its value is a number of at least so much."""
        return replace(self, amount=amount)

    def discharged_to(self, *dispositions: Codes) -> Self:
        return replace(self, values=dispositions)

    def at_site(self, site: Codes) -> Self:
        return replace(self, values=(site,))

    def not_refused(self) -> Self:
        """doNotPerform is not true."""
        return replace(self, lacks=self.lacks | Trait.NOT_DONE)

    def not_refuted(self) -> Self:
        return replace(self, lacks=self.lacks | Trait.REFUTED)

    def outside_stays(self, classes: int) -> Self:
        """Not linked to an encounter of these classes; a link to nobody does not matter."""
        return replace(self, stays=classes)

    def when_aged(self, youngest: int, oldest: int = 200) -> Self:
        """The patient was that old on the last day of the fact."""
        return replace(self, aged=Aging(youngest, oldest))

    def when_aged_at_start(self, youngest: int, oldest: int = 200) -> Self:
        """The patient was that old on the first day of the fact."""
        return replace(self, aged=Aging(youngest, oldest, at_start=True))

    def at_least(self, times: int) -> Self:
        """So many of them, each its own record."""
        return replace(self, times=times)

    # --- when it was --------------------------------------------------------------------------------------
    def timed(self, condition: timing.Condition, window: Window) -> Self:
        return replace(self, when=When(condition, window))

    def during(self, window: Window) -> Self:
        return self.timed(timing.during, window)

    def ending(self, window: Window) -> Self:
        return self.timed(timing.ending, window)

    def starting(self, window: Window) -> Self:
        return self.timed(timing.starting, window)

    def latest(self, window: Window) -> Self:
        return self.timed(timing.latest, window)

    def overlapping(self, window: Window) -> Self:
        return self.timed(timing.overlapping, window)

    def started_by_end_of(self, window: Window) -> Self:
        return self.timed(timing.started_by, window)

    def started_before(self, window: Window) -> Self:
        """Before the first day of the window."""
        return self.timed(timing.started_before, window)

    def ended_by_end_of(self, window: Window) -> Self:
        return self.timed(timing.ended_by, window)

    def overlapping_instants_of(self, window: Window) -> Self:
        return self.timed(timing.instant_overlapping, window)

    def started_by_last_instant_of(self, window: Window) -> Self:
        return self.timed(timing.instant_started_by, window)

    def started_before_last_instant_of(self, window: Window) -> Self:
        return self.timed(timing.instant_started_before, window)

    def ended_by_last_instant_of(self, window: Window) -> Self:
        return self.timed(timing.instant_ended_by, window)

    def any_time(self) -> Self:
        """The same without conditions on time: what we know of it at all."""
        return replace(self, when=None, beside=())

    # --- asking -------------------------------------------------------------------------------------------
    def evaluate(self, question: Question) -> BitMap:
        if question.patients is not None and self.times == 1:
            return BitMap(question.marks(self))  # one explained: what was found is asked for next
        if self.times > 1:
            source, patient = self.source(question), self.patient(question)
            often = f"GROUP BY {patient} HAVING COUNT(*) >= {self.times}"
            return question.ids(f"SELECT {patient} {source} {often}") if source else BitMap()
        found = BitMap()
        for code in self.codes:  # one query for each: many measures' lists have the same value sets in them
            one = replace(self, codes=(code,))
            if source := one.source(question):
                found |= question.ids(f"SELECT DISTINCT {one.patient(question)} {source}")
        return found

    def marks(self, question: Question, among: BitMap | None = None) -> dict[int, int]:
        """patient id → mark of the latest such fact, of `among` only."""
        source, patient = self.source(question), self.patient(question)
        if not source or (among is not None and not among):
            return {}
        if among is not None and len(among) * len(question.vocabulary.concepts(self.codes)) <= FEW:
            source += f" AND e.patient_id IN ({numbers(among)})"
        found: dict[int, int] = {}
        for rows in question.stream(
            f"SELECT {patient}, MAX({mark_of(self.kind)}) {source} GROUP BY {patient}"
        ):
            found.update(rows if among is None else [row for row in rows if row[0] in among])
        return found

    def patient(self, question: Question) -> str:
        """The patient's column. An index has those of one concept in order; of several SQLite must not hope for that."""
        return "e.patient_id" if len(question.vocabulary.concepts(self.codes)) == 1 else PATIENT

    def source(self, question: Question) -> str:
        """FROM and WHERE of the query; "" when no concept of this database can match."""
        concepts = question.vocabulary.concepts(self.codes)
        values = question.vocabulary.concepts(self.values)
        if not concepts or (self.values and not values):
            return ""
        conditions = [f"e.concept_id {one_of(concepts)}", f"e.kind = {int(self.kind)}"]
        conditions += [f"e.value_concept_id IN ({numbers(values)})"] if values else []
        conditions += self._of_its_own(question) + self._of_its_time(question)
        conditions += [other.sql(question) for other in self.beside]
        only = question.only_patients("e.patient_id")
        return f"FROM {question.events} e WHERE {' AND '.join(conditions)}{only}"

    def _of_its_own(self, question: Question) -> list[str]:
        needs, lacks = self.needs, self.lacks
        if self.kind in PRESCRIPTIONS:
            lacks |= 0 if question.by_reference else Trait.MEDICATION_BY_REFERENCE
            if question.negation_by_profile:
                needs, lacks = by_profile(needs), by_profile(lacks)
        found = [f"e.status IN ({numbers(self.statuses)})"] if self.statuses else []
        found += [f"(e.traits & {needs}) = {needs}"] if needs else []
        found += [f"(e.traits & {self.needs_any}) <> 0"] if self.needs_any else []
        found += [f"(e.traits & {lacks}) = 0"] if lacks else []
        found += [self.amount.sql()] if self.amount else []
        found += [NOT_IN_A_STAY.format(kind=int(Kind.ENCOUNTER), classes=self.stays)] if self.stays else []
        return found

    def _of_its_time(self, question: Question) -> list[str]:
        readable = question.last_readable
        found = [f"e.start_lo <= {readable}"] if readable is not None else []
        if self.when:
            low, high = self.when.window.seconds(question.period, question.as_of)
            found.append(self.when.sql(low, high, self.kind))
        if self.aged:
            found.append(self.aged.sql(self.kind))
        return found

    @cached_property
    def tag(self) -> str:
        """Names the leaf in evidence."""
        return self.slug or slugify(self.codes[0].words.en).replace("-", "_")

    # --- saying -------------------------------------------------------------------------------------------
    def name(self, language: str) -> str:
        return (
            self.words[language] if self.words else listed((c.words[language] for c in self.codes), language)
        )

    def sought(self, question: Question, language: str) -> list[str]:
        if self.when is None:
            return [self.name(language)]
        return [f"{self.name(language)} {self.when.window.words(question.period, question.as_of)[language]}"]

    def why(self, question: Question, language: str) -> list[str]:
        marks = question.marks(self)
        if not marks:
            return []
        day = Mark.read(max(marks.values())).day
        return [self.narrowed(question).told(day, language)]

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        if question.patients is not None:  # one explained: what was found is asked for again
            return {one: (mark, self) for one, mark in question.marks(self).items() if one in among}
        return {patient: (mark, self) for patient, mark in self.marks(question, among).items()}

    def narrowed(self, question: Question) -> Self:
        """The same for the first of several codes that the patient has: "office visit", not a list of all visits."""
        if self.words or len(self.codes) == 1:
            return self
        each = (replace(self, codes=(code,)) for code in self.codes)
        return next((one for one in each if question.marks(one)), self)

    def told(self, day: date | None, language: str) -> str:
        """ "colonoscopy on 3 Feb 2023"."""
        return f"{self.name(language)} {day_told(self.kind, day, language)}".strip()

    def facts(self) -> "Iterator[Facts]":
        yield self

    def covered_until(self, day: date, question: Question) -> int:
        """The last year whose window a fact of that day satisfies."""
        window = self.when.window if self.when else Window()
        return window.covered_until(day, question.period)

    def holds(self, first: date, last: date, question: Question) -> bool:
        """Whether something done between these days would count now (both must lie in the window)."""
        low, high = (self.when.window if self.when else Window()).days(question.period, question.as_of)
        return low <= first and last <= high


FEW = 40_000  # so many look-ups cost less than reading all facts of a kind
# The plus keeps SQLite from walking the index by patient (the whole table) to save itself a sort: four times faster.
PATIENT = "+e.patient_id"
NOT_IN_A_STAY = (
    "(e.encounter = '' OR NOT EXISTS (SELECT 1 FROM records_event stay WHERE stay.source_id = e.source_id"
    " AND stay.kind = {kind} AND stay.fhir_id = e.encounter AND (stay.traits & {classes}) <> 0))"
)


def by_profile(traits: int) -> int:
    """The same bits with the negation by profile in place of any."""
    return traits & ~Trait.NOT_DONE | Trait.NOT_DONE_BY_PROFILE if traits & Trait.NOT_DONE else traits


def numbers(values: object) -> str:
    """Integers for an IN list; sorted, so that a query's text is the same each night."""
    return ",".join(str(int(v)) for v in sorted(values))  # type: ignore[call-overload]


def one_of(values: Collection[int]) -> str:
    """SQL: equal to the one, or in the list."""
    return f"= {numbers(values)}" if len(values) == 1 else f"IN ({numbers(values)})"


# --- Builders ----------------------------------------------------------------------------------------------------
def encounter(*codes: Codes) -> Facts:
    """A visit that took place."""
    return Facts(Kind.ENCOUNTER, codes, ENCOUNTER_PERFORMED)


def condition(*codes: Codes) -> Facts:
    """A diagnosis; its prevalence period is the event's (measures.md §0.5)."""
    return Facts(Kind.CONDITION, codes)


def observation(*codes: Codes) -> Facts:
    return Facts(Kind.OBSERVATION, codes)


def procedure(*codes: Codes) -> Facts:
    """A procedure that was completed."""
    return Facts(Kind.PROCEDURE, codes, (Status.COMPLETED,))


def immunization(*codes: Codes) -> Facts:
    return Facts(Kind.IMMUNIZATION, codes, (Status.COMPLETED,))


def service_order(*codes: Codes) -> Facts:
    """A ServiceRequest: an order in force or fulfilled, dated by authoredOn."""
    return Facts(Kind.SERVICE_REQUEST, codes).ordered()


def referral(*codes: Codes) -> Facts:
    """A ServiceRequest in force or fulfilled, whatever its intent."""
    return Facts(Kind.SERVICE_REQUEST, codes, ORDERED)


def device_order(*codes: Codes) -> Facts:
    return Facts(Kind.DEVICE_REQUEST, codes).ordered()


def medication_order(*codes: Codes) -> Facts:
    return Facts(Kind.MEDICATION_REQUEST, codes).ordered()


def medication_bounds(*codes: Codes) -> Facts:
    """The bounds of each dosage of an order, as written: without an end it goes on."""
    return Facts(Kind.MEDICATION_BOUNDS, codes).ordered()


def medication_not_ordered(*codes: Codes) -> Facts:
    """A request that says the medicine is not to be given; its coded value is the reason."""
    return Facts(Kind.MEDICATION_REQUEST, codes, needs=Trait.NOT_DONE)


def observation_not_done(*codes: Codes) -> Facts:
    """An observation that was called off, dated by `issued`; its coded value is the reason."""
    return Facts(Kind.OBSERVATION_NOT_DONE, codes, (Status.CANCELLED,))


def allergy(*codes: Codes) -> Facts:
    """An active allergy; it lasts as its onset does."""
    return Facts(Kind.ALLERGY, codes, (Status.ACTIVE,))


def adverse_event(*codes: Codes) -> Facts:
    """Dated by the day it was recorded."""
    return Facts(Kind.ADVERSE_EVENT, codes)


def medication_supply(*codes: Codes) -> Facts:
    """The days an active order supplies (measures.md §0.11)."""
    return Facts(Kind.MEDICATION_PERIOD, codes, (Status.ACTIVE,), needs=Trait.INTENT_ORDER)
