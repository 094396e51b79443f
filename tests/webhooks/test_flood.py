"""F35: many replies at once, with the processes of production. How fast is measured by tests.benchmarks.replies."""

import pytest

from engage.messaging.outbox import BATCH
from engage.messaging.sender import AT_ONCE
from tests.benchmarks.replies import flood, urgent

pytestmark = pytest.mark.slow


def test_none_is_lost_though_they_come_faster_than_they_are_taken_in():
    """Each is answered at the carrier's first call, and kept."""
    flood(count=300, rate=150, workers=2)


def test_an_urgent_answer_goes_before_the_bulk_that_waits():
    """What is under way already is all that the carrier gets before it, and that takes it a second: the backlog lasts
    for 4000 / (AT_ONCE * BATCH) = 13 s at least, on any machine."""
    found = urgent(backlog=4000, count=5, workers=1, latency=1000)
    assert max(overtaken for _, overtaken in found) <= AT_ONCE * BATCH, found
