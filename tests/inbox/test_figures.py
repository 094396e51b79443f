"""Figures from the samples: weighted, with intervals that do not promise more than was looked at."""

from datetime import date
from random import Random

import pytest

from engage.inbox.figures import Checked, confusion, detection, part, weeks, wilson
from engage.inbox.models import Level

U, S, R = Level.URGENT, Level.SIGNIFICANT, Level.ROUTINE


def rows(said, was, n, weight=1.0):
    return [Checked(said, was, weight) for _ in range(n)]


def test_wilson_as_published():
    # Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29
    for hits, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = wilson(hits / n, n)
        assert (round(found.low, 4), round(found.high, 4)) == (
            pytest.approx(low, abs=1e-4),
            pytest.approx(high, abs=1e-4),
        )


def test_equal_weights_are_plain_counting_and_unequal_ones_count_for_less():
    plain, weighted = part(rows(R, R, 40, 7), lambda r: False), wilson(0, 40)
    assert plain.interval == weighted
    mixed = part(rows(R, R, 20, 1) + rows(R, R, 20, 20), lambda r: False)
    assert mixed.interval.high > plain.interval.high


def test_caught_and_alarms_are_weighted():
    found = detection(rows(U, U, 8) + rows(U, R, 2) + rows(R, R, 39, 10) + rows(R, U, 1, 10), U)
    assert found.caught.share == pytest.approx(8 / 18)  # the one missed stands for ten
    assert found.alarms.share == pytest.approx(2 / 392)
    assert (found.grave, found.others) == (9, 41)


def test_nothing_missed_in_forty_promises_nothing_of_four_thousand():
    few = detection(rows(U, U, 20) + rows(R, R, 40, 100), U)
    assert few.caught.share == 1 and few.caught.low < 0.1 and not few.tells_caught
    assert few.missed_at_most == pytest.approx(wilson(0, 40).high * 4000)
    many = detection(rows(U, U, 200) + rows(R, R, 2000, 1), U)
    assert many.caught.low > 0.95 and many.tells_caught


def test_the_interval_holds_what_is_true_about_as_often_as_it_says():
    random, held = Random(5), 0
    for _ in range(300):
        said = [(U, U)] * 60 + [(U, R)] * 20 + [(R, U)] * 12 + [(R, R)] * 1908
        flagged, passed = [r for r in said if r[0] == U], [r for r in said if r[0] == R]
        sample = [Checked(*r, 80 / 40) for r in random.sample(flagged, 40)]
        sample += [Checked(*r, 1920 / 200) for r in random.sample(passed, 200)]
        caught = detection(sample, U).caught
        held += caught.low <= 60 / 72 <= caught.high
    assert held >= 285


def test_where_nothing_was_flagged_none_of_forty_is_not_never():
    found = detection(rows(R, R, 40), U)
    assert found.alarms.share == 0 and found.alarms.high == pytest.approx(wilson(0, 40).high)
    assert detection(rows(U, U, 2), U).caught.low == pytest.approx(wilson(1, 2).low)


def test_significant_includes_urgent():
    found = detection(rows(S, U, 5) + rows(U, S, 5) + rows(R, S, 1) + rows(R, R, 9), S)
    assert found.caught.share == pytest.approx(10 / 11) and found.alarms.share == 0


def test_nothing_checked_gives_nothing():
    found = detection([], U)
    assert (
        found.caught is None and found.alarms is None and not found.tells_caught and found.missed_at_most == 0
    )


def test_confusion_and_weeks():
    found = dict(confusion(rows(U, U, 3) + rows(R, U, 2, 4.0)))
    assert found[U] == [(U, 3, 3.0), (S, 0, 0), (R, 2, 8.0)]
    first, second = date(2026, 2, 16), date(2026, 2, 23)
    assert [day for day, _ in weeks([Checked(R, R, 1, week=second), Checked(R, R, 1, week=first)])] == [
        first,
        second,
    ]
