"""MeasureReport (FHIR R4) and CSV of a measure, always strict to the published logic: every patient on record counts."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

import orjson
from pyroaring import BitMap

from engage.caregaps.algebra import Question
from engage.caregaps.measure import Counted, Measure
from engage.caregaps.period import Period
from engage.lib import clock
from engage.patients.models import Patient

CANONICAL = "https://madie.cms.gov/Measure/"
POPULATION_SYSTEM = "http://terminology.hl7.org/CodeSystem/measure-population"
IMPROVEMENT_SYSTEM = "http://terminology.hl7.org/CodeSystem/measure-improvement-notation"
BATCH = 5_000
Report = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """A measure's groups, counted over a period."""

    measure: Measure
    period: Period
    groups: tuple[Counted, ...]

    @classmethod
    def ask(cls, measure: Measure, period: Period, question: Question | None = None) -> "Results":
        """Strict to the published logic unless the question says otherwise. Raises MissingValueSet."""
        question = question or Question(period)
        groups = measure.rules(period.start.year).groups
        return cls(measure, period, tuple(group.count(question) for group in groups))

    @property
    def initial(self) -> BitMap:
        """Everyone in the initial population of any group."""
        found = BitMap()
        for group in self.groups:
            found |= group.initial
        return found

    def codes(self, group: int) -> dict[str, BitMap]:
        """The populations the measure has: the exception only where it defines one."""
        found = self.groups[group].populations()
        if not self.measure.rules(self.period.start.year).groups[group].exceptions:
            found.pop("denominator-exception")
        return found

    # --- reports ------------------------------------------------------------------------------------------
    def summary(self) -> Report:
        """One MeasureReport of type summary, with the rate of each group, and of all where the measure asks for one."""
        groups = [group_of(name, counts) | score(counts) for name, counts in self.counts().items()]
        return self.head("summary") | {"group": groups}

    def counts(self) -> dict[str, dict[str, int]]:
        """Group → population → patients. Where the measure asks for one rate, "all-groups" is their sum: who is in two
        groups counts twice."""
        found = {
            f"group-{n + 1}": {code: len(patients) for code, patients in self.codes(n).items()}
            for n in range(len(self.groups))
        }
        if self.measure.rules(self.period.start.year).one_rate:
            codes = found["group-1"]
            found["all-groups"] = {code: sum(counts[code] for counts in found.values()) for code in codes}
        return found

    def individuals(self) -> Iterator[Report]:
        """One MeasureReport for each patient in the initial population, by id."""
        ids = sorted(self.initial)
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            names = dict(Patient.objects.filter(pk__in=part).values_list("pk", "fhir_id"))
            for pk in part:
                yield self.individual(pk, names[pk])

    def individual(self, pk: int, fhir_id: str) -> Report:
        groups = [group_of(f"group-{n + 1}", self.memberships(n, pk)) for n in range(len(self.groups))]
        head = self.head("individual")
        period = head.pop("period")
        subject = {"reference": f"Patient/{fhir_id}"}
        return head | {"subject": subject, "period": period, "group": groups}

    def memberships(self, group: int, pk: int) -> dict[str, int]:
        return {code: int(pk in patients) for code, patients in self.codes(group).items()}

    def head(self, kind: str) -> Report:
        rules = self.measure.rules(self.period.start.year)
        notation = "decrease" if rules.groups[0].inverse else "increase"
        return {
            "resourceType": "MeasureReport",
            "status": "complete",
            "type": kind,
            "measure": CANONICAL + rules.artifact,
            "date": clock.now().isoformat(timespec="seconds"),
            "period": {"start": self.period.start.isoformat(), "end": self.period.end.isoformat()},
            "improvementNotation": {"coding": [{"system": IMPROVEMENT_SYSTEM, "code": notation}]},
        }

    # --- for people ---------------------------------------------------------------------------------------
    def csv(self, subjects: bool) -> Iterator[str]:
        """Lines of CSV: counts of each group, or one line for each patient and group."""
        names = list(self.groups[0].populations())
        yield line(["measure", "group", *(["patient"] if subjects else []), *names])
        if not subjects:
            for group, counts in self.counts().items():
                yield line([self.measure.id, group, *(counts.get(name, 0) for name in names)])
            return
        for report in self.individuals():
            for part in report["group"]:
                mine = {p["code"]["coding"][0]["code"]: p["count"] for p in part["population"]}
                who = report["subject"]["reference"].removeprefix("Patient/")
                yield line([self.measure.id, part["id"], who, *(mine.get(name, 0) for name in names)])


def score(counts: Mapping[str, int]) -> Report:
    """The rate of a group, or nothing when it is about nobody."""
    left = ("denominator-exclusion", "denominator-exception")
    rated = counts.get("denominator", 0) - sum(counts.get(code, 0) for code in left)
    return {"measureScore": {"value": round(counts.get("numerator", 0) / rated, 6)}} if rated else {}


def group_of(name: str, counts: Mapping[str, int]) -> Report:
    """A group of a MeasureReport."""
    populations = [
        {"code": {"coding": [{"system": POPULATION_SYSTEM, "code": code}]}, "count": count}
        for code, count in counts.items()
    ]
    return {"id": name, "population": populations}


def ndjson(reports: Iterator[Report]) -> Iterator[str]:
    for report in reports:
        yield orjson.dumps(report).decode()


def line(values: list[Any]) -> str:
    """One line of CSV; a cell that a spreadsheet would run as a formula is quoted as text."""
    out = StringIO()
    csv.writer(out, lineterminator="").writerow(
        [f"'{v}" if isinstance(v, str) and v[:1] in "=+-@\t\r\n" else v for v in values]
    )
    return out.getvalue()
