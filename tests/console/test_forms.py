"""Dates as people write them."""

from datetime import date

import pytest

from engage.console.forms import coarser, read_date


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
