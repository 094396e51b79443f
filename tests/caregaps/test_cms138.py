"""CMS138: tobacco. Three groups: screened, helped (users only), both."""

import pytest

from tests.caregaps.charts import (
    APART,
    CATEGORY,
    CPT,
    EXCLUDED,
    ICD10,
    IN,
    MET,
    OUT,
    SNOMED,
    Chart,
    concept,
    condition,
    prescription,
    procedure,
    service_order,
    span,
    survey,
    visit,
    wrong,
)

pytestmark = pytest.mark.django_db
NOBODY = (OUT, OUT, OUT)
UNSCREENED = (IN, APART, IN)
NON_USER, USER, HELPED = (MET, APART, MET), (MET, IN, IN), (MET, MET, MET)
TWO = [visit("2025-03-03T10:00:00Z"), visit("2025-04-03T10:00:00Z")]
NOT_REQUESTED = {
    "meta": {"profile": ["http://hl7.org/fhir/us/qicore/StructureDefinition/qicore-mednotrequested"]}
}


def asked(answer, when="2025-05-05", **more):
    return survey("39240-7", when, {"user": "110483000", "non-user": "105539002"}.get(answer, answer), **more)


def check(*found, base=TWO):
    charts = [Chart(name, expected, [*base, *facts]) for name, expected, *facts in found]
    assert wrong("CMS138", charts) == []


def helped(*found):
    check(*[(name, expected, asked("user"), *facts) for name, expected, *facts in found])


def test_who_is_in():
    one, hcpcs = visit(), "http://www.nlm.nih.gov/research/umls/hcpcs"
    both_types = visit(code="99213") | {"type": [*visit()["type"], *visit(code="98966")["type"]]}
    charts = [
        Chart("one office visit", NOBODY, [one]),
        Chart("two visits", UNSCREENED, TWO),
        Chart("two visits the same day", UNSCREENED, [one, visit()]),
        Chart("one visit of two types", NOBODY, [both_types]),
        Chart("an office visit and a call", UNSCREENED, [one, visit(code="98966")]),
        Chart("two, one of them last year", NOBODY, [one, visit("2024-12-31T10:00:00Z")]),
        Chart("two, one of them only planned", NOBODY, [one, visit(status="planned")]),
        Chart("two, one of them under way", UNSCREENED, [one, visit(status="in-progress")]),
        Chart("one preventive visit", UNSCREENED, [visit(code="99395")]),
        Chart("annual wellness", UNSCREENED, [visit(code="G0438", system=hcpcs)]),
        *[Chart(f"preventive {code}", UNSCREENED, [visit(code=code)])
          for code in ("99429", "99024", "99385", "99392", "99382", "99411", "99401", "97802")],
        *[Chart(f"two visits {code}", UNSCREENED, [visit(code=code), visit(code=code)])
          for code in ("96156", "96158", "99341", "97165", "92002", "97161", "90791", "90832", "90845", "92521", "98970")],
        Chart("12 on the first day", UNSCREENED, TWO, "2013-01-01"),
        Chart("11 on the first day", NOBODY, TWO, "2013-01-02"),
    ]  # fmt: skip
    assert wrong("CMS138", charts) == []


def test_the_last_answer_of_the_year():
    check(
        ("uses none", NON_USER, asked("non-user")),
        ("uses tobacco", USER, asked("user")),
        ("used, then not", NON_USER, asked("user"), asked("non-user", "2025-06-06")),
        ("not, then used", USER, asked("non-user"), asked("user", "2025-06-06")),
        ("another answer hides the earlier", UNSCREENED, asked("user"), asked("1", "2025-06-06")),
        ("no answer hides the earlier", UNSCREENED, asked("non-user"), asked(None, "2025-06-06")),
        ("on the last day", NON_USER, asked("non-user", "2025-12-31")),
        ("last year", UNSCREENED, asked("non-user", "2024-12-31")),
        ("next year does not hide", NON_USER, asked("non-user"), asked("user", "2026-01-01")),
        ("not all within the year", UNSCREENED, asked("non-user", span("2025-12-01", "2026-01-01"))),
        ("social history alone", UNSCREENED, asked("non-user") | {"category": [concept(CATEGORY, "social-history")]}),
        ("preliminary", UNSCREENED, asked("non-user", status="preliminary")),
        ("a day without its hour comes first of it", USER, asked("user", "2025-05-05T08:00:00Z"), asked("non-user")),
        ("even of its first second", USER, asked("non-user"), asked("user", "2025-05-05T00:00:00Z")),
        ("by the instant, not the clock on the wall", USER, asked("non-user", "2025-05-05T20:00:00+09:00"),
         asked("user", "2025-05-05T19:00:00Z")),
    )  # fmt: skip


def test_of_two_at_one_instant_the_first_on_record_counts():
    check(
        ("user first", USER, asked("user"), asked("non-user")),
        ("non-user first", NON_USER, asked("non-user"), asked("user")),
    )


def test_help_to_quit_from_half_a_year_before():
    bupropion = "1232585"
    helped(
        ("counseled on the first day", HELPED, procedure("99406", "2024-07-01", CPT)),
        ("counseled the day before", USER, procedure("99406", "2024-06-30", CPT)),
        ("counseled on the last day", HELPED, procedure("99406", "2025-12-31", CPT)),
        ("counseled next year", USER, procedure("99406", "2026-01-01", CPT)),
        ("counseling without an end", USER, procedure("99406", span("2025-02-02"), CPT)),
        ("counseling not done", USER, procedure("99406", "2025-02-02", CPT, status="not-done")),
        ("a diagnosis of counseling", HELPED, condition("Z71.6", "2024-07-01", ICD10)),
        ("the day before", USER, condition("Z71.6", "2024-06-30", ICD10)),
        ("without a status", USER, condition("Z71.6", "2025-02-02", ICD10, None)),
        ("resolved, with an end", HELPED, condition("Z71.6", "2025-02-02", ICD10, "resolved", "2025-03-03")),
        ("a medicine on the first day", HELPED, prescription(bupropion, "2024-07-01", status="completed")),
        ("a medicine the day before", USER, prescription(bupropion, "2024-06-30")),
        ("a medicine planned", USER, prescription(bupropion, "2025-02-02", intent="plan")),
        ("a medicine stopped", USER, prescription(bupropion, "2025-02-02", status="stopped")),
        ("a medicine not to be given", USER, prescription(bupropion, "2025-02-02", 30, doNotPerform=True)),
        ("a medicine not requested", USER, prescription(bupropion, "2025-02-02", 30, **NOT_REQUESTED)),
        ("ordered, not prescribed", USER, service_order("99406", "2025-02-02", system=CPT)),
    )


def test_a_supply_counts_only_when_all_of_it_lies_within():
    def bounded(start, end, status="active"):
        dosage = [{"timing": {"repeat": {"boundsPeriod": span(start, end)}}}]
        return prescription("1232585", "2024-05-01", status=status, dosageInstruction=dosage)

    helped(
        ("within", HELPED, bounded("2024-07-01", "2025-03-31")),
        ("from before", USER, bounded("2024-05-01", "2025-03-31")),
        ("beyond the year", USER, bounded("2025-03-01", "2026-01-01")),
        ("completed is not active", USER, bounded("2024-07-01", "2025-03-31", "completed")),
    )


def test_help_for_one_who_uses_none_scores_nothing_in_the_second_group():
    counseled = procedure("99406", "2025-02-02", CPT)
    check(
        ("uses none", NON_USER, asked("non-user"), counseled),
        ("not asked", UNSCREENED, counseled),
        ("hospice", (EXCLUDED, EXCLUDED, EXCLUDED), asked("user"), counseled, procedure("170935008", "2025-02-02")),
        ("hospice, uses none", (EXCLUDED, APART, EXCLUDED), asked("non-user"), procedure("170935008", "2025-02-02")),
        ("palliative care excludes nobody", HELPED, asked("user"), counseled, condition("305686008", "2019", SNOMED)),
    )  # fmt: skip
