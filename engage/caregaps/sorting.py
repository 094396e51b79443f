"""One measure's group in one night: who lacks what, compared with what is stored. Sets and plain tuples, no writing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from pyroaring import BitMap

from engage.caregaps.algebra import Patients, Question
from engage.caregaps.facts import Facts
from engage.caregaps.marks import Mark
from engage.caregaps.measure import Counted, Exclusion, Group, Measure, RuleSet
from engage.caregaps.models import CareGap, Closure

Status, ClosedBy = CareGap.Status, CareGap.ClosedBy
LEAF_BITS = 8  # which leaf a mark came from: a child's vaccines are some fifty
CLOSED_BY = {by[0]: by for by in ClosedBy.values}


@dataclass(frozen=True)
class Change:
    """What becomes of one patient's gap. `was` is the stored status, "" for a new row."""

    patient: int
    was: str
    was_key: str
    status: str
    closed_by: str
    key: str


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
    def why_excluded(self) -> dict[int, tuple[int, int]]:
        """patient id → (which reason, its latest fact); the first reason in the measure's order counts."""
        found: dict[int, tuple[int, int]] = {}
        rest = self.excluded.copy()
        for index, reason in enumerate(self.reasons):
            mine = self.question.ask(reason.patients) & rest
            facts = packed(reason.patients, self.question, mine) if mine else {}
            found.update((patient, (index, facts.get(patient, 0))) for patient in mine)
            rest -= mine
        return found

    def key(self, patient: int, status: str, closed_by: str = "") -> str:
        """The evidence in at most 32 characters; equal keys mean that nothing changed."""
        if status == Status.OPEN:
            rule = "p" if patient in self.by_period else "r"
            return f"o{rule}{self.last.get(patient, 0):x}"
        if status == Status.EXCLUDED:
            index, fact = self.why_excluded[patient]
            return f"x{index:x}-{fact:x}"
        return f"c{closed_by[0]}{self.closing.get(patient, 0) if closed_by == ClosedBy.RECORD else 0:x}"

    def evidence(self, key: str) -> dict[str, Any]:
        """The structured evidence a key stands for: event ids, days, and which expressions held."""
        if key.startswith("o"):
            last = self.fact(int(key[2:], 16), self.leaves)
            return {"rule": "period" if key[1] == "p" else "recent"} | ({"last": last} if last else {})
        if key.startswith("x"):
            index, fact = (int(part, 16) for part in key[1:].split("-"))
            found = self.fact(fact, list(self.reasons[index].patients.facts()))
            return {"excluded": self.reasons[index].slug} | ({"fact": found} if found else {})
        found = self.fact(int(key[2:], 16), self.leaves)
        return {"closed": CLOSED_BY[key[1]]} | ({"fact": found} if found else {})

    @staticmethod
    def has_last(key: str) -> bool:
        """Whether the key of an open gap names a last fact."""
        return key[2:] != "0"

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

    def changes(self, as_of: date) -> Iterator[Change]:
        """Every row that must be written, stored ones first, then new ones."""
        seen = BitMap()
        for patient, was, until, key in self.stored():
            seen.add(patient)
            change = self.change(patient, was, key, put_off=until is not None and until > as_of)
            if change:
                yield change
        for status, patients in ((Status.OPEN, self.open), (Status.EXCLUDED, self.excluded)):
            for patient in patients - seen:
                yield Change(patient, "", "", status, "", self.key(patient, status))

    def change(self, patient: int, was: str, was_key: str, put_off: bool) -> Change | None:
        status, closed_by = self.target(patient)
        if status == was == Status.CLOSED:
            return None  # how it was closed stays on record
        if was == Status.DEFERRED and status == Status.OPEN and put_off:
            status = Status.DEFERRED
        key = self.key(patient, Status.OPEN if status == Status.DEFERRED else status, closed_by)
        if status == was and key == was_key:
            return None
        return Change(patient, was, was_key, status, closed_by, key)

    def everybodys(self) -> QuerySet[CareGap]:
        """This period's stored rows."""
        return CareGap.objects.filter(
            measure=self.measure.id, group=self.group.number, period_start=self.question.period.start
        )

    def rows(self) -> QuerySet[CareGap]:
        """Those of the patients asked about."""
        return among(self.everybodys(), self.question)

    def stored(self) -> list[tuple[int, str, date | None, str]]:
        """(patient id, status, deferred until, evidence key) of this period's rows."""
        return list(self.rows().values_list("patient_id", "status", "deferred_until", "evidence_key"))

    def turnover(self) -> tuple[int, int]:
        """(gaps that would open or close, gaps open now)."""
        on = {"status__in": (Status.OPEN, Status.DEFERRED)}
        live = BitMap(self.rows().filter(**on).values_list("patient_id", flat=True))
        return len(self.open ^ live), self.everybodys().filter(**on).count()


def among(rows: QuerySet[CareGap], question: Question) -> QuerySet[CareGap]:
    """The rows of the patients a question is about."""
    return rows.filter(patient_id__in=RawSQL(question.among, [])) if question.among else rows  # noqa: S611


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
    rows = Closure.objects.filter(gap__measure=measure.id, withdrawn_at=None)
    if question.patients is not None:
        rows = rows.filter(gap__patient__in=question.patients)
    for patient, what, done_on, precision in rows.values_list(
        "gap__patient_id", "what", "done_on", "precision"
    ):
        closer = measure.closer(what, group)
        if closer and closer.counts(done_on, precision, question):
            later = question.marks(closer.branch).get(patient) if closer.last_decides else None
            if later is None or (Mark.read(later).day or date.min) <= done_on:
                yield patient
