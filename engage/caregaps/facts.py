"""The leaves of the algebra: patients who have a fact of a kind, with codes, status and time. One indexed query each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Self

from django.db import connection
from django.utils.text import slugify
from pyroaring import BitMap

from engage.caregaps import timing
from engage.caregaps.algebra import Patients, Question
from engage.caregaps.period import EPOCH, Window
from engage.caregaps.timing import When
from engage.caregaps.vocabulary import Codes
from engage.caregaps.words import Words, day_text, listed
from engage.records.models import NEVER_BEGAN, NEVER_ENDS, Kind, Status, Trait

# Status filters, measures.md §0.6.
ENCOUNTER_PERFORMED = (
    Status.FINISHED, Status.ARRIVED, Status.TRIAGED, Status.IN_PROGRESS, Status.ON_LEAVE,
)  # fmt: skip
RESULT = (Status.FINAL, Status.AMENDED, Status.CORRECTED)
ORDERED = (Status.ACTIVE, Status.COMPLETED)

# A mark is one integer per patient, (day, event id), so that the latest fact is a plain MAX() on every database.
ID_BITS = 41
DAY_ZERO = 100_000  # days before 1970-01-01: keeps every day positive
UNKNOWN_DAY = 0


@dataclass(frozen=True)
class Mark:
    """The latest fact of a patient: its event and the day, None when it has no date."""

    event: int
    day: date | None

    @classmethod
    def read(cls, mark: int) -> "Mark":
        days = mark >> ID_BITS
        ordinal = EPOCH + days - DAY_ZERO
        known = days != UNKNOWN_DAY and 0 < ordinal <= date.max.toordinal()
        return cls(mark & ((1 << ID_BITS) - 1), date.fromordinal(ordinal) if known else None)


@dataclass(frozen=True)
class Facts(Patients):
    """Patients with at least one such fact. Built step by step; each step gives a new expression."""

    kind: Kind
    codes: tuple[Codes, ...]
    statuses: tuple[Status, ...] = ()
    needs: int = 0  # bits of Trait, all of them
    lacks: int = 0  # bits of Trait, none of them
    values: tuple[Codes, ...] = ()  # the coded value (disposition, body site) is one of these
    stays: int = 0  # class bits: not linked to an encounter of such a class
    when: When | None = None
    aged: tuple[int, int] | None = None  # whole years of the patient on the days of the fact
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

    def exam(self) -> Self:
        return replace(self.final(), needs=self.needs | Trait.EXAM)

    def with_a_value(self) -> Self:
        return replace(self, needs=self.needs | Trait.HAS_VALUE)

    def valued(self, *values: Codes) -> Self:
        """Its coded value is one of these."""
        return replace(self, values=values)

    def discharged_to(self, *dispositions: Codes) -> Self:
        return replace(self, values=dispositions)

    def at_site(self, site: Codes) -> Self:
        return replace(self, values=(site,))

    def not_refused(self) -> Self:
        """doNotPerform is not true."""
        return replace(self, lacks=self.lacks | Trait.NOT_DONE)

    def outside_stays(self, classes: int) -> Self:
        """Not linked to an encounter of these classes; a link to nobody does not matter."""
        return replace(self, stays=classes)

    def when_aged(self, youngest: int, oldest: int = 200) -> Self:
        """The patient was that old on the day of the fact."""
        return replace(self, aged=(youngest, oldest))

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

    def ended_by_end_of(self, window: Window) -> Self:
        return self.timed(timing.ended_by, window)

    def overlapping_instants_of(self, window: Window) -> Self:
        return self.timed(timing.instant_overlapping, window)

    def started_by_last_instant_of(self, window: Window) -> Self:
        return self.timed(timing.instant_started_by, window)

    def ended_by_last_instant_of(self, window: Window) -> Self:
        return self.timed(timing.instant_ended_by, window)

    def any_time(self) -> Self:
        """The same without the condition on time: what we know of it at all."""
        return replace(self, when=None)

    # --- asking -------------------------------------------------------------------------------------------
    def evaluate(self, question: Question) -> BitMap:
        source = self.source(question)
        return question.ids(f"SELECT DISTINCT {PATIENT} {source}") if source else BitMap()

    def marks(self, question: Question) -> dict[int, int]:
        """patient id → mark of the latest such fact."""
        source = self.source(question)
        if not source:
            return {}
        sql = f"SELECT {PATIENT}, MAX({mark_of(self.kind)}) {source} GROUP BY {PATIENT}"
        return dict(question.rows(sql))

    def source(self, question: Question) -> str:
        """FROM and WHERE of the query; "" when no concept of this database can match."""
        concepts = question.vocabulary.concepts(self.codes)
        values = question.vocabulary.concepts(self.values)
        if not concepts or (self.values and not values):
            return ""
        conditions = [f"e.concept_id IN ({numbers(concepts)})", f"e.kind = {int(self.kind)}"]
        conditions += [f"e.value_concept_id IN ({numbers(values)})"] if values else []
        conditions += self._of_its_own(question) + self._of_its_time(question)
        only = question.only_patients("e.patient_id")
        return f"FROM records_event e WHERE {' AND '.join(conditions)}{only}"

    def _of_its_own(self, question: Question) -> list[str]:
        lacks = self.lacks
        if self.kind in (Kind.MEDICATION_REQUEST, Kind.MEDICATION_PERIOD) and not question.by_reference:
            lacks |= Trait.MEDICATION_BY_REFERENCE
        found = [f"e.status IN ({numbers(self.statuses)})"] if self.statuses else []
        found += [f"(e.traits & {self.needs}) = {self.needs}"] if self.needs else []
        found += [f"(e.traits & {lacks}) = 0"] if lacks else []
        found += [NOT_IN_A_STAY.format(kind=int(Kind.ENCOUNTER), classes=self.stays)] if self.stays else []
        return found

    def _of_its_time(self, question: Question) -> list[str]:
        readable = question.last_readable
        found = [f"e.start_lo <= {readable}"] if readable is not None else []
        if self.when:
            low, high = self.when.window.seconds(question.period, question.as_of)
            found.append(self.when.sql(low, high, self.kind))
        if self.aged:
            found.append(at_age(*self.aged, self.kind))
        return found

    @property
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

    def narrowed(self, question: Question) -> Self:
        """The same for the first of several codes that the patient has: "office visit", not a list of all visits."""
        if self.words or len(self.codes) == 1:
            return self
        each = (replace(self, codes=(code,)) for code in self.codes)
        return next((one for one in each if question.marks(one)), self)

    def told(self, day: date | None, language: str) -> str:
        """ "colonoscopy on 3 Feb 2023"."""
        if day is None:
            return self.name(language)
        word = ("since", "desde el") if self.kind == Kind.CONDITION else ("on", "el")
        return f"{self.name(language)} {word[language == 'es']} {day_text(day, language)}"

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


@dataclass(frozen=True)
class RecentVisit(Patients):
    """A qualifying visit during the period; where the question allows it, one of the two years up to the day asked."""

    visit: Facts  # with its time

    @property
    def earlier(self) -> Facts:
        return self.visit.during(Window(months_to_as_of=24))

    def evaluate(self, question: Question) -> BitMap:
        found = question.ask(self.visit)
        return found | question.ask(self.earlier) if question.recent_visits else found

    def sought(self, question: Question, language: str) -> list[str]:
        return (self.earlier if question.recent_visits else self.visit).sought(question, language)

    def why(self, question: Question, language: str) -> list[str]:
        told = self.visit.why(question, language)
        return told or [f"{phrase} ({RECENT[language]})" for phrase in self.earlier.why(question, language)]

    def facts(self) -> Iterator[Facts]:
        yield self.visit


RECENT = Words("by a visit of the last 24 months", "por una visita de los últimos 24 meses")
# The plus keeps SQLite from walking the index by patient (the whole table) to save itself a sort: four times faster.
PATIENT = "+e.patient_id"
NOT_IN_A_STAY = (
    "(e.encounter = '' OR NOT EXISTS (SELECT 1 FROM records_event stay WHERE stay.source_id = e.source_id"
    " AND stay.kind = {kind} AND stay.fhir_id = e.encounter AND (stay.traits & {classes}) <> 0))"
)


def numbers(values: object) -> str:
    """Integers for an IN list; sorted, so that a query's text is the same each night."""
    return ",".join(str(int(v)) for v in sorted(values))  # type: ignore[call-overload]


def latest_second(kind: Kind) -> str:
    """SQL: the last second known of a fact (a condition: the first), NULL when it has no date."""
    columns = ("start_lo", "end_lo") if kind == Kind.CONDITION else ("end_lo", "start_lo")
    tests = " ".join(f"WHEN e.{c} > {NEVER_BEGAN} AND e.{c} < {NEVER_ENDS} THEN e.{c}" for c in columns)
    return f"CASE {tests} END"


def at_age(youngest: int, oldest: int, kind: Kind) -> str:
    """SQL: the patient's whole years on the fact's last day; dates as YYYYMMDD, so that years are a difference by 10000."""
    if connection.vendor == "postgresql":
        day = f"CAST(to_char(to_timestamp({latest_second(kind)}) AT TIME ZONE 'UTC', 'YYYYMMDD') AS integer)"
        born = "CAST(to_char(who.birth_date, 'YYYYMMDD') AS integer)"
    else:
        day = f"CAST(strftime('%Y%m%d', {latest_second(kind)}, 'unixepoch') AS integer)"
        born = "CAST(strftime('%Y%m%d', who.birth_date) AS integer)"
    years = f"({day} - {born}) / 10000 BETWEEN {youngest} AND {oldest}"
    return f"EXISTS (SELECT 1 FROM patients_patient who WHERE who.id = e.patient_id AND {years})"  # noqa: S608


def mark_of(kind: Kind) -> str:
    """SQL: (day, event id) of a fact as one integer."""
    day = f"COALESCE(({latest_second(kind)} + {DAY_ZERO * 86_400}) / 86400, {UNKNOWN_DAY})"
    return f"{day} * {1 << ID_BITS} + e.id"


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


def device_order(*codes: Codes) -> Facts:
    return Facts(Kind.DEVICE_REQUEST, codes).ordered()


def medication_order(*codes: Codes) -> Facts:
    return Facts(Kind.MEDICATION_REQUEST, codes).ordered()


def medication_supply(*codes: Codes) -> Facts:
    """The days an active order supplies (measures.md §0.11)."""
    return Facts(Kind.MEDICATION_PERIOD, codes, (Status.ACTIVE,), needs=Trait.INTENT_ORDER)


def qualifying_visit(*codes: Codes) -> RecentVisit:
    return RecentVisit(encounter(*codes).during(Window()))
