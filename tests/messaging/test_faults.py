"""Faults of the database and of many senders at once; the rest of the list stands in docs/delivery.md. The judge is the
carrier's own log."""

from unittest import mock

import pytest
from django.db import OperationalError
from django.test import override_settings

from engage.lib import clock
from engage.messaging import outbox, reconcile, recording
from engage.messaging.models import Attempt, Message
from engage.messaging.outbox import Sender, deliver_once
from tests.base import CastTransactionTestCase
from tests.messaging.processes import Senders
from tests.messaging.test_outbox import CarrierTestCase
from tests.simulator.harness import Carrier

State = Message.State


def failing(times, real, error="database is locked"):
    """The database says no so many times, then works."""
    left = [times]

    def ask_all(statements):
        if left[0] > 0:
            left[0] -= 1
            raise OperationalError(error)
        return real(statements)

    return ask_all


class Database(CastTransactionTestCase):
    """Real commits, so that what is rolled back is gone."""

    people = CarrierTestCase.people
    queue = CarrierTestCase.queue

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.carrier = Carrier(callbacks=None)
        cls.carrier.start()
        cls.addClassCleanup(cls.carrier.stop)

    def setUp(self):
        super().setUp()
        CarrierTestCase.setUp(self)
        self.messages = [self.queue(p, f"k{n}") for n, p in enumerate(self.people(3))]

    def states(self):
        return sorted(Message.objects.values_list("state", flat=True))

    def test_a_full_disk_in_the_claim_posts_nothing(self):
        """F19: without a committed attempt there is no POST."""
        with (
            mock.patch.object(outbox, "ask_all", failing(99, outbox.ask_all, "database or disk is full")),
            pytest.raises(OperationalError),
        ):
            deliver_once()
        assert self.carrier.accepted() == []
        assert self.states() == [State.QUEUED] * 3
        assert not Attempt.objects.exists()
        deliver_once()
        assert len(self.carrier.accepted()) == 3

    def test_a_busy_database_is_asked_again_for_the_answers(self):
        """F18, in the recording: tried again; nothing is posted twice."""
        with (
            mock.patch.object(recording, "ask_all", failing(3, recording.ask_all)),
            mock.patch.object(recording.time, "sleep"),
        ):
            deliver_once()
        assert self.states() == [State.ACCEPTED] * 3
        assert len(self.carrier.accepted()) == 3

    @override_settings(SETTLE=0, LISTING_GAP=0)
    def test_answers_that_cannot_be_written_are_found_in_the_list(self):
        """F03 and F18: the POST went, the answer was lost with the process or the database."""
        with (
            mock.patch.object(recording, "ask_all", failing(99, recording.ask_all)),
            mock.patch.object(recording.time, "sleep"),
        ):
            deliver_once()
        assert self.states() == [State.SENDING] * 3
        assert deliver_once() == 0
        Message.objects.update(lease_until=clock.machine_now())
        Attempt.objects.update(deadline=clock.machine_now())
        assert reconcile.reconcile()["adopted"] == 3
        taken = {m["to"]: m["sid"] for m in self.carrier.accepted()}
        assert {m.address: m.provider_sid for m in Message.objects.all()} == taken
        assert len(self.carrier.accepted()) == 3

    @override_settings(SETTLE=0, LISTING_GAP=0)
    def test_killed_between_the_attempt_and_the_post_it_goes_once(self):
        """F02: claimed and committed, never posted."""
        sender = Sender()
        sender.look()
        assert len(sender.claim().parcels) == 3
        for _ in range(2):
            Message.objects.filter(state=State.SENDING).update(lease_until=clock.machine_now())
            Attempt.objects.update(deadline=clock.machine_now())
            reconcile.reconcile()
            assert self.carrier.accepted() == []
        assert deliver_once() == 3
        assert len(self.carrier.accepted()) == 3

    def test_answers_and_a_claim_that_fails_share_no_fate(self):
        """What came back is written though the next claim cannot be."""
        sender = Sender()
        sender.look()
        batch = sender.claim()
        handed = outbox.asyncio.run(outbox._all(batch.parcels, sender.stops))
        self.queue(self.make_patient("Late", "Comer", "+16175551999"), "late")
        with mock.patch.object(outbox, "ask_all", failing(99, outbox.ask_all)):
            sender.turn([handed], outbox.ALL_LANES)
        assert self.states() == [State.ACCEPTED] * 3 + [State.QUEUED]


@pytest.mark.slow
def test_many_senders_share_one_outbox(tmp_path):
    """F15 and F16: four at once, no queue anywhere; nobody twice, nobody forgotten."""
    with Carrier(tmp_path / "carrier", latency_ms=20) as carrier, Senders(tmp_path, carrier) as senders:
        carrier.settings(callbacks={"off": True})
        senders.queue(240)
        running = [senders.start() for _ in range(4)]
        assert senders.wait_for(240, 180)
        assert [senders.end(process) for process in running] == [0] * 4
        senders.settle()
        assert set(senders.judge(240)) <= {"accepted", "sent", "delivered"}
