"""CMS349: one HIV test in a lifetime, from 15 to 65."""

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
    concept,
    condition,
    observation,
    quantity,
    span,
    visit,
    wrong,
)

pytestmark = pytest.mark.django_db
NEGATIVE = {"valueString": "negative"}
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def test_of(when, value=NEGATIVE, code="10901-7", **more):
    return observation(code, when, value, **more)


test_of.__test__ = False


def check(*found, born="1985-06-15"):
    charts = [Chart(name, expected, [visit(), *facts], born) for name, expected, *facts in found]
    assert wrong("CMS349", charts) == []


def verified(code):
    return {"verificationStatus": concept(VERIFICATION, code)}


def test_who_is_in():
    charts = [
        Chart("15 on the first day", IN, [visit()], "2010-01-01"),
        Chart("14 on the first day", OUT, [visit()], "2010-01-02"),
        Chart("65 on the first day", IN, [visit()], "1959-01-02"),
        Chart("66 on the first day", OUT, [visit()], "1959-01-01"),
        Chart("a man", IN, [visit()], "1985-06-15", "male"),
        Chart("a child's preventive visit", IN, [visit(code="99391")], "2009-06-15"),
        Chart("a child's first preventive visit", IN, [visit(code="99381")], "2009-06-15"),
        Chart("preventive", IN, [visit(code="99395")]),
        Chart("first preventive", IN, [visit(code="99385")]),
        Chart("only arrived", OUT, [visit(status="arrived")]),
        Chart("by telephone", OUT, [visit(code="98966")]),
        Chart("virtual", OUT, [visit(code="98970")]),
        Chart("annual wellness", OUT, [visit(code="G0438", system="http://www.nlm.nih.gov/research/umls/hcpcs")]),
        Chart("the year before", OUT, [visit("2024-12-31T10:00:00Z")]),
        Chart("dead since, and counted", IN, [visit()], more={"deceasedDateTime": "2025-07-07"}),
    ]  # fmt: skip
    for chart in charts:
        chart.born = "1985-06-15" if chart.born == "1965-06-15" else chart.born
    assert wrong("CMS349", charts) == []


def test_hiv_known_before_the_year():
    check(
        ("on 31 December", EXCLUDED, condition("B20", "2024-12-31", ICD10)),
        ("on 1 January", IN, condition("B20", "2025-01-01", ICD10)),
        ("at the last moment", EXCLUDED, condition("B20", "2024-12-31T23:59:59Z", ICD10)),
        ("only the year before", EXCLUDED, condition("B20", "2024", ICD10)),
        ("refuted", IN, condition("B20", "2019", ICD10, **verified("refuted"))),
        ("entered in error", EXCLUDED, condition("B20", "2019", ICD10, **verified("entered-in-error"))),
        ("confirmed", EXCLUDED, condition("B20", "2019", ICD10, **verified("confirmed"))),
        ("resolved, with an end", EXCLUDED, condition("B20", "2019", ICD10, "resolved", "2020")),
        ("resolved, without an end, is never", IN, condition("B20", "2019", ICD10, "resolved")),
        ("over since long, begun unknown", EXCLUDED, condition("B20", None, ICD10, "resolved", "2020")),
        ("without any date", IN, condition("B20", None, ICD10)),
        ("no hospice exclusion", IN, visit("2025-04-04", code="183919006", system=SNOMED)),
    )


def test_one_test_at_any_time_before_the_last_moment():
    check(
        ("long ago", MET, test_of("2004-02-02")),
        ("the single code", MET, test_of("2020-02-02", code="75622-1")),
        ("on the last day, with its hour", MET, test_of("2025-12-31T10:00:00Z")),
        ("in its last second", MET, test_of("2025-12-31T23:59:59.000Z")),
        ("in the first of the next year", IN, test_of("2026-01-01T00:00:00Z")),
        ("in its last minute, to the minute, is unknown", IN, test_of("2025-12-31T23:59Z")),
        ("on the last day, date only, is unknown", IN, test_of("2025-12-31")),
        ("the day before, date only", MET, test_of("2025-12-30")),
        ("only this year is unknown", IN, test_of("2025")),
        ("only last year", MET, test_of("2024")),
        ("31 December as written, 2026 in UTC", IN, test_of("2025-12-31T23:30:00-05:00")),
        ("1 January as written, 2025 in UTC", MET, test_of("2026-01-01T02:00:00+09:00")),
        ("begun, not ended", MET, test_of(span("2024-02-02"))),
        ("ended, begun unknown", IN, test_of(span(None, "2024-02-02"))),
        ("without a value", IN, test_of("2024-02-02", {})),
        ("only a reason for no value", IN, test_of("2024-02-02", {}, dataAbsentReason=concept(SNOMED, "1"))),
        ("a number", MET, test_of("2024-02-02", quantity(1, "{copies}/mL"))),
        ("corrected", MET, test_of("2024-02-02", status="corrected")),
        ("preliminary", IN, test_of("2024-02-02", status="preliminary")),
        ("cancelled", IN, test_of("2024-02-02", status="cancelled")),
        ("as a procedure code", IN, test_of("2024-02-02", code="99213", system=CPT)),
    )


def test_the_age_at_the_test():
    check(
        ("on the 15th birthday", MET, test_of("2005-06-15")),
        ("the day before", IN, test_of("2005-06-14")),
        ("the month of the birthday is unknown", IN, test_of("2005-06")),
        ("the month after", MET, test_of("2005-07")),
        ("the year of the birthday is unknown", IN, test_of("2005")),
        ("the year after", MET, test_of("2006")),
        born="1990-06-15",
    )
    check(
        ("at 65", MET, test_of("2025-06-14")),
        ("on the 66th birthday", IN, test_of("2025-06-15")),
        born="1959-06-15",
    )
    check(("15 whatever the day of birth", MET, test_of("2007-01-01")), born="1991")
    check(("15 on some of the days of birth", IN, test_of("2006-12-30")), born="1991")
