"""Dates as people write them."""

from datetime import date

import pytest
from django.test import override_settings

from engage.console.forms import coarser, read_date, said_when
from tests.base import NOON


@pytest.mark.parametrize(
    ("written", "day", "precision"),
    [
        ("2025-03-14", date(2025, 3, 14), "day"),
        ("3/14/2025", date(2025, 3, 14), "day"),
        ("March 14, 2025", date(2025, 3, 14), "day"),
        ("14 mar 2025", date(2025, 3, 14), "day"),
        ("March 2025", date(2025, 3, 1), "month"),
        ("Sept. 2025", date(2025, 9, 1), "month"),
        ("2025-03", date(2025, 3, 1), "month"),
        ("3/2025", date(2025, 3, 1), "month"),
        (" 2025 ", date(2025, 1, 1), "year"),
    ],
)
def test_read(written, day, precision):
    assert read_date(written) == (day, precision)


@pytest.mark.parametrize(
    "written", ["", "soon", "last week", "March", "13/40/2025", "2025-02-30", "14 14 2025", "0000"]
)
def test_refused(written):
    with pytest.raises(ValueError, match="Write it as"):
        read_date(written)


def test_the_less_exact_wins():
    assert coarser(date(2025, 3, 14), "day", "month") == (date(2025, 3, 1), "month")
    assert coarser(date(2025, 3, 14), "day", "") == (date(2025, 3, 14), "day")
    assert coarser(date(2025, 1, 1), "year", "day") == (date(2025, 1, 1), "year")


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("i already had it in march", "March 2026"),
        ("had it done in october", "October 2025"),
        ("in may of 2024 at the other clinic", "May 2024"),
        ("ya me la hice en agosto", "August 2025"),
        ("en enero del 2025", "January 2025"),
        ("i may have had it", ""),
        ("marching on", ""),
        ("", ""),
    ],
)
@override_settings(NOW=NOON)
def test_the_month_a_patient_names_is_the_last_one_past(said, when):
    assert said_when(said) == when
