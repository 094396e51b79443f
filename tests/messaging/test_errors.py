"""The table of the carrier's errors, row by row: what each does to the number, the next try, the campaign, the sender."""

from datetime import timedelta

import pytest
from django.test import override_settings

from engage.lib import clock
from engage.messaging import actions, breaker, errors, pace, policy, twilio
from engage.messaging.locks import LOCKS
from engage.messaging.models import Breaker, Lane, Message, Stream
from engage.messaging.outbox import Sender, deliver_once
from engage.messaging.status import Change, adopt
from engage.messaging.waiting import picked
from engage.patients.models import Consent
from engage.worklist.models import Task
from tests.base import NOON, CastTestCase
from tests.messaging.test_outbox import CarrierTestCase

# code: (state of the number after one failure, whether a task asks for another number)
NUMBERS = {
    "21211": ("invalid", True), "21217": ("invalid", True), "21214": ("suspect", False), "21610": ("opted_out", False),
    "21614": ("sms_incapable", True), "21635": ("sms_incapable", True), "30003": ("suspect", False),
    "30004": ("blocked", True), "30005": ("suspect", False), "30006": ("sms_incapable", True), "30008": ("suspect", False),
}  # fmt: skip
HOURS = {"30003": 4, "30008": 4, "30001": 1, "30022": 1, "30036": 0, "63038": 24}
OPERATOR = ("21216", "21408", "21608", "21612", "63038")


class Table(CastTestCase):
    def fail(self, code, key="k", **more):
        message = actions.queue(**({"body": "Hello", "key": key, "patient": self.patient} | more))
        message.state, message.error_code, message.accepted_at = "undelivered", code, clock.now()
        message.save()
        errors.take_effect(message, code)
        return message

    def fresh(self):
        Task.objects.all().delete()
        Message.objects.all().delete()
        Consent.objects.all().delete()
        self.patient.contact_points.update(state="active", suspect_count=0, sms_consent="granted")

    def state(self):
        return self.patient.contact_points.get().state

    def test_what_becomes_of_the_number(self):
        for code, (state, asks) in NUMBERS.items():
            with self.subTest(code):
                self.fresh()
                self.fail(code)
                assert self.state() == state
                assert Task.objects.filter(reason="fix_phone").exists() is asks
                assert errors.sentence(code).endswith(".")

    def test_nothing_else_touches_a_patients_record(self):
        for code in (set(errors.RULES) | set(LOCKS) | {"", "99999"}) - set(NUMBERS):
            with self.subTest(code):
                self.fresh()
                self.fail(code)
                point = self.patient.contact_points.get()
                assert (point.state, point.suspect_count, point.sms_consent) == ("active", 0, "granted")
                assert not Task.objects.filter(reason="fix_phone").exists()

    def test_what_is_tried_once_more_and_when(self):
        for code in set(errors.RULES) | set(LOCKS):
            with self.subTest(code):
                self.fresh()
                self.fail(code)
                again = Message.objects.filter(key="k:again").first()
                if code in LOCKS:
                    waits = Message.objects.unsent().get()
                    # It counts as no contact, and the sender is locked meanwhile.
                    assert (waits.state, waits.not_before) == ("queued", clock.now())
                    waits.state = "undelivered"
                    errors.take_effect(waits, "30003")
                    assert Message.objects.filter(key=f"{waits.key}:again").exists()  # its own second try
                elif code == "30023":
                    wait = pace.next_carrier_day(clock.machine_now()) - clock.machine_now()
                    assert again.not_before >= clock.now() + wait - timedelta(minutes=1)
                elif code in HOURS:
                    assert again.not_before >= clock.now() + timedelta(hours=HOURS[code])
                else:
                    assert again is None

    def test_the_text_that_failed_does_not_hold_its_second_try(self):
        for code, hours in (("30003", 4), ("30036", 0)):
            with self.subTest(code):
                self.fresh()
                self.fail(code, "k" * 120, about="caregap:1")
                again = Message.objects.get(key__endswith=":again")
                assert again.not_before == clock.now() + timedelta(hours=hours)
                assert self.gate_at(hours, again).allowed

    def test_another_text_meanwhile_does(self):
        self.fail("30003", about="caregap:1")
        again = Message.objects.get(key="k:again")
        other = actions.queue(body="Hi", key="other", patient=self.patient)
        Message.objects.filter(pk=other.pk).update(state="delivered", accepted_at=clock.now())
        assert self.gate_at(4, again).code == "frequency"
        assert actions.queue(body="Hi", key="next", patient=self.patient).verdict["code"] == "frequency"

    def gate_at(self, hours, message):
        with override_settings(NOW=NOON + timedelta(hours=hours)):
            return policy.decide(picked([message.pk])[0])

    def test_what_a_person_wrote_is_not_repeated_by_a_machine(self):
        self.fail("30003", author=self.nurse)
        assert not Message.objects.filter(key="k:again").exists()

    def test_what_the_sender_is_locked_for_waits_as_often_as_it_takes(self):
        heard = Message.objects.create(
            key="in", direction="in", state="received", address="+16175550142", body="?"
        )
        for author, key in ((None, "k"), (self.nurse, "n")):
            message = self.fail("30034", key, author=author, reply_to=heard, lane=Lane.STAFF)
            for n in range(3):
                again = Message.objects.unsent().get(body="Hello")
                assert (again.author, again.reply_to, again.lane) == (author, heard, Lane.STAFF)
                assert again.expires_at >= message.expires_at
                again.state = "undelivered"
                again.save()
                errors.take_effect(again, ("30002", "30032", "30034")[n])
            Message.objects.unsent().delete()
        crisis = self.fail("30034", "c", safety=True, address="+16175550142", reply_to=heard)
        message.withdrawn = "The care gap was closed."
        errors.take_effect(message, "30034")
        assert not Message.objects.unsent().exclude(pk=crisis.pk).exists()  # it would come too late

    def test_our_own_set_up_is_an_operators_task_once(self):
        for code in OPERATOR:
            with self.subTest(code):
                self.fresh()
                self.fail(code)
                self.fail(code, "k2", patient=self.make_patient("P", code, f"+16175551{code[-3:]}"))
                task = Task.objects.get(about=f"carrier:{code}")
                assert (task.queue, task.link) == ("supervisors", "/delivery/")
                assert not Breaker.objects.filter(state="locked").exists()  # the others go on

    def test_a_number_that_blocked_us_and_writes_is_texted_again(self):
        self.fail("30004")
        assert self.state() == "blocked"
        errors.delivered("+16175550142")
        assert self.state() == "blocked"  # an old report proves nothing
        errors.heard("+16175550142", self.patient.contact_points.all())
        assert self.state() == "active"

    def test_writing_to_us_opts_nobody_back_in(self):
        self.fail("21610")
        errors.heard("+16175550142", self.patient.contact_points.all())
        point = self.patient.contact_points.get()
        assert (point.state, point.sms_consent) == ("opted_out", "revoked")

    def test_a_content_problem_pauses_the_campaign_and_a_few_do_not(self):
        for code in ("30007", "21617", "21602"):
            with self.subTest(code):
                self.fresh()
                stream = Stream.objects.create(name=f"S{code}")
                for n in range(2):
                    self.fail(code, f"{code}{n}", stream=stream)
                stream.refresh_from_db()
                assert stream.state == "active"
                self.fail(code, f"{code}2", stream=stream)
                stream.refresh_from_db()
                assert stream.state == "paused"
                assert Task.objects.get(about=f"stream:{stream.pk}").queue == "supervisors"

    def test_under_two_percent_is_no_content_problem(self):
        stream = Stream.objects.create(name="Large")
        Message.objects.bulk_create(
            Message(key=f"good{n}", address="x", body="x", state="delivered", stream=stream)
            for n in range(197)
        )
        for n in range(3):
            self.fail("30007", f"f{n}", stream=stream)
        stream.refresh_from_db()
        assert stream.state == "active"
        self.fail("30007", "f3", stream=stream)
        self.fail("30007", "f4", stream=stream)
        stream.refresh_from_db()
        assert stream.state == "paused"


class Locks(CarrierTestCase):
    def test_a_fault_of_our_own_stops_the_sender_tells_an_operator_and_fails_nothing(self):
        for code in ("21606", "21603", "21703", "20003"):
            with self.subTest(code):
                Task.objects.all().delete()
                Breaker.objects.all().delete()
                Message.objects.all().delete()
                self.carrier.script(times=1, code=int(code))
                messages = [
                    self.queue(self.patient, code),
                    self.queue(self.make_patient("P", code, f"+16175553{code[-3:]}"), f"{code}b"),
                ]
                sender = Sender()
                deliver_once(sender)
                assert Breaker.objects.get().state == "locked"
                assert "failed" not in {self.state(m) for m in messages}
                task = Task.objects.get(about="carrier:locked")
                assert (task.queue, task.priority, task.clinic) == ("supervisors", Task.Priority.URGENT, None)
                breaker.unlock(twilio.sender())
                task.refresh_from_db()
                assert task.state == "done"

    def test_what_the_carrier_took_and_then_refused_for_it_goes_when_it_is_mended(self):
        message = self.queue(self.patient, "k", author=self.nurse, lane=Lane.STAFF)
        Message.objects.update(undo_until=None)
        sender = Sender()
        deliver_once(sender)
        sid = Message.objects.get(pk=message.pk).provider_sid
        adopt(message.pk, Change(sid, Message.State.UNDELIVERED, "30034"))
        Message.objects.update(undo_until=None)
        assert deliver_once(Sender()) == 0
        breaker.unlock(twilio.sender())
        deliver_once(Sender())
        assert [m["body"] for m in self.carrier.accepted()] == [message.body] * 2

    def test_one_bad_recipient_stops_nobody(self):
        for code in ("21211", "21408", "21610", "21614", "21612"):
            with self.subTest(code):
                Message.objects.all().delete()
                self.carrier.reset()
                self.carrier.settings(callbacks={"off": True})
                self.carrier.script(times=1, code=int(code))
                people = [self.make_patient(f"P{n}", code, f"+1617{code[-3:]}{1000 + n}") for n in range(5)]
                messages = [self.queue(p, f"{code}-{n}") for n, p in enumerate(people)]
                deliver_once()
                assert sorted(self.state(m) for m in messages) == ["accepted"] * 4 + ["failed"]


@pytest.mark.parametrize("code", sorted(set(errors.RULES) | set(LOCKS)))
def test_every_code_has_a_sentence_for_a_person(code):
    said = errors.sentence(code)
    assert said[0].isupper() and said.endswith(".") and "Twilio" not in said
