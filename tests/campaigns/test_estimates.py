"""What a campaign costs and when it is through, by cadence, hours and the carriers' limits."""

from datetime import date, timedelta

from django.test import override_settings

from engage.campaigns import counts, editing, estimates
from engage.campaigns.editing import Planned
from engage.lib import clock, text
from engage.messaging import actions, pace, templates, twilio
from engage.messaging.models import Message, Usage
from tests.campaigns.base import CampaignCase

ONE_TEXT = [Planned("text", 0, False)]


class Estimates(CampaignCase):
    def setUp(self):
        editing.save_cadence(self.campaign, ONE_TEXT, by=self.administrator)

    def crowd(self, count, language="en"):
        for n in range(count):
            person = self.make_patient(
                f"P{language}{n}", "Test", f"+1617555{2000 + n + 500 * (language != 'en')}", language=language
            )
            self.make_gap(person)

    def before_start(self):
        return estimates.if_started(self.campaign, counts.preview(self.campaign))

    def of(self, language):
        wording = templates.pick(self.campaign.touches.get().template_key, language)
        return templates.size_of(wording.body).segments

    def test_languages_cost_what_they_take(self):
        self.crowd(4)
        self.crowd(3, "es")
        found = self.before_start()
        assert found.segments == 5 * self.of("en") + 3 * self.of("es")
        assert (
            found.dollars == round(found.segments * 0.01, 10)
            or abs(found.dollars - found.segments * 0.01) < 1e-9
        )
        assert (found.finish, found.limit, found.spent) == (date(2026, 3, 4), "", 0)

    def test_an_accent_makes_a_spanish_text_dearer(self):
        body = (
            "{clinic_name}: {first_name}, está pendiente su cita médica. "
            "Llame al {clinic_phone}. Responda ALTO para no recibir más."
        )
        editing.save_wording(self.campaign.touches.get(), "es", body, approve=True, by=self.administrator)
        assert templates.size_of(body).encoding == "UCS-2"
        assert templates.size_of(body).segments == 2
        plain = text.fold(body)
        assert templates.size_of(plain).segments == 1
        self.crowd(3, "es")
        assert self.before_start().segments == self.of("en") + 3 * 2

    def test_the_cadence_decides_while_nothing_else_does(self):
        editing.save_cadence(
            self.campaign,
            [*ONE_TEXT, Planned("text", 4, False), Planned("call_task", 5, True)],
            by=self.administrator,
        )
        found = self.before_start()
        assert found.finish == date(2026, 3, 9)  # the 8th is a Sunday
        self.clinic.sunday_sending = True
        self.clinic.save()
        assert self.before_start().finish == date(2026, 3, 8)

    @override_settings(SENDER_DAILY=4, SENDER_RESERVE=50)
    def test_a_days_cap_decides(self):
        self.crowd(8)  # with Ana nine, two a day from Wednesday on, not on Sunday
        each = self.of("en")
        found = self.before_start()
        assert found.segments == 9 * each
        days = -(-9 * each // 2)
        open_days = [d for n in range(40) if (d := date(2026, 3, 4) + timedelta(days=n)).weekday() != 6]
        assert found.finish == open_days[days - 1]
        assert found.limit == "2 segments a day for campaigns"
        Usage.objects.create(
            name=pace.sender_name(twilio.sender()), used=2, day=pace.carrier_day(clock.machine_now())
        )
        assert self.before_start().finish == open_days[days]  # today's are used up

    @override_settings(SENDER_RATE=0.01)
    def test_a_rate_decides(self):
        self.crowd(400)
        found = self.before_start()
        seconds = 11 * 3600
        assert found.finish > date(2026, 3, 4)
        assert (found.finish - date(2026, 3, 4)).days >= found.segments / (seconds * 0.01) - 2
        assert found.limit == "0.01 segments a second"

    def test_the_campaigns_own_rate_decides_and_the_sender_keeps_it(self):
        self.client.force_login(self.administrator)
        url = f"/campaigns/{self.campaign.pk}/edit/"
        data = {
            "name": "Screening", "measure": "CMS130", "clinics": [self.clinic.pk], "standing": "on",
            "texts_per_minute": "1",
        }  # fmt: skip
        assert self.client.post(url, data | {"texts_per_minute": "0"}).status_code == 422
        assert self.client.post(url, data).status_code == 302
        self.campaign.refresh_from_db()
        self.crowd(700)  # Wednesday has 480 minutes left
        found = self.before_start()
        assert found.finish == date(2026, 3, 5)
        assert found.limit == "1 texts a minute in this campaign"
        self.launch()
        self.campaign.refresh_from_db()
        assert self.campaign.stream.rate_per_minute == 1
        assert self.client.post(url, {"name": "Screening", "texts_per_minute": ""}).status_code == 302
        self.campaign.stream.refresh_from_db()
        assert self.campaign.stream.rate_per_minute is None

    @override_settings(SENDER_DAILY=1, SENDER_RESERVE=90)
    def test_what_never_ends_says_so(self):
        found = self.before_start()
        assert found.finish is None and found.endless

    @override_settings(SENDER_DAILY=4, SENDER_RESERVE=0)
    def test_what_other_campaigns_have_waiting_goes_first(self):
        alone = self.before_start().finish
        for n in range(8):
            person = self.make_patient(f"W{n}", "Test", f"+1617555{3000 + n}")
            actions.queue(body="Hello", key=f"w{n}", patient=person)
        assert self.before_start().finish == alone + timedelta(days=2)

    def test_under_way_it_counts_what_is_left_and_what_was_spent(self):
        editing.save_cadence(self.campaign, [*ONE_TEXT, Planned("text", 5, False)], by=self.administrator)
        before = self.before_start()
        self.launch()
        self.campaign.refresh_from_db()
        found = estimates.still_to_come(self.campaign)
        assert (found.segments, found.spent) == (
            before.segments,
            0,
        )  # the first is queued, the second to come
        Message.objects.update(state="accepted", accepted_at=clock.now())
        found = estimates.still_to_come(self.campaign)
        second = templates.pick(self.campaign.touches.get(position=2).template_key, "en")
        assert found.segments == templates.size_of(second.body).segments
        assert found.spent == Message.objects.get().segments * 0.01
        assert found.finish == date(2026, 3, 9)
        self.campaign.enrollments.update(state="ended", due_at=None)
        assert estimates.still_to_come(self.campaign).finish is None

    def test_the_pages_say_it(self):
        self.client.force_login(self.administrator)
        with override_settings(SENDER_DAILY=2000):
            page = self.client.get(f"/campaigns/{self.campaign.pk}/count/").content.decode()
        assert "Through by" in page and "about $0.0" in page
        self.launch()
        page = self.client.get(f"/campaigns/{self.campaign.pk}/").content.decode()
        assert "Still to come" in page and "Wed 4 Mar 2026" in page
