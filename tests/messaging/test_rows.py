"""The statements of the hot path on PostgreSQL: planned once for a connection."""

import pytest
from django.db import connection

from engage.messaging.outbox import Sender
from engage.messaging.transports import Accepted
from tests.messaging.test_outbox import CarrierTestCase

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps no plans"),
]


ATTEMPTS = "INSERT INTO messaging_attempt "


class Planned(CarrierTestCase):
    def test_each_statement_of_a_turn_is_prepared(self):
        """Django switches prepared statements off, and then asking for one does nothing."""
        self.queue()
        sender = Sender()
        batch = sender.claim()
        sender.turn([[(parcel, Accepted("SM1")) for parcel in batch.parcels]], ())
        with connection.cursor() as cursor:
            cursor.execute("SELECT statement FROM pg_prepared_statements")
            prepared = [statement for (statement,) in cursor.fetchall()]
        assert (
            sum(statement.startswith("SELECT") for statement in prepared) >= 5
        )  # due, picked, three of evidence
        assert sum(statement.startswith(ATTEMPTS) for statement in prepared) == 1
        assert sum(statement.startswith("WITH changed") for statement in prepared) == 3
