"""Time stands still in every test that has the cast, whether it commits or not: suites are run at night too."""

from engage.lib import clock
from tests.base import NOON, CastTestCase, CastTransactionTestCase


class Rolled(CastTestCase):
    def test_it_is_noon(self):
        assert clock.now() == NOON


class Committed(CastTransactionTestCase):
    def test_it_is_noon(self):
        assert clock.now() == NOON
