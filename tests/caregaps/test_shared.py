"""Ages, visits, hospice, palliative care, frailty, advanced illness, nursing home: every branch and window edge."""

import pytest

from tests.caregaps.charts import (
    CPT,
    EXCLUDED,
    ICD10,
    IN,
    MET,
    OUT,
    SNOMED,
    Chart,
    condition,
    device_order,
    observation,
    prescription,
    procedure,
    service_order,
    span,
    survey,
    visit,
    wrong,
)  # fmt: skip

pytestmark = pytest.mark.django_db
OLD = "1955-03-03"  # 70 at the end of 2025
DEMENTIA, FRAIL, ILL = "1100184", "L89.000", "A81.00"


def test_ages_on_the_last_day_of_the_period():
    charts = [
        Chart("75, turning 75 on the last day", OUT, [visit()], born="1949-12-31"),
        Chart("75 all through", IN, [visit()], born="1950-12-31"),
        Chart("76 on the last day is out", OUT, [visit()], born="1949-06-01"),
        Chart("46 on the last day", IN, [visit()], born="1979-12-31"),
        Chart("46 only the day after", OUT, [visit()], born="1980-01-01"),
        Chart("a birth year that fits as a whole", IN, [visit()], born="1979"),
        Chart("a birth year that does not", OUT, [visit()], born="1980"),
        Chart("a birth month", IN, [visit()], born="1979-12"),
        Chart("born in the future", OUT, [visit()], born="2031-01-01"),
    ]
    assert wrong("CMS130", charts) == []


def test_without_a_birth_date_nobody_is_in():
    chart = Chart("no birth date", OUT, [visit()])
    chart.more = {"birthDate": None}
    made = chart.resources
    chart.resources = lambda n: [{k: v for k, v in r.items() if v is not None} for r in made(n)]
    assert wrong("CMS130", [chart]) == []


def test_visits():
    east, japan = "-05:00", "+09:00"
    charts = [
        Chart("no visit", OUT, []),
        Chart("office", IN, [visit()]),
        Chart("annual wellness", IN, [visit(code="G0402", system="http://www.nlm.nih.gov/research/umls/hcpcs")]),
        Chart("preventive, established", IN, [visit(code="99395")]),
        Chart("preventive, initial", IN, [visit(code="99385")]),
        Chart("home", IN, [visit(code="99341")]),
        Chart("virtual", IN, [visit(code="98970")]),
        Chart("telephone", IN, [visit(code="98966")]),
        Chart("a kind that does not count", OUT, [visit(code="99281")]),
        Chart("the code in another system", OUT, [visit(system=SNOMED)]),
        Chart("a second type counts", IN, [visit() | {"type": [*visit(code="1")["type"], *visit()["type"]]}]),
        Chart("any class", IN, [visit(kind="IMP")]),
        *[Chart(s, IN, [visit(status=s)]) for s in ("arrived", "triaged", "in-progress", "onleave")],
        *[Chart(s, OUT, [visit(status=s)]) for s in ("planned", "cancelled", "entered-in-error", "unknown")],
        Chart("without an end", OUT, [visit(end=None)]),
        Chart("without a start", OUT, [visit(None, "2025-03-03T10:00:00Z")]),
        Chart("first moment", IN, [visit("2025-01-01T00:00:00Z")]),
        Chart("last moment", IN, [visit("2025-12-31T23:59:59Z")]),
        Chart("ends a day late", OUT, [visit("2025-12-31T20:00:00Z", "2026-01-01T08:00:00Z")]),
        Chart("starts a day early", OUT, [visit("2024-12-31T20:00:00Z", "2025-01-01T08:00:00Z")]),
        Chart("31 Dec as written, 2026 in UTC", IN, [visit("2025-12-31T23:30:00" + east)]),
        Chart("1 Jan as written, 2024 in UTC", IN, [visit("2025-01-01T02:00:00" + japan)]),
        Chart("1 Jan 2026 as written, 2025 in UTC", OUT, [visit("2026-01-01T02:00:00" + japan)]),
        Chart("only the month", IN, [visit("2025-12")]),
        Chart("only the year", IN, [visit("2025")]),
    ]  # fmt: skip
    assert wrong("CMS130", charts) == []


def test_hospice():
    home = {
        "hospitalization": {
            "dischargeDisposition": {"coding": [{"system": SNOMED, "code": "428361000124107"}]}
        }
    }
    facility = {
        "hospitalization": {
            "dischargeDisposition": {"coding": [{"system": SNOMED, "code": "428371000124100"}]}
        }
    }
    elsewhere = {"hospitalization": {"dischargeDisposition": {"coding": [{"system": SNOMED, "code": "1"}]}}}
    stay = {"code": "183452005", "system": SNOMED}
    hospice = {"code": "183919006", "system": SNOMED}
    found = [
        ("discharged home to hospice", EXCLUDED, visit("2024-12-20", "2025-01-01", **stay) | home),
        ("discharged to a hospice", EXCLUDED, visit("2025-12-20", "2025-12-31", **stay) | facility),
        ("discharged elsewhere", IN, visit("2025-12-20", "2025-12-31", **stay) | elsewhere),
        ("discharge a day too late", IN, visit("2025-12-20", "2026-01-01", **stay) | home),
        ("discharge a day too early", IN, visit("2024-12-20", "2024-12-31", **stay) | home),
        ("still in hospital", IN, visit("2025-12-20", None, **stay) | home),
        ("hospice visit on the first day", EXCLUDED, visit("2024-11-01", "2025-01-01", **hospice)),
        ("hospice visit over the day before", IN, visit("2024-11-01", "2024-12-31", **hospice)),
        ("hospice visit still running", EXCLUDED, visit("2024-11-01", None, **hospice)),
        ("hospice from next year", IN, visit("2026-01-01", None, **hospice)),
        ("hospice recorded in a survey", EXCLUDED, survey("45755-6", "2025-05-05", "373066001")),
        ("hospice survey: no", IN, survey("45755-6", "2025-05-05", "373067005")),
        ("hospice survey without category", IN, survey("45755-6", "2025-05-05", "373066001") | {"category": []}),
        ("hospice survey preliminary", IN, survey("45755-6", "2025-05-05", "373066001", status="preliminary")),
        ("hospice ordered on the last day", EXCLUDED, service_order("170935008", "2025-12-31")),
        ("hospice ordered the day after", IN, service_order("170935008", "2026-01-01")),
        ("hospice planned, not ordered", IN, service_order("170935008", "2025-12-31", intent="plan")),
        ("hospice order revoked", IN, service_order("170935008", "2025-12-31", status="revoked")),
        ("hospice care given", EXCLUDED, procedure("170935008", span("2024-01-01", "2025-01-01"))),
        ("hospice care not done", IN, procedure("170935008", "2025-05-05", status="not-done")),
        ("hospice care over before", IN, procedure("170935008", span("2024-01-01", "2024-12-31"))),
    ]  # fmt: skip
    assert wrong("CMS130", [Chart(name, expected, [visit(), fact]) for name, expected, fact in found]) == []


def test_prevalence_of_conditions():
    """measures.md §0.5, on the palliative diagnosis, which must overlap the period by the day."""
    palliative = "305686008"
    found = [
        ("active since long", EXCLUDED, condition(palliative, "2019-01-01")),
        ("active, no dates at all", EXCLUDED, condition(palliative)),
        ("active, over before", IN, condition(palliative, "2019", abatement="2024-12-31")),
        ("active, over on the first day", EXCLUDED, condition(palliative, "2019", abatement="2025-01-01")),
        ("active, begins after", IN, condition(palliative, "2026-01-01")),
        ("begins on the last day", EXCLUDED, condition(palliative, "2025-12-31")),
        ("recurrence", EXCLUDED, condition(palliative, "2019", clinical="recurrence")),
        ("relapse", EXCLUDED, condition(palliative, "2019", clinical="relapse")),
        ("resolved without an end is never", IN, condition(palliative, "2025-05-05", clinical="resolved")),
        ("no status without an end is never", IN, condition(palliative, "2025-05-05", clinical=None)),
        ("inactive without an end is never", IN, condition(palliative, "2025-05-05", clinical="inactive")),
        ("resolved in the period", EXCLUDED, condition(palliative, "2019", clinical="resolved", abatement="2025-02-02")),
        ("resolved, no onset", EXCLUDED, condition(palliative, clinical="resolved", abatement="2025-02-02")),
        ("recorded date is not read", IN, condition(palliative, "2026-01-01", recordedDate="2025-01-01")),
        ("entered in error counts all the same", EXCLUDED, condition(
            palliative, "2019", verificationStatus={"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "entered-in-error"}]})),
    ]  # fmt: skip
    assert wrong("CMS130", [Chart(name, expected, [visit(), fact]) for name, expected, fact in found]) == []


def test_palliative_care():
    found = [
        ("questionnaire", EXCLUDED, survey("71007-9", "2025-12-31")),
        ("questionnaire of last year", IN, survey("71007-9", "2024-12-31")),
        ("visit", EXCLUDED, visit("2024-12-01", "2025-01-01", "305284002", SNOMED)),
        ("intervention", EXCLUDED, procedure("103735009", "2025-06-06")),
        ("intervention under way", IN, procedure("103735009", "2025-06-06", status="in-progress")),
    ]
    assert wrong("CMS130", [Chart(name, expected, [visit(), fact]) for name, expected, fact in found]) == []


def test_frailty_needs_advanced_illness_and_66_years():
    ill, frail = condition(ILL, "2024-01-01", ICD10), condition(FRAIL, "2020-01-01", ICD10)
    charts = [
        Chart("both", EXCLUDED, [visit(), ill, frail], born=OLD),
        Chart("only frail", IN, [visit(), frail], born=OLD),
        Chart("only ill", IN, [visit(), ill], born=OLD),
        Chart("66 on the last day", EXCLUDED, [visit(), ill, frail], born="1959-12-31"),
        Chart("65 on the last day", IN, [visit(), ill, frail], born="1960-01-01"),
    ]
    assert wrong("CMS130", charts) == []


def test_every_sign_of_frailty():
    refused = {
        "modifierExtension": [
            {
                "url": "http://hl7.org/fhir/us/qicore/StructureDefinition/qicore-doNotPerform",
                "valueBoolean": True,
            }
        ]
    }
    found = [
        ("device ordered", EXCLUDED, device_order("2025-12-31")),
        ("device ordered last year", IN, device_order("2024-12-31")),
        ("device not to be given", IN, device_order() | refused),
        ("device proposed", IN, device_order(intent="proposal")),
        ("device on hold", IN, device_order(status="on-hold")),
        ("equipment used", EXCLUDED, survey("98181-1", span("2024-05-05", "2025-01-01"), "1142151007")),
        ("equipment used, no end", IN, survey("98181-1", span("2025-05-05"), "1142151007")),
        ("other equipment", IN, survey("98181-1", "2025-05-05", "1")),
        ("diagnosis", EXCLUDED, condition(FRAIL, "2020", ICD10)),
        ("visit", EXCLUDED, visit("2025-04-04", code="99504")),
        ("symptom, even preliminary", EXCLUDED, observation("102492002", "2025-04-04", system=SNOMED, status="preliminary")),
        ("symptom registered only", IN, observation("102492002", "2025-04-04", system=SNOMED, status="registered")),
        ("symptom of last year", IN, observation("102492002", "2024-04-04", system=SNOMED)),
    ]  # fmt: skip
    ill = condition(ILL, "2024-01-01", ICD10)
    assert wrong("CMS130", [Chart(n, e, [visit(), ill, fact], born=OLD) for n, e, fact in found]) == []


def test_every_sign_of_advanced_illness():
    by_reference = prescription(DEMENTIA, "2025-05-05", 30)
    by_reference["medicationReference"] = {"reference": "Medication/m1"}
    del by_reference["medicationCodeableConcept"]
    found = [
        ("began the year before", EXCLUDED, condition(ILL, "2024-01-01", ICD10)),
        ("began earlier and goes on", IN, condition(ILL, "2023-12-31", ICD10)),
        ("begins after the period", IN, condition(ILL, "2026-01-01", ICD10)),
        ("dementia drug reaching into the year before", EXCLUDED, prescription(DEMENTIA, "2023-12-03", 30)),
        ("dementia drug used up before", IN, prescription(DEMENTIA, "2023-12-02", 30)),
        ("dementia drug of unknown length", IN, prescription(DEMENTIA, "2025-05-05")),
        ("dementia drug stopped", IN, prescription(DEMENTIA, "2025-05-05", 30, status="stopped")),
        ("dementia drug completed", IN, prescription(DEMENTIA, "2025-05-05", 30, status="completed")),
        ("dementia drug planned", IN, prescription(DEMENTIA, "2025-05-05", 30, intent="plan")),
        ("dementia drug by reference, strictly", IN, by_reference),
    ]
    frail = condition(FRAIL, "2020", ICD10)
    charts = [Chart(n, e, [visit(), frail, fact], born=OLD) for n, e, fact in found]
    charts[-1].facts.append(
        {
            "resourceType": "Medication",
            "id": "m1",
            "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": DEMENTIA}]},
        }
    )
    assert wrong("CMS130", charts) == []
    charts[-1].expected = EXCLUDED
    assert wrong("CMS130", charts, by_reference=True) == []


def test_the_last_answer_about_housing_counts():
    home, own = "160734000", "1"
    in_home, moved = survey("71802-3", "2019-05-05", home), survey("71802-3", "2025-05-05", own)
    charts = [
        Chart("long ago and never since", EXCLUDED, [visit(), in_home], born=OLD),
        Chart("moved out since", IN, [visit(), in_home, moved], born=OLD),
        Chart("moved in since", EXCLUDED, [visit(), survey("71802-3", "2019", own), survey("71802-3", "2025-12-31", home)],
              born=OLD),
        Chart("moves in after the period", IN, [visit(), survey("71802-3", "2026-01-01", home)], born=OLD),
        Chart("moves out after the period", EXCLUDED, [visit(), in_home, survey("71802-3", "2026-01-01", own)], born=OLD),
        Chart("the same day, later", IN, [visit(), survey("71802-3", "2025-05-05T08:00:00Z", home),
                                          survey("71802-3", "2025-05-05T09:00:00Z", own)], born=OLD),
        Chart("65 years old", IN, [visit(), in_home], born="1960-01-01"),
    ]  # fmt: skip
    assert wrong("CMS130", charts) == []


def test_who_is_excluded_is_in_no_numerator():
    done = procedure("44388", "2020-02-02", CPT)
    charts = [
        Chart("done", MET, [visit(), done]),
        Chart("done, and in hospice", EXCLUDED, [visit(), done, procedure("170935008", "2025-02-02")]),
        Chart("done, no visit", OUT, [done]),
    ]
    assert wrong("CMS130", charts) == []
