"""CMS130: every branch of the numerator with its window, and the colon's own exclusions."""

import pytest

from tests.caregaps.charts import (
    CPT,
    EXCLUDED,
    ICD10,
    IN,
    MET,
    Chart,
    condition,
    lab,
    observation,
    procedure,
    span,
    visit,
    wrong,
)  # fmt: skip

pytestmark = pytest.mark.django_db
FOBT, DNA, CTC = "12503-9", "77353-1", "60515-4"
COLONOSCOPY, SIGMOIDOSCOPY, COLECTOMY = "44388", "45330", "44150"


def check(*found):
    assert (
        wrong("CMS130", [Chart(name, expected, [visit(), *facts]) for name, expected, *facts in found]) == []
    )


def test_colonoscopy_in_ten_calendar_years():
    check(
        ("on the first day", MET, procedure(COLONOSCOPY, "2016-01-01", CPT)),
        ("the day before", IN, procedure(COLONOSCOPY, "2015-12-31", CPT)),
        ("on the last day", MET, procedure(COLONOSCOPY, "2025-12-31T23:59:59Z", CPT)),
        ("the day after", IN, procedure(COLONOSCOPY, "2026-01-01", CPT)),
        ("only the year 2016", MET, procedure(COLONOSCOPY, "2016", CPT)),
        ("only the year 2015", IN, procedure(COLONOSCOPY, "2015", CPT)),
        ("a period that ends in time", MET, procedure(COLONOSCOPY, span("2015-12-31", "2016-01-01"), CPT)),
        ("a period with an end only", MET, procedure(COLONOSCOPY, span(None, "2016-01-01"), CPT)),
        ("a period with a start only", IN, procedure(COLONOSCOPY, span("2020-01-01"), CPT)),
        ("not done", IN, procedure(COLONOSCOPY, "2020-01-01", CPT, "not-done")),
        ("under way", IN, procedure(COLONOSCOPY, "2020-01-01", CPT, "in-progress")),
        (
            "no date",
            IN,
            {k: v for k, v in procedure(COLONOSCOPY, "", CPT).items() if k != "performedDateTime"},
        ),
        ("its local day is in time", IN, procedure(COLONOSCOPY, "2015-12-31T23:30:00-05:00", CPT)),
    )


def test_stool_blood_test_of_the_year():
    check(
        ("on the first day", MET, lab(FOBT, "2025-01-01")),
        ("the day before", IN, lab(FOBT, "2024-12-31")),
        ("amended", MET, lab(FOBT, "2025-05-05", status="amended")),
        ("corrected", MET, lab(FOBT, "2025-05-05", status="corrected")),
        ("preliminary", IN, lab(FOBT, "2025-05-05", status="preliminary")),
        ("without a value", IN, lab(FOBT, "2025-05-05", {})),
        ("absent for a reason", IN, lab(FOBT, "2025-05-05", {"dataAbsentReason": {"text": "lost"}})),
        ("without a category", IN, lab(FOBT, "2025-05-05", category=None)),
        ("in another category", IN, lab(FOBT, "2025-05-05", category="exam")),
        ("a period with a start only counts by its start", MET, lab(FOBT, span("2025-05-05"))),
        ("a period that ends in time", MET, lab(FOBT, span("2024-12-01", "2025-01-01"))),
        ("a period that ends too late", IN, lab(FOBT, span("2025-12-01", "2026-01-01"))),
    )


def test_stool_dna_test_in_three_years():
    check(
        ("on the first day", MET, lab(DNA, "2023-01-01")),
        ("the day before", IN, lab(DNA, "2022-12-31")),
        ("without a value", IN, lab(DNA, "2024-12-31", {})),
    )


def test_sigmoidoscopy_and_ct_colonography_in_five_years():
    check(
        ("sigmoidoscopy on the first day", MET, procedure(SIGMOIDOSCOPY, "2021-01-01", CPT)),
        ("sigmoidoscopy the day before", IN, procedure(SIGMOIDOSCOPY, "2020-12-31", CPT)),
        ("CT on the first day, no value, no category", MET, observation(CTC, "2021-01-01")),
        ("CT the day before", IN, observation(CTC, "2020-12-31")),
        ("CT cancelled", IN, observation(CTC, "2021-01-01", status="cancelled")),
        ("CT with a start only", IN, observation(CTC, span("2022-01-01"))),
    )


def test_no_colon_to_screen():
    check(
        ("cancer on the last day, by the day", EXCLUDED, condition("C18.0", "2025-12-31", ICD10)),
        ("cancer after", IN, condition("C18.0", "2026-01-01", ICD10)),
        ("cancer long over", EXCLUDED, condition("C18.0", "2001", ICD10, "resolved", "2003")),
        ("cancer without any day", IN, condition("C18.0", None, ICD10)),
        ("cancer that only ended", EXCLUDED, condition("C18.0", None, ICD10, "resolved", "2003")),
        ("colectomy on the last day", EXCLUDED, procedure(COLECTOMY, "2025-12-31", CPT)),
        ("colectomy the day after", IN, procedure(COLECTOMY, "2026-01-01", CPT)),
        ("colectomy with a start only", IN, procedure(COLECTOMY, span("2001"), CPT)),
    )
