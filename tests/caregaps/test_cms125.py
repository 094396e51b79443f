"""CMS125: women of 52 to 74, the 27 months, and every way to have no breasts to screen."""

import pytest

from tests.caregaps.charts import (
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
    procedure,
    span,
    visit,
    wrong,
)  # fmt: skip

pytestmark = pytest.mark.django_db
MAMMOGRAM = "24604-1"
RIGHT, LEFT = {"bodySite": [concept(SNOMED, "24028007")]}, {"bodySite": [concept(SNOMED, "7771000")]}


def check(*found):
    assert (
        wrong("CMS125", [Chart(name, expected, [visit(), *facts]) for name, expected, *facts in found]) == []
    )


def test_who_is_in():
    charts = [
        Chart("a woman", IN, [visit()]),
        Chart("a man", OUT, [visit()], gender="male"),
        Chart("gender unknown", OUT, [visit()], gender="unknown"),
        Chart("75 on the last day", OUT, [visit()], born="1950-12-31"),
        Chart("74 on the last day", IN, [visit()], born="1951-01-01"),
        Chart("52 on the last day", IN, [visit()], born="1973-12-31"),
        Chart("51 on the last day", OUT, [visit()], born="1974-01-01"),
    ]
    assert wrong("CMS125", charts) == []


def test_a_mammogram_in_27_months():
    check(
        ("on the first day", MET, observation(MAMMOGRAM, "2023-10-01")),
        ("the day before", IN, observation(MAMMOGRAM, "2023-09-30")),
        ("the day before in its own offset", IN, observation(MAMMOGRAM, "2023-09-30T23:30:00-05:00")),
        ("on the last day", MET, observation(MAMMOGRAM, "2025-12-31")),
        ("the day after", IN, observation(MAMMOGRAM, "2026-01-01")),
        ("only the year 2024", MET, observation(MAMMOGRAM, "2024")),
        ("only the year 2023", IN, observation(MAMMOGRAM, "2023")),
        ("only the month", MET, observation(MAMMOGRAM, "2023-10")),
        ("a period with an end only", MET, observation(MAMMOGRAM, span(None, "2024-01-01"))),
        ("a period with a start only", IN, observation(MAMMOGRAM, span("2024-01-01"))),
        ("preliminary", IN, observation(MAMMOGRAM, "2024-01-01", status="preliminary")),
    )


def test_both_breasts():
    check(
        ("history", EXCLUDED, condition("Z90.13", "2010", ICD10)),
        ("history on the last day, date only, is unknown", IN, condition("Z90.13", "2025-12-31", ICD10)),
        ("history the day before the last", EXCLUDED, condition("Z90.13", "2025-12-30", ICD10)),
        ("history at the last moment", EXCLUDED, condition("Z90.13", "2025-12-31T23:59:59Z", ICD10)),
        ("the moment is 2026 in UTC", IN, condition("Z90.13", "2025-12-31T23:00:00-05:00", ICD10)),
        ("the moment is 2025 in UTC", EXCLUDED, condition("Z90.13", "2026-01-01T01:00:00+09:00", ICD10)),
        ("history without any date", IN, condition("Z90.13", None, ICD10)),
        ("operation", EXCLUDED, procedure("1268980002", "2012-02-02")),
        ("operation on the last day, date only", IN, procedure("1268980002", "2025-12-31")),
        ("operation not done", IN, procedure("1268980002", "2012-02-02", status="not-done")),
    )


def test_one_breast_and_the_other():
    right, left = procedure("429400009", "2012"), procedure("428571003", "2014")
    check(
        ("right only", IN, right),
        ("left only", IN, left),
        ("right and left operations", EXCLUDED, right, left),
        ("right status and left operation", EXCLUDED, condition("Z90.11", "2012", ICD10), left),
        ("right operation and left status", EXCLUDED, right, condition("Z90.12", "2012", ICD10)),
        ("unspecified with both sites", EXCLUDED, condition("Z90.10", "2012", ICD10, **RIGHT),
         condition("Z90.10", "2014", ICD10, **LEFT)),
        ("unspecified with one site and an operation", EXCLUDED, condition("Z90.10", "2012", ICD10, **LEFT), right),
        ("unspecified twice without a site", IN, condition("Z90.10", "2012", ICD10), condition("Z90.10", "2014", ICD10)),
        ("the same side twice", IN, condition("Z90.10", "2012", ICD10, **RIGHT), right),
    )  # fmt: skip
