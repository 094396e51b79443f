"""Vaccine doses of young children. A dose is a date; the windows are counted from each child's birth (measures.md §8)."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta
from pyroaring import BitMap

from engage.caregaps.algebra import Patients, Question
from engage.caregaps.facts import Facts
from engage.caregaps.period import first_second, last_second
from engage.caregaps.words import Words
from engage.patients.models import Patient

EPOCH = date(1970, 1, 1)
Days = dict[int, set[date]]  # patient id → distinct days


@dataclass(frozen=True)
class SinceBirth:
    """From so many days or years after birth to the second birthday, both included; `until_days` ends it earlier."""

    days: int = 0
    years: int = 0
    until_days: int | None = None

    def span(self, born: date) -> tuple[date, date]:
        first = born + relativedelta(years=self.years) + timedelta(days=self.days)
        if self.until_days is not None:
            return first, born + timedelta(days=self.until_days)
        return first, born + relativedelta(years=2)


@dataclass(frozen=True)
class Given:
    """One kind of record of a dose, and the window in which it counts."""

    facts: Facts
    window: SinceBirth

    def days(self, question: Question) -> Days:
        """Distinct days of doses of those who turn two in the period."""
        found: Days = defaultdict(set)
        source = self.facts.source(question)
        if not source:
            return found
        born = births(question)
        low, high = (
            first_second(question.period.start - relativedelta(years=3)),
            last_second(question.period.end),
        )
        day = "CASE WHEN e.start_lo > -9007199254740992 THEN e.start_lo ELSE e.end_lo END"
        rows = question.rows(f"SELECT e.patient_id, {day} {source} AND {day} BETWEEN {low} AND {high}")
        for patient, second in rows:
            if patient in born:
                given = EPOCH + timedelta(days=second // 86_400)
                first, last = self.window.span(born[patient])
                if first <= given <= last:
                    found[patient].add(given)
        return found


@dataclass(frozen=True)
class Doses(Patients):
    """Children with at least so many distinct days of doses over all the records given."""

    given: tuple[Given, ...]
    at_least: int

    def days(self, question: Question) -> Days:
        found: Days = defaultdict(set)
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


@dataclass(frozen=True)
class OnSecondBirthday(Patients):
    """Children given this exactly on the second birthday."""

    facts_given: tuple[Facts, ...]

    def evaluate(self, question: Question) -> BitMap:
        born, found = births(question), BitMap()
        for facts in self.facts_given:
            for patient, days in Given(facts, SinceBirth()).days(question).items():
                if born[patient] + relativedelta(years=2) in days:
                    found.add(patient)
        return found

    def sought(self, question: Question, language: str) -> list[str]:
        return []

    def why(self, question: Question, language: str) -> list[str]:
        return [self.facts_given[0].name(language)]


@dataclass(frozen=True)
class BegunByTwo(Patients):
    """Children with a condition whose prevalence begins from birth to the second birthday, by the day."""

    condition: Facts

    def evaluate(self, question: Question) -> BitMap:
        source = self.condition.source(question)
        if not source:
            return BitMap()
        born, found = births(question), BitMap()
        for patient, low, high in question.rows(f"SELECT e.patient_id, e.start_lo, e.start_hi {source}"):
            if patient in born:
                first, last = SinceBirth().span(born[patient])
                if first_second(first) <= low and high <= last_second(last):
                    found.add(patient)
        return found

    def sought(self, question: Question, language: str) -> list[str]:
        return []

    def why(self, question: Question, language: str) -> list[str]:
        return self.condition.why(question, language)

    def facts(self) -> Iterator[Facts]:
        yield self.condition


def births(question: Question) -> dict[int, date]:
    """Birth dates, known to the day, of those who turn two in the period; read once for a question."""
    if question.births is None:
        years = relativedelta(years=2)
        rows = Patient.objects.filter(
            birth_precision="day",
            birth_date__range=(question.period.start - years, question.period.end - years),
        )
        if question.patients is not None:
            rows = rows.filter(pk__in=question.patients)
        question.births = dict(rows.values_list("pk", "birth_date"))  # type: ignore[arg-type]
    return question.births
