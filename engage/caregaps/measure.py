"""What a measure is made of: groups of expressions, rule sets by year, and what would close its gap."""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from pyroaring import BitMap

from engage.caregaps.algebra import Patients, Question
from engage.caregaps.facts import Facts
from engage.caregaps.people import Aged
from engage.caregaps.words import Words


@dataclass(frozen=True)
class Exclusion:
    """A reason why the measure does not apply, with what a person calls it."""

    slug: str
    words: Words
    patients: Patients


@dataclass(frozen=True)
class Closer:
    """Something staff can record as done: a branch of the numerator."""

    slug: str
    title: Words
    branch: Facts
    last_decides: bool = False  # a later reading in the record overrules what staff recorded
    groups: tuple[int, ...] = ()  # the groups whose gap it closes; all when empty

    @property
    def years(self) -> int:
        """Calendar years before the period that it reaches back."""
        return self.branch.when.window.years_before if self.branch.when else 0

    def counts(self, done_on: date, precision: str, question: Question) -> bool:
        """Whether something done then is recent enough; a month or a year must fit as a whole."""
        return self.branch.holds(done_on, last_day(done_on, precision), question)


def last_day(first: date, precision: str) -> date:
    """The last day of what is known of a date."""
    if precision == "year":
        return date(first.year, 12, 31)
    if precision == "month":
        return date(first.year, first.month, monthrange(first.year, first.month)[1])
    return first


@dataclass(frozen=True)
class Group:
    """One set of populations. `numerator` is what is hoped for; with `inverse` it is the gap itself (CMS122)."""

    population: Patients
    numerator: Patients
    exclusions: tuple[Exclusion, ...] = ()
    exceptions: tuple[Exclusion, ...] = ()
    denominator: Patients | None = None  # the population, unless narrower
    inverse: bool = False
    number: int = 1
    opens_gaps: bool = True  # False: it is counted, and what it lacks is a gap of the other groups

    def count(self, question: Question, among: BitMap | None = None) -> "Counted":
        """The processed populations (measures.md §0.1), `among` these patients only."""
        initial = question.ask(self.population)
        initial = initial if among is None else initial & among
        denominator = initial if self.denominator is None else initial & question.ask(self.denominator)
        excluded = self.in_any(self.exclusions, denominator, question)
        numerator = (question.ask(self.numerator) & denominator) - excluded
        excepted = self.in_any(self.exceptions, denominator - excluded - numerator, question)
        return Counted(initial, denominator, excluded, numerator, excepted, self.inverse)

    def due_since(self, what: str, last: date | None, question: Question) -> date:
        """The first day of the first year that the last fact no longer covered; without one, of this period."""
        start = question.period.start
        if last is None:
            return start
        branch = next((f for f in self.numerator.facts() if f.tag == what), None)
        covered = branch.covered_until(last, question) if branch else last.year
        return min(start, date(covered + 1, start.month, start.day))

    @staticmethod
    def in_any(reasons: tuple[Exclusion, ...], among: BitMap, question: Question) -> BitMap:
        found = BitMap()
        for reason in reasons:
            found |= question.ask(reason.patients) & among
        return found

    def ages(self) -> Aged | None:
        """The age the population asks for, when it does."""
        parts = getattr(self.population, "parts", (self.population,))
        return next((part for part in parts if isinstance(part, Aged)), None)


@dataclass(frozen=True)
class Counted:
    """The processed populations of a group: whoever is excluded is in no numerator."""

    initial: BitMap
    denominator: BitMap
    excluded: BitMap
    numerator: BitMap
    excepted: BitMap
    inverse: bool = False

    @property
    def gap(self) -> BitMap:
        """Those who lack what the measure asks."""
        if self.inverse:
            return self.numerator
        return self.denominator - self.excluded - self.numerator - self.excepted

    @property
    def met(self) -> BitMap:
        return self.denominator - self.excluded - self.excepted - self.gap

    def populations(self) -> dict[str, BitMap]:
        """By FHIR measure-population code."""
        return {
            "initial-population": self.initial,
            "denominator": self.denominator,
            "denominator-exclusion": self.excluded,
            "numerator": self.numerator,
            "denominator-exception": self.excepted,
        }


@dataclass(frozen=True)
class RuleSet:
    """The logic of a measure as published for a year."""

    version: str
    groups: tuple[Group, ...]
    artifact: str  # name and version of the published logic
    one_rate: bool = False  # beside the rates of its groups the measure asks for one over all of them


@dataclass(frozen=True)
class Measure:
    """A definition with a population. `title` is for staff; `patient_title` says nothing about health to an onlooker."""

    id: str
    title: Words
    patient_title: Words
    rule_sets: Mapping[int, RuleSet]  # first measurement year → rules
    closers: tuple[Closer, ...] = field(default=())

    def rules(self, year: int) -> RuleSet:
        """The rules of a measurement year: the latest published by then, or the first we have."""
        published = [y for y in self.rule_sets if y <= year]
        return self.rule_sets[max(published) if published else min(self.rule_sets)]

    def closers_of(self, group: int) -> list[Closer]:
        """What staff can record to close a gap of that group."""
        return [c for c in self.closers if not c.groups or group in c.groups]

    def closer(self, slug: str, group: int = 1) -> Closer | None:
        return next((c for c in self.closers_of(group) if c.slug == slug), None)
