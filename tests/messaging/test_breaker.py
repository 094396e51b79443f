"""The breaker and the pace."""

from datetime import timedelta

import pytest
from django.test import override_settings

from engage.lib import clock
from engage.messaging import breaker
from engage.messaging.breaker import Guard, Pace
from engage.messaging.models import Breaker
from engage.messaging.transports import Accepted, Doubt, NotAccepted, NotAttempted, Refused
from tests.base import CastTestCase

GOOD, BAD = Accepted("SM1"), Doubt("No answer.")


class Breaking(CastTestCase):
    def setUp(self):
        self.guard = Guard("us")

    def note(self, *answers):
        self.guard.note(list(answers))
        return Breaker.objects.filter(sender="us").values_list("state", flat=True).first() or "closed"

    def test_five_in_a_row(self):
        assert self.note(*[BAD] * 4) == "closed"
        assert self.note(BAD) == "open"
        assert self.guard.room(50) == 0

    def test_more_than_half_of_twenty(self):
        assert self.note(*[BAD, GOOD] * 10) == "closed"
        assert self.note(*[BAD, BAD, GOOD] * 7) == "open"

    def test_a_refused_number_is_no_failure_of_the_carrier(self):
        assert self.note(*[Refused("21211", "no")] * 30) == "closed"

    def test_given_back_says_nothing(self):
        assert self.note(*[NotAttempted("late")] * 30) == "closed"

    def test_one_probe_at_a_time_decides(self):
        self.note(*[BAD] * 5)
        Breaker.objects.update(until=clock.machine_now() - timedelta(seconds=1))
        self.guard.load()
        assert self.guard.room(50) == 1
        self.guard.claimed(1)
        assert self.guard.room(50) == 0
        assert self.note(BAD) == "open"
        Breaker.objects.update(until=clock.machine_now() - timedelta(seconds=1))
        self.guard.load()
        self.guard.claimed(1)
        assert self.note(GOOD) == "closed"
        assert self.guard.room(50) == 50

    def test_locked_until_an_operator_starts_the_sender_again(self):
        assert self.note(NotAccepted("no", lock="The number we send from is not ours.")) == "locked"
        assert self.note(GOOD) == "locked"
        self.guard.load()
        assert self.guard.room(50) == 0
        breaker.unlock("us")
        self.guard.load()
        assert self.guard.room(50) == 1

    def test_other_processes_see_it(self):
        self.note(*[BAD] * 5)
        other = Guard("us")
        other.load()
        assert other.room(50) == 0

    @override_settings(BREAKER_OPEN=0)
    def test_the_time_it_stays_open_is_a_setting(self):
        self.note(*[BAD] * 5)
        assert self.guard.room(50) == 1


@pytest.fixture
def now(monkeypatch):
    moment = [1000.0]
    monkeypatch.setattr(breaker.time, "monotonic", lambda: moment[0])
    return moment


def rate_over(pace, now, seconds):
    """What a sender that always has something to send gets through."""
    sent, end = 0, now[0] + seconds
    while now[0] < end:
        room = pace.room(50)
        pace.take(room)
        sent += room
        now[0] += 0.1
    return sent / seconds


def test_too_many_requests_halve_the_pace_and_it_recovers_within_a_minute(now):
    pace = Pace()
    for _ in range(10):
        assert pace.room(10) == 10
        pace.take(10)
        now[0] += 0.1
    pace.slow(2)
    assert pace.room(50) == 0
    now[0] += 2
    assert 30 <= rate_over(pace, now, 2) <= 75
    assert rate_over(pace, now, 10) > 90
    now[0] += 60
    assert pace.room(50) == 50
    assert pace.rate is None


def test_one_burst_of_refusals_halves_once(now):
    pace = Pace()
    pace.take(100)
    for _ in range(40):
        pace.slow(None)
    assert pace.rate == 50
