"""Leaves that read only a patient's last facts: the last answer given, the lowest values of the last day."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from pyroaring import BitMap

from engage.caregaps.algebra import Patients, Proof, Question
from engage.caregaps.facts import Facts, numbers
from engage.caregaps.marks import Mark, latest_second, mark_of
from engage.caregaps.relations import Beside, instant, up_to_days_later
from engage.caregaps.vocabulary import Codes
from engage.caregaps.words import Words, day_text
from engage.records.models import Trait


@dataclass(frozen=True)
class LastAnswer(Patients):
    """Patients whose last such observation has one of these values; another answer later cancels.

    "Last" goes by the instant at which its time ends (or begins); of two at the same instant the first on record counts,
    and a whole day is before its first second (measures.md §13.0).
    """

    asked: Facts
    values: tuple[Codes, ...]
    edge: str = "end"
    then: tuple[Beside, ...] = ()  # and after it one of these

    def followed_by(self, *others: Facts, days: int) -> Self:
        """One of the others begins on the day it begins, or up to so many days later."""
        relation = up_to_days_later("o.start", "e.start", days)
        return replace(self, then=tuple(Beside(relation, other) for other in others))

    def evaluate(self, question: Question) -> BitMap:
        return BitMap(self.marks(question))

    def marks(self, question: Question) -> dict[int, int]:
        """patient id → mark of the answer that decided."""
        source = self.asked.source(question)
        values = question.vocabulary.concepts(self.values)
        then = [other.sql(question) for other in self.then]
        if not source or not values:
            return {}
        began, until = (instant(f"e.{self.edge}", bound) for bound in ("lo", "hi"))
        order = f"{began} DESC, {until}, e.id"
        place = f"ROW_NUMBER() OVER (PARTITION BY e.patient_id ORDER BY {order}) AS place"
        conditions = ["e.place = 1", f"e.value_concept_id IN ({numbers(values)})"]
        conditions += [f"({' OR '.join(then)})"] if then else []
        sql = (
            f"SELECT e.patient_id, {mark_of(self.asked.kind)} FROM (SELECT e.*, {place} {source}) e"  # noqa: S608
            f" WHERE {' AND '.join(conditions)}"
        )
        return dict(question.rows(sql))

    def sought(self, question: Question, language: str) -> list[str]:
        answer = self.values[0].words[language]
        if self.asked.words is None:
            return [answer]
        return [f"{phrase}: {answer}" for phrase in self.asked.sought(question, language)]

    def why(self, question: Question, language: str) -> list[str]:
        name = self.values[0].words[language]
        days = [Mark.read(mark).day for mark, _ in self.proof(question)]
        return [f"{name}, {day_text(day, language)}" if day else name for day in days]

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        return {p: (mark, self.asked) for p, mark in self.marks(question).items() if p in among}

    def facts(self) -> Iterator[Facts]:
        yield self.asked


def of_last_day(rows: str) -> str:
    """The rows with each patient's last day beside them, in one pass: joined to itself, the list would be read squared."""
    return f"SELECT given.*, MAX(day) OVER (PARTITION BY patient_id) AS last_day FROM ({rows}) given"  # noqa: S608


def lowest_text(readings: Facts, pair: bool, question: Question, language: str) -> str:
    """ "142/85 mm Hg (lowest of 2 that day)": one patient's lowest values of the last day; a dash where one lacks."""
    source = readings.any_time().source(question)
    if not source:
        return ""
    day = f"({latest_second(readings.kind)}) / 86400"
    rows = of_last_day(f"SELECT e.patient_id, e.value, e.value2, e.unit, {day} AS day {source}")
    sql = (
        "SELECT MIN(value), MIN(value2), MAX(unit), COUNT(*), COUNT(value), COUNT(value2)"  # noqa: S608
        f" FROM ({rows}) kept WHERE day = last_day"
    )
    if sql not in question.remembered:
        question.remembered[sql] = question.rows(sql)[0]
    first, second, unit, count, firsts, seconds = question.remembered[sql]
    if not firsts and not seconds:
        return ""
    values = [(first, firsts), (second, seconds)][: 2 if pair else 1]
    told = "/".join(f"{value:g}" if known == count else "–" for value, known in values)
    many = LOWEST_OF.format(count=count)[language] if count > 1 else ""
    return " ".join(part for part in (told, unit.replace("mm[Hg]", "mm Hg"), many) if part)


LOWEST_OF = Words("(lowest of {count} that day)", "(lo más bajo de {count} ese día)")


@dataclass(frozen=True)
class LowestOnLastDay(Patients):
    """Patients whose lowest first and second value of the last day with such an observation are both below the limits.

    The two minima may come from different observations of that day. A value that is missing or in a unit we do not know
    sorts first and fails, so that what cannot be read never counts as good (measures.md §5).
    """

    readings: Facts
    below: tuple[float, float]
    words: Words  # what is hoped for: "below 140/90"

    def evaluate(self, question: Question) -> BitMap:
        source = self.readings.source(question)
        if not source:
            return BitMap()
        day = f"({latest_second(self.readings.kind)}) / 86400"
        first, second = (known_value(column) for column in ("value", "value2"))
        readings = f"SELECT e.patient_id, {day} AS day, {first} AS first, {second} AS second {source}"
        return question.ids(
            f"SELECT patient_id FROM ({of_last_day(readings)}) kept WHERE day = last_day"  # noqa: S608 - numbers only
            " GROUP BY patient_id"
            f" HAVING MIN(first) < {self.below[0]} AND MIN(second) < {self.below[1]}"
            " AND COUNT(first) = COUNT(*) AND COUNT(second) = COUNT(*)"
        )

    def sought(self, question: Question, language: str) -> list[str]:
        return [f"{phrase}, {self.words[language]}" for phrase in self.readings.sought(question, language)]

    def why(self, question: Question, language: str) -> list[str]:
        return [f"{phrase}, {self.words[language]}" for phrase in self.readings.why(question, language)]

    def reading(self, question: Question, language: str) -> str:
        return lowest_text(self.readings, True, question, language)

    def facts(self) -> Iterator[Facts]:
        yield self.readings

    def branches(self) -> Iterator[tuple[Facts, Patients]]:
        yield self.readings, self


@dataclass(frozen=True)
class AtMostOnLastDay(Patients):
    """Patients whose lowest value of the last day with such an observation is at most the limit (measures.md §4).

    One without any value on that day fails, even beside one with a value. A value that is no Quantity, or in other units,
    cannot be compared: it is not above the limit.
    """

    assessed: Facts
    limit: float
    units: tuple[str, ...]
    words: Words

    def evaluate(self, question: Question) -> BitMap:
        source = self.assessed.source(question)
        if not source:
            return BitMap()
        units = ",".join(f"'{unit}'" for unit in self.units)
        comparable = f"CASE WHEN (e.traits & {Trait.QUANTITY}) <> 0 AND e.unit IN ({units}) THEN e.value END"
        valued = f"CASE WHEN (e.traits & {Trait.HAS_VALUE}) <> 0 THEN 1 END"
        day = f"({latest_second(self.assessed.kind)}) / 86400"
        rows = f"SELECT e.patient_id, {day} AS day, {comparable} AS value, {valued} AS valued {source}"
        return question.ids(
            f"SELECT patient_id FROM ({of_last_day(rows)}) kept WHERE day = last_day"  # noqa: S608 - numbers only
            " GROUP BY patient_id"
            f" HAVING COUNT(valued) = COUNT(*) AND (MIN(value) <= {self.limit} OR COUNT(value) < COUNT(*))"
        )

    def sought(self, question: Question, language: str) -> list[str]:
        return [f"{phrase}, {self.words[language]}" for phrase in self.assessed.sought(question, language)]

    def why(self, question: Question, language: str) -> list[str]:
        return [f"{phrase}, {self.words[language]}" for phrase in self.assessed.why(question, language)]

    def reading(self, question: Question, language: str) -> str:
        return lowest_text(self.assessed, False, question, language)

    def facts(self) -> Iterator[Facts]:
        yield self.assessed

    def branches(self) -> Iterator[tuple[Facts, Patients]]:
        yield self.assessed, self


@dataclass(frozen=True)
class Lacking(Patients):
    """Those of a population without what is hoped for: the numerator of an inverse measure. Speaks of what is hoped for."""

    population: Patients
    hoped: Patients

    def evaluate(self, question: Question) -> BitMap:
        return question.ask(self.population) - question.ask(self.hoped)

    def sought(self, question: Question, language: str) -> list[str]:
        return self.hoped.sought(question, language)

    def why(self, question: Question, language: str) -> list[str]:
        return self.population.why(question, language)

    def missing(self, question: Question, language: str) -> list[str]:
        return self.hoped.missing(question, language)

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        return self.hoped.decided_by(question, among)

    def facts(self) -> Iterator[Facts]:
        return self.hoped.facts()

    def branches(self) -> Iterator[tuple[Facts, Patients]]:
        return self.hoped.branches()


def lacking(population: Patients, hoped: Patients) -> Lacking:
    return Lacking(population, hoped)


def known_value(column: str) -> str:
    """SQL: the number, or NULL when its unit is one we do not know."""
    return f"CASE WHEN (e.traits & {Trait.VALUE_UNIT_ODD}) = 0 THEN e.{column} END"


def last_answer(asked: Facts, *values: Codes) -> LastAnswer:
    """By the end of its time."""
    return LastAnswer(asked, values)


def last_begun_answer(asked: Facts, *values: Codes) -> LastAnswer:
    """By the start of its time."""
    return LastAnswer(asked, values, edge="start")
