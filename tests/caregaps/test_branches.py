"""The seven other measures, every branch: each way in, each exclusion, each alternative of the numerator, every age."""

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
from tests.caregaps.test_more_measures import BORN, DIABETES, SERIES, card, dose

pytestmark = pytest.mark.django_db
HCPCS, PCS = "http://www.nlm.nih.gov/research/umls/hcpcs", "http://www.cms.gov/Medicare/Coding/ICD10"
HOSPICE, PALLIATIVE = procedure("170935008", "2025-02-02"), condition("305686008", "2020")
FRAIL = [condition("A81.00", "2024-02-02", ICD10), condition("L89.000", "2020", ICD10)]
NURSING_HOME = survey("71802-3", "2019-05-05", "160734000")
OLD = "1955-06-15"


def check(measure, *found, base=(visit(),), born="1965-06-15"):
    charts = [Chart(name, expected, [*base, *facts], born) for name, expected, *facts in found]
    assert wrong(measure, charts) == []


def ages(measure, facts, inside, outside, word=IN, gender="female"):
    """Born on these days: in, or out."""
    charts = [Chart(born, word, facts, born, gender) for born in inside]
    charts += [Chart(born, OUT, facts, born, gender) for born in outside]
    assert wrong(measure, charts) == []


def visits(measure, codes, others, *facts, born="1965-06-15", word=IN):
    """CPT codes, or (code, system), that let in or do not."""

    def chart(code, expected):
        code, system = (code, CPT) if isinstance(code, str) else code
        return Chart(f"visit {code}", expected, [visit(code=code, system=system), *facts], born)

    charts = [chart(code, word) for code in codes] + [chart(code, OUT) for code in others]
    assert wrong(measure, charts) == []


def test_cms122():
    a1c = "4548-4"
    ages("CMS122", [visit(), DIABETES], ["2007-12-31", "1950-01-01"], ["2008-01-01", "1949-12-31"], MET)
    for facts in ([HOSPICE], [PALLIATIVE], FRAIL, [NURSING_HOME]):
        check("CMS122", ("excluded", EXCLUDED, *facts), base=[visit(), DIABETES], born=OLD)
    check(
        "CMS122",
        ("on the first day", IN, lab(a1c, "2025-01-01", quantity(7))),
        ("on the last day", IN, lab(a1c, "2025-12-31", quantity(7))),
        ("next year's is not read", MET, lab(a1c, "2026-01-01", quantity(7))),
        ("a period with a start only", IN, lab(a1c, span("2025-05-05"), quantity(7))),
        ("of no category", MET, observation(a1c, "2025-05-05", quantity(7))),
        ("preliminary", MET, lab(a1c, "2025-05-05", quantity(7), status="preliminary")),
        ("corrected", IN, lab(a1c, "2025-05-05", quantity(7), status="corrected")),
        ("no unit", IN, lab(a1c, "2025-05-05", quantity(9.0, ""))),
        ("no unit, above", MET, lab(a1c, "2025-05-05", quantity(9.1, ""))),
        ("glucose indicator above", MET, lab("97506-0", "2025-05-05", quantity(9.1))),
        (
            "two of one day, the first without a value",
            MET,
            lab(a1c, "2025-05-05", {}),
            lab(a1c, "2025-05-05", quantity(6)),
        ),
        base=[visit(), DIABETES],
    )


def test_cms124():
    ages("CMS124", [visit()], ["2001-12-31", "1961-01-01"], ["2002-01-01", "1960-12-31"])
    ages("CMS124", [visit()], [], ["1990-05-05"], gender="male")
    visits("CMS124", ["99213", "99395", "99385", "99341", "98966", "98970"], [("G0438", HCPCS), "99281"])
    check(
        "CMS124",
        ("hysterectomy", EXCLUDED, procedure("116140006", "2010-02-02")),
        ("hysterectomy on the last day, date only, is unknown", IN, procedure("116140006", "2025-12-31")),
        ("hysterectomy not done", IN, procedure("116140006", "2010-02-02", status="not-done")),
        ("absence of the cervix", EXCLUDED, condition("Q51.5", "1990", ICD10)),
        ("absence from the last day, date only, is unknown", IN, condition("Q51.5", "2025-12-31", ICD10)),
        ("hospice", EXCLUDED, HOSPICE),
        ("palliative care", EXCLUDED, PALLIATIVE),
        ("Pap on the last day", MET, lab("10524-7", "2025-12-31")),
        ("Pap next year", IN, lab("10524-7", "2026-01-01")),
        ("Pap of no category", IN, lab("10524-7", "2025-05-05", category="exam")),
        ("HPV on the first day", MET, lab("21440-3", "2021-01-01")),
        ("HPV without a value", IN, lab("21440-3", "2024-01-01", {})),
        ("HPV by the year of the test only", MET, lab("21440-3", "2021")),
        ("HPV in a year before", IN, lab("21440-3", "2020")),
    )


def test_cms131():
    ages("CMS131", [visit(), DIABETES], ["2007-12-31", "1950-01-01"], ["2008-01-01", "1949-12-31"])
    visits(
        "CMS131",
        ["99213", ("G0438", HCPCS), "99395", "99385", "99341", "92002", "98966"],
        ["98970", "99281"],
        DIABETES,
    )
    for facts in ([HOSPICE], [PALLIATIVE], FRAIL, [NURSING_HOME]):
        check("CMS131", ("excluded", EXCLUDED, *facts), base=[visit(), DIABETES], born=OLD)

    def exam(when, **more):
        return observation("252779009", when, None, more.pop("category", "exam"), SNOMED, **more)

    over = condition("E11.319", "2015", ICD10, "resolved", "2024-12-31")
    check(
        "CMS131",
        ("on the last day", MET, exam("2025-12-31")),
        ("next year", IN, exam("2026-01-01")),
        ("begun before the window", IN, exam(span("2023-12-31", "2024-01-01"))),
        ("without an end", IN, exam(span("2025-05-05"))),
        ("preliminary", IN, exam("2025-05-05", status="preliminary")),
        ("last year, retinopathy over before this one", MET, exam("2024-05-05"), over),
        base=[visit(), DIABETES],
    )
    check("CMS131", ("diabetes from the last day", IN, condition("E11.9", "2025-12-31", ICD10)))
    check("CMS131", ("diabetes next year", OUT, condition("E11.9", "2026-01-01", ICD10)))


def test_cms951():
    ages("CMS951", [visit(), DIABETES], ["2007-01-01", "1939-01-02"], ["2007-01-02", "1939-01-01"])
    codes = ["99213", ("G0438", HCPCS), "99395", "99385", "99341", "99242", "98966"]
    visits("CMS951", codes, ["98970", "99281"], DIABETES)
    check(
        "CMS951",
        ("hospice", EXCLUDED, HOSPICE),
        ("palliative care", EXCLUDED, PALLIATIVE),
        ("stage 5", EXCLUDED, condition("N18.5", "2020", ICD10)),
        ("stage 5 over before", IN, condition("N18.5", "2020", ICD10, abatement="2024-12-31")),
        ("stage 5 recurring is not active", IN, condition("N18.5", "2020", ICD10, "recurrence")),
        ("frailty excludes nobody", IN, *FRAIL),
        ("both on the last day", MET, lab("48642-3", "2025-12-31"), lab("9318-7", "2025-12-31")),
        ("both, one next year", IN, lab("48642-3", "2025-12-31"), lab("9318-7", "2026-01-01")),
        (
            "both, one preliminary",
            IN,
            lab("48642-3", "2025-05-05", status="preliminary"),
            lab("9318-7", "2025-05-05"),
        ),
        base=[visit(), DIABETES],
        born=OLD,
    )
    check(
        "CMS951",
        ("diabetes recurring is not active", OUT, condition("E11.9", "2015", ICD10, "recurrence")),
        (
            "diabetes resolved within the year",
            OUT,
            condition("E11.9", "2015", ICD10, "resolved", "2025-06-06"),
        ),
    )


def test_cms139():
    ages("CMS139", [visit()], ["1960-01-01", "1925-05-05"], ["1960-01-02"])
    codes = ["99213", ("G0438", HCPCS), "99395", "99385", "99341", "92002", "99401", "99315", "99304", ("209099002", SNOMED),
             "92540", "98966", "98970", "97161", "97165"]  # fmt: skip
    visits("CMS139", codes, ["99281", "99242"], born=OLD)
    check(
        "CMS139",
        ("on the first day", MET, survey("52552-7", "2025-01-01")),
        ("next year", IN, survey("52552-7", "2026-01-01")),
        ("over the turn of the year", IN, survey("52552-7", span("2025-12-31", "2026-01-01"))),
        ("without an end", IN, survey("52552-7", span("2025-05-05"))),
        ("preliminary", IN, survey("52552-7", "2025-05-05", status="preliminary")),
        ("palliative care excludes nobody", IN, PALLIATIVE),
        ("excluded, screened or not", EXCLUDED, survey("52552-7", "2025-05-05"), HOSPICE),
        born=OLD,
    )


def test_cms153_every_sign():
    pill = "1000126"
    young = "2003-05-05"
    check(
        "CMS153",
        ("a diagnosis", IN, condition("A34", "2025-05-05", ICD10)),
        ("a complication of pregnancy", IN, condition("O00.00", "2025-05-05", ICD10)),
        ("a diagnosis over before", OUT, condition("A34", "2020", ICD10, "resolved", "2024-12-30")),
        ("a diagnosis from the last day, date only, is unknown", OUT, condition("A34", "2025-12-31", ICD10)),
        ("a contraceptive reaching into the year", IN, prescription(pill, "2024-12-03", 31)),
        ("a contraceptive used up before", OUT, prescription(pill, "2024-12-03", 29)),
        (
            "a contraceptive ordered this year, completed",
            IN,
            prescription(pill, "2025-05-05", status="completed"),
        ),
        (
            "a contraceptive ordered this year, stopped",
            OUT,
            prescription(pill, "2025-05-05", status="stopped"),
        ),
        ("a laboratory test in pregnancy", IN, service_order("15019-3", "2025-05-05", system=LOINC)),
        ("a test for an infection", IN, service_order("10705-2", "2025-05-05", system=LOINC)),
        ("ordered next year", OUT, service_order("10705-2", "2026-01-01", system=LOINC)),
        ("only planned", OUT, service_order("10705-2", "2025-05-05", system=LOINC, intent="plan")),
        ("a study in pregnancy", IN, service_order("11615-2", "2025-05-05", system=LOINC)),
        ("a procedure", IN, procedure("10455003", "2025-05-05")),
        ("a procedure of last year", OUT, procedure("10455003", "2024-12-31")),
        ("a procedure into next year", OUT, procedure("10455003", span("2025-12-31", "2026-01-01"))),
        ("hospice", EXCLUDED, procedure("10455003", "2025-05-05"), HOSPICE),
        ("palliative care excludes nobody", IN, procedure("10455003", "2025-05-05"), PALLIATIVE),
        born=young,
    )
    sign = condition("B20", "2019", ICD10)
    ages("CMS153", [visit(), sign], ["2009-12-31", "2001-01-01"], ["2010-01-01", "2000-12-31"])
    ages("CMS153", [visit(), sign], [], [young], gender="male")
    codes = ["99213", "99395", "99385", "99382", "99392", "99341", "98966", "98970"]
    visits("CMS153", codes, ["99281", ("G0438", HCPCS)], sign, born=young)
    test = "14463-4"
    check(
        "CMS153",
        ("on the first day", MET, lab(test, "2025-01-01")),
        ("on the last day", MET, lab(test, "2025-12-31")),
        ("next year", IN, lab(test, "2026-01-01")),
        ("of no category", IN, lab(test, "2025-05-05", category="exam")),
        base=[visit(), sign],
        born=young,
    )


def test_cms117_what_stands_in_for_each_vaccine():
    instead = {
        "DTaP": [("428281000124107", SNOMED), ("192710009", SNOMED)],
        "polio": [("471321000124106", SNOMED)],
        "MMR": [("471331000124109", SNOMED)],
        "Hib": [("433621000124101", SNOMED)],
        "hepatitis B": [("428321000124101", SNOMED), ("B16.0", ICD10)],
        "chickenpox": [("B01.0", ICD10), ("471341000124104", SNOMED)],
        "pneumococcal": [("471141000124102", SNOMED)],
        "hepatitis A": [("B15.0", ICD10), ("471311000124103", SNOMED)],
        "rotavirus": [("428331000124103", SNOMED)],
        "flu": [("471361000124100", SNOMED)],
    }
    charts = [
        Chart(
            f"{code} for {name} {word}",
            word,
            [visit(), *card(**{name: []}), condition(code, when, system)],
            BORN,
        )
        for name, codes in instead.items()
        for code, system in codes
        for word, when in ((MET, "2025-03-10"), (IN, "2025-03-11"))
    ]
    assert wrong("CMS117", charts) == []


def test_cms117_doses_given_as_procedures():
    given = {
        "DTaP": "90697", "polio": "90697", "MMR": "90707", "Hib": "90647", "hepatitis B": "90723", "chickenpox": "90716",
        "pneumococcal": "90670", "hepatitis A": "90633", "rotavirus": "90681", "flu": "90655",
    }  # fmt: skip

    def series(name, code):
        return [procedure(code, one["occurrenceDateTime"], CPT) for one in SERIES[name]]

    charts = [
        Chart(f"{name} as {code}", MET, [visit(), *card(**{name: series(name, code)})], BORN)
        for name, code in given.items()
    ]
    not_done = [d | {"status": "not-done"} for d in SERIES["MMR"]]
    charts.append(Chart("not done", IN, [visit(), *card(MMR=not_done)], BORN))
    assert wrong("CMS117", charts) == []


def test_cms117_schedules_by_product_and_flu_by_record():
    days = ("2023-05-01", "2023-07-01", "2024-06-01", "2024-09-01")

    def hib(*codes):
        return [visit(), *card(Hib=[dose(code, day) for code, day in zip(codes, days, strict=False)])]

    def rotavirus(*codes):
        return [visit(), *card(rotavirus=[dose(code, day) for code, day in zip(codes, days, strict=False)])]

    def flu(*records):
        return [visit(), *card(flu=list(records))]

    second = dose("140", "2024-10-01")
    charts = [
        Chart("Hib, 3 of three", MET, hib("49", "49", "49"), BORN),
        Chart("Hib, 3 with one of four", IN, hib("49", "49", "120"), BORN),
        Chart("Hib, 4 with one of four", MET, hib("49", "49", "120", "49"), BORN),
        Chart("rotavirus, 2 of two", MET, rotavirus("119", "119"), BORN),
        Chart("rotavirus, 2 with one of three", IN, rotavirus("119", "116"), BORN),
        Chart("rotavirus, 3 with one of three", MET, rotavirus("119", "116", "119"), BORN),
        Chart("flu vaccine at 42 days", MET, flu(dose("140", "2023-04-21"), second), BORN),
        Chart("flu vaccine at 41 days", IN, flu(dose("140", "2023-04-20"), second), BORN),
        Chart("flu procedure at 180 days", MET, flu(procedure("90655", "2023-09-06", CPT), second), BORN),
        Chart("flu procedure at 179 days", IN, flu(procedure("90655", "2023-09-05", CPT), second), BORN),
        Chart("nasal flu the day before the birthday", IN, flu(second, dose("111", "2025-03-09")), BORN),
        Chart("nasal flu as a procedure", MET, flu(second, procedure("90660", "2025-03-10", CPT)), BORN),
        Chart("newborn hepatitis B and one later", IN, [
            visit(), *card(**{"hepatitis B": SERIES["hepatitis B"][2:]}), procedure("3E0234Z", "2023-03-10", PCS)], BORN),
        Chart("only the year of a dose is unknown", IN, [visit(), *card(MMR=[dose("03", "2024")])], BORN),
        Chart("the month of the second birthday is unknown", IN, [visit(), *card(MMR=[dose("03", "2025-03")])], BORN),
        Chart("the month of a dose within the window", MET, [visit(), *card(MMR=[dose("03", "2024-05")])], BORN),
    ]  # fmt: skip
    assert wrong("CMS117", charts) == []


def test_cms117_exclusions_visits_and_age():
    codes = ("D81.0", "D80.0", "B20", "C81.00", "K56.1")
    check("CMS117", *[(code, EXCLUDED, condition(code, "2024-05-05", ICD10)) for code in codes], born=BORN)
    check(
        "CMS117",
        ("hospice", EXCLUDED, HOSPICE),
        ("palliative care excludes nobody", IN, PALLIATIVE),
        ("before birth", IN, condition("B20", "2023-03-09", ICD10)),
        ("on the day of birth", EXCLUDED, condition("B20", "2023-03-10", ICD10)),
        born=BORN,
    )
    visits(
        "CMS117",
        ["99213", "99341", "99392", "99382", "98970", "98966", "99211"],
        ["99281", "99395"],
        born=BORN,
    )
    ages("CMS117", [visit()], ["2023-01-01", "2023-12-31"], ["2022-12-31", "2024-01-01"])
