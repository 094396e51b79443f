"""Odd records: the patient is reported or left out in a known way, and everybody else is counted."""

import pytest

from engage.patients.models import Patient
from engage.records.actions import import_resources
from tests.caregaps.charts import (
    CPT,
    ICD10,
    IN,
    LOINC,
    MET,
    OUT,
    Chart,
    blood_pressure,
    concept,
    condition,
    lab,
    observation,
    procedure,
    quantity,
    span,
    visit,
    wrong,
)

pytestmark = pytest.mark.django_db
HYPERTENSION, DIABETES = condition("I10", "2019", ICD10), condition("E11.9", "2015", ICD10)


def reported(*facts, **patient):
    """What the import says of a chart, and the populations of a sound patient beside it."""
    chart = Chart("odd", IN, list(facts), more=patient)
    resources = [{k: v for k, v in r.items() if v is not None} for r in chart.resources("odd")]
    summary = import_resources(resources, source="odd")
    sound = Chart("sound", MET, [visit(), procedure("44388", "2020-02-02", CPT)])
    assert wrong("CMS130", [sound]) == []
    return [row["reason"] for row in summary.rejects]


def test_units_of_a_blood_pressure():
    said = reported(blood_pressure("2025-05-05", 16, 10, unit="kPa"))
    assert said == ["A blood pressure is in a unit we do not know; it counts as one without a value."]
    assert reported(blood_pressure("2025-05-05", 120, 80, unit="mmHg")) == []
    found = [("mmHg", MET), ("mm[Hg]", MET), ("mm Hg", MET), ("kPa", IN), ("furlong", IN)]
    charts = [
        Chart(unit, expected, [visit(), HYPERTENSION, blood_pressure("2025-05-05", 120, 80, unit=unit)])
        for unit, expected in found
    ]
    assert wrong("CMS165", charts) == []


def test_units_of_a_laboratory_value():
    charts = [
        Chart(
            "mmol/mol is not above 9 %",
            IN,
            [visit(), DIABETES, lab("4548-4", "2025-05-05", quantity(90, "mmol/mol"))],
        ),
        Chart(
            "an unknown unit is not above 9 %",
            IN,
            [visit(), DIABETES, lab("4548-4", "2025-05-05", quantity(11, "x"))],
        ),
        Chart("the others go on", MET, [visit(), DIABETES, lab("4548-4", "2025-05-05", quantity(11))]),
    ]
    assert wrong("CMS122", charts) == []


def test_text_where_a_number_belongs():
    bad = lab("4548-4", "2025-05-05", {"valueQuantity": {"value": "11", "unit": "%"}})
    assert reported(visit(), bad) == ["The value should be a number and is text."]
    component = blood_pressure("2025-05-05", 120, 80)
    component["component"][0]["valueQuantity"]["value"] = "high"
    assert reported(component) == ["The value should be a number and is text."]


def test_a_date_in_words():
    told = {k: v for k, v in procedure("44388", "x", CPT).items() if k != "performedDateTime"}
    said = reported(told | {"performedString": "some time in 2019"})
    assert said == ["The time is told in words only; kept without a time."]
    assert reported(procedure("44388", "last Tuesday", CPT)) == [
        'The date "last Tuesday" is not a FHIR date.'
    ]
    chart = Chart("in words", IN, [visit(), told | {"performedString": "some time in 2019"}])
    assert wrong("CMS130", [chart]) == []


def test_a_period_that_ends_before_it_starts():
    said = reported(procedure("44388", span("2024-05-02", "2024-05-01"), CPT))
    assert said == ["The period ends before it starts; kept without a time."]
    charts = [
        Chart("a procedure", IN, [visit(), procedure("44388", span("2024-05-02", "2024-05-01"), CPT)]),
        Chart("a visit", OUT, [visit("2025-05-02", "2025-05-01")]),
        Chart(
            "a condition", IN, [visit(), condition("C18.0", "2024-05-02", ICD10, "resolved", "2024-05-01")]
        ),
    ]
    assert wrong("CMS130", charts) == []


def test_a_birth_date_in_the_future_or_none():
    assert reported(visit(), birthDate="2131-01-01") == [
        "The birth date lies in the future; measures leave the patient out."
    ]
    said = reported(visit(), birthDate=None)
    assert said == ["The patient has no birth date; measures that ask for an age leave them out."]
    assert Patient.objects.filter(source="odd").count() == 1


def test_a_code_in_two_systems():
    def colonoscopy(*codings):
        coded = {"coding": [{"system": system, "code": code} for system, code in codings]}
        return procedure("x", "2020-02-02") | {"code": coded}

    charts = [
        Chart("both count once", MET, [visit(), colonoscopy((CPT, "44388"), (LOINC, "44388"))]),
        Chart("in any order", MET, [visit(), colonoscopy(("local", "1"), (CPT, "44388"))]),
        Chart("the wrong system alone", IN, [visit(), colonoscopy((LOINC, "44388"))]),
        Chart("two value sets at once", MET, [visit(), colonoscopy((CPT, "44388"), (CPT, "45330"))]),
        Chart("no system at all", IN, [visit(), procedure("44388", "2020-02-02", "")]),
    ]
    assert wrong("CMS130", charts) == []


def test_what_is_not_even_coded():
    facts = [
        observation("24604-1", "2025-05-05") | {"code": {"text": "mammogram"}},
        visit() | {"type": [concept("", "")]},
    ]
    assert wrong("CMS125", [Chart("words alone", IN, [visit(), *facts])]) == []
