"""Vaccine doses of young children. A dose is a date; the windows are counted from each child's birth (measures.md §8)."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import cast

from pyroaring import BitMap

from engage.caregaps.algebra import Patients, Proof, Question
from engage.caregaps.facts import Facts
from engage.caregaps.marks import Mark, mark
from engage.caregaps.period import day_of, first_second, last_second, years_after
from engage.caregaps.words import Words

ON_RECORD = Words(" ({count} on record)", " ({count} en el expediente)")
Days = dict[int, dict[date, Proof]]  # patient id → distinct days, each with a record of it


@dataclass(frozen=True)
class SinceBirth:
    """From so many days or years after birth to the second birthday, both included; `until_days` ends it earlier."""

    days: int = 0
    years: int = 0
    until_days: int | None = None

    @lru_cache(maxsize=50_000)  # noqa: B019 - windows are constants of the measures
    def span(self, born: date) -> tuple[date, date]:
        first = years_after(born, self.years) + timedelta(days=self.days)
        if self.until_days is not None:
            return first, born + timedelta(days=self.until_days)
        return first, years_after(born, 2)


@dataclass(frozen=True)
class Given:
    """One kind of record of a dose, and the window in which it counts."""

    facts: Facts
    window: SinceBirth

    def days(self, question: Question) -> Days:
        """Distinct days of doses of those who turn two in the period; read once."""
        if self not in question.remembered:
            question.remembered[self] = self.read(question)
        return cast(Days, question.remembered[self])

    def read(self, question: Question) -> Days:
        found: Days = defaultdict(dict)
        source = self.facts.source(question)
        if not source:
            return found
        born = births(question)
        low, high = (
            first_second(years_after(question.period.start, -3)),
            last_second(question.period.end),
        )
        day = "CASE WHEN e.start_lo > -9007199254740992 THEN e.start_lo ELSE e.end_lo END"
        until = "CASE WHEN e.start_lo > -9007199254740992 THEN e.start_hi ELSE e.end_hi END"
        first, last = born_between(question)
        of_children = f"SELECT id FROM {question.people} WHERE birth_date BETWEEN '{first}' AND '{last}'"  # noqa: S608
        rows = question.rows(
            f"SELECT e.patient_id, {day}, {until}, e.id {source} AND {day} BETWEEN {low} AND {high}"
            f" AND e.patient_id IN ({of_children})"
        )
        for patient, second, latest, event in rows:
            if patient in born:
                given, at_most = day_of(second), day_of(latest)
                first, last = self.window.span(born[patient])
                if first <= given and at_most <= last:  # a date known only in part must fit as a whole
                    found[patient][given] = mark(event, given), self.facts
        return found


@dataclass(frozen=True)
class Doses(Patients):
    """Children with at least so many distinct days of doses over all the records given."""

    given: tuple[Given, ...]
    at_least: int

    def days(self, question: Question) -> Days:
        found: Days = defaultdict(dict)
        for one in self.given:
            for patient, days in one.days(question).items():
                found[patient] |= days
        return found

    def evaluate(self, question: Question) -> BitMap:
        return BitMap(patient for patient, days in self.days(question).items() if len(days) >= self.at_least)

    def sought(self, question: Question, language: str) -> list[str]:
        name, count = self.given[0].facts.name(language), self.at_least
        more = Words(f"{count} doses of {name}", f"{count} dosis de {name}")[language]
        return [name if count == 1 else more]

    def why(self, question: Question, language: str) -> list[str]:
        return self.sought(question, language)

    def missing(self, question: Question, language: str) -> list[str]:
        had = max((len(days) for days in self.days(question).values()), default=0)
        if had >= self.at_least:
            return []
        on_record = ON_RECORD.format(count=had)[language] if had else ""
        return [f"{phrase}{on_record}" for phrase in self.sought(question, language)]

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        return {
            patient: max(days.values(), key=first)
            for patient, days in self.days(question).items()
            if patient in among
        }

    def facts(self) -> Iterator[Facts]:
        return (one.facts for one in self.given)

    def branches(self) -> Iterator[tuple[Facts, Patients]]:
        return ((one.facts, self) for one in self.given)


@dataclass(frozen=True)
class AfterNewborn(Patients):
    """Children with at least so many doses on days later than a newborn dose."""

    newborn: Given
    later: Doses

    def evaluate(self, question: Question) -> BitMap:
        first = {patient: min(days) for patient, days in self.newborn.days(question).items()}
        found = BitMap()
        for patient, days in self.later.days(question).items():
            if patient in first and sum(day > first[patient] for day in days) >= self.later.at_least:
                found.add(patient)
        return found

    def sought(self, question: Question, language: str) -> list[str]:
        return []

    def why(self, question: Question, language: str) -> list[str]:
        return self.later.why(question, language)

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        return self.later.decided_by(question, among)


@dataclass(frozen=True)
class OnSecondBirthday(Patients):
    """Children given this exactly on the second birthday."""

    facts_given: tuple[Facts, ...]

    def evaluate(self, question: Question) -> BitMap:
        return BitMap(self.given_then(question))

    def given_then(self, question: Question) -> dict[int, Proof]:
        born, found = births(question), {}
        for facts in self.facts_given:
            for patient, days in Given(facts, SinceBirth()).days(question).items():
                if proof := days.get(years_after(born[patient], 2)):
                    found[patient] = proof
        return found

    def sought(self, question: Question, language: str) -> list[str]:
        return []

    def why(self, question: Question, language: str) -> list[str]:
        return [self.facts_given[0].name(language)]

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        return {patient: proof for patient, proof in self.given_then(question).items() if patient in among}


@dataclass(frozen=True)
class BegunByTwo(Patients):
    """Children with a condition whose prevalence begins from birth to the second birthday, by the day."""

    condition: Facts

    def evaluate(self, question: Question) -> BitMap:
        return BitMap(self.begun(question))

    def begun(self, question: Question) -> dict[int, Proof]:
        """patient id → the record of it, with the day it began."""
        source = self.condition.source(question)
        if not source:
            return {}
        born, found = births(question), {}
        rows = question.rows(f"SELECT e.patient_id, e.start_lo, e.start_hi, e.id {source}")
        for patient, low, high, event in rows:
            if patient in born:
                begins, ends = SinceBirth().span(born[patient])
                if first_second(begins) <= low and high <= last_second(ends):
                    found[patient] = mark(event, day_of(low)), self.condition
        return found

    def sought(self, question: Question, language: str) -> list[str]:
        return []

    def why(self, question: Question, language: str) -> list[str]:
        return [self.condition.told(Mark.read(mark).day, language) for mark, _ in self.proof(question)]

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        return {patient: proof for patient, proof in self.begun(question).items() if patient in among}

    def facts(self) -> Iterator[Facts]:
        yield self.condition


def first(proof: Proof) -> int:
    """Its mark, by which the latest is found."""
    return proof[0]


def born_between(question: Question) -> tuple[date, date]:
    """First and last birthday of those who turn two in the period."""
    return years_after(question.period.start, -2), years_after(question.period.end, -2)


def births(question: Question) -> dict[int, date]:
    """Birth dates, known to the day, of those who turn two in the period; read once for a question."""
    if question.births is None:
        first, last = born_between(question)
        rows = question.rows(
            f"SELECT id, CAST(birth_date AS text) FROM {question.people} WHERE birth_precision = 'day'"  # noqa: S608
            f" AND birth_date BETWEEN '{first}' AND '{last}'{question.only_patients('id')}"
        )
        question.births = {patient: date.fromisoformat(born) for patient, born in rows}
    return question.births
