"""The official cases of the measures, through the import: every population of every case."""

from pathlib import Path

import pytest

from engage.caregaps.measures import MEASURES
from tests.caregaps.cases import differences, read_cases

pytestmark = pytest.mark.django_db
NONE_GIVEN = {"CMS2", "CMS138", "CMS347", "CMS349"}  # held to charts of our own
HERE = Path(__file__).resolve().parents[1] / "data" / "measures"


@pytest.mark.data
@pytest.mark.parametrize("measure", sorted(set(MEASURES) - NONE_GIVEN))
def test_every_population_of_every_official_case(measure, data, capsys):
    cases = read_cases(data / "measures" / f"{measure}.ndjson.gz")
    wrong, positives = differences(cases, measure)
    with capsys.disabled():
        told = ", ".join(f"{code} {count}" for code, count in positives.items() if count)
        print(f"\n{measure}: {len(cases)} cases, {len(wrong)} populations wrong; positives: {told}")
    assert not wrong
    assert positives["initial-population"] and positives["denominator-exclusion"]


@pytest.mark.parametrize("measure", ["CMS125", "CMS130", "CMS165"])
def test_cases_of_our_own_in_the_same_form(measure):
    """Covers the way of the official cases where those are absent."""
    cases = [case for case in read_cases(HERE / "cases.ndjson") if case["cms"] == measure]
    wrong, positives = differences(cases, measure)
    assert not wrong
    assert positives["numerator"] and positives["denominator-exclusion"]
