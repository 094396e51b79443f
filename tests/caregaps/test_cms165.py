"""CMS165: hypertension by the instant, the last day's lowest reading, stays, and the kidneys."""

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
    blood_pressure,
    condition,
    observation,
    procedure,
    span,
    visit,
    wrong,
)  # fmt: skip

pytestmark = pytest.mark.django_db
HYPERTENSION = condition("I10", "2019-01-01", ICD10)


def check(*found, born="1965-06-15"):
    charts = [
        Chart(name, expected, [visit(), HYPERTENSION, *facts], born) for name, expected, *facts in found
    ]
    assert wrong("CMS165", charts) == []


def test_hypertension_in_the_first_half_of_the_year():
    found = [
        ("active since long", IN, condition("I10", "2010", ICD10)),
        ("begins on 29 June", IN, condition("I10", "2025-06-29", ICD10)),
        ("begins on 30 June, date only, is unknown", OUT, condition("I10", "2025-06-30", ICD10)),
        ("begins at the last moment", IN, condition("I10", "2025-06-30T23:59:59Z", ICD10)),
        ("begins on 1 July", OUT, condition("I10", "2025-07-01T00:00:00Z", ICD10)),
        ("1 July as written, June in UTC", IN, condition("I10", "2025-07-01T01:00:00+09:00", ICD10)),
        ("over on the first day, date only, is unknown", OUT, condition("I10", "2010", ICD10, "resolved", "2025-01-01")),
        ("over on the second day", IN, condition("I10", "2010", ICD10, "resolved", "2025-01-02")),
        ("over at the first moment", IN, condition("I10", "2010", ICD10, "resolved", "2025-01-01T00:00:00Z")),
        ("none", OUT, condition("E11.9", "2010", ICD10)),
    ]  # fmt: skip
    assert wrong("CMS165", [Chart(n, e, [visit(), fact]) for n, e, fact in found]) == []


def test_ages():
    facts = [visit(), HYPERTENSION]
    charts = [
        Chart("18 on the last day", IN, facts, "2007-12-31"),
        Chart("17 on the last day", OUT, facts, "2008-01-01"),
        Chart("85 on the last day", IN, facts, "1940-01-01"),
        Chart("86 on the last day", OUT, facts, "1939-12-31"),
    ]
    assert wrong("CMS165", charts) == []


def test_below_140_over_90():
    check(
        ("139/89", MET, blood_pressure("2025-05-05", 139, 89)),
        ("140/89", IN, blood_pressure("2025-05-05", 140, 89)),
        ("139/90", IN, blood_pressure("2025-05-05", 139, 90)),
        ("139.9/89.9", MET, blood_pressure("2025-05-05", 139.9, 89.9)),
        ("no reading", IN),
        ("mmHg is read as mm[Hg]", MET, blood_pressure("2025-05-05", 120, 80, unit="mmHg")),
        ("kPa is not", IN, blood_pressure("2025-05-05", 16, 10, unit="kPa")),
        ("preliminary", IN, blood_pressure("2025-05-05", 120, 80, status="preliminary")),
        ("amended", MET, blood_pressure("2025-05-05", 120, 80, status="amended")),
        (
            "single values are not a panel",
            IN,
            observation("8480-6", "2025-05-05", {"valueQuantity": {"value": 120}}),
        ),
        ("on the first day", MET, blood_pressure("2025-01-01", 120, 80)),
        ("on the day before", IN, blood_pressure("2024-12-31", 120, 80)),
        ("on the last day", MET, blood_pressure("2025-12-31T23:59:59Z", 120, 80)),
        ("on the day after", IN, blood_pressure("2026-01-01", 120, 80)),
        ("a period with a start only", MET, blood_pressure(span("2025-05-05"), 120, 80)),
    )


def test_the_last_day_decides():
    check(
        ("high, then low", MET, blood_pressure("2025-05-05", 160, 99), blood_pressure("2025-05-06", 120, 80)),
        ("low, then high", IN, blood_pressure("2025-05-05", 120, 80), blood_pressure("2025-05-06", 160, 99)),
        ("the lowest of the day, from two readings", MET,
         blood_pressure("2025-05-05T08:00:00Z", 150, 80), blood_pressure("2025-05-05T09:00:00Z", 130, 95)),
        ("the same day by its own offset", MET,
         blood_pressure("2025-05-05T23:30:00-05:00", 130, 80), blood_pressure("2025-05-05T08:00:00-05:00", 160, 99)),
        ("a later panel without a diastolic", IN,
         blood_pressure("2025-05-05", 120, 80), blood_pressure("2025-05-06", 120)),
        ("a missing value on the last day sorts first", IN,
         blood_pressure("2025-05-05T08:00:00Z", 120, 80), blood_pressure("2025-05-05T09:00:00Z", 120)),
        ("a later one of next year is not read", MET,
         blood_pressure("2025-05-05", 120, 80), blood_pressure("2026-01-01", 190, 99)),
    )  # fmt: skip


def test_readings_of_a_hospital_stay_do_not_count():
    def stay(kind):
        return visit("2025-05-05", "2025-05-06", kind=kind) | {"id": f"stay-{kind}"}

    def taken_in(kind):
        return blood_pressure("2025-05-05", 120, 80, encounter={"reference": f"Encounter/stay-{kind}"})

    check(
        *[(f"class {kind}", IN, stay(kind), taken_in(kind)) for kind in ("EMER", "IMP", "ACUTE", "NONAC", "PRENC", "SS")],
        ("ambulatory", MET, stay("AMB"), taken_in("AMB")),
        ("a visit nobody knows", MET, taken_in("XXX")),
        ("on the day of a stay, not linked", MET, stay("IMP") | {"id": "stay-2"}, blood_pressure("2025-05-05", 120, 80)),
        ("a high one of a stay is passed over", MET, stay("IMP") | {"id": "stay-3"}, blood_pressure("2025-03-05", 120, 80),
         blood_pressure("2025-05-05", 190, 99, encounter={"reference": "Encounter/stay-3"})),
    )  # fmt: skip


def test_pregnancy_and_kidneys():
    check(
        ("pregnancy", EXCLUDED, condition("O09.00", "2025-03-03", ICD10, "resolved", "2025-11-11")),
        (
            "pregnancy over on 1 Jan, date only",
            IN,
            condition("O09.00", "2024", ICD10, "resolved", "2025-01-01"),
        ),
        ("pregnancy from 31 Dec, date only", IN, condition("O09.00", "2025-12-31", ICD10)),
        ("kidney failure", EXCLUDED, condition("N18.6", "2011", ICD10)),
        ("transplant recipient", EXCLUDED, condition("Z94.0", "2011", ICD10)),
        ("stage 5", EXCLUDED, condition("N18.5", "2011", ICD10)),
        ("transplant long ago", EXCLUDED, procedure("175899003", "1999-05-05")),
        ("dialysis long ago", EXCLUDED, procedure("90935", "1999-05-05", CPT)),
        ("dialysis under way", IN, procedure("90935", span("2024-05-05"), CPT)),
        ("dialysis on 31 Dec, date only", IN, procedure("90935", "2025-12-31", CPT)),
        ("monthly care long ago", EXCLUDED, visit("2001-01-01", code="90951")),
        ("monthly care without an end", EXCLUDED, visit("2001-01-01", None, code="90951")),
        ("monthly care without a start", IN, visit(None, "2001-01-01", code="90951")),
        ("monthly care next year", IN, visit("2026-01-02", code="90951")),
    )


def test_frailty_from_81_needs_no_illness():
    frail, ill = condition("L89.000", "2020", ICD10), condition("A81.00", "2024-01-01", ICD10)
    check(("81, frail", EXCLUDED, frail), born="1944-12-31")
    charts = [
        Chart("80, frail", IN, [visit(), HYPERTENSION, frail], "1945-01-01"),
        Chart("80, frail and ill", EXCLUDED, [visit(), HYPERTENSION, frail, ill], "1945-01-01"),
        Chart("66, frail and ill", EXCLUDED, [visit(), HYPERTENSION, frail, ill], "1959-12-31"),
        Chart("65, frail and ill", IN, [visit(), HYPERTENSION, frail, ill], "1960-01-01"),
    ]
    for number, chart in enumerate(charts):
        chart.more = {"identifier": [{"system": "s", "value": f"n{number}"}]}
    assert wrong("CMS165", charts) == []


def test_snomed_codes_count_as_well():
    found = [("SNOMED hypertension", IN, condition("1201005", "2010", SNOMED))]
    assert wrong("CMS165", [Chart(n, e, [visit(), fact]) for n, e, fact in found]) == []
