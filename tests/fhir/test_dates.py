from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage.fhir import dates
from engage.fhir.problems import BadResource


def sec(text):
    return int((datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds())


@pytest.mark.parametrize(
    ("written", "lo", "hi", "offset"),
    [
        ("2024", "2024-01-01T00:00:00", "2024-12-31T23:59:59", 0),
        ("2023", "2023-01-01T00:00:00", "2023-12-31T23:59:59", 0),
        ("2024-02", "2024-02-01T00:00:00", "2024-02-29T23:59:59", 0),
        ("2025-12-31", "2025-12-31T00:00:00", "2025-12-31T23:59:59", 0),
        ("2025-12-31T23:30:00-05:00", "2025-12-31T23:30:00", "2025-12-31T23:30:00", -300),
        ("2025-01-01T02:00:00+09:00", "2025-01-01T02:00:00", "2025-01-01T02:00:00", 540),
        ("2025-12-31T23:59:59.999Z", "2025-12-31T23:59:59", "2025-12-31T23:59:59", 0),
        ("2025-06-30T23:59Z", "2025-06-30T23:59:00", "2025-06-30T23:59:59", 0),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59", "2016-12-31T23:59:59", 0),
        ("1931-05-01", "1931-05-01T00:00:00", "1931-05-01T23:59:59", 0),
    ],
)
def test_a_date_is_the_range_it_covers_on_its_own_wall_clock(written, lo, hi, offset):
    assert dates.moment(written) == (sec(lo), sec(hi), offset)


@pytest.mark.parametrize(
    "written",
    ["0000", "0000-01-01", "2023-02-29", "2024-13", "2024-01-01T25:00:00Z", "2024-01-01T10:00:00+15:00"],
)
def test_a_date_that_does_not_exist_says_so(written):
    with pytest.raises(BadResource, match="does not exist") as error:
        dates.moment(written)
    assert written[:40] in str(error.value)


@pytest.mark.parametrize(
    "written", ["", "yesterday", "2024-1-1", "20240101", 2024, None, True, [], "2024-01-01T10"]
)
def test_what_is_no_date_says_so(written):
    with pytest.raises(BadResource, match="is not a FHIR date"):
        dates.moment(written)


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))
def test_every_second_is_read_back(when):
    when = when.replace(microsecond=0)
    found = dates.moment(when.isoformat() + "Z")
    assert found.lo == found.hi == sec(when.isoformat())
    assert dates.day_of(found.lo) == when.date()


def test_a_period_without_an_end_never_ends_and_without_a_start_never_began():
    open_end, note = dates.period({"start": "2024-05-01"})
    assert (open_end.start_lo, open_end.end_lo, note) == (sec("2024-05-01T00:00:00"), dates.NEVER_ENDS, "")
    assert not open_end.no_start
    no_start, _ = dates.period({"end": "2024-05-01"})
    assert no_start.start_lo == dates.NEVER_BEGAN
    assert no_start.no_start


def test_a_period_with_neither_is_unknown_so_nothing_matches_it():
    found, _ = dates.period({})
    assert found == dates.UNKNOWN
    assert found.start_lo > found.end_hi


def test_a_period_that_ends_before_it_starts_is_kept_without_a_time_and_noted():
    found, note = dates.period({"start": "2024-05-02", "end": "2024-05-01"})
    assert found == dates.UNKNOWN
    assert "ends before it starts" in note


def test_a_backward_period_is_judged_by_the_instant_not_the_clock_on_the_wall():
    found, note = dates.period({"start": "2024-05-01T10:00:00+02:00", "end": "2024-05-01T09:00:00+00:00"})
    assert note == ""
    assert found.start_offset == 120


@pytest.mark.parametrize(
    ("end", "last"),
    [
        ("2025-01-01", ("2024-12-31T00:00:00", "2024-12-31T23:59:59")),
        ("2025-01-01T00:00:00Z", ("2024-12-31T23:59:59", "2024-12-31T23:59:59")),
        ("2025-01-01T08:00:00Z", ("2025-01-01T07:59:59", "2025-01-01T07:59:59")),
    ],
)
def test_a_half_open_period_ends_just_before(end, last):
    assert dates.before(dates.moment(end))[:2] == tuple(sec(x) for x in last)


def test_ages_count_from_the_birthday():
    born = date(1960, 2, 29)
    assert dates.after(born, {"value": 40, "code": "a"}) == date(2000, 2, 29)
    assert dates.after(born, {"value": 41, "code": "a"}) == date(2001, 2, 28)
    assert dates.after(born, {"value": 18, "code": "mo"}) == date(1961, 8, 29)
    assert dates.after(born, {"value": 2, "code": "wk"}) == date(1960, 3, 14)
    assert dates.one_year_on(date(1960, 5, 1), {"value": 40}) == date(2001, 4, 30)


@pytest.mark.parametrize(
    "age", [{"value": "40"}, {}, {"value": -1}, {"value": True}, None, {"value": 100000}]
)
def test_an_age_without_a_sensible_number_is_refused(age):
    with pytest.raises(BadResource):
        dates.after(date(1960, 1, 1), age)
