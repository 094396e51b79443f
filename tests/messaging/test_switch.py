"""The one switch over all sending, judged by the carrier's log; and what machines and people read about it."""

import pytest
from django.test import override_settings

from engage.audit.models import AuditEvent
from engage.messaging import breaker, health, switch, twilio
from engage.messaging.models import Breaker, Lane, SendingStop
from engage.messaging.outbox import Sender, deliver_once
from engage.messaging.sender import Delivery
from tests.messaging.test_outbox import CarrierTestCase


class Switch(CarrierTestCase):
    def test_nothing_leaves_in_any_lane_until_it_goes_on(self):
        messages = [
            self.queue(p, f"k{n}", lane=lane)
            for n, (p, lane) in enumerate(zip(self.people(3), Lane, strict=True))
        ]
        switch.stop(self.supervisor, "Wrong wording went out.")
        assert deliver_once() == 0
        assert self.carrier.accepted() == []
        assert {self.state(m) for m in messages} == {"queued"}
        switch.go_on(self.administrator)
        assert deliver_once() == 3
        assert len(self.carrier.accepted()) == 3
        assert list(AuditEvent.objects.values_list("action", flat=True)) == ["sending.stop", "sending.go_on"]
        row = SendingStop.objects.get()
        assert (row.begun_by, row.ended_by, row.why) == ("Supervisor", "Campaigns", "Wrong wording went out.")

    def test_what_is_claimed_is_given_back_before_its_post(self):
        message = self.queue()
        sender = Sender()
        sender.look()
        batch = sender.claim()
        switch.stop("system:operator", "Now.")
        sender.stops.read()
        assert sender.stops.why(batch.parcels[0]) == "All sending has just been stopped."
        assert self.state(message) == "sending"

    def test_a_drain_ends_though_messages_wait(self):
        self.queue()
        delivery = Delivery(drain=True, settle=True)
        delivery.sender.look()
        assert delivery._more_to_do()
        with override_settings(SENDING_ENABLED=False):
            assert not delivery._more_to_do()
        switch.stop(self.supervisor, "Now.")
        delivery.sender.look()
        assert not delivery._more_to_do()
        delivery.thread.shutdown()

    @override_settings(SENDER_DAILY=1, SENDER_RESERVE=0)
    def test_a_drain_ends_when_the_day_is_full(self):
        self.queue(body="x" * 400)  # does not fit into the day
        delivery = Delivery(drain=True, settle=True)
        delivery.sender.look()
        assert not delivery._more_to_do()
        self.queue(self.people(1)[0], "short")
        assert delivery._more_to_do()
        delivery.thread.shutdown()

    def test_acts_that_make_no_sense_say_so(self):
        with pytest.raises(switch.SwitchError, match="Say why"):
            switch.stop(self.supervisor, "  ")
        with pytest.raises(switch.SwitchError, match="not stopped"):
            switch.go_on(self.supervisor)
        with pytest.raises(switch.SwitchError, match="nothing to try"):
            switch.try_again(self.supervisor)
        switch.stop(self.supervisor, "Now.")
        with pytest.raises(switch.SwitchError, match="already"):
            switch.stop(self.administrator, "Me too.")

    def test_after_our_own_fault_an_operator_lets_one_message_decide(self):
        breaker.lock(twilio.sender(), "The carrier does not accept our credentials.")
        self.queue()
        assert deliver_once() == 0
        switch.try_again(self.supervisor)
        assert deliver_once() == 1
        assert Breaker.objects.get().state == "closed"

    def test_everybody_reads_who_stopped_it_and_why(self):
        health.beat("deliver")
        assert health.sender_state()["sentence"] == ""
        switch.stop(self.supervisor, "Wrong wording went out.")
        state = health.sender_state()
        assert state["stopped"] and not state["ok"]
        assert state["sentence"] == "All sending was stopped by Supervisor: Wrong wording went out."
