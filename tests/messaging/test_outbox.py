"""Claim, hand over, record: judged by what the carrier's own log says."""

from datetime import timedelta

from django.conf import settings
from django.test import override_settings

from engage.lib import clock
from engage.messaging import actions, safety
from engage.messaging.models import Attempt, Breaker, Lane, Message, Stream
from engage.messaging.outbox import Sender, deliver_once
from engage.patients.actions import record_consent
from engage.worklist.models import Task
from tests.base import CastTestCase
from tests.simulator.harness import Carrier

State = Message.State


class CarrierTestCase(CastTestCase):
    """Every test has the carrier as a process of its own; callbacks go nowhere."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.carrier = Carrier(callbacks=None)
        cls.carrier.start()

    @classmethod
    def tearDownClass(cls):
        cls.carrier.stop()
        super().tearDownClass()

    def setUp(self):
        self.carrier.reset()
        self.carrier.settings(callbacks={"off": True})
        to_carrier = override_settings(
            TWILIO_API_BASE_URL=self.carrier.base_url, TWILIO_ACCOUNT_SID=self.carrier.account,
            TWILIO_AUTH_TOKENS=[self.carrier.token], TWILIO_FROM=self.carrier.number, HTTP_TIMEOUT=0.5, LEASE=4,
            OPT_OUT_CACHE=5,
        )  # fmt: skip
        to_carrier.enable()
        self.addCleanup(to_carrier.disable)

    def people(self, count):
        return [self.make_patient(f"P{n}", "Test", f"+1617555{1000 + n}") for n in range(count)]

    def queue(self, patient=None, key="k", **more):
        return actions.queue(
            **({"body": f"Hello {key}", "key": key, "patient": patient or self.patient} | more)
        )

    def state(self, message):
        message.refresh_from_db()
        return message.state


class Delivering(CarrierTestCase):
    def test_a_batch_is_accepted_once_each(self):
        messages = [self.queue(p, f"k{n}") for n, p in enumerate(self.people(5))]
        assert deliver_once() == 5
        assert deliver_once() == 0
        taken = {m["to"]: m for m in self.carrier.accepted()}
        assert len(taken) == 5 == len(self.carrier.accepted())
        for message in messages:
            assert self.state(message) == State.ACCEPTED
            assert message.provider_sid == taken[message.address]["sid"]
            assert message.accepted_at == clock.now()
        attempt = Attempt.objects.filter(message=messages[0]).get()
        assert (attempt.outcome, attempt.http_status, attempt.number) == ("accepted", 201, 1)

    def test_the_carrier_is_told_where_to_report_and_until_when(self):
        self.queue()
        deliver_once()
        [taken] = self.carrier.accepted()
        token = taken["status_callback"].removeprefix(f"{settings.PUBLIC_BASE_URL}/webhooks/twilio/status/")
        assert len(token) == 43
        assert not Attempt.objects.filter(token_digest=token).exists()  # only a digest is kept
        assert taken["validity"] == 4 * 3600
        assert taken["sender"] == self.carrier.number

    @override_settings(
        NOW=clock.machine_now().replace(year=2026, month=3, day=5, hour=0, minute=30, second=0)
    )
    def test_the_carrier_may_not_deliver_after_closing(self):
        self.queue()  # 19:30 in New York; closing at 20:00
        deliver_once()
        assert 28 * 60 <= self.carrier.accepted()[0]["validity"] <= 29 * 60 + 1

    def test_urgent_and_staff_messages_go_first(self):
        people = self.people(60)
        for n, person in enumerate(people):
            self.queue(person, f"bulk{n}")
        self.queue(key="staff", lane=Lane.STAFF)
        deliver_once()
        assert len(self.carrier.accepted()) == 50
        assert self.state(Message.objects.get(key="staff")) == State.ACCEPTED

    def test_one_poisoned_row_fails_alone(self):
        people = self.people(4)
        good = [self.queue(people[0], "a"), self.queue(people[1], "emoji", body="👍" * 200)]
        bad = self.queue(people[2], "bad")
        Message.objects.filter(pk=bad.pk).update(body="y" * 1601)
        zone = self.queue(people[3], "zone")
        people[3].time_zone = "Nowhere/Land"
        people[3].save()
        deliver_once()
        assert [self.state(m) for m in good] == [State.ACCEPTED] * 2
        assert self.state(bad) == State.FAILED
        assert self.state(zone) == State.NEEDS_REVIEW
        assert Task.objects.filter(about=f"message:{zone.pk}", reason="delivery_review").count() == 1

    def test_an_author_has_ten_machine_seconds(self):
        message = self.queue(author=self.nurse, lane=Lane.STAFF)
        assert deliver_once() == 0
        Message.objects.update(undo_until=clock.machine_now())
        assert deliver_once() == 1
        assert self.state(message) == State.ACCEPTED

    @override_settings(SENDING_ENABLED=False)
    def test_the_global_stop(self):
        message = self.queue()
        assert deliver_once() == 0
        assert self.state(message) == State.QUEUED
        assert self.carrier.accepted() == []


class Stopping(CarrierTestCase):
    """What is decided between queueing and the POST counts."""

    def claimed(self, **more):
        message = self.queue(**more)
        sender = Sender()
        sender.look()
        return message, sender, sender.claim()

    def hand_over(self, sender, batch):
        import asyncio

        from engage.messaging.outbox import _all

        sender.turn([asyncio.run(_all(batch.parcels, sender.stops))], ())

    def opt_out(self):
        record_consent(address="+16175550142", channel="sms", decision="revoked", source="patient_text")

    def test_an_opt_out_while_it_waits(self):
        message = self.queue()
        self.opt_out()
        deliver_once()
        assert self.state(message) == State.SUPPRESSED
        assert message.verdict["code"] == "opted_out"
        assert self.carrier.accepted() == []

    def test_an_opt_out_after_the_claim(self):
        message, sender, batch = self.claimed()
        self.opt_out()
        sender.stops.read()
        self.hand_over(sender, batch)
        assert self.state(message) == State.QUEUED
        assert Attempt.objects.get().outcome == "not_attempted"
        Message.objects.update(retry_at=None)
        deliver_once()
        assert self.state(message) == State.SUPPRESSED
        assert self.carrier.accepted() == []

    def test_the_last_word_counts_for_a_sender_that_runs_on(self):
        """STOP by text, then consent told to staff, for this patient alone: as the gate reads it."""
        sender = Sender()
        sender.look()
        self.opt_out()
        told = {"address": "+16175550142", "channel": "sms", "source": "staff", "patient": self.patient}
        record_consent(decision="granted", by=self.nurse, **told)
        message = self.queue()
        sender.look()
        batch = sender.claim()
        self.hand_over(sender, batch)
        assert self.state(message) == State.ACCEPTED
        record_consent(decision="revoked", by=self.nurse, **told)
        sender.stops.read()
        assert sender.stops.why(batch.parcels[0]) == "The patient has just opted out."

    def test_a_word_of_the_clinician_on_call_holds_no_alert_back(self):
        sender = Sender()
        sender.look()
        record_consent(
            address=self.clinic.on_call_number, channel="sms", decision="revoked", source="patient_text"
        )
        alert = safety.on_call_alert(self.clinic, "alert:1")
        sender.look()
        self.hand_over(sender, sender.claim())
        assert self.state(alert) == State.ACCEPTED

    def test_what_is_given_back_again_and_again_waits_longer_each_time(self):
        message = self.queue()
        sender = Sender()
        waits = []
        for _ in range(4):
            sender.look()
            batch = sender.claim()
            sender.stops.withdrawn = {message.pk}
            self.hand_over(sender, batch)
            message.refresh_from_db()
            waits.append((message.retry_at - message.done_at).total_seconds())
            Message.objects.update(retry_at=None)
        assert waits == [0.1, 0.2, 0.4, 0.8]

    def test_a_staff_answer_does_not_get_around_it_either(self):
        message = self.queue(author=self.nurse, lane=Lane.STAFF)
        Message.objects.update(undo_until=None)
        self.opt_out()
        deliver_once()
        assert self.state(message) == State.SUPPRESSED

    def test_withdrawn_after_the_claim(self):
        message, sender, batch = self.claimed(about="caregap:1")
        actions.suppress_about("caregap:1", "The care gap was closed.")
        sender.stops.read()
        self.hand_over(sender, batch)
        Message.objects.update(retry_at=None)
        deliver_once()
        assert self.state(message) == State.SUPPRESSED
        assert message.state_reason == "The care gap was closed."
        assert self.carrier.accepted() == []

    def test_a_stale_cache_lets_nothing_through(self):
        message, sender, batch = self.claimed()
        sender.stops.read_at -= 100
        self.hand_over(sender, batch)
        assert self.state(message) == State.QUEUED
        assert self.carrier.accepted() == []

    def test_past_the_fence_nothing_is_posted(self):
        with override_settings(LEASE=0.6):
            message, sender, batch = self.claimed()
            import time

            time.sleep(0.15)
            self.hand_over(sender, batch)
        assert self.state(message) == State.QUEUED
        assert self.carrier.accepted() == []

    def test_a_pause_holds_and_a_cancel_ends(self):
        stream = Stream.objects.create(name="Campaign")
        message = self.queue(stream=stream)
        actions.pause_stream(stream)
        assert deliver_once() == 0
        assert self.state(message) == State.QUEUED
        actions.resume_stream(stream)
        Stream.objects.update(state="cancelled")
        deliver_once()
        assert self.state(message) == State.SUPPRESSED

    def test_a_clinics_stop_holds_programs_but_not_people(self):
        self.clinic.sending_paused = True
        self.clinic.save()
        nowhere = self.queue(self.make_patient("No", "Clinic", "+16175551999", clinic=None), "nowhere")
        bulk, staff = self.queue(), self.queue(key="s", lane=Lane.STAFF, author=self.nurse)
        Message.objects.update(undo_until=None)
        deliver_once()
        assert (self.state(bulk), self.state(staff)) == (State.QUEUED, State.ACCEPTED)
        assert self.state(nowhere) == State.ACCEPTED

    def test_too_old(self):
        message = self.queue(expires_at=clock.now() + timedelta(hours=1))
        with override_settings(NOW=clock.now() + timedelta(hours=2)):
            deliver_once()
        assert self.state(message) == State.EXPIRED
        assert self.carrier.accepted() == []


class Failing(CarrierTestCase):
    """Each way a POST can end, and what it proves."""

    def test_refused_for_good(self):
        self.carrier.script(to="+16175550142", code=21211, status=400)
        message = self.queue()
        deliver_once()
        assert self.state(message) == State.FAILED
        assert message.error_code == "21211"
        point = self.patient.contact_points.get()
        assert point.state == "invalid"
        assert Task.objects.filter(reason="fix_phone", patient=self.patient).count() == 1

    def test_opted_out_with_the_carrier(self):
        self.carrier.numbers(**{"+16175550142": "opted_out"})
        message, later = self.queue(), self.queue(key="later", not_before=clock.now() + timedelta(days=2))
        deliver_once()
        assert (self.state(message), self.state(later)) == (State.FAILED, State.SUPPRESSED)
        point = self.patient.contact_points.get()
        assert (point.state, point.sms_consent) == ("opted_out", "revoked")
        assert self.queue(key="next").verdict["code"] == "opted_out"

    def test_one_bad_recipient_does_not_stop_the_batch(self):
        people = self.people(3)
        self.carrier.numbers(**{"+16175551001": "invalid"})
        messages = [self.queue(p, f"k{n}") for n, p in enumerate(people)]
        deliver_once()
        assert [self.state(m) for m in messages] == [State.ACCEPTED, State.FAILED, State.ACCEPTED]

    def test_accepted_but_the_answer_is_lost(self):
        self.carrier.script(times=1, drop=True)
        message = self.queue()
        deliver_once()
        assert self.state(message) == State.IN_DOUBT
        assert len(self.carrier.accepted()) == 1
        assert deliver_once() == 0  # never again on a guess

    def test_accepted_but_the_answer_is_late(self):
        self.carrier.script(times=1, delay=1)
        message = self.queue()
        deliver_once()
        assert self.state(message) == State.IN_DOUBT

    def test_a_503_proves_nothing(self):
        for accept in (True, False):
            self.carrier.script(times=1, status=503, accept=accept)
        people = self.people(2)
        messages = [self.queue(p, f"k{n}") for n, p in enumerate(people)]
        deliver_once()
        assert [self.state(m) for m in messages] == [State.IN_DOUBT] * 2

    def test_refused_connections_burn_nothing(self):
        message = self.queue()
        with override_settings(TWILIO_API_BASE_URL="http://127.0.0.1:9"):
            deliver_once()
        assert self.state(message) == State.QUEUED
        assert message.retry_at > clock.machine_now()
        assert Attempt.objects.get().outcome == "not_accepted"

    def test_too_many_requests_wait_as_asked(self):
        self.carrier.script(times=1, status=429, retry_after=30)
        message = self.queue()
        sender = Sender()
        deliver_once(sender)
        assert self.state(message) == State.QUEUED
        assert message.retry_at > clock.machine_now() + timedelta(seconds=25)
        assert sender.guard.room(50) == 0

    def test_bad_credentials_lock_the_sender_and_fail_nothing(self):
        self.carrier.script(status=401)
        messages = [self.queue(p, f"k{n}") for n, p in enumerate(self.people(3))]
        sender = Sender()
        deliver_once(sender)
        assert {self.state(m) for m in messages} == {State.QUEUED}
        assert Breaker.objects.get().state == "locked"
        Message.objects.update(retry_at=None)
        assert deliver_once(sender) == 0
        assert deliver_once() == 0  # nor another process

    def test_the_breaker_opens_and_one_probe_closes_it(self):
        messages = [self.queue(p, f"k{n}") for n, p in enumerate(self.people(6))]
        sender = Sender()
        with override_settings(TWILIO_API_BASE_URL="http://127.0.0.1:9"):
            deliver_once(sender)
        assert Breaker.objects.get().state == "open"
        Message.objects.update(retry_at=None)
        assert deliver_once(sender) == 0
        Breaker.objects.update(until=clock.machine_now())
        assert deliver_once(sender) == 1
        assert Breaker.objects.get().state == "closed"
        deliver_once(sender)
        assert {self.state(m) for m in messages} == {State.ACCEPTED}
        assert len(self.carrier.accepted()) == 6
