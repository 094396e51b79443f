"""A measure is an algebra of patient sets.

An expression stands for a set of patients: `&` both, `|` either, `-` without. Nothing is read until a Question asks it;
each leaf is then one set query, and the sets are combined as bitmaps (docs/decisions/0005). The same expressions say
in words what they look for and why a patient is in.
"""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property, reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any

from django.db import connection
from pyroaring import BitMap

from engage.caregaps.period import Period, last_second
from engage.caregaps.vocabulary import Vocabulary
from engage.caregaps.words import listed

if TYPE_CHECKING:
    from engage.caregaps.facts import Facts


class Question:
    """Whom and when we ask about; remembers every answer, so that measures share what they have in common.

    `as_of`: facts that begin later are not read; None reads all (the strict logic of the published measures).
    `recent_visits`: the one deliberate difference of the nightly job: a visit in the 24 months up to `as_of` also counts.
    `by_reference`: medications given as a reference also count (the published logic does not resolve them).
    `patients`: ids to restrict everything to, for explaining one patient.
    """

    def __init__(
        self,
        period: Period,
        *,
        as_of: date | None = None,
        recent_visits: bool = False,
        by_reference: bool = False,
        patients: Collection[int] | None = None,
    ) -> None:
        self.period, self.as_of, self.recent_visits = period, as_of, recent_visits
        self.by_reference = by_reference
        self.patients = patients
        self.answers: dict[Patients, BitMap] = {}
        self.marked: dict[Facts, dict[int, int]] = {}
        self.births: dict[int, date] | None = None  # of the young children; see doses

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.patients)

    @property
    def last_readable(self) -> int | None:
        """The last local second whose facts are read."""
        return last_second(self.as_of) if self.as_of else None

    def ask(self, expression: "Patients") -> BitMap:
        """The ids of the patients in the set; asked once. Treat it as read-only."""
        found = self.answers.get(expression)
        if found is None:
            found = self.answers[expression] = expression.evaluate(self)
        return found

    def marks(self, facts: "Facts") -> dict[int, int]:
        """patient id → mark of the latest such fact; read once."""
        found = self.marked.get(facts)
        if found is None:
            found = self.marked[facts] = facts.marks(self)
        return found

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def ids(self, sql: str) -> BitMap:
        """The first column of a query as a set."""
        return BitMap(array("I", [row[0] for row in self.rows(sql)]))

    def only_patients(self, column: str) -> str:
        """The restriction to `patients` as a condition, or nothing."""
        if self.patients is None:
            return ""
        return f" AND {column} IN ({','.join(str(int(p)) for p in self.patients) or 'NULL'})"


class Patients(ABC):
    """A set of patients, as an expression."""

    def __and__(self, other: "Patients") -> "AllOf":
        return AllOf((*parts_of(self, AllOf), *parts_of(other, AllOf)))

    def __or__(self, other: "Patients") -> "AnyOf":
        return AnyOf((*parts_of(self, AnyOf), *parts_of(other, AnyOf)))

    def __sub__(self, other: "Patients") -> "Without":
        return Without(self, other)

    @abstractmethod
    def evaluate(self, question: Question) -> BitMap:
        """The ids of the patients in the set."""

    @abstractmethod
    def sought(self, question: Question, language: str) -> list[str]:
        """What is looked for, one phrase for each alternative."""

    @abstractmethod
    def why(self, question: Question, language: str) -> list[str]:
        """For a question about one patient who is in the set: the facts that put them there."""

    def facts(self) -> "Iterator[Facts]":
        """The leaves that read clinical facts, in order."""
        return iter(())

    def branches(self) -> "Iterator[tuple[Facts, Patients]]":
        """Each leaf with the set that it alone satisfies."""
        return ((leaf, leaf) for leaf in self.facts())


def parts_of(expression: Patients, kind: type) -> tuple[Patients, ...]:
    return expression.parts if isinstance(expression, kind) else (expression,)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class AllOf(Patients):
    """Those in every part."""

    parts: tuple[Patients, ...]

    def evaluate(self, question: Question) -> BitMap:
        return reduce(and_, (question.ask(part) for part in self.parts))

    def sought(self, question: Question, language: str) -> list[str]:
        each = [listed(part.sought(question, language), language) for part in self.parts]
        return ["; ".join(phrase for phrase in each if phrase)]

    def why(self, question: Question, language: str) -> list[str]:
        return [phrase for part in self.parts for phrase in part.why(question, language)]

    def facts(self) -> "Iterator[Facts]":
        for part in self.parts:
            yield from part.facts()

    def branches(self) -> "Iterator[tuple[Facts, Patients]]":
        for part in self.parts:
            yield from part.branches()


@dataclass(frozen=True)
class AnyOf(Patients):
    """Those in at least one part."""

    parts: tuple[Patients, ...]

    def evaluate(self, question: Question) -> BitMap:
        return reduce(or_, (question.ask(part) for part in self.parts))

    def sought(self, question: Question, language: str) -> list[str]:
        return [phrase for part in self.parts for phrase in part.sought(question, language)]

    def why(self, question: Question, language: str) -> list[str]:
        return next((part.why(question, language) for part in self.parts if question.ask(part)), [])

    def facts(self) -> "Iterator[Facts]":
        for part in self.parts:
            yield from part.facts()

    def branches(self) -> "Iterator[tuple[Facts, Patients]]":
        for part in self.parts:
            yield from part.branches()


@dataclass(frozen=True)
class Without(Patients):
    """Those in the first set and not in the second."""

    kept: Patients
    removed: Patients

    def evaluate(self, question: Question) -> BitMap:
        return question.ask(self.kept) - question.ask(self.removed)

    def sought(self, question: Question, language: str) -> list[str]:
        return self.kept.sought(question, language)

    def why(self, question: Question, language: str) -> list[str]:
        return self.kept.why(question, language)

    def facts(self) -> "Iterator[Facts]":
        return self.kept.facts()


def any_of(*parts: Patients) -> AnyOf:
    """Those in at least one of these sets."""
    return AnyOf(parts)


def all_of(*parts: Patients) -> AllOf:
    """Those in every one of these sets."""
    return AllOf(parts)
