"""The rules published for 2026, where measures.md §12 states them; and which rules a year without its own has."""

import pytest

from engage.caregaps.measures import MEASURES
from tests.caregaps.charts import (
    CPT,
    EXCLUDED,
    ICD10,
    IN,
    MET,
    OUT,
    RXNORM,
    SNOMED,
    Chart,
    blood_pressure,
    concept,
    condition,
    device_order,
    lab,
    observation,
    prescription,
    procedure,
    quantity,
    service_order,
    span,
    survey,
    visit,
    wrong,
)

pytestmark = pytest.mark.django_db
YEAR = {"start": "2026-01-01", "end": "2026-12-31"}
SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-sex"
FEMALE, MALE = "248152002", "248153007"
DAY = "2026-03-03"


def sex(code, **value):
    return {"extension": [{"url": SEX} | (value or {"valueCode": code})]}


def seen(**more):
    return visit(more.pop("when", f"{DAY}T10:00:00Z"), **more)


def imaged(when="2026-05-05"):
    return observation("24604-1", when, category="imaging")


def verified(code):
    return {"verificationStatus": concept("http://terminology.hl7.org/CodeSystem/condition-ver-status", code)}


def check(measure, *found, base=(), born="1970-06-15", **more):
    charts = [
        Chart(name, expected, [seen(), *base, *facts], born, more=sex(FEMALE))
        for name, expected, *facts in found
    ]
    assert wrong(measure, charts, YEAR, **more) == []


def test_the_latest_rules_published_by_a_year():
    unstated = {"CMS2", "CMS138", "CMS347", "CMS349"}  # measures.md §12 says nothing of them
    for measure in MEASURES.values():
        assert measure.rules(2025).version == "2025.1"
        assert measure.rules(2026).version == ("2025.1" if measure.id in unstated else "2026.1")
        assert measure.rules(2031) is measure.rules(2026)
        assert measure.rules(2019) is measure.rules(2025)  # none published by then: the first we have


def test_who_is_a_woman_of_42_to_74():
    def chart(name, expected, born="1970-06-15", gender="female", more=None):
        return Chart(name, expected, [seen()], born, gender, sex(FEMALE) if more is None else more)

    coding = {"system": SNOMED, "code": FEMALE}
    charts = [
        chart("the extension", IN),
        chart("the extension, whatever the gender", IN, gender="male"),
        chart("as a Coding", IN, more=sex("", valueCoding=coding)),
        chart("as a CodeableConcept", IN, more=sex("", valueCodeableConcept={"coding": [coding]})),
        chart("the extension says male", OUT, more=sex(MALE)),
        chart("only the gender", OUT, more={}),
        chart("42 on the last day", IN, "1984-12-31"),
        chart("41 on the last day", OUT, "1985-01-01"),
        chart("74 on the last day", IN, "1952-01-01"),
        chart("75 on the last day", OUT, "1951-12-31"),
    ]
    assert wrong("CMS125", charts, YEAR) == []


def test_the_nightly_job_takes_the_gender_where_the_record_has_no_sex():
    charts = [
        Chart("only the gender", IN, [seen()], "1970-06-15"),
        Chart("a man by gender", OUT, [seen()], "1970-06-15", "male"),
        Chart("the extension says male", OUT, [seen()], "1970-06-15", more=sex(MALE)),
    ]
    assert wrong("CMS125", charts, YEAR, gender_for_sex=True) == []


def test_a_visit_must_be_finished():
    charts = [
        Chart(status, OUT, [seen(status=status)], "1970-06-15", more=sex(FEMALE))
        for status in ("arrived", "triaged", "in-progress", "onleave")
    ]
    for measure in ("CMS125", "CMS124"):
        assert wrong(measure, charts, YEAR) == []


def test_a_mammogram_is_an_image_of_27_months():
    check(
        "CMS125",
        ("on the first day", MET, imaged("2024-10-01")),
        ("the day before", IN, imaged("2024-09-30")),
        ("without the category", IN, observation("24604-1", "2026-05-05")),
        ("of another category", IN, lab("24604-1", "2026-05-05", {})),
    )


def test_diagnoses_must_be_verified():
    def history(code):
        return condition("Z90.13", "2010", ICD10, **verified(code))

    check(
        "CMS125",
        ("nothing said", EXCLUDED, condition("Z90.13", "2010", ICD10)),
        *[
            (code, EXCLUDED, history(code))
            for code in ("confirmed", "unconfirmed", "provisional", "differential")
        ],
        *[(code, IN, history(code)) for code in ("refuted", "entered-in-error")],
        ("palliative care refuted", IN, condition("305686008", "2020", SNOMED, **verified("refuted"))),
    )


def test_surveys_and_results_need_no_category_and_orders_are_of_any_kind():
    old = "1955-06-15"
    ill, frail = condition("A81.00", "2025-02-02", ICD10), condition("L89.000", "2020", ICD10)
    home = survey("71802-3", "2020-02-02", "160734000") | {"category": []}
    orders = ("order", "original-order", "reflex-order", "filler-order", "instance-order")
    check(
        "CMS125",
        ("in a nursing home", EXCLUDED, home),
        ("hospice by survey", EXCLUDED, survey("45755-6", "2026-05-05", "373066001") | {"category": []}),
        *[(f"hospice, {i}", EXCLUDED, service_order("170935008", DAY, intent=i)) for i in orders],
        ("hospice, planned", IN, service_order("170935008", DAY, intent="plan")),
        *[(f"device, {i}", EXCLUDED, ill, device_order(DAY, intent=i)) for i in orders],
        ("dementia drug, filled", EXCLUDED, frail, prescription("1100184", DAY, 30, intent="filler-order")),
        ("dementia drug, planned", IN, frail, prescription("1100184", DAY, 30, intent="plan")),
        born=old,
    )
    check("CMS124", ("Pap without the category", MET, observation("10524-7", DAY, {"valueString": "normal"})))
    check("CMS124", ("Pap without a value", IN, observation("10524-7", DAY)))


def test_cms122_has_visits_of_its_own():
    diabetes = condition("E11.9", "2015-01-01", ICD10)
    at_visit = {
        "category": [
            concept("http://terminology.hl7.org/CodeSystem/condition-category", "encounter-diagnosis")
        ]
    }
    controlled = observation("4548-4", DAY, quantity(9.0))

    def chart(name, expected, *facts):
        return Chart(name, expected, list(facts), "1970-06-15")

    charts = [
        chart("nutrition", MET, seen(code="11816003", system=SNOMED), diabetes),
        chart("nutrition therapy", MET, seen(code="97802"), diabetes),
        chart("office", MET, seen(), diabetes),
        chart(
            "diabetes only diagnosed at a visit", MET, seen(), condition("E11.9", "2015", ICD10, **at_visit)
        ),
        chart("diabetes refuted", OUT, seen(), condition("E11.9", "2015", ICD10, **verified("refuted"))),
        chart("9.0 without the category", IN, seen(), diabetes, controlled),
        chart("9.1", MET, seen(), diabetes, observation("4548-4", DAY, quantity(9.1))),
    ]
    assert wrong("CMS122", charts, YEAR) == []


def test_cms165_reads_nothing_of_the_day_of_a_hospital_or_emergency_visit():
    hypertension = condition("I10", "2019-01-01", ICD10)
    good, bad = (
        blood_pressure("2026-05-05T09:00:00Z", 120, 80),
        blood_pressure("2026-05-05T09:00:00Z", 150, 80),
    )
    earlier = blood_pressure("2026-04-04", 120, 80)
    stay = {"code": "183452005", "system": SNOMED}
    check(
        "CMS165",
        ("an ordinary day", MET, good),
        ("the day of an emergency visit", IN, good, visit("2026-05-05T20:00:00Z", code="99281", system=CPT)),
        ("the day before it", MET, good, visit("2026-05-06T20:00:00Z", code="99281")),
        ("the first day of a stay", IN, good, visit("2026-05-05T22:00:00Z", "2026-05-09", **stay)),
        ("the last day of a stay", IN, good, visit("2026-05-01", "2026-05-05T06:00:00Z", **stay)),
        ("the day after it", MET, good, visit("2026-05-01", "2026-05-04T06:00:00Z", **stay)),
        ("a stay that goes on", IN, good, visit("2026-05-01", None, **stay)),
        ("a stay that was cancelled", MET, good, visit("2026-05-05", "2026-05-06", status="cancelled", **stay)),
        ("a high reading in a stay", MET, earlier, bad, visit("2026-05-01", "2026-05-09", **stay)),
        ("the class of the visit no longer matters", MET, good | {"encounter": {"reference": "Encounter/e1"}},
         visit(f"{DAY}T10:00:00Z", code="1", kind="EMER") | {"id": "e1"}),
        ("hypertension refuted counts no more", MET, good, condition("N18.6", "2020", ICD10, **verified("refuted"))),
        ("kidney failure", EXCLUDED, good, condition("N18.6", "2020", ICD10)),
        base=[hypertension],
    )  # fmt: skip
    check(
        "CMS165",
        ("refuted", OUT, condition("I10", "2019", ICD10, **verified("refuted"))),
        ("in the first half of the year", IN, condition("I10", "2026-06-29", ICD10)),
        ("in the second half", OUT, condition("I10", "2026-07-01", ICD10)),
    )


def test_the_filters_of_2026_hold_in_every_measure():
    """One chart of each of the six measures that change in nothing else, for each filter that reaches it."""
    diabetes = condition("E11.9", "2015-01-01", ICD10)
    refuted, wrong_entry = verified("refuted"), verified("entered-in-error")
    stool = observation("27396-1", DAY, quantity(1))
    falls = observation("73830-2", DAY)
    check(
        "CMS130",
        ("blood in stool without the category", MET, stool),
        ("CT colonography as an image", MET, observation("60515-4", DAY, category="imaging")),
        ("CT colonography of no category", IN, observation("60515-4", DAY)),
        ("colon cancer", EXCLUDED, condition("C18.0", "2015", ICD10)),
        ("colon cancer refuted", IN, condition("C18.0", "2015", ICD10, **refuted)),
        ("hospice, original order", EXCLUDED, service_order("170935008", DAY, intent="original-order")),
    )
    charts = {
        "CMS130": [Chart("only arrived", OUT, [seen(status="arrived"), stool], "1970-06-15")],
        "CMS139": [
            Chart("without the category", MET, [seen(), falls], "1950-06-15"),
            Chart("only triaged", OUT, [seen(status="triaged"), falls], "1950-06-15"),
        ],
        "CMS131": [
            Chart("diabetes", IN, [seen(), diabetes], "1970-06-15"),
            Chart("refuted", OUT, [seen(), condition("E11.9", "2015", ICD10, **refuted)], "1970-06-15"),
        ],
        "CMS951": [
            Chart("diabetes", IN, [seen(), diabetes], "1970-06-15"),
            Chart("in error", OUT, [seen(), condition("E11.9", "2015", ICD10, **wrong_entry)], "1970-06-15"),
        ],
        "CMS153": [
            Chart("HIV", IN, [seen(), condition("B20", "2025-01-01", ICD10)], "2004-06-15"),
            Chart(
                "HIV refuted", OUT, [seen(), condition("B20", "2025-01-01", ICD10, **refuted)], "2004-06-15"
            ),
        ],
        "CMS117": [
            Chart("two years old", IN, [seen()], "2024-02-02"),
            Chart("HIV", EXCLUDED, [seen(), condition("B20", "2025-01-01", ICD10)], "2024-02-02"),
            Chart(
                "HIV refuted", IN, [seen(), condition("B20", "2025-01-01", ICD10, **refuted)], "2024-02-02"
            ),
        ],
    }
    for measure, its in charts.items():
        assert wrong(measure, its, YEAR) == [], measure


def test_a_year_between_keeps_to_its_own_rules():
    """The same chart by the rules of 2025 and of 2026."""
    chart = Chart("a woman of 45 by gender", OUT, [seen(), visit("2025-03-03T10:00:00Z")], "1980-06-15")
    assert wrong("CMS125", [chart], YEAR) == []
    fifty = Chart(
        "a woman of 55 by gender", IN, [visit("2025-03-03T10:00:00Z", status="arrived")], "1970-06-15"
    )
    assert wrong("CMS125", [fifty]) == []


def test_switches_of_a_conformance_run():
    reference = prescription("1100184", DAY, 30)
    reference["medicationReference"] = {"reference": "Medication/m1"}
    del reference["medicationCodeableConcept"]
    drug = {"resourceType": "Medication", "id": "m1", "code": concept(RXNORM, "1100184")}
    frail = condition("L89.000", "2020", ICD10)
    chart = Chart("by reference", IN, [seen(), frail, reference, drug], "1955-06-15", more=sex(FEMALE))
    assert wrong("CMS125", [chart], YEAR) == []
    chart.expected = EXCLUDED
    assert wrong("CMS125", [chart], YEAR, by_reference=True) == []


def test_negation_by_element_or_only_by_profile():
    statin = prescription("1422096", "2025-02-02", doNotPerform=True)
    profile = {
        "meta": {"profile": ["http://hl7.org/fhir/us/qicore/StructureDefinition/qicore-mednotrequested"]}
    }
    heart = procedure("11101003", span("2010-02-02"))
    charts = [
        Chart("by the element", (IN, OUT, OUT, OUT), [visit(), heart, statin]),
        Chart("by the profile", (IN, OUT, OUT, OUT), [visit(), heart, statin | profile]),
    ]
    assert wrong("CMS347", charts) == []
    charts[0].expected = (MET, OUT, OUT, OUT)
    assert wrong("CMS347", charts, negation_by_profile=True) == []
