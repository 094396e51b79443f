"""A measure is an algebra of patient sets.

An expression stands for a set of patients: `&` both, `|` either, `-` without. Nothing is read until a Question asks it;
each leaf is then one set query, and the sets are combined as bitmaps (docs/decisions/0005). The same expressions say
in words what they look for and why a patient is in, and name the very facts that decided.
"""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Collection, Iterable, Iterator
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
from engage.lib import bulk

if TYPE_CHECKING:
    from engage.caregaps.facts import Facts

EVENTS, PEOPLE = "records_event", "patients_patient"
LIVING = "active AND NOT deceased AND merged_into_id IS NULL"  # who of PEOPLE has gaps at all
Proof = tuple[int, "Facts"]  # the mark of a fact (facts.Mark) and the leaf that read it
Span = tuple[int, int]  # patient ids from and to


class Question:
    """Whom and when we ask about; remembers every answer, so that measures share what they have in common.

    `as_of`: facts that begin later are not read; None reads all (the strict logic of the published measures).
    `recent_visits`: a visit in the 24 months up to `as_of` also counts.
    `gender_for_sex`: where a year's rules read the sex extension and the record has none, the gender counts.
    `by_reference`: medications given as a reference also count (the published logic does not resolve them).
    `negation_by_profile`: only QI-Core's profile "not requested" makes a prescription one, whatever doNotPerform says.
    `patients`: ids to restrict everything to, for explaining one patient.
    """

    def __init__(
        self,
        period: Period,
        *,
        as_of: date | None = None,
        recent_visits: bool = False,
        gender_for_sex: bool = False,
        by_reference: bool = False,
        negation_by_profile: bool = False,
        patients: Collection[int] | None = None,
    ) -> None:
        self.period, self.as_of, self.recent_visits = period, as_of, recent_visits
        self.gender_for_sex = gender_for_sex
        self.by_reference, self.negation_by_profile = by_reference, negation_by_profile
        self.patients = patients
        self.answers: dict[Patients, BitMap] = {}
        self.sets: dict[str, BitMap] = {}  # by query: measures ask the same in different words
        self.marked: dict[Facts, dict[int, int]] = {}
        self.births: dict[int, date] | None = None  # of the young children; see doses
        self.remembered: dict[Any, Any] = {}  # what leaves have read: doses, birth dates, the lowest of a day
        # The tables of facts and patients, or copies of those of some patients, who are then `among` (see asked).
        self.events, self.people, self.among = EVENTS, PEOPLE, ""
        self.span: Span | None = None  # or only patients with such ids (see parts)

    @classmethod
    def nightly(cls, period: Period, as_of: date, patients: Collection[int] | None = None) -> "Question":
        """What the nightly job asks: the published logic as of a day, with the visits and the gender above."""
        return cls(period, as_of=as_of, recent_visits=True, gender_for_sex=True, patients=patients)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.patients)

    def strictly(self) -> "Question":
        """The same without `recent_visits`; it shares what has been read."""
        other = Question(
            self.period, as_of=self.as_of, by_reference=self.by_reference, patients=self.patients,
            gender_for_sex=self.gender_for_sex, negation_by_profile=self.negation_by_profile,
        )  # fmt: skip
        other.vocabulary, other.sets = self.vocabulary, self.sets
        other.events, other.people, other.among, other.span = self.events, self.people, self.among, self.span
        return other

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

    def stream(self, sql: str) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query that may be many, some at a time."""
        with connection.cursor() as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(20_000):
                yield rows

    def ids(self, sql: str) -> BitMap:
        """The first column of a query as a set; asked once. Treat it as read-only."""
        found = self.sets.get(sql)
        if found is None:
            found = self.sets[sql] = BitMap(array("I", bulk.numbers(sql)))
        return found

    def only_patients(self, column: str) -> str:
        """The restriction to the patients asked about as a condition, or nothing: copies have no others in them."""
        if self.among:
            return ""
        if self.span:
            return f" AND {within(self.span, column)}"
        if self.patients is None:
            return ""
        return f" AND {column} IN ({','.join(str(int(p)) for p in self.patients) or 'NULL'})"


def within(span: Span, column: str) -> str:
    """SQL: whether a patient's id lies in the span."""
    return f"{column} BETWEEN {span[0]} AND {span[1]}"


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

    def missing(self, question: Question, language: str) -> list[str]:
        """For a question about one patient: what is missing still; nothing for one who is in the set."""
        return [] if question.ask(self) else self.sought(question, language)

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        """patient id → the latest of the facts that put them in the set; `among` are in it."""
        return newest(leaf.decided_by(question, among) for leaf in self.facts())

    def proof(self, question: Question) -> list[Proof]:
        """For a question about one patient who is in the set: each fact that put them there."""
        return list(self.decided_by(question, question.ask(self)).values())

    def reading(self, question: Question, language: str) -> str:
        """For a question about one patient: the value that decides, where the set reads values; "" otherwise."""
        return ""

    def facts(self) -> "Iterator[Facts]":
        """The leaves that read clinical facts, in order."""
        return iter(())

    def branches(self) -> "Iterator[tuple[Facts, Patients]]":
        """Each leaf with the set that it alone satisfies."""
        return ((leaf, leaf) for leaf in self.facts())


def newest(found: Iterable[dict[int, Proof]]) -> dict[int, Proof]:
    """Each patient's latest of several; of equal ones the first."""
    kept: dict[int, Proof] = {}
    for proofs in found:
        for patient, proof in proofs.items():
            if patient not in kept or proof[0] > kept[patient][0]:
                kept[patient] = proof
    return kept


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

    def missing(self, question: Question, language: str) -> list[str]:
        each = [listed(part.missing(question, language), language) for part in self.parts]
        return [phrase for phrase in each if phrase]

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        return newest(part.decided_by(question, among) for part in self.parts)

    def proof(self, question: Question) -> list[Proof]:
        return [proof for part in self.parts for proof in part.proof(question)]

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
        return self.decisive(question).why(question, language) if question.ask(self) else []

    def missing(self, question: Question, language: str) -> list[str]:
        if question.ask(self):
            return []
        return [phrase for part in self.parts for phrase in part.missing(question, language)]

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        return newest(part.decided_by(question, among & question.ask(part)) for part in self.parts)

    def proof(self, question: Question) -> list[Proof]:
        return self.decisive(question).proof(question) if question.ask(self) else []

    def decisive(self, question: Question) -> Patients:
        """For one patient who is in the set: the part with the latest fact, of those that hold."""
        holding = [part for part in self.parts if question.ask(part)]
        return max(holding, key=lambda part: max((mark for mark, _ in part.proof(question)), default=0))

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

    def missing(self, question: Question, language: str) -> list[str]:
        return self.kept.missing(question, language)

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        return self.kept.decided_by(question, among)

    def proof(self, question: Question) -> list[Proof]:
        return self.kept.proof(question)

    def facts(self) -> "Iterator[Facts]":
        return self.kept.facts()


def any_of(*parts: Patients) -> AnyOf:
    """Those in at least one of these sets."""
    return AnyOf(parts)


def all_of(*parts: Patients) -> AllOf:
    """Those in every one of these sets."""
    return AllOf(parts)
