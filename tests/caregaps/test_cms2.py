"""CMS2: a depression screening in the two weeks up to a visit, and what follows a positive one."""

import pytest

from tests.caregaps.charts import (
    CPT,
    EXCEPTED,
    EXCLUDED,
    ICD10,
    IN,
    MET,
    OUT,
    SNOMED,
    Chart,
    concept,
    condition,
    observation,
    prescription,
    problem,
    procedure,
    quantity,
    service_order,
    span,
    survey,
    visit,
    wrong,
)

pytestmark = pytest.mark.django_db
ADULT, ADOLESCENT = "73832-8", "73831-0"
ANSWERS = {"negative": "428171000124102", "positive": "428181000124104"}
MEDICINE, YOUNG_MEDICINE, REFERRAL, FOLLOW_UP = "1000048", "1190110", "1186918003", "108313002"
REASON = "http://hl7.org/fhir/us/qicore/StructureDefinition/qicore-notDoneReason"
DECLINED, MEDICAL = "720834000", "183932001"
DAY = "2025-03-03"


def seen(start=f"{DAY}T10:00:00Z", end="same", **more):
    return visit(start, end, "97161", **more)


def screened(answer, when=DAY, code=ADULT, **more):
    return survey(code, when, ANSWERS.get(answer, answer), **more)


def called_off(reason=DECLINED, issued=f"{DAY}T10:00:00Z", code=ADULT, **more):
    """Not done, as the QI-Core profile has it."""
    extension = {"url": REASON, "valueCodeableConcept": concept(SNOMED, reason)}
    return {"resourceType": "Observation", "status": "cancelled", "code": concept("http://loinc.org", code),
            "issued": issued, "extension": [extension]} | more  # fmt: skip


def check(*found, base=(seen(),), born="1985-06-15"):
    charts = [Chart(name, expected, [*base, *facts], born) for name, expected, *facts in found]
    assert wrong("CMS2", charts) == []


def test_who_is_in():
    charts = [
        Chart("12 on the first day", IN, [seen()], "2013-01-01"),
        Chart("11 on the first day", OUT, [seen()], "2013-01-02"),
        Chart(
            "a visit to screen",
            IN,
            [visit(code="G0101", system="http://www.nlm.nih.gov/research/umls/hcpcs")],
        ),
        Chart("a telephone visit", IN, [visit(code="98966")]),
        Chart("physical therapy", IN, [seen()]),
        Chart("an office visit is none", OUT, [visit(code="99024")]),
        Chart("under way", OUT, [seen(status="in-progress")]),
        Chart("over into next year", OUT, [seen("2025-12-31T10:00:00Z", "2026-01-01T10:00:00Z")]),
        Chart("hospice excludes nobody", IN, [seen(), procedure("170935008", DAY)]),
    ]
    assert wrong("CMS2", charts) == []


def test_bipolar_disorder_before_a_visit():
    second = seen("2025-09-09T10:00:00Z")
    encounter_diagnosis = {
        "category": [
            concept("http://terminology.hl7.org/CodeSystem/condition-category", "encounter-diagnosis")
        ]
    }
    concern = {
        "category": [concept("http://hl7.org/fhir/us/core/CodeSystem/condition-category", "health-concern")]
    }
    wrong_system = {
        "category": [concept("http://terminology.hl7.org/CodeSystem/condition-category", "health-concern")]
    }
    check(
        ("on the problem list", EXCLUDED, problem("F30.10", "2019")),
        ("a health concern", EXCLUDED, condition("F30.10", "2019", ICD10, **concern)),
        ("a health concern of another system", IN, condition("F30.10", "2019", ICD10, **wrong_system)),
        ("only the diagnosis of a visit", IN, condition("F30.10", "2019", ICD10, **encounter_diagnosis)),
        ("without a category", IN, condition("F30.10", "2019", ICD10)),
        ("the second before the visit", EXCLUDED, problem("F30.10", f"{DAY}T09:59:59Z")),
        ("at its very start", IN, problem("F30.10", f"{DAY}T10:00:00Z")),
        ("on its day, date only", IN, problem("F30.10", DAY)),
        ("the day before", EXCLUDED, problem("F30.10", "2025-03-02")),
        ("between two visits", EXCLUDED, second, problem("F30.10", "2025-05-05")),
        ("after the last", IN, second, problem("F30.10", "2025-10-10")),
        ("over long ago, begun unknown", EXCLUDED, problem("F30.10", None, clinical="resolved", abatement="2019")),
        ("without any date", IN, problem("F30.10")),
        ("resolved without an end is never", IN, problem("F30.10", "2019", clinical="resolved")),
    )  # fmt: skip


def test_a_screening_in_the_two_weeks_up_to_a_visit():
    check(
        ("the day of the visit", MET, screened("negative")),
        ("later that day", MET, screened("negative", f"{DAY}T18:00:00Z")),
        ("the day after", IN, screened("negative", "2025-03-04")),
        ("14 days before", MET, screened("negative", "2025-02-17")),
        ("15 days before", IN, screened("negative", "2025-02-16")),
        ("only the month", IN, screened("negative", "2025-02")),
        ("ended in time", MET, screened("negative", span("2025-01-01", "2025-02-17"))),
        ("without an end", IN, screened("negative", span("2025-02-20"))),
        ("amended does not count", IN, screened("negative", status="amended")),
        ("no category needed", MET, screened("negative") | {"category": []}),
        ("without a value", IN, screened(None)),
        ("positive, nothing more", IN, screened("positive")),
        ("a score is neither", IN, observation(ADULT, DAY, quantity(3, "{score}"))),
    )
    check(
        ("in the year before, 14 days", MET, screened("negative", "2024-12-22")),
        ("in the year before, 15 days", IN, screened("negative", "2024-12-21")),
        base=[seen("2025-01-05T10:00:00Z")],
    )


def test_only_the_last_screening_counts():
    check(
        ("negative, then positive", IN, screened("negative", "2025-02-20"), screened("positive")),
        ("positive, then negative", MET, screened("positive", "2025-02-20"), screened("negative")),
        (
            "a later number hides it",
            IN,
            screened("negative", "2025-02-20"),
            observation(ADULT, DAY, quantity(3, "1")),
        ),
        ("a later one by no visit does not", MET, screened("negative"), screened("positive", "2025-06-06")),
        ("one of next year does not", MET, screened("negative"), screened("positive", "2026-01-01")),
        ("the hour after the day", IN, screened("negative"), screened("positive", f"{DAY}T08:00:00Z")),
        ("of two at once the first on record", MET, screened("negative"), screened("positive")),
    )


def test_what_must_follow_a_positive_screening():
    positive = screened("positive")

    def follow(*found, base=(seen(), positive), **more):
        check(*found, base=base, **more)

    follow(
        ("a medicine the same day", MET, prescription(MEDICINE, DAY)),
        ("a medicine that day, before the hour of the visit", MET, prescription(MEDICINE, f"{DAY}T08:00:00Z")),
        ("a medicine after 2 days", MET, prescription(MEDICINE, "2025-03-05")),
        ("a medicine after 3 days", IN, prescription(MEDICINE, "2025-03-06")),
        ("a medicine the day before", IN, prescription(MEDICINE, "2025-03-02")),
        ("a medicine without a date", IN, {k: v for k, v in prescription(MEDICINE, DAY).items() if k != "authoredOn"}),
        ("a medicine only proposed", IN, prescription(MEDICINE, DAY, intent="proposal")),
        ("a medicine not to be given", IN, prescription(MEDICINE, DAY, doNotPerform=True)),
        ("a medicine not requested, by its profile", IN, prescription(MEDICINE, DAY, meta={"profile": [
            "http://hl7.org/fhir/us/qicore/StructureDefinition/qicore-mednotrequested"]})),
        ("a referral", MET, service_order(REFERRAL, "2025-03-05")),
        ("a referral only planned", MET, service_order(REFERRAL, DAY, intent="plan")),
        ("a referral not to be made counts all the same", MET, service_order(REFERRAL, DAY, doNotPerform=True)),
        ("a referral revoked", IN, service_order(REFERRAL, DAY, status="revoked")),
        ("a follow-up at the visit", MET, procedure(FOLLOW_UP, f"{DAY}T10:00:00Z")),
        ("half an hour after the visit", IN, procedure(FOLLOW_UP, f"{DAY}T10:30:00Z")),
        ("that day, date only, is unknown", IN, procedure(FOLLOW_UP, DAY)),
        ("not done", IN, procedure(FOLLOW_UP, f"{DAY}T10:00:00Z", status="not-done")),
        ("at a later visit", MET, seen("2025-03-17T10:00:00Z"), prescription(MEDICINE, "2025-03-19")),
        ("at a visit after 15 days", IN, seen("2025-03-18T10:00:00Z"), prescription(MEDICINE, "2025-03-18")),
    )  # fmt: skip
    follow(
        ("the day the stay ends", MET, prescription(MEDICINE, "2025-03-06")),
        ("two days later", MET, prescription(MEDICINE, "2025-03-08")),
        ("three days later", IN, prescription(MEDICINE, "2025-03-09")),
        ("the day before it ends", IN, prescription(MEDICINE, "2025-03-05")),
        ("a follow-up in the midst of it, date only", MET, procedure(FOLLOW_UP, "2025-03-04")),
        ("a follow-up on its last day, date only, is unknown", IN, procedure(FOLLOW_UP, "2025-03-06")),
        ("a follow-up at its end", MET, procedure(FOLLOW_UP, "2025-03-06T12:00:00Z")),
        base=[seen(f"{DAY}T10:00:00Z", "2025-03-06T12:00:00Z"), positive],
    )
    follow(
        ("a day of visit and follow-up, neither with its hour", MET, procedure(FOLLOW_UP, DAY)),
        ("an hour in a visit known by its day", IN, procedure(FOLLOW_UP, f"{DAY}T10:00:00Z")),
        base=[seen(DAY), positive],
    )
    follow(
        ("ordered on the last day", MET, prescription(MEDICINE, "2025-12-31")),
        ("ordered on New Year's Day", IN, prescription(MEDICINE, "2026-01-01")),
        base=[seen("2025-12-31T10:00:00Z"), screened("positive", "2025-12-31")],
    )


def test_the_instrument_goes_with_the_age():
    young, adult = screened("negative", code=ADOLESCENT), screened("negative")
    positive = screened("positive", code=ADOLESCENT)
    sixteen, seventeen, eighteen = "2008-06-15", "2007-06-15", "2006-06-15"
    check(
        ("16, for adolescents", MET, young),
        ("16, for adults", IN, adult),
        ("16, positive and the medicine for adolescents", MET, positive, prescription(YOUNG_MEDICINE, DAY)),
        ("16, positive and a medicine for adults only", IN, positive, prescription(MEDICINE, DAY)),
        born=sixteen,
    )
    check(
        ("17, for adolescents", MET, young),
        ("17, for adults", MET, adult),
        ("17, each on its own", MET, young, screened("positive")),
        ("17, both positive", IN, positive, screened("positive")),
        born=seventeen,
    )
    check(("18, for adults", MET, adult), ("18, for adolescents", IN, young), born=eighteen)


def test_exceptions():
    check(
        ("declined", EXCEPTED, called_off()),
        ("a medical reason", EXCEPTED, called_off(MEDICAL)),
        ("another reason", IN, called_off("1")),
        ("not cancelled", IN, called_off(status="final")),
        ("issued after the visit", IN, called_off(issued=f"{DAY}T10:00:01Z")),
        ("declined for the other instrument, whatever the age", EXCEPTED, called_off(code=ADOLESCENT)),
        ("declined for the other, and a positive screening", EXCEPTED, called_off(code=ADOLESCENT), screened("positive")),
        ("declined for the other, and a negative screening", MET, called_off(code=ADOLESCENT), screened("negative")),
        ("declined, and screened at another visit", IN, called_off(), seen("2025-06-06T10:00:00Z"),
         screened("positive", "2025-06-06")),
        ("declined, and bipolar", EXCLUDED, called_off(), problem("F30.10", "2019")),
        ("the reason in another place", IN, {k: v for k, v in called_off().items() if k != "extension"}
         | {"modifierExtension": called_off()["extension"]}),
    )  # fmt: skip
    long = seen(f"{DAY}T10:00:00Z", f"{DAY}T11:00:00Z")
    check(
        ("at the end of the visit", EXCEPTED, called_off(issued=f"{DAY}T11:00:00Z")),
        ("in another zone", EXCEPTED, called_off(issued=f"{DAY}T05:30:00-05:00")),
        base=[long],
    )


def test_codes_count_in_their_own_system_only():
    check(("the code in another system", IN, screened("negative", system=CPT)))
