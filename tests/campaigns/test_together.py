"""Two runs at once: every touch is made once, and nobody is enrolled twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from engage.campaigns import actions, jobs, starters
from engage.campaigns.models import Enrollment
from engage.messaging.models import Message
from tests.base import CastTransactionTestCase
from tests.campaigns.base import make_campaign, make_gap


@pytest.mark.postgres
@pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="two writers at once need DATABASE_URL=postgres://…"
)
class TogetherTests(CastTransactionTestCase):
    def setUp(self) -> None:
        super().setUp()
        starters.ensure_templates("supervisor")
        for n in range(30):
            make_gap(self.make_patient(f"P{n}", "Lee", f"+1617555{n:04}"))
        self.campaign = make_campaign("Screening", self.clinic)

    def run_once(self, _):
        try:
            return jobs.advance(None)
        finally:
            connection.close()

    def test_three_runs_at_once(self):
        actions.start(self.campaign, self.administrator)
        with ThreadPoolExecutor(3) as pool:
            done = list(pool.map(self.run_once, range(3)))
        assert sum(d.get("enrolled", 0) for d in done) == 30
        assert sum(d.get("text", 0) for d in done) == 30
        assert sum(d.get("failed", 0) for d in done) == 0
        assert Message.objects.count() == 30
        assert set(Enrollment.objects.values_list("position", flat=True)) == {2}
