"""Messages in doubt: adopted, proven absent, or left to a person. Never sent again on a guess."""

import time
from dataclasses import replace
from datetime import timedelta
from unittest import mock

from django.test import override_settings

from engage.lib import clock
from engage.messaging import actions, generation, health, twilio
from engage.messaging.models import Attempt, Heartbeat, Message
from engage.messaging.outbox import Sender, deliver_once
from engage.messaging.reconcile import reconcile
from engage.worklist.models import Task
from tests.base import with_a_folder_of_its_own
from tests.messaging.test_outbox import CarrierTestCase

State = Message.State


def later(seconds):
    """As if so much machine time had passed since the lease, the attempt's deadline and the last listing."""
    shift = timedelta(seconds=seconds)
    for attempt in Attempt.objects.all():
        listed = attempt.last_listing_at
        Attempt.objects.filter(pk=attempt.pk).update(
            # Once settled it stays where it is: what the carrier took must still be within the attempt's time.
            deadline=attempt.deadline - (timedelta() if listed else shift),
            last_listing_at=listed and listed - shift,
        )
    for message in Message.objects.exclude(lease_until=None):
        Message.objects.filter(pk=message.pk).update(lease_until=message.lease_until - shift)


class Doubt(CarrierTestCase):
    def lost_answer(self, key="k", **more):
        self.carrier.script(times=1, drop=True)
        message = self.queue(key=key, **more)
        deliver_once()
        assert self.state(message) == State.IN_DOUBT
        return message

    def test_found_in_the_list_it_is_adopted(self):
        message = self.lost_answer()
        assert reconcile() == {}  # the carrier gets its time first
        later(100)
        assert reconcile() == {"adopted": 1}
        assert self.state(message) in (State.ACCEPTED, State.SENT, State.DELIVERED)
        assert message.provider_sid == self.carrier.accepted()[0]["sid"]
        assert len(self.carrier.accepted()) == 1

    def test_absent_twice_it_goes_again_once(self):
        self.carrier.script(times=1, status=503, accept=False)
        message = self.queue()
        deliver_once()
        later(100)
        assert reconcile() == {"absent": 1}
        assert reconcile() == {}
        assert self.state(message) == State.IN_DOUBT
        later(400)
        assert reconcile() == {"requeued": 1}
        assert deliver_once() == 1
        assert self.state(message) == State.ACCEPTED
        assert len(self.carrier.accepted()) == 1

    def test_a_list_that_lags_is_not_believed_at_once(self):
        self.carrier.settings(list_lag=1)
        message = self.lost_answer()
        later(100)
        assert reconcile() == {"absent": 1}
        time.sleep(1.1)
        later(400)
        assert reconcile() == {"adopted": 1}
        assert self.state(message) in (State.ACCEPTED, State.SENT, State.DELIVERED)
        assert len(self.carrier.accepted()) == 1

    def test_a_list_that_fails_leaves_it_to_a_person(self):
        message = self.lost_answer()
        self.carrier.script(on="list", status=500)
        later(100)
        for _ in range(3):
            assert reconcile() == {"unproven": 1}
            assert reconcile() == {}  # the next look comes a gap later
            later(400)
        assert reconcile() == {"review": 1}
        assert self.state(message) == State.NEEDS_REVIEW
        assert Task.objects.filter(about=f"message:{message.pk}", reason="delivery_review").count() == 1
        assert deliver_once() == 0
        assert len(self.carrier.accepted()) == 1

    def test_after_a_long_stop_one_failed_listing_does_not_end_the_search(self):
        self.lost_answer()
        self.carrier.script(on="list", times=1, status=500)
        later(100_000)
        assert reconcile() == {"unproven": 1}
        later(400)
        # `later` moved the deadline; what the carrier took must lie within the attempt's time.
        Attempt.objects.update(deadline=clock.machine_now() - timedelta(seconds=90))
        assert reconcile() == {"adopted": 1}
        assert len(self.carrier.accepted()) == 1

    def test_a_carrier_that_keeps_no_texts_proves_nothing(self):
        message = self.lost_answer()
        sid = self.carrier.accepted()[0]["sid"]
        self.carrier.wait(
            lambda: next(m for m in self.carrier.messages() if m["sid"] == sid)["status"] == "delivered"
        )
        import base64
        import urllib.request

        login = base64.b64encode(f"{self.carrier.account}:{self.carrier.token}".encode()).decode()
        url = f"{self.carrier.base_url}/2010-04-01/Accounts/{self.carrier.account}/Messages/{sid}.json"
        urllib.request.urlopen(
            urllib.request.Request(url, b"Body=", {"Authorization": f"Basic {login}"})
        ).read()
        later(100)
        assert reconcile() == {"unproven": 1}
        assert self.state(message) == State.IN_DOUBT

    def test_marks_that_the_carrier_writes_plainly_make_no_other_text(self):
        message = self.lost_answer(body="We’ll call you — soon")
        self.carrier_says("We'll call you - soon")
        later(100)
        assert reconcile() == {"adopted": 1}
        assert self.state(message) in (State.ACCEPTED, State.SENT, State.DELIVERED)

    def test_a_text_of_ours_in_other_words_that_is_nobodys_proves_nothing(self):
        message = self.lost_answer()
        self.carrier_says("Hello, in the carrier's words")
        later(100)
        assert reconcile() == {"unproven": 1}
        assert self.state(message) == State.IN_DOUBT

    def carrier_says(self, body):
        """Its list shows what it took in these words."""
        listed = twilio.Provider.listed

        async def other(provider, **about):
            return [replace(row, body=body) for row in await listed(provider, **about)]

        self.enterContext(mock.patch.object(twilio.Provider, "listed", other))

    def test_two_equal_texts_are_never_taken_for_one(self):
        one = self.lost_answer("a", body="The same words")
        Message.objects.filter(pk=one.pk).update(accepted_at=clock.now() - timedelta(days=30))
        self.carrier.script(times=1, status=503, accept=False)
        two = self.queue(key="b", body="The same words", lane=1)
        deliver_once()
        later(100)
        assert reconcile() == {"adopted": 1, "absent": 1}
        assert {self.state(one), self.state(two)} & {State.IN_DOUBT}

    def test_a_killed_sender_leaves_leases_that_run_out(self):
        message = self.queue()
        sender = Sender()
        sender.look()
        assert len(sender.claim().parcels) == 1
        assert self.state(message) == State.SENDING
        assert reconcile() == {}
        later(10)
        assert reconcile() == {"leases": 1}
        assert self.state(message) == State.IN_DOUBT
        later(100)
        reconcile()
        later(400)
        assert reconcile() == {"requeued": 1}

    def test_withdrawn_meanwhile_it_is_not_sent_again(self):
        self.carrier.script(times=1, status=503, accept=False)
        message = self.queue(about="caregap:9")
        deliver_once()
        actions.suppress_about("caregap:9", "The care gap was closed.")
        later(100)
        reconcile()
        later(400)
        reconcile()
        deliver_once()
        assert self.state(message) == State.SUPPRESSED
        assert self.carrier.accepted() == []

    def test_a_late_answer_after_all_is_not_lost(self):
        from engage.messaging.recording import record
        from engage.messaging.transports import Accepted

        message = self.queue()
        sender = Sender()
        sender.look()
        parcels = sender.claim().parcels
        Message.objects.update(state=State.QUEUED)  # given up as never taken
        assert record([(parcels[0], Accepted("SM" + "7" * 32))]) == 1
        assert self.state(message) == State.ACCEPTED
        assert deliver_once() == 0


class Restored(CarrierTestCase):
    """A database put back from a backup starts paused, and asks the carrier before it sends."""

    def setUp(self):
        super().setUp()
        with_a_folder_of_its_own(self)

    def test_it_pauses_and_looks_before_it_sends(self):
        for _ in range(3):
            assert generation.advance()
        assert not generation.restored()
        message, other = self.queue(), self.queue(self.people(1)[0], "other")
        deliver_once()
        taken = self.carrier.accepted()
        assert len(taken) == 2
        # The backup: yesterday's rows, in which nothing had been sent.
        saved = clock.machine_now() - timedelta(hours=6)
        Heartbeat.objects.update(detail={"number": 1}, at=saved)
        Attempt.objects.all().delete()
        Message.objects.update(state=State.QUEUED, provider_sid=None, accepted_at=None, attempts_made=0)
        Message.objects.filter(pk=other.pk).update(
            state=State.IN_DOUBT
        )  # settled, and sent again, later that day
        self.carrier.control("settings", {"list_lag": 0})
        assert generation.restored()
        assert not generation.advance()
        health.beat("deliver")  # a sender that waits shows that it is alive
        generation.accept()
        assert set(Attempt.objects.values_list("started_at", flat=True)) == {saved - timedelta(minutes=10)}
        assert not generation.restored()
        assert deliver_once() == 0
        later(100)
        assert reconcile() == {"adopted": 2}
        assert {self.state(message), self.state(other)} <= {State.ACCEPTED, State.SENT, State.DELIVERED}
        assert len(self.carrier.accepted()) == 2

    def test_a_new_demonstration_beside_an_old_file_is_no_restore(self):
        generation.write("another", 500)
        assert not generation.restored()
        with override_settings(CARRIER="twilio"):
            assert generation.restored()
            assert not generation.advance()
        assert generation.advance()
        assert generation.read()["number"] == 501

    def test_a_lost_file_or_a_crash_between_both_is_no_restore(self):
        generation.advance()
        generation.path().unlink()
        assert not generation.restored()
        assert generation.advance()
        kept = generation.read()
        generation.write(kept["host"], kept["number"] - 1)
        assert generation.advance()
