"""What nobody meant to happen, on its way through the sender: judged by the carrier's log.

Bad lines of a file are in test_intake.py, forged and odd webhooks in tests/webhooks/test_carrier.py.
"""

from datetime import timedelta

from django.conf import settings
from django.test import override_settings

from engage.campaigns import actions as campaign_actions
from engage.campaigns import editing, jobs, starters
from engage.lib import clock
from engage.messaging import breaker, checks, templates, twilio
from engage.messaging.breaker import Guard
from engage.messaging.models import Breaker, Message, Template
from engage.messaging.outbox import Sender, deliver_once
from engage.worklist.models import Task
from tests.campaigns.base import make_campaign, make_gap
from tests.messaging.test_outbox import CarrierTestCase


class WhileItWaits(CarrierTestCase):
    """What changes between queueing and claiming is seen at the claim."""

    def left(self, message):
        deliver_once()
        assert self.carrier.accepted() == []
        message.refresh_from_db()
        return message.state, message.verdict["code"]

    def test_the_patient_dies(self):
        message = self.queue()
        self.patient.deceased = True
        self.patient.save()
        assert self.left(message) == ("suppressed", "deceased")
        assert message.state_reason == "The patient has died."

    def test_the_record_is_merged(self):
        message = self.queue()
        self.patient.merged_into = self.make_patient("Ana", "Rivera-Luz")
        self.patient.save()
        assert self.left(message) == ("suppressed", "merged")

    def test_the_number_is_given_to_somebody_else(self):
        message = self.queue()
        self.patient.contact_points.update(patient=self.make_patient("Luz", "Ortiz"))
        assert self.left(message) == ("suppressed", "number_changed")

    def test_the_number_is_deleted(self):
        message = self.queue()
        self.patient.contact_points.all().delete()
        assert self.left(message) == ("suppressed", "no_number")

    def test_it_grows_or_is_emptied(self):
        long, empty = self.queue(key="long"), self.queue(self.people(1)[0], "empty")
        Message.objects.filter(pk=long.pk).update(body="x" * 1601)
        Message.objects.filter(pk=empty.pk).update(body=" ")
        assert self.left(long) == ("failed", "too_long")
        assert self.state(empty) == "failed"


class OddTexts(CarrierTestCase):
    def test_emoji_accents_and_1600_characters_go_as_they_are(self):
        bodies = ["👋" * 20, "¿Está bien? ñ á", "x" * 1600, "Line\nbreak\tand tab", "a{b}[c]~€"]
        for n, (person, body) in enumerate(zip(self.people(5), bodies, strict=True)):
            self.queue(person, f"k{n}", body=body)
        deliver_once()
        assert {m["body"] for m in self.carrier.accepted()} == set(bodies)

    def test_nul_is_taken_out_before_it_is_kept(self):
        assert self.queue(body="a\x00b\x07c").body == "abc"

    def test_1601_characters_never_reach_the_carrier(self):
        message = self.queue(body="x" * 1601)
        assert (message.state, message.verdict["code"]) == ("failed", "too_long")
        assert "1600 is the most" in message.state_reason


class Abroad(CarrierTestCase):
    def test_a_number_of_another_country_has_its_own_hours(self):
        abroad = self.make_patient("Ann", "Bell", "+442079460000", time_zone="", state="")
        assert checks.zones_of("", "+442079460000") == ("Europe/London",)
        message = self.queue(abroad)
        assert message.state == "queued"  # noon in New York is 17:00 in London
        with override_settings(NOW=clock.now() + timedelta(hours=4)):
            late = self.queue(abroad, "late")
        assert (late.state, late.verdict["code"]) == ("held", "quiet_hours")

    def test_where_the_carrier_does_not_serve_it_that_one_fails_and_the_others_go(self):
        abroad = self.make_patient("Ann", "Bell", "+442079460000", time_zone="", state="")
        far, near = self.queue(abroad, "far"), self.queue(key="near")
        self.carrier.script(to="+442079460000", code=21408)
        deliver_once()
        assert (self.state(far), self.state(near)) == ("failed", "accepted")
        assert abroad.contact_points.get().state == "active"
        assert Task.objects.filter(about="carrier:21408").count() == 1


class Campaigns(CarrierTestCase):
    def setUp(self):
        super().setUp()
        starters.ensure_templates("supervisor")
        self.campaign = make_campaign("Screening", self.clinic)
        self.gap = make_gap(self.patient)

    def start(self):
        campaign_actions.start(self.campaign, self.administrator)
        jobs.advance(None)

    def test_edited_while_running_what_is_made_keeps_its_wording_and_what_comes_has_the_new(self):
        self.start()
        first = Message.objects.get(about=self.gap.about)
        for touch in self.campaign.touches.filter(kind="text"):
            body = (
                f"{{clinic_name}}: new words {touch.position}. Call {{clinic_phone}}. Reply STOP to opt out."
            )
            editing.save_wording(touch, "en", body, approve=True, by=self.administrator)
        deliver_once()
        assert "new words" not in self.carrier.accepted()[0]["body"]
        first.refresh_from_db()
        assert first.body == self.carrier.accepted()[0]["body"]
        with override_settings(NOW=clock.now() + timedelta(days=4)):
            jobs.advance(None)
            second = Message.objects.filter(about=self.gap.about).latest("pk")
        assert "new words 2" in second.body
        assert second.template != first.template
        assert Template.objects.filter(pk=first.template_id, body__contains="{first_name}").exists()

    def test_a_wording_without_its_value_is_nobodys_text_and_a_persons_task(self):
        other = make_gap(self.make_patient("Rosa", "Diaz", "+16025550133", clinic=self.other_clinic))
        self.campaign.clinics.add(self.other_clinic)
        self.other_clinic.phone = ""
        self.other_clinic.save()
        with self.assertLogs("engage.campaigns.touching", "ERROR"):
            self.start()
        assert Message.objects.filter(about=self.gap.about).exists()
        assert not Message.objects.filter(about=other.about).exists()
        assert Task.objects.filter(about=other.about).exists()

    def test_an_empty_value_is_said_in_a_sentence(self):
        self.clinic.phone = ""
        try:
            templates.render("Call {clinic_phone}", self.patient, self.clinic)
        except templates.WordingError as error:
            assert str(error) == "The number where a person answers is not known."


class Clocks(CarrierTestCase):
    """A clock that jumps costs time at most: never a second text, a text at night, or a sender that stays silent."""

    def test_put_back_an_hour_nobody_is_texted_twice_a_day(self):
        self.queue(key="first")
        deliver_once()
        with override_settings(NOW=clock.now() - timedelta(hours=1)):
            second = self.queue(key="second")
            assert (second.state, second.verdict["code"]) == ("held", "frequency")
            Message.objects.filter(pk=second.pk).update(not_before=clock.now(), state="queued")
            deliver_once()
        assert len(self.carrier.accepted()) == 1

    def test_put_forward_into_the_night_it_is_held_and_put_back_it_goes(self):
        message = self.queue()
        with override_settings(NOW=clock.now() + timedelta(hours=12)):
            deliver_once()
            assert self.state(message) == "held"
        assert self.carrier.accepted() == []
        with override_settings(NOW=message.not_before + timedelta(hours=24)):
            deliver_once()
        assert len(self.carrier.accepted()) == 1

    def test_put_forward_by_years_it_is_too_old_and_says_so(self):
        message = self.queue()
        with override_settings(NOW=clock.now() + timedelta(days=3000)):
            deliver_once()
        assert self.state(message) == "expired"

    def test_the_machines_clock_put_back_keeps_no_breaker_open(self):
        later = clock.machine_now() + timedelta(hours=1)
        breaker.change(twilio.sender(), Breaker.State.OPEN, "The carrier does not answer.", later)
        guard = Guard(twilio.sender())
        guard.load()
        assert guard.room(50) == 1  # it was open for a minute, not for an hour
        soon = clock.machine_now() + timedelta(seconds=settings.BREAKER_OPEN / 2)
        breaker.change(twilio.sender(), Breaker.State.OPEN, "The carrier does not answer.", soon)
        guard.load()
        assert guard.room(50) == 0

    def test_leases_are_judged_by_the_monotonic_clock(self):
        self.queue()
        sender = Sender()
        sender.look()
        parcel = sender.claim().parcels[0]
        with override_settings(NOW=clock.now() + timedelta(days=1)):
            assert sender.stops.why(parcel) == ""
