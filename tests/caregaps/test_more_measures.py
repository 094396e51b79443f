"""The seven other measures: a positive for each branch of a numerator, and the edges the official cases leave out."""

import pytest

from tests.caregaps.charts import (
    CPT,
    EXCLUDED,
    ICD10,
    IN,
    LOINC,
    MET,
    OUT,
    SNOMED,
    Chart,
    concept,
    condition,
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
DIABETES = condition("E11.9", "2015-01-01", ICD10)
CVX = "http://hl7.org/fhir/sid/cvx"


def check(measure, *found, base=(), born="1965-06-15"):
    charts = [Chart(name, expected, [visit(), *base, *facts], born) for name, expected, *facts in found]
    assert wrong(measure, charts) == []


def test_cms122_the_lowest_value_of_the_last_day_above_nine():
    """Inverse: MET means in the numerator, which is the gap."""
    a1c = "4548-4"
    check(
        "CMS122",
        ("no assessment", MET),
        ("9.0 is not above", IN, lab(a1c, "2025-05-05", quantity(9.0))),
        ("9.1 is", MET, lab(a1c, "2025-05-05", quantity(9.1))),
        ("high, then low", IN, lab(a1c, "2025-05-05", quantity(11)), lab(a1c, "2025-06-05", quantity(7))),
        ("low, then high", MET, lab(a1c, "2025-05-05", quantity(7)), lab(a1c, "2025-06-05", quantity(11))),
        ("the lowest of the day", IN, lab(a1c, "2025-05-05T08:00:00Z", quantity(11)),
         lab(a1c, "2025-05-05T12:00:00Z", quantity(8))),
        ("one without a value that day", MET, lab(a1c, "2025-05-05T08:00:00Z", quantity(7)),
         lab(a1c, "2025-05-05T12:00:00Z", {})),
        ("text cannot be compared", IN, lab(a1c, "2025-05-05")),
        ("mmol/mol cannot be compared", IN, lab(a1c, "2025-05-05", quantity(90, "mmol/mol"))),
        ("of last year", MET, lab(a1c, "2024-12-31", quantity(7))),
        ("glucose indicator", IN, lab("97506-0", "2025-05-05", quantity(7))),
        base=[DIABETES],
    )  # fmt: skip
    check(
        "CMS122",
        ("no diabetes", OUT),
        ("diabetes over before", OUT, condition("E11.9", "2015", ICD10, "resolved", "2024-12-31")),
    )


def test_cms124_pap_in_three_years_hpv_from_thirty():
    pap, hpv = "10524-7", "21440-3"
    check(
        "CMS124",
        ("Pap on the first day", MET, lab(pap, "2023-01-01")),
        ("Pap the day before", IN, lab(pap, "2022-12-31")),
        ("Pap without a value", IN, lab(pap, "2024-01-01", {})),
        ("HPV on the 30th birthday", MET, lab(hpv, "2021-06-15")),
        ("HPV the day before it", IN, lab(hpv, "2021-06-14")),
        ("HPV in time but too early in life", IN, lab(hpv, "2021-01-01")),
        born="1991-06-15",
    )
    check(
        "CMS124",
        ("HPV on the first day", MET, lab(hpv, "2021-01-01")),
        ("HPV the day before", IN, lab(hpv, "2020-12-31")),
    )
    check(
        "CMS124",
        ("no cervix", EXCLUDED, condition("Z90.710", "2010", ICD10)),
        ("annual wellness is no visit here", IN),
    )
    charts = [
        Chart(
            "only an annual wellness visit",
            OUT,
            [visit(code="G0438", system="http://www.nlm.nih.gov/research/umls/hcpcs")],
        )
    ]
    assert wrong("CMS124", charts) == []


def test_cms131_an_eye_exam_this_year_or_last_without_retinopathy():
    def exam(when):
        return observation("252779009", when, {}, "exam", SNOMED)

    retinopathy = condition("E11.319", "2020", ICD10)
    check(
        "CMS131",
        ("this year", MET, exam("2025-05-05")),
        ("last year", MET, exam("2024-01-01")),
        ("the day before", IN, exam("2023-12-31")),
        ("last year with retinopathy", IN, exam("2024-05-05"), retinopathy),
        ("this year with retinopathy", MET, exam("2025-05-05"), retinopathy),
        ("not finished within the window", IN, exam(span("2025-12-01", "2026-01-01"))),
        ("without the category", IN, observation("252779009", "2025-05-05", system=SNOMED)),
        base=[DIABETES],
    )


def test_cms951_both_kidney_tests_of_the_year():
    blood, urine = lab("48642-3", "2025-05-05"), lab("9318-7", "2025-05-05")
    check(
        "CMS951",
        ("both", MET, blood, urine),
        ("only blood", IN, blood),
        ("only urine", IN, urine),
        ("urine of last year", IN, blood, lab("9318-7", "2024-12-31")),
        ("no category needed", MET, observation("48642-3", "2025-05-05", {"valueInteger": 60}), urine),
        ("without a value", IN, observation("48642-3", "2025-05-05"), urine),
        ("kidney failure", EXCLUDED, condition("N18.6", "2020", ICD10)),
        ("kidney failure in remission", IN, condition("N18.6", "2020", ICD10, "remission", "2025-06-06")),
        base=[DIABETES],
    )
    charts = [
        Chart("visit only arrived", OUT, [visit(status="arrived"), DIABETES]),
        Chart("17 on the first day", OUT, [visit(), DIABETES], "2007-01-02"),
        Chart("18 on the first day", IN, [visit(), DIABETES], "2007-01-01"),
        Chart("visit in 2025 as written, 2026 in UTC", OUT, [visit("2025-12-31T23:30:00-05:00"), DIABETES]),
    ]
    assert wrong("CMS951", charts) == []


def test_cms139_falls_screening_from_65():
    check(
        "CMS139",
        ("screened", MET, survey("52552-7", "2025-12-31")),
        ("screened last year", IN, survey("52552-7", "2024-12-31")),
        ("without the category", IN, observation("52552-7", "2025-05-05")),
        ("hospice", EXCLUDED, procedure("170935008", "2025-05-05")),
        born="1960-01-01",
    )
    check("CMS139", ("64 on the first day", OUT), born="1960-01-02")


def test_cms153_signs_of_activity_and_the_test():
    test, sign = lab("14463-4", "2025-05-05"), service_order("10524-7", "2025-03-03", system=LOINC)
    pregnancy_test = service_order("2106-3", "2025-05-05", system=LOINC)
    check(
        "CMS153",
        ("no sign", OUT, test),
        ("Pap ordered, tested", MET, sign, test),
        ("Pap ordered, tested last year", IN, sign, lab("14463-4", "2024-12-31")),
        ("Pap ordered, test without a value", IN, sign, lab("14463-4", "2025-05-05", {})),
        ("said so long ago", IN, survey("64728-9", "2019-05-05", "373066001")),
        ("said no", OUT, survey("64728-9", "2019-05-05", "373067005")),
        ("HIV", IN, condition("B20", "2019", ICD10)),
        ("pregnancy test", IN, pregnancy_test),
        ("pregnancy test, then an X-ray after 6 days", EXCLUDED, pregnancy_test, xray("2025-05-11")),
        ("after 7 days", IN, pregnancy_test, xray("2025-05-12")),
        ("the day before", IN, pregnancy_test, xray("2025-05-04")),
        ("the same day, with another sign", IN, pregnancy_test, xray("2025-05-05"), sign),
        ("isotretinoin", EXCLUDED, pregnancy_test, prescription("197843", "2025-05-06")),
        born="2003-05-05",
    )
    check("CMS153", ("24 on the last day", IN, sign), born="2001-01-01")
    check("CMS153", ("25 on the last day", OUT, sign), born="2000-12-31")


def xray(when):
    return service_order("24627-2", when, system=LOINC)


# --- CMS117 ---------------------------------------------------------------------------------------------------------
def dose(code, when):
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": concept(CVX, code),
        "occurrenceDateTime": when,
    }


SERIES = {
    "DTaP": [dose("20", d) for d in ("2023-05-01", "2023-07-01", "2023-09-01", "2024-06-01")],
    "polio": [dose("10", d) for d in ("2023-05-01", "2023-07-01", "2024-06-01")],
    "MMR": [dose("03", "2024-03-10")],
    "Hib": [dose("49", d) for d in ("2023-05-01", "2023-07-01", "2024-06-01")],
    "hepatitis B": [dose("08", d) for d in ("2023-03-10", "2023-05-01", "2023-09-01")],
    "chickenpox": [dose("21", "2024-03-10")],
    "pneumococcal": [dose("133", d) for d in ("2023-05-01", "2023-07-01", "2023-09-01", "2024-06-01")],
    "hepatitis A": [dose("83", "2024-03-10")],
    "rotavirus": [dose("119", d) for d in ("2023-05-01", "2023-07-01")],
    "flu": [dose("140", d) for d in ("2023-10-01", "2024-10-01")],
}
BORN = "2023-03-10"


def card(**changed):
    series = SERIES | {name.replace("_", " "): doses for name, doses in changed.items()}
    return [fact for doses in series.values() for fact in doses]


def test_cms117_every_vaccine_is_needed():
    charts = [Chart("all of them", MET, [visit(), *card()], BORN)]
    charts += [Chart(f"without {name}", IN, [visit(), *card(**{name: []})], BORN) for name in SERIES]
    charts += [
        Chart(f"one {name} too few", IN, [visit(), *card(**{name: doses[:-1]})], BORN)
        for name, doses in SERIES.items()
        if len(doses) > 1
    ]
    assert wrong("CMS117", charts) == []


def test_cms117_windows_from_birth():
    def mmr(when):
        return [visit(), *card(MMR=[dose("03", when)])]

    def polio(first):
        return [visit(), *card(polio=[dose("10", first), *SERIES["polio"][1:]])]

    charts = [
        Chart("MMR on the first birthday", MET, mmr("2024-03-10"), BORN),
        Chart("MMR the day before", IN, mmr("2024-03-09"), BORN),
        Chart("MMR on the second birthday", MET, mmr("2025-03-10"), BORN),
        Chart("MMR the day after", IN, mmr("2025-03-11"), BORN),
        Chart("polio at 42 days", MET, polio("2023-04-21"), BORN),
        Chart("polio at 41 days", IN, polio("2023-04-20"), BORN),
        Chart("two records of one day are one dose", IN, [
            visit(), *card(rotavirus=[dose("119", "2023-05-01"), dose("119", "2023-05-01")])], BORN),
        Chart("measles, mumps and rubella instead of MMR", MET, [
            visit(), *card(MMR=[]), *(condition(c, "2024-01-01", ICD10) for c in ("B05.9", "B26.9", "B06.9"))], BORN),
        Chart("measles and mumps only", IN, [
            visit(), *card(MMR=[]), *(condition(c, "2024-01-01", ICD10) for c in ("B05.9", "B26.9"))], BORN),
        Chart("newborn hepatitis B and two later", MET, [
            visit(), *card(**{"hepatitis B": SERIES["hepatitis B"][1:]}),
            procedure("3E0234Z", "2023-03-17", "http://www.cms.gov/Medicare/Coding/ICD10")], BORN),
        Chart("newborn dose after 8 days", IN, [
            visit(), *card(**{"hepatitis B": SERIES["hepatitis B"][1:]}),
            procedure("3E0234Z", "2023-03-18", "http://www.cms.gov/Medicare/Coding/ICD10")], BORN),
        Chart("nasal flu vaccine on the second birthday", MET, [
            visit(), *card(flu=[SERIES["flu"][0], dose("111", "2025-03-10")])], BORN),
        Chart("HIV by two", EXCLUDED, [visit(), condition("B20", "2025-03-10", ICD10)], BORN),
        Chart("HIV the day after", IN, [visit(), condition("B20", "2025-03-11", ICD10)], BORN),
        Chart("turns two on the last day", IN, [visit()], "2023-12-31"),
        Chart("turns three on the last day", OUT, [visit()], "2022-12-31"),
        Chart("a short office visit is enough", IN, [visit(code="99211", system=CPT)], BORN),
    ]  # fmt: skip
    assert wrong("CMS117", charts) == []
