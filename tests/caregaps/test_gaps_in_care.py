"""Gaps in care as Da Vinci DEQM documents: valid R4 by HL7's schema and by fhir.resources, and whole by our own checks."""

import gzip
import json
from functools import cache
from io import StringIO
from pathlib import Path

from django.core.management import call_command
from fhir.resources.R4B.bundle import Bundle
from jsonschema import Draft6Validator

from engage.caregaps.gaps_in_care import GAP_STATUS
from tests.base import CastTestCase
from tests.caregaps.charts import CPT, Chart, lab, procedure, visit, wrong

SCHEMA = Path(__file__).resolve().parents[1] / "data" / "schema" / "fhir-r4.schema.json.gz"
PERIOD = ("--period-start", "2025-01-01", "--period-end", "2025-12-31")


@cache
def schema() -> Draft6Validator:
    return Draft6Validator(json.loads(gzip.decompress(SCHEMA.read_bytes())))


def against_schema(resource: dict) -> list[str]:
    """What HL7's schema finds wrong, deepest first."""
    kind = {"$ref": f"#/definitions/{resource['resourceType']}"}
    found = schema().evolve(schema=schema().schema | {"oneOf": [kind]}).iter_errors(resource)
    return [f"{list(e.absolute_path)}: {e.message[:200]}" for e in found]


def report(*options: str) -> list[dict]:
    out = StringIO()
    call_command("measure_report", "--measure", "CMS130", *PERIOD, *options, stdout=out)
    return [json.loads(text) for text in out.getvalue().splitlines()]


def references(node) -> set[str]:
    """Every reference within a resource."""
    if isinstance(node, list):
        return {found for item in node for found in references(item)}
    if isinstance(node, dict):
        mine = {node["reference"]} if isinstance(node.get("reference"), str) else set()
        return mine.union(*(references(value) for value in node.values()))
    return set()


class GapsInCareTests(CastTestCase):
    def setUp(self):
        done = procedure("44388", "2020-02-02", CPT)
        charts = [
            Chart("met", "met", [visit(), done]),
            Chart("due", "in", [visit()]),
            Chart("excluded", "excluded", [visit(), done, procedure("170935008", "2025-02-02")]),
            Chart("no visit this year", "out", [visit("2024-05-05"), done]),
            Chart("met this year only", "met", [visit(), lab("12503-9", "2025-05-05")]),
            Chart("met for the last time", "met", [visit(), lab("12503-9", "2025-05-05")], born="1950-06-15"),
        ]
        assert wrong("CMS130", charts) == []

    def bundles(self, *options):
        return {self.who(bundle): bundle for bundle in report("--gaps", *options)}

    @staticmethod
    def who(bundle):
        return next(
            e["resource"]["id"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient"
        )

    @staticmethod
    def of(bundle, kind):
        return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind]

    def status(self, bundle):
        return [
            extension["valueCodeableConcept"]["coding"][0]["code"]
            for issue in self.of(bundle, "DetectedIssue")
            for extension in issue["modifierExtension"]
            if extension["url"] == GAP_STATUS
        ]

    def test_every_document_is_valid(self):
        bundles = self.bundles("--measure", "CMS125", "--gaps-through", "2026-12-31")
        assert bundles
        for bundle in bundles.values():
            assert against_schema(bundle) == []
            Bundle.model_validate(bundle)
            for entry in bundle["entry"]:
                assert against_schema(entry["resource"]) == []

    def test_the_schema_finds_what_is_wrong(self):
        bundle = next(iter(self.bundles().values()))
        assert against_schema(bundle | {"type": "nothing"}) and against_schema(bundle | {"typo": 1})
        issue = self.of(bundle, "DetectedIssue")[0]
        assert against_schema({k: v for k, v in issue.items() if k != "status"} | {"status": 7})

    def test_reports_are_valid_too(self):
        for resource in (*report(), *report("--subjects")):
            assert against_schema(resource) == []

    def test_a_document_is_whole(self):
        """What no schema checks: the Composition comes first, everything it names is in the Bundle, nothing stands alone."""
        for bundle in self.bundles().values():
            assert bundle["type"] == "document" and bundle["identifier"]["value"].startswith("urn:uuid:")
            resources = [entry["resource"] for entry in bundle["entry"]]
            assert resources[0]["resourceType"] == "Composition"
            names = {f"{r['resourceType']}/{r['id']}" for r in resources}
            assert len(names) == len(resources) == len({entry["fullUrl"] for entry in bundle["entry"]})
            assert references(resources[0]) | {names_of(resources[0])} == names
            assert all(
                r["meta"]["profile"]
                for r in resources
                if r["resourceType"] not in ("Patient", "Organization")
            )
            for issue in self.of(bundle, "DetectedIssue"):
                (evidence,) = issue["evidence"]
                assert (
                    evidence["detail"][0]["reference"] in names
                    and issue["code"]["coding"][0]["code"] == "CAREGAP"
                )

    def test_open_closed_and_left_out(self):
        bundles = self.bundles()
        assert {who: self.status(bundle) for who, bundle in bundles.items()} == {
            "p0": ["closed-gap"],
            "p1": ["open-gap"],
            "p2": [],
            "p4": ["closed-gap"],
            "p5": ["closed-gap"],
        }
        (section,) = self.of(bundles["p2"], "Composition")[0]["section"]
        assert (
            section["emptyReason"] and "does not apply" in section["text"]["div"] and "entry" not in section
        )

    def test_prospective_is_what_will_be_due_again_by_then(self):
        found = {who: self.status(b) for who, b in self.bundles("--gaps-through", "2026-12-31").items()}
        assert found["p0"] == ["closed-gap"]  # the colonoscopy does for ten years
        assert found["p1"] == ["open-gap"]
        assert found["p4"] == ["prospective-gap"]
        assert found["p5"] == ["closed-gap"]  # too old by then

    def test_the_report_names_what_was_evaluated(self):
        (individual,) = self.of(self.bundles()["p0"], "MeasureReport")
        assert individual["evaluatedResource"] == [
            {"reference": "Encounter/p0-0"},
            {"reference": "Procedure/p0-1"},
        ]
        assert individual["subject"] == {"reference": "Patient/p0"} and individual["reporter"]

    def test_several_measures_in_one_document(self):
        bundle = self.bundles("--measure", "CMS125")["p1"]
        (composition,) = self.of(bundle, "Composition")
        assert [s["title"] for s in composition["section"]] == [
            "Colorectal cancer screening",
            "Breast cancer screening",
        ]

    def test_the_same_patient_has_the_same_ids_again(self):
        first, second = self.bundles(), self.bundles()
        assert [b["id"] for b in first.values()] == [b["id"] for b in second.values()]


def names_of(resource):
    return f"{resource['resourceType']}/{resource['id']}"
