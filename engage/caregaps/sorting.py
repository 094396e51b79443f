"""One measure's group in one night: who lacks what, compared with what is stored. Sets and plain tuples, no writing."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple, TypeVar, cast

from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL
from pyroaring import BitMap

from engage.caregaps.algebra import Patients, Question
from engage.caregaps.facts import Facts
from engage.caregaps.marks import EVENTS, Mark
from engage.caregaps.measure import Counted, Exclusion, Group, Measure, RuleSet
from engage.caregaps.models import CareGap, Closure

Status, ClosedBy = CareGap.Status, CareGap.ClosedBy
Row = TypeVar("Row", bound=Model)
LEAF_BITS = 8  # which leaf a mark came from: a child's vaccines are some fifty
BY_PERIOD, BY_RECENT = "op", "or"  # kinds of evidence of an open gap: which rule let the patient in
CLOSED_BY = {by[0]: by for by in ClosedBy.values}
LEFT = f"c{ClosedBy.LEFT[0]}"  # the kind of evidence of one whom the measure includes no more
UNDER_WAY = (Status.OPEN, Status.DEFERRED, Status.EXCLUDED)  # what the next night looks at again


class Change(NamedTuple):
    """What becomes of one patient's gap. `was` is the stored status, "" for a new row; `kind` and `mark` the evidence."""

    patient: int
    was: str
    was_key: str
    status: str
    closed_by: str
    kind: str
    mark: int

    @property
    def key(self) -> str:
        return key_of(self.kind, self.mark)


def key_of(kind: str, mark: int) -> str:
    """The evidence in at most 32 characters; equal keys mean that nothing changed."""
    return f"{kind}{mark:x}"


@dataclass
class Sorted:
    """One group of one measure as of a day: the sets, and the changes they mean for the stored rows."""

    measure: Measure
    rules: RuleSet
    group: Group
    question: Question
    strict: Question
    everyone: BitMap  # living, active, not merged

    @cached_property
    def counted(self) -> Counted:
        return self.group.count(self.question, self.everyone)

    @cached_property
    def by_period(self) -> BitMap:
        """Those the strict rule lets in: a visit in the measurement period itself."""
        return self.strict.ask(self.group.population)

    @cached_property
    def attested(self) -> BitMap:
        """Those for whom staff recorded what is still good enough."""
        return BitMap(attested(self.measure, self.group.number, self.question))

    @cached_property
    def open(self) -> BitMap:
        return self.counted.gap - self.attested if self.group.opens_gaps else BitMap()

    @cached_property
    def excluded(self) -> BitMap:
        return self.counted.excluded | self.counted.excepted if self.group.opens_gaps else BitMap()

    @cached_property
    def met(self) -> BitMap:
        return self.counted.met

    @cached_property
    def shown(self) -> BitMap:
        """Those whose record shows what is hoped for, whether the measure still includes them or not."""
        return self.question.ask(getattr(self.group.numerator, "hoped", self.group.numerator))

    # --- evidence in short -------------------------------------------------------------------------------
    @cached_property
    def leaves(self) -> list[Facts]:
        return list(self.group.numerator.facts())

    @cached_property
    def reasons(self) -> tuple[Exclusion, ...]:
        return (*self.group.exclusions, *self.group.exceptions)

    @cached_property
    def last(self) -> dict[int, int]:
        """patient id → the last fact of what the numerator still lacks, for the open ones."""
        found: dict[int, int] = {}
        for index, (leaf, holds) in enumerate(self.group.numerator.branches()):
            among = self.open - self.question.ask(holds)
            pack(found, index, leaf.any_time().marks(self.question, among))
        return found

    @cached_property
    def closing(self) -> dict[int, int]:
        """patient id → the fact that satisfies the numerator."""
        return packed(self.group.numerator, self.question, self.met)

    @cached_property
    def why_excluded(self) -> dict[int, tuple[str, int]]:
        """patient id → ("x" and which reason, its latest fact); the first reason in the measure's order counts."""
        found: dict[int, tuple[str, int]] = {}
        rest = self.excluded.copy()
        for index, reason in enumerate(self.reasons):
            mine = self.question.ask(reason.patients) & rest
            facts = packed(reason.patients, self.question, mine) if mine else {}
            found.update((patient, (f"x{index:x}-", facts.get(patient, 0))) for patient in mine)
            rest -= mine
        return found

    def why(self, patient: int, status: str, closed_by: str = "") -> tuple[str, int]:
        """The evidence in short: (its kind, the fact it names or 0)."""
        if status == Status.OPEN:
            return BY_PERIOD if patient in self.by_period else BY_RECENT, self.last.get(patient, 0)
        if status == Status.EXCLUDED:
            return self.why_excluded[patient]
        return f"c{closed_by[0]}", self.closing.get(patient, 0) if closed_by == ClosedBy.RECORD else 0

    def evidence(self, kind: str, mark: int) -> dict[str, Any]:
        """The structured evidence they stand for: event ids, days, and which expressions held."""
        if kind.startswith("x"):
            reason = self.reasons[int(kind[1:-1], 16)]
            found = self.fact(mark, list(reason.patients.facts()))
            return {"excluded": reason.slug} | ({"fact": found} if found else {})
        found = self.fact(mark, self.leaves)
        if kind.startswith("c"):
            return {"closed": CLOSED_BY[kind[1]]} | ({"fact": found} if found else {})
        return {"rule": "period" if kind == BY_PERIOD else "recent"} | ({"last": found} if found else {})

    @staticmethod
    def fact(packed_mark: int, leaves: list[Facts]) -> dict[str, Any]:
        if not packed_mark:
            return {}
        leaf, mark = leaves[packed_mark & ((1 << LEAF_BITS) - 1)], Mark.read(packed_mark >> LEAF_BITS)
        return {"what": leaf.tag, "event": mark.event, "day": mark.day.isoformat() if mark.day else None}

    def forget(self) -> None:
        """Lets go of what only writing needed: with a million patients, all groups' evidence does not fit in memory."""
        for name in ("last", "closing", "why_excluded"):
            self.__dict__.pop(name, None)

    # --- comparing ----------------------------------------------------------------------------------------
    def target(self, patient: int) -> tuple[str, str]:
        """(status, closed by) as it should be."""
        if patient in self.open:
            return Status.OPEN, ""
        if patient in self.excluded:
            return Status.EXCLUDED, ""
        if patient in self.attested:
            return Status.CLOSED, ClosedBy.STAFF
        return Status.CLOSED, ClosedBy.RECORD if patient in self.met else ClosedBy.LEFT

    def changes(self) -> Iterator[Change]:
        """Every row that must be written, stored ones first, then new ones."""
        seen = BitMap()
        for patient, was, key in self.stored():
            seen.add(patient)
            change = self.change(patient, was, key)
            if change:
                yield change
        for status, patients in ((Status.OPEN, self.open), (Status.EXCLUDED, self.excluded)):
            for patient in patients - seen:
                yield Change(patient, "", "", status, "", *self.why(patient, status))

    def change(self, patient: int, was: str, was_key: str) -> Change | None:
        status, closed_by = self.target(patient)
        if status == was == Status.CLOSED and not self.disproved(
            patient, CLOSED_BY.get(was_key[1:2]), closed_by
        ):
            return None  # how it was closed stays on record
        if was == Status.DEFERRED and status == Status.OPEN and patient in self.put_off:
            status = Status.DEFERRED
        why = self.why(patient, Status.OPEN if status == Status.DEFERRED else status, closed_by)
        if status == was and key_of(*why) == was_key:
            return None
        return Change(patient, was, was_key, status, closed_by, *why)

    def disproved(self, patient: int, closed_by: str | None, now: str) -> bool:
        """Whether how a closed gap was closed is no longer true; what staff recorded stays as it was."""
        if closed_by == ClosedBy.LEFT:
            return now != ClosedBy.LEFT
        return closed_by == ClosedBy.RECORD and now == ClosedBy.LEFT and patient not in self.shown

    def rows(self) -> QuerySet[CareGap]:
        """This period's stored rows of the patients asked about."""
        rows = CareGap.objects.filter(
            measure=self.measure.id, group=self.group.number, period_start=self.question.period.start
        )
        return among(rows, self.question)

    def stored(self) -> list[tuple[int, str, str]]:
        """(patient id, status, evidence key) of this period's rows."""
        return list(self.rows().values_list("patient_id", "status", "evidence_key"))

    @cached_property
    def put_off(self) -> BitMap:
        """Those whose gap was put off until a day to come."""
        rows = self.rows().filter(deferred_until__gt=self.question.as_of)
        return BitMap(rows.values_list("patient_id", flat=True))

    def turnover(self) -> int:
        """Gaps that would open or close; one of another period comes into this one."""
        mine = CareGap.objects.filter(measure=self.measure.id, group=self.group.number)
        live = among(mine.filter(status__in=(Status.OPEN, Status.DEFERRED)), self.question)
        return len(self.open ^ BitMap(live.values_list("patient_id", flat=True)))


def among(rows: QuerySet[Row], question: Question, column: str = "patient") -> QuerySet[Row]:
    """The rows of the patients a question is about."""
    if question.span:
        low, high = question.span
        rows = rows.filter(**{f"{column}__gte": low, f"{column}__lte": high})
    return rows.filter(**{f"{column}__in": RawSQL(question.among, [])}) if question.among else rows  # noqa: S611


def event_of(packed_mark: int) -> int:
    return packed_mark >> LEAF_BITS & EVENTS


def without_event(packed_mark: int) -> int:
    """What is left: facts of the same kind on the same day differ in nothing else."""
    return packed_mark & ~(EVENTS << LEAF_BITS)


def packed(expression: Patients, question: Question, among: BitMap) -> dict[int, int]:
    """patient id → the mark of the fact that put them in the set, with its leaf in the low bits."""
    places: dict[Facts, int] = {}
    for place, leaf in enumerate(expression.facts()):
        places.setdefault(leaf, place)
    decided = expression.decided_by(question, among)
    return {patient: mark << LEAF_BITS | places.get(leaf, 0) for patient, (mark, leaf) in decided.items()}


def pack(found: dict[int, int], index: int, marks: dict[int, int]) -> None:
    """Adds one leaf's marks to those found, keeping each patient's latest."""
    for patient, mark in marks.items():
        value = mark << LEAF_BITS | index
        if value > found.get(patient, 0):
            found[patient] = value


def attested(measure: Measure, group: int, question: Question) -> Iterator[int]:
    """Patients with a closure by staff, not withdrawn, that the look-back of its branch still covers."""
    for patient, what, done_on, precision in closures(question)[measure.id]:
        closer = measure.closer(what, group)
        if closer and closer.counts(done_on, precision, question):
            later = question.marks(closer.branch).get(patient) if closer.last_decides else None
            if later is None or (Mark.read(later).day or date.min) <= done_on:
                yield patient


def closures(question: Question) -> dict[str, list[tuple[int, str, date, str]]]:
    """measure → (patient id, what, done on, precision) of each closure by staff, not withdrawn; read once."""
    if Closure not in question.remembered:
        rows = Closure.objects.filter(withdrawn_at=None)
        if question.patients is not None:
            rows = rows.filter(gap__patient__in=question.patients)
        found = defaultdict(list)
        for measure, *closure in rows.values_list(
            "gap__measure", "gap__patient_id", "what", "done_on", "precision"
        ):
            found[measure].append(tuple(closure))
        question.remembered[Closure] = found
    return cast(dict[str, list[tuple[int, str, date, str]]], question.remembered[Closure])
