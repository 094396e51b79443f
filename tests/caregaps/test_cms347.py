"""CMS347: four groups of risk, one statin, and what speaks against it."""

from datetime import date
from itertools import combinations

import pytest
from fhir.resources.R4B.measurereport import MeasureReport

from engage.caregaps.measures import MEASURES
from engage.caregaps.period import Period
from engage.caregaps.reports import Results
from tests.caregaps.charts import (
    CPT,
    EXCEPTED,
    EXCLUDED,
    ICD10,
    IN,
    MET,
    OUT,
    RXNORM,
    SNOMED,
    Chart,
    concept,
    condition,
    observation,
    prescription,
    problem,
    procedure,
    quantity,
    span,
    visit,
    wrong,
)

pytestmark = pytest.mark.django_db
CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
ACTIVE = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
STATIN = "1422096"
LDL, RISK = "13457-7", "99055-6"
BLOCKS = {
    "vessels": problem("I21.01", "2019"),
    "I22.2": problem("I22.2", "2019"),
    "LDL": observation(LDL, "2019-02-02", quantity(190, "mg/dL")),
    "inherited": problem("E78.01", "2019"),
    "diabetes": problem("E10.10", "2019"),
    "risk": observation(RISK, "2025-02-02", quantity(20, "%")),
}


def only(group, word=IN):
    """That word in one group, out of the others."""
    return tuple(word if number == group else OUT for number in (1, 2, 3, 4))


NONE = only(0)


def check(*found, base=(), born="1965-06-15"):
    charts = [Chart(name, expected, [visit(), *base, *facts], born) for name, expected, *facts in found]
    assert wrong("CMS347", charts) == []


def groups_of(*blocks, age=60):
    """The table of measures.md §13.4, said again in Python."""
    has = set(blocks)
    vessels, cholesterol = "vessels" in has, bool(has & {"LDL", "inherited"})
    return (
        vessels or "I22.2" in has,
        cholesterol and not vessels and 20 <= age <= 75,
        "diabetes" in has and not (vessels or cholesterol) and 40 <= age <= 75,
        "risk" in has and not (vessels or cholesterol or "diabetes" in has) and 40 <= age <= 75,
    )


def test_every_pair_of_risks():
    charts = []
    for blocks in [(), *combinations(BLOCKS, 1), *combinations(BLOCKS, 2)]:
        expected = tuple(IN if found else OUT for found in groups_of(*blocks))
        charts.append(
            Chart(" and ".join(blocks) or "no risk", expected, [visit(), *(BLOCKS[b] for b in blocks)])
        )
    assert wrong("CMS347", charts) == []


@pytest.mark.parametrize(
    ("age", "born"),
    [(19, "2005-01-02"), (20, "2005-01-01"), (39, "1985-01-02"), (40, "1985-01-01"), (75, "1949-01-02"), (76, "1949-01-01")],
)  # fmt: skip
def test_ages_on_the_first_day(age, born):
    charts = [
        Chart(f"{blocks} at {age}", tuple(IN if g else OUT for g in groups_of(*blocks, age=age)),
              [visit(), *(BLOCKS[b] for b in blocks)], born)
        for blocks in (*((name,) for name in BLOCKS), ("diabetes", "risk"), ("LDL", "diabetes"))
    ]  # fmt: skip
    assert wrong("CMS347", charts) == []


def test_visits():
    heart, hcpcs = BLOCKS["vessels"], "http://www.nlm.nih.gov/research/umls/hcpcs"
    charts = [
        Chart("no visit", NONE, [heart]),
        Chart("a child is in the first group", only(1), [visit(), heart], "2015-01-01"),
        *[Chart(f"visit {code}", only(1), [visit(code=code), heart])
          for code in ("99242", "99395", "99401", "99385", "99429")],
        Chart("annual wellness", only(1), [visit(code="G0438", system=hcpcs), heart]),
        Chart("preventive, outpatient", only(1), [visit(code="108219001", system=SNOMED), heart]),
        Chart("by telephone", NONE, [visit(code="98966"), heart]),
        Chart("only arrived", NONE, [visit(status="arrived"), heart]),
    ]  # fmt: skip
    assert wrong("CMS347", charts) == []


def test_diseases_of_the_vessels():
    diagnosis = {"category": [concept(CATEGORY, "encounter-diagnosis")]}
    check(
        *[(f"diagnosis {code}", only(1), problem(code, "2019")) for code in ("I21.01", "G45.0", "E08.51", "I23.0", "I20.0")],
        ("only the diagnosis of a visit", NONE, condition("I21.01", "2019", ICD10, **diagnosis)),
        ("without a category", NONE, condition("I21.01", "2019", ICD10)),
        ("a visit's diagnosis closes no other group", only(3), condition("I21.01", "2019", ICD10, **diagnosis),
         BLOCKS["diabetes"]),
        ("a visit's diagnosis of I22.2", NONE, condition("I22.2", "2019", ICD10, **diagnosis)),
        ("on the last day", only(1), problem("I21.01", "2025-12-31")),
        ("next year", NONE, problem("I21.01", "2026-01-01")),
        ("over long ago", only(1), problem("I21.01", "2010", clinical="resolved", abatement="2011")),
        ("over long ago, begun unknown", only(1), problem("I21.01", None, clinical="resolved", abatement="2011")),
        ("resolved without an end is never", NONE, problem("I21.01", "2010", clinical="resolved")),
        *[(f"procedure {code}", only(1), procedure(code, "2010-02-02")) for code in ("11101003", "10190003", "112823003")],
        ("bypass by CPT", only(1), procedure("33510", "2010-02-02", CPT)),
        ("procedure without an end", only(1), procedure("11101003", span("2010-02-02"))),
        ("procedure without a start", NONE, procedure("11101003", span(None, "2010-02-02"))),
        ("procedure not done", NONE, procedure("11101003", "2010-02-02", status="not-done")),
        ("procedure next year", NONE, procedure("11101003", "2026-01-01")),
    )  # fmt: skip


def test_ldl_of_190_by_what_its_unit_means():
    def ldl(value, unit="mg/dL", when="2019-02-02", **more):
        return observation(LDL, when, quantity(value, unit, **more))

    check(
        ("190", only(2), ldl(190)),
        ("189.9", NONE, ldl(189.9)),
        ("mg/dl", only(2), ldl(190, "mg/dl")),
        ("2 g/L", only(2), ldl(2, "g/L")),
        ("1.9 g/L", only(2), ldl(1.9, "g/L")),
        ("1.8 g/L", NONE, ldl(1.8, "g/L")),
        ("mmol/L cannot be compared", NONE, ldl(400, "mmol/L")),
        ("no unit", NONE, ldl(400, "")),
        ("a bound is no number", NONE, ldl(190, comparator=">")),
        (
            "once, long ago, whatever came later",
            only(2),
            ldl(200, when="2015-02-02"),
            ldl(100, when="2024-02-02"),
        ),
        ("on the last day", only(2), ldl(190, when="2025-12-31")),
        ("next year", NONE, ldl(190, when="2026-01-01")),
        ("text", NONE, observation(LDL, "2019-02-02", {"valueString": "250"})),
        ("preliminary", NONE, observation(LDL, "2019-02-02", quantity(250, "mg/dL"), status="preliminary")),
        ("amended", only(2), observation(LDL, "2019-02-02", quantity(250, "mg/dL"), status="amended")),
    )


def test_diabetes_and_the_ten_year_risk():
    def risk(value, unit="%", when="2025-02-02", code=RISK, **more):
        return observation(code, when, quantity(value, unit), **more)

    check(
        (
            "diabetes over before",
            NONE,
            problem("E10.10", "2010", clinical="resolved", abatement="2024-12-31"),
        ),
        (
            "diabetes over on the first day",
            only(3),
            problem("E10.10", "2010", clinical="resolved", abatement="2025-01-01"),
        ),
        ("diabetes from the last day on", only(3), problem("E10.10", "2025-12-31")),
        ("20 %", only(4), risk(20)),
        ("19.9 %", NONE, risk(19.9)),
        ("a fraction without a unit", only(4), risk(0.25, "")),
        ("a fraction of 0.199", NONE, risk(0.199, "")),
        ("a fraction of unit 1", only(4), risk(0.2, "1")),
        ("by the other code", only(4), risk(20, code="79423-0")),
        ("entered in error counts all the same", only(4), risk(20, status="entered-in-error")),
        ("last year", NONE, risk(20, when="2024-12-31")),
        ("on the last day", only(4), risk(20, when="2025-12-31")),
        ("into next year", NONE, risk(20, when=span("2025-12-01", "2026-01-01"))),
    )


def test_a_statin_of_the_year():
    def bounded(start, end, when="2020-02-02", **more):
        dosage = [{"timing": {"repeat": {"boundsPeriod": span(start, end)}}}]
        return prescription(STATIN, when, dosageInstruction=dosage, **more)

    two_dosages = bounded(None, "2019-01-01")
    two_dosages["dosageInstruction"] += bounded("2025-12-31", None)["dosageInstruction"]
    met = only(1, MET)
    check(
        ("high intensity", met, prescription(STATIN, "2025-02-02")),
        ("moderate", met, prescription("1422086", "2025-02-02")),
        ("low", met, prescription("1790679", "2025-02-02")),
        ("completed", met, prescription(STATIN, "2025-02-02", status="completed")),
        ("stopped", only(1), prescription(STATIN, "2025-02-02", status="stopped")),
        ("planned", only(1), prescription(STATIN, "2025-02-02", intent="plan")),
        ("on the first day", met, prescription(STATIN, "2025-01-01")),
        ("the day before, with supply into the year", only(1), prescription(STATIN, "2024-12-31", 90)),
        ("next year", only(1), prescription(STATIN, "2026-01-01")),
        ("going on since long", met, bounded("2020-02-02", None)),
        ("over on the first day", met, bounded("2020-02-02", "2025-01-01")),
        ("over the day before", only(1), bounded("2020-02-02", "2024-12-31")),
        ("bounds without a start", met, bounded(None, "2025-01-01")),
        ("bounds of the second dosage", met, two_dosages),
        ("not to be given", only(1), prescription(STATIN, "2025-02-02", doNotPerform=True)),
        ("not to be given, going on", only(1), bounded("2020-02-02", None, doNotPerform=True)),
        base=[BLOCKS["vessels"]],
    )
    check(("the second group", only(2, MET), prescription(STATIN, "2025-02-02")), base=[BLOCKS["LDL"]])
    check(("two groups", (MET, OUT, MET, OUT), prescription(STATIN, "2025-02-02")),
          base=[BLOCKS["I22.2"], BLOCKS["diabetes"]])  # fmt: skip


def test_exclusions():
    statin, excluded = prescription(STATIN, "2025-02-02"), only(1, EXCLUDED)
    allergic = allergy("2025-02-02")
    check(
        ("breastfeeding", excluded, problem("O91.03", "2025-02-02")),
        ("muscle breakdown, with a statin", excluded, problem("M62.82", "2025-02-02"), statin),
        ("with an exception as well", excluded, problem("M62.82", "2025-02-02"), allergic),
        ("over before", only(1), problem("O91.03", "2023", clinical="resolved", abatement="2024-12-31")),
        ("only the diagnosis of a visit", only(1), condition("O91.03", "2025-02-02", ICD10)),
        base=[BLOCKS["vessels"]],
    )


def allergy(onset=None, status="active", code="372912004", **more):
    made = {"resourceType": "AllergyIntolerance", "code": concept(SNOMED, code)}
    made |= {"clinicalStatus": concept(ACTIVE, status)} if status else {}
    made |= {"onsetPeriod": onset} if isinstance(onset, dict) else {"onsetDateTime": onset} if onset else {}
    return made | more


def adverse(recorded, **more):
    return {"resourceType": "AdverseEvent", "actuality": "actual", "event": concept(RXNORM, "301542"),
            "recordedDate": recorded} | more  # fmt: skip


def test_allergies_and_adverse_events():
    age = {"value": 59, "unit": "a", "code": "a", "system": "http://unitsofmeasure.org"}
    excepted = only(1, EXCEPTED)
    check(
        ("allergy of this year", excepted, allergy("2025-02-02")),
        ("allergy of last year, a moment", only(1), allergy("2024-02-02")),
        ("allergy going on", excepted, allergy(span("2019-02-02"))),
        ("allergy over before", only(1), allergy(span("2019-02-02", "2024-12-31"))),
        ("allergy at 59, that year of life", excepted, allergy(onsetAge=age)),
        ("allergy at 58, that year of life", only(1), allergy(onsetAge=age | {"value": 58})),
        ("allergy without an onset", only(1), allergy(recordedDate="2025-02-02")),
        ("allergy without a status", only(1), allergy("2025-02-02", None)),
        ("allergy inactive", only(1), allergy("2025-02-02", "inactive")),
        ("allergy only as a reaction's substance", only(1), allergy("2025-02-02", code="1", reaction=[
            {"substance": concept(SNOMED, "372912004"), "manifestation": [concept(SNOMED, "1")]}])),
        ("adverse event", excepted, adverse("2025-12-31")),
        ("adverse event of last year", only(1), adverse("2024-12-31")),
        ("adverse event, only potential", excepted, adverse("2025-02-02", actuality="potential")),
        ("adverse event dated otherwise", only(1), {k: v for k, v in adverse("2025-02-02").items() if k != "recordedDate"}
         | {"date": "2025-02-02"}),
        ("allergy, and a statin all the same", only(1, MET), allergy("2025-02-02"), prescription(STATIN, "2025-02-02")),
        base=[BLOCKS["vessels"]],
        born="1965-06-15",
    )  # fmt: skip


def test_diseases_hospice_and_palliative_care():
    excepted = only(1, EXCEPTED)
    check(
        *[
            (f"diagnosis {code}", excepted, problem(code, "2019"))
            for code in ("B15.0", "B16.0", "B17.0", "G72.0", "N18.6")
        ],
        ("over before", only(1), problem("B15.0", "2019", clinical="resolved", abatement="2024-12-31")),
        ("without a category", only(1), condition("B17.0", "2019", ICD10)),
        ("hospice", excepted, procedure("170935008", "2025-02-02")),
        ("palliative care, no category needed", excepted, condition("305686008", "2019")),
        base=[BLOCKS["vessels"]],
    )


def test_a_medical_reason_given_at_a_visit():
    reason = {"reasonCode": [concept(SNOMED, "1"), concept(SNOMED, "183932001")]}
    profile = {
        "meta": {"profile": ["http://hl7.org/fhir/us/qicore/StructureDefinition/qicore-mednotrequested"]}
    }
    negated = reason | {"doNotPerform": True, "status": "completed"}
    at_visit = "2025-03-03T10:00:00Z"
    excepted = only(1, EXCEPTED)
    check(
        ("not to be given", excepted, prescription(STATIN, at_visit, **negated)),
        ("by its profile", excepted, prescription(STATIN, at_visit, **reason, **profile, status="completed")),
        ("status active", only(1), prescription(STATIN, at_visit, **(negated | {"status": "active"}))),
        ("no reason", only(1), prescription(STATIN, at_visit, doNotPerform=True, status="completed")),
        ("another reason", only(1), prescription(STATIN, at_visit, **(negated | {"reasonCode": [concept(SNOMED, "1")]}))),
        ("after the visit", only(1), prescription(STATIN, "2025-03-03T10:30:00Z", **negated)),
        ("the day of the visit, date only, is unknown", only(1), prescription(STATIN, "2025-03-03", **negated)),
        ("a real order with a reason", only(1, MET), prescription(STATIN, at_visit, **reason, status="completed")),
        ("and a real order besides", only(1, MET), prescription(STATIN, at_visit, **negated),
         prescription(STATIN, "2025-06-06")),
        base=[BLOCKS["vessels"]],
    )  # fmt: skip


def test_one_rate_over_the_four_groups():
    """Who is in two of them counts twice."""
    check(
        ("met", only(1, MET), BLOCKS["vessels"], prescription(STATIN, "2025-02-02")),
        ("in two groups", (IN, IN, OUT, OUT), BLOCKS["I22.2"], BLOCKS["LDL"]),
        ("excluded", only(3, EXCLUDED), BLOCKS["diabetes"], problem("O91.03", "2025-02-02")),
        ("of the fourth", only(4), BLOCKS["risk"]),
    )
    results = Results.ask(MEASURES["CMS347"], Period.of(date(2025, 12, 31)))
    *groups, together = results.summary()["group"]
    assert [group.get("measureScore", {}).get("value") for group in groups] == [0.5, 0.0, None, 0.0]
    assert (together["id"], together["measureScore"]["value"]) == ("all-groups", 0.25)
    MeasureReport.model_validate(results.summary())
    assert list(results.csv(subjects=False))[-1] == "CMS347,all-groups,5,5,1,1,0"
