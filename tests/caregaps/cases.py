"""Official test cases: loaded through the import with the case as the source, so that their ids stay apart."""

import gzip
import json
from datetime import date
from pathlib import Path

from engage.caregaps.algebra import Question
from engage.caregaps.measures import MEASURES
from engage.caregaps.period import Period
from engage.patients.models import Patient
from engage.records import valuesets
from engage.records.actions import import_resources

POPULATIONS = (
    "initial-population", "denominator", "denominator-exclusion", "numerator", "denominator-exception",
)  # fmt: skip


def read_cases(path: Path) -> list[dict]:
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def load(case: dict) -> None:
    """A case is one patient's chart. Half of CMS124's name their patient by another id than the Patient has: mended here,
    as the reference engine reads a case whole and no import may guess whose a fact is."""
    patient = next(r["id"] for r in case["resources"] if r["resourceType"] == "Patient")
    for resource in case["resources"]:
        for name in ("subject", "patient"):
            if name in resource:
                resource[name] = {"reference": f"Patient/{patient}"}
    import_resources(case["resources"], source=f"case-{case['case'][:40]}")


def found(measure: str, period: dict, **switches) -> dict[str, list[dict[str, int]]]:
    """FHIR id → the populations it is in, one dictionary for each group."""
    period = Period(date.fromisoformat(period["start"]), date.fromisoformat(period["end"]))
    question = Question(period, **switches)
    names = dict(Patient.objects.values_list("pk", "fhir_id"))
    results = {fhir_id: [] for fhir_id in names.values()}
    for group in MEASURES[measure].rules(period.start.year).groups:
        counted = group.count(question).populations()
        for pk, fhir_id in names.items():
            results[fhir_id].append({code: int(pk in patients) for code, patients in counted.items()})
    return results


def differences(cases: list[dict], measure: str) -> tuple[list[str], dict[str, int]]:
    """(what differs, one line each; positives expected by population)."""
    valuesets.ensure()
    for case in cases:
        load(case)
    results = found(measure, cases[0]["period"])
    wrong, positives = [], dict.fromkeys(POPULATIONS, 0)
    for case in cases:
        patient = next(r["id"] for r in case["resources"] if r["resourceType"] == "Patient")
        expected = case["expected"] if isinstance(case["expected"], list) else [case["expected"]]
        for group, wanted in enumerate(expected):
            for code, value in wanted.items():
                positives[code] += value
                if results[patient][group][code] != value:
                    wrong.append(f"{case['case']} ({case['description']}): {code} should be {value}")
    return wrong, positives
