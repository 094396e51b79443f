"""Queueing, suppressing, taking back, pausing, and what people decide."""

from datetime import timedelta

from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from engage.audit.models import AuditEvent
from engage.lib import clock
from engage.messaging import actions, safety
from engage.messaging.models import Lane, Message, Stream
from engage.worklist.models import Task
from tests.base import CastTestCase

State = Message.State


class Queueing(CastTestCase):
    def queue(self, key="k1", **more):
        return actions.queue(**({"body": "Hello", "key": key, "patient": self.patient} | more))

    def test_a_key_makes_one_row(self):
        first, again = self.queue(), self.queue(body="Something else")
        assert first.pk == again.pk
        assert Message.objects.get().body == "Hello"

    def test_it_takes_the_first_usable_number(self):
        self.patient.contact_points.update(state="invalid", state_reason="Disconnected.", rank=1)
        self.patient.contact_points.create(
            system="phone", raw="2", value="+16175550143", rank=2, sms_consent="granted"
        )
        message = self.queue()
        assert (message.state, message.address) == (State.QUEUED, "+16175550143")

    def test_a_patient_without_a_number_is_refused_in_words(self):
        message = self.queue(patient=self.make_patient("No", "Phone"))
        assert message.state == State.SUPPRESSED
        assert message.verdict["code"] == "no_number"
        assert message.state_reason == "The record has no number for texts."

    def test_an_author_has_ten_seconds(self):
        message = self.queue(author=self.nurse, lane=Lane.STAFF)
        left = message.undo_until - clock.machine_now()
        assert timedelta(seconds=8) < left <= timedelta(seconds=10)
        assert self.queue("k2").undo_until is None

    def test_nul_is_taken_out_and_segments_are_counted(self):
        message = self.queue(body="día\x00 " * 20)
        assert "\x00" not in message.body
        assert message.segments == 2  # í is not in GSM-7
        assert message.state == State.QUEUED

    def test_a_text_the_carrier_would_refuse_fails_alone(self):
        assert self.queue(body="x" * 1601).state == State.FAILED
        assert self.queue("k2", body=" \n").state == State.FAILED
        assert self.queue("k3", body="x" * 1600).state == State.QUEUED

    def test_queueing_asks_the_database_little(self):
        self.queue("warm")
        with CaptureQueriesContext(
            connection,
        ) as asked:
            self.queue("k2")
        assert len(asked) <= 9


class QueueingMany(CastTestCase):
    def test_many_are_judged_and_written_together(self):
        people = [self.make_patient(f"P{n}", "Test", f"+1617555{1000 + n}") for n in range(20)]
        nobody = self.make_patient("No", "Phone")
        there = actions.queue(body="Hello", key="k0", patient=people[0])

        def drafts(some):
            return [actions.draft(body="Hello", key=f"k{n}", patient=p) for n, p in enumerate(some)]

        asked = {}
        for some in ([*people[:2], nobody], [*people, nobody, people[1]]):
            Message.objects.exclude(pk=there.pk).delete()
            made = drafts(some)
            with CaptureQueriesContext(connection) as queries:
                rows = actions.queue_many(made)
            asked[len(some)] = len(queries)
        assert len(set(asked.values())) == 1, asked
        assert rows[0].pk == there.pk
        assert [r.key for r in rows] == [f"k{n}" for n in range(22)]
        assert {r.state for r in rows[1:20]} == {State.QUEUED}
        assert (rows[20].state, rows[20].verdict["code"]) == (State.SUPPRESSED, "no_number")
        assert (rows[21].state, rows[21].verdict["code"]) == (State.HELD, "frequency")
        assert all(r.pk for r in rows)


class Suppressing(CastTestCase):
    def setUp(self):
        self.message = actions.queue(body="Hello", key="k", patient=self.patient, about="caregap:1")

    def test_by_what_it_is_about(self):
        other = actions.queue(body="Hi", key="k2", patient=self.patient, about="caregap:2")
        assert actions.suppress_about("caregap:1", "The care gap was closed.") == 1
        self.message.refresh_from_db()
        other.refresh_from_db()
        assert (self.message.state, self.message.state_reason) == (
            State.SUPPRESSED,
            "The care gap was closed.",
        )
        assert other.state in Message.UNSENT

    def test_what_is_under_way_is_not_tried_again(self):
        Message.objects.update(state=State.IN_DOUBT)
        assert actions.suppress_about(["caregap:1"], "The care gap was closed.") == 0
        self.message.refresh_from_db()
        assert self.message.withdrawn == "The care gap was closed."

    def test_what_the_carrier_has_is_not_tried_again_either(self):
        for state in (State.ACCEPTED, State.SENT):
            with self.subTest(state):
                Message.objects.update(state=state, withdrawn="")
                assert actions.suppress_about("caregap:1", "The care gap was closed.") == 0
                self.message.refresh_from_db()
                assert (self.message.state, self.message.withdrawn) == (state, "The care gap was closed.")
                assert actions.again(self.message, clock.now()) is None
        assert Message.objects.count() == 1

    def test_an_opt_out_spares_the_crisis_reply_and_its_own_confirmation(self):
        heard = Message.objects.create(
            direction="in",
            state="received",
            patient=self.patient,
            address="+16175550142",
            body="STOP",
            key="in:1",
        )
        kept = [safety.crisis_reply(heard), safety.opt_out_confirmation(heard)]
        assert actions.suppress_address("+16175550142", "sms", "Opted out.") == 1
        for message in kept:
            message.refresh_from_db()
            assert message.state == State.QUEUED

    def test_its_author_takes_it_back_until_it_leaves(self):
        assert actions.cancel_message(self.message, by=self.nurse)
        assert self.message.state == State.SUPPRESSED
        assert AuditEvent.objects.filter(action="message.cancel", actor="nurse").count() == 1
        Message.objects.update(state=State.SENDING)
        assert not actions.cancel_message(self.message, by=self.nurse)

    def test_a_stream_waits_and_ends(self):
        stream = Stream.objects.create(name="Campaign")
        actions.pause_stream(stream)
        message = actions.queue(body="Hi", key="k3", patient=self.patient, stream=stream)
        assert (message.state, message.verdict["code"]) == (State.QUEUED, "stream_paused")
        actions.resume_stream(stream)
        assert stream.state == Stream.State.ACTIVE
        assert actions.cancel_stream(stream, "The campaign was stopped.") == 1
        actions.resume_stream(stream)
        assert stream.state == Stream.State.CANCELLED


class Reviewing(CastTestCase):
    def setUp(self):
        self.message = actions.queue(body="Hello", key="k", patient=self.patient)
        Message.objects.update(state=State.NEEDS_REVIEW)

    def test_drop(self):
        actions.review(self.message, "drop", by=self.supervisor)
        assert Message.objects.get(key="k").state == State.SUPPRESSED

    def test_resend_is_a_message_of_its_own_through_the_gate(self):
        resent = actions.review(self.message, "resend", by=self.supervisor)
        assert resent.pk != self.message.pk
        assert (resent.author, resent.body) == (self.supervisor, "Hello")
        with self.assertRaises(actions.MessageError):
            actions.review(self.message, "resend", by=self.supervisor)
        assert Message.objects.count() == 2

    def test_resend_does_not_get_around_an_opt_out(self):
        self.patient.contact_points.update(sms_consent="revoked")
        assert actions.review(self.message, "resend", by=self.supervisor).state == State.SUPPRESSED

    def test_resend_of_what_was_withdrawn_makes_no_sense(self):
        Message.objects.update(withdrawn="The care gap was closed.")
        with self.assertRaisesMessage(actions.MessageError, "The care gap was closed."):
            actions.review(self.message, "resend", by=self.supervisor)
        assert Message.objects.get().state == State.NEEDS_REVIEW
        assert not AuditEvent.objects.filter(action="message.review").exists()

    def test_ask_opens_a_call(self):
        actions.review(self.message, "ask", by=self.supervisor)
        assert Task.objects.get(about=f"message:{self.message.pk}").reason == "call"
        assert Message.objects.get(key="k").state == State.NEEDS_REVIEW


class Safety(CastTestCase):
    def hear(self, body="help me", language="", address="+16175550142", patient=True):
        return Message.objects.create(
            direction="in", state="received", patient=self.patient if patient else None, address=address,
            clinic=self.clinic, body=body, key=f"in:{body}:{address}", language=language,
        )  # fmt: skip

    def test_the_crisis_reply_goes_in_the_patients_language_at_once(self):
        message = safety.crisis_reply(self.hear(language="es"))
        assert "988" in message.body
        assert message.body.startswith("Si es una emergencia")
        assert (message.lane, message.state) == (Lane.URGENT, State.QUEUED)
        assert safety.crisis_reply(Message.objects.get(direction="in")).pk == message.pk

    def test_an_unknown_number_is_answered_too(self):
        assert safety.crisis_reply(self.hear(address="+13055550000", patient=False)).state == State.QUEUED

    def test_in_production_an_unapproved_text_is_not_sent_and_people_are_told(self):
        with override_settings(CARRIER="twilio"):
            assert safety.crisis_reply(self.hear()) is None
            assert safety.on_call_alert(self.clinic, "alert:1") is None
        about = set(Task.objects.filter(reason="no_template", priority=0).values_list("about", flat=True))
        assert about == {"wording:crisis:en", "wording:on-call:en"}

    def test_in_production_an_approved_one_is(self):
        safety.ensure_safety_templates(approved_by="Dr. Reyes")
        with override_settings(CARRIER="twilio"):
            assert safety.crisis_reply(self.hear()).state == State.QUEUED
            alert = safety.on_call_alert(self.clinic, "alert:1")
        assert (alert.state, alert.address) == (State.QUEUED, "+16175550199")

    def test_the_alert_names_no_patient(self):
        alert = safety.on_call_alert(self.clinic, "alert:1")
        assert alert.patient is None
        assert "Ana" not in alert.body and "Rivera" not in alert.body
        assert alert.body.endswith("/inbox/")
