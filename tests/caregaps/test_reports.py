"""measure_report: valid R4, strict to the published logic, and a table for people."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from fhir.resources.R4B.measurereport import MeasureReport

from engage.audit.models import AuditEvent
from engage.caregaps.reports import line
from engage.records.models import ValueSet
from tests.base import CastTestCase
from tests.caregaps.charts import (
    CPT,
    ICD10,
    RXNORM,
    Chart,
    concept,
    condition,
    prescription,
    procedure,
    visit,
    wrong,
)

PERIOD = ("--period-start", "2025-01-01", "--period-end", "2025-12-31")


def run(*options: str) -> list[str]:
    out = StringIO()
    call_command("measure_report", "--measure", "CMS130", *PERIOD, *options, stdout=out)
    return out.getvalue().splitlines()


class Reports(CastTestCase):
    def setUp(self):
        done = procedure("44388", "2020-02-02", CPT)
        charts = [
            Chart("met", "met", [visit(), done]),
            Chart("due", "in", [visit()]),
            Chart("excluded", "excluded", [visit(), done, procedure("170935008", "2025-02-02")]),
            Chart("no visit this year", "out", [visit("2024-05-05"), done]),
            Chart("dead, but counted", "in", [visit()], more={"deceasedBoolean": True}),
        ]
        assert wrong("CMS130", charts) == []

    def test_the_summary_is_valid_and_counts(self):
        (text,) = run()
        report = MeasureReport.model_validate_json(text)
        assert (report.type, report.status) == ("summary", "complete")
        (group,) = report.group
        counts = {p.code.coding[0].code: p.count for p in group.population}
        assert counts == {
            "initial-population": 4,
            "denominator": 4,
            "denominator-exclusion": 1,
            "numerator": 1,
        }
        assert group.id == "group-1" and float(group.measureScore.value) == pytest.approx(1 / 3, abs=1e-6)

    def test_one_report_for_each_patient_of_the_initial_population(self):
        reports = [MeasureReport.model_validate_json(text) for text in run("--subjects")]
        assert {r.type for r in reports} == {"individual"}
        told = {r.subject.reference: [p.count for p in r.group[0].population] for r in reports}
        assert told == {
            "Patient/p0": [1, 1, 0, 1],
            "Patient/p1": [1, 1, 0, 0],
            "Patient/p2": [1, 1, 1, 0],
            "Patient/p4": [1, 1, 0, 0],
        }

    def test_the_period_is_the_one_asked_for(self):
        out = StringIO()
        call_command(
            "measure_report",
            "--measure",
            "CMS130",
            "--period-start",
            "2024-01-01",
            "--period-end",
            "2024-12-31",
            stdout=out,
        )
        report = json.loads(out.getvalue())
        assert report["period"] == {"start": "2024-01-01", "end": "2024-12-31"}
        assert report["group"][0]["population"][0]["count"] == 1

    def test_a_table_for_people(self):
        assert run("--csv")[1] == "CMS130,group-1,4,4,1,1,0"
        assert run("--csv", "--subjects")[1] == "CMS130,group-1,p0,1,1,0,1,0"

    def test_a_spreadsheet_runs_no_cell(self):
        assert line(["=1+1", "a,b", 3]) == '\'=1+1,"a,b",3'
        for start in "=+-@\t\r\n":
            assert line([start + "cmd()"]).lstrip('"').startswith("'")

    def test_several_measures_in_one_table(self):
        lines = run("--csv", "--measure", "CMS125")
        assert [text.split(",")[0] for text in lines] == ["measure", "CMS130", "CMS125"]

    def test_nobody_at_all_has_no_rate(self):
        out = StringIO()
        call_command(
            "measure_report",
            "--measure",
            "CMS165",
            "--period-start",
            "1999-01-01",
            "--period-end",
            "1999-12-31",
            stdout=out,
        )
        group = json.loads(out.getvalue())["group"][0]
        assert "measureScore" not in group and group["population"][0]["count"] == 0

    def test_what_makes_no_sense_is_refused_with_a_sentence(self):
        with pytest.raises(CommandError, match="no measure CMS1;"):
            call_command("measure_report", "--measure", "CMS1", *PERIOD)
        for start, end, words in (
            ("2025-13-01", "2025-12-31", "--period-start is a day such as .* not “2025-13-01”"),
            ("2025-01-01", "soon", "--period-end is a day"),
            ("0001-01-01", "0001-12-31", "outside the years"),
            ("9999-01-01", "9999-12-31", "outside the years"),
        ):
            with pytest.raises(CommandError, match=words):
                call_command(
                    "measure_report", "--measure", "CMS130", "--period-start", start, "--period-end", end
                )
        for options, words in (
            (["--gaps-through", "2026-01-01"], "goes with --gaps"),
            (["--gaps", "--gaps-through", "2025-12-31"], "after the period's end"),
            (["--gaps", "--csv"], "not allowed with"),
        ):
            with pytest.raises(CommandError, match=words):
                call_command("measure_report", "--measure", "CMS130", *PERIOD, *options)
        with pytest.raises(CommandError, match="ends before it starts"):
            call_command(
                "measure_report",
                "--measure",
                "CMS130",
                "--period-start",
                "2025-01-01",
                "--period-end",
                "2024-01-01",
            )

    def test_a_switch_is_one_departure_from_the_strict_reading(self):
        by_reference = prescription("1100184", "2025-05-05", 30)
        by_reference["medicationReference"] = {"reference": "Medication/m1"}
        del by_reference["medicationCodeableConcept"]
        drug = {"resourceType": "Medication", "id": "m1", "code": concept(RXNORM, "1100184")}
        frail = condition("L89.000", "2020", ICD10)
        chart = Chart("by reference", "in", [visit(), frail, by_reference, drug], "1955-06-15")
        assert wrong("CMS130", [chart]) == []

        def excluded(*options):
            return sum(int(line.split(",")[5]) for line in run("--csv", "--subjects", *options)[1:])

        assert (excluded(), excluded("--switch", "by-reference")) == (1, 2)
        detail = AuditEvent.objects.filter(action="measure.report").latest("pk").detail
        assert detail["switches"] == ["by-reference"]
        with pytest.raises(CommandError, match="invalid choice"):
            run("--switch", "anything")

    def test_a_missing_value_set_is_named(self):
        from unittest import mock

        ValueSet.objects.filter(oid="2.16.840.1.113883.3.464.1003.198.12.1011").delete()
        with (
            mock.patch("engage.records.valuesets.ensure"),
            pytest.raises(CommandError, match="stool blood test.*1011.*load_valuesets"),
        ):
            run()
