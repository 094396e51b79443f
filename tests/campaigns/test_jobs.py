from datetime import date, timedelta
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from engage.campaigns import actions, jobs, starters, touching
from engage.campaigns.models import Campaign, Enrollment, Touch
from engage.caregaps import actions as gap_actions
from engage.caregaps.models import CareGap
from engage.inbox.actions import receive
from engage.messaging import errors
from engage.messaging.actions import pause_stream
from engage.messaging.models import Message, Template
from engage.patients.models import ContactPoint, Patient
from engage.worklist.models import Task
from tests.base import NOON
from tests.campaigns.base import CampaignCase


class CadenceTests(CampaignCase):
    """Text, three days, text, four days, a call by staff."""

    def test_the_first_text_is_made_at_once(self):
        self.launch()
        text = self.texts().get()
        assert text.key == f"campaign:{self.campaign.pk}:{self.gap.pk}:1"
        assert text.body == (
            "Ana, Harbor Clinic here. You are due for a health screening. Reply 1 and we will call you to book, "
            "or call (617) 555-0100. Reply STOP to opt out."
        )
        assert (text.state, text.lane, text.patient, text.clinic) == ("queued", 2, self.patient, self.clinic)
        assert (text.stream, text.template.key) == (self.campaign_now().stream, "cms130-first")
        row = self.enrollment()
        assert (row.position, row.due_at) == (2, NOON + timedelta(days=3))

    def campaign_now(self) -> Campaign:
        return Campaign.objects.get(pk=self.campaign.pk)

    def test_spanish_in_spanish_and_in_one_part(self):
        Patient.objects.update(language="es")
        self.launch()
        text = self.texts().get()
        assert text.body == (
            "Ana, le escribe Harbor Clinic. Le toca un examen preventivo. Responda 1 y le llamamos, "
            "o llame al (617) 555-0100. Responda ALTO para no recibir mas."
        )
        assert (text.language, text.segments) == ("es", 1)

    def test_the_whole_cadence(self):
        self.launch()
        self.accepted(self.texts().get())
        with self.later(days=3):
            assert jobs.advance(None) == {"text": 1}
            second = self.texts().last()
            assert second.template.key == "cms130-again"
            self.accepted(second)
        with self.later(days=6, hours=22):  # the due hour is 16:00 UTC: summer time has begun
            assert jobs.advance(None) == {}
        with self.later(days=7):
            assert jobs.advance(None) == {"call_task": 1}
        task = Task.objects.get()
        assert (task.reason, task.about, task.patient) == ("call", self.gap.about, self.patient)
        assert task.summary == "Call about “Screening”: texts have had no answer."
        assert task.due_at == NOON + timedelta(days=9, hours=4)  # Friday 13 March, 17:00, summer time by now
        row = self.enrollment()
        assert (row.state, row.ended_at) == ("completed", NOON + timedelta(days=7))
        assert self.texts().count() == 2

    def test_repeated_it_makes_nothing_twice(self):
        self.launch()
        assert jobs.advance(None) == {}
        assert self.texts().count() == 1

    def test_killed_before_the_commit_the_touch_is_made_once(self):
        actions.start(self.campaign, self.administrator)
        jobs.take_in(self.campaign)
        with pytest.raises(KeyboardInterrupt), transaction.atomic():
            assert jobs.make_due_touches() == {"text": 1}
            raise KeyboardInterrupt
        assert self.texts().count() == 0
        jobs.advance(None)
        assert self.texts().count() == 1

    def test_a_doubled_step_finds_its_text_made(self):
        self.launch()
        Enrollment.objects.update(
            position=1, due_at=NOON
        )  # as a run that read the row before the other one wrote
        jobs.advance(None)
        assert self.texts().count() == 1
        assert self.enrollment().position == 2

    def test_a_text_still_unsent_is_not_overtaken(self):
        self.launch()
        first = self.texts().get()
        Message.objects.update(state="held", not_before=NOON + timedelta(days=4))
        with self.later(days=3):
            assert jobs.advance(None) == {"waiting": 1}
        assert self.enrollment().due_at == NOON + timedelta(days=4, hours=4)
        assert self.texts().get() == first
        self.accepted(first)
        with self.later(days=4, hours=5):
            assert jobs.advance(None) == {"text": 1}

    def test_the_call_waits_for_the_text_before_it(self):
        self.launch()
        self.accepted(self.texts().get())
        with self.later(days=3):
            jobs.advance(None)
        with self.later(days=7):
            assert jobs.advance(None) == {"waiting": 1}
        assert not Task.objects.exists()

    def test_working_days_pass_over_weekend_and_holiday(self):
        Touch.objects.filter(position=2).update(wait_days=2, business_days=True)
        with self.later(days=-20):  # Thursday 12 February 2026; Monday 16 is Presidents' Day
            self.launch()
        assert self.enrollment().due_at == NOON - timedelta(days=15)  # Tuesday 17

    def test_the_hour_stays_through_the_clock_change(self):
        self.launch()  # Wednesday 4 March, noon; summer time begins on Sunday 8 March
        self.accepted(self.texts().get())
        with self.later(days=3):
            jobs.advance(None)
        assert self.enrollment().due_at == NOON + timedelta(days=7) - timedelta(hours=1)


class WaitingTests(CampaignCase):
    """What must wait goes later, but goes."""

    def test_five_gaps_at_once_wait_for_one_another(self):
        measures = ("CMS130", "CMS125", "CMS124", "CMS122", "CMS165")
        starters.ensure_templates("supervisor", measures)
        gaps = [self.gap] + [self.make_gap(self.patient, measure) for measure in measures[1:]]
        campaigns = [self.campaign] + [self.make_campaign(m, measure=m) for m in measures[1:]]
        for campaign in campaigns:
            actions.start(campaign, self.administrator)
        jobs.advance(None)
        for days in range(60):
            with self.later(days=days):
                touching.make_due_touches()
                self.deliver()
        assert [self.texts(gap).filter(state="delivered").count() for gap in gaps] == [2] * 5
        assert Message.objects.count() == 10
        assert Task.objects.filter(reason="call").count() == 5

    def test_a_pause_makes_no_text_too_old(self):
        self.launch()
        actions.pause(self.campaign, self.administrator)
        with self.later(days=8):
            actions.resume(self.campaign, self.administrator)
            assert self.deliver() == 1

    def test_a_text_that_grew_too_old_is_made_anew(self):
        self.launch()
        with self.later(days=91):
            assert self.deliver() == 0
            assert self.texts().get().state == "expired"
            assert jobs.advance(None) == {"text": 1}
            assert self.deliver() == 1
        row = self.enrollment()
        assert (row.position, row.round) == (2, 2)
        assert self.texts().last().key == f"campaign:{self.campaign.pk}:{self.gap.pk}:1:2"
        with self.later(days=96):
            assert jobs.advance(None) == {"text": 1}
            assert self.deliver() == 1
        assert self.enrollment().position == 3
        assert self.texts().count() == 3


class EndsTests(CampaignCase):
    def test_a_closed_gap_ends_before_any_touch(self):
        actions.start(self.campaign, self.administrator)
        jobs.take_in(self.campaign)
        CareGap.objects.update(status="closed")
        assert jobs.advance(None) == {"ended": 1}
        assert (self.enrollment().state, self.enrollment().why) == ("ended", "gap_closed")
        assert not self.texts().exists()

    def test_open_again_it_goes_on_where_it_was(self):
        self.launch()
        self.accepted(self.texts().get())
        CareGap.objects.update(status="deferred")
        jobs.advance(None)
        CareGap.objects.update(status="open")
        with self.later(days=30):
            assert jobs.advance(None) == {"readmitted": 1, "text": 1}
        assert self.texts().count() == 2

    def test_death_ends_everything(self):
        self.launch()
        Patient.objects.update(deceased=True)
        with self.later(days=3):
            assert jobs.advance(None) == {"ended": 1}
        assert self.enrollment().why == "deceased"

    def test_consent_lost_between_two_texts_ends_without_a_call(self):
        self.launch()
        self.accepted(self.texts().get())
        ContactPoint.objects.update(sms_consent="revoked")
        with self.later(days=3):
            assert jobs.advance(None) == {"refused": 1}
            jobs.advance(None)
        assert (self.enrollment().state, self.enrollment().why) == ("ended", "opted_out")
        assert not Task.objects.exists()

    def test_after_the_carriers_opt_out_no_other_number_is_tried(self):
        ContactPoint.objects.create(
            patient=self.patient, system="phone", rank=2, value="+16175550143", sms_consent="granted"
        )
        self.launch()
        text = self.texts().get()
        self.accepted(text, "failed")
        errors.take_effect(text, "21610")
        with self.later(days=3):
            assert jobs.advance(None) == {"refused": 1}
        assert (self.enrollment().state, self.enrollment().why) == ("ended", "opted_out")

    def test_a_dead_number_brings_the_call_forward(self):
        self.launch()
        self.accepted(self.texts().get(), "undelivered")
        ContactPoint.objects.update(state="invalid")
        with self.later(days=3):
            assert jobs.advance(None) == {"refused": 1, "call_task": 1}
        assert Task.objects.get().reason == "call"

    def test_do_not_call_is_not_called(self):
        self.launch()
        self.accepted(self.texts().get(), "undelivered")
        ContactPoint.objects.update(state="invalid")
        Patient.objects.update(do_not_call=True)
        with self.later(days=3):
            jobs.advance(None)
        assert (self.enrollment().state, self.enrollment().why) == ("ended", "no_number")
        assert not Task.objects.exists()

    def test_missing_wording_is_a_call_never_english(self):
        Patient.objects.update(language="es")
        self.launch()
        self.accepted(self.texts().get())
        Template.objects.filter(key="cms130-again", language="es").delete()
        with self.later(days=3):
            jobs.advance(None)
        assert self.texts().count() == 1
        task = Task.objects.get(about=self.gap.about)
        assert (task.reason, task.patient) == ("no_template", self.patient)
        assert task.summary == "Call about “Screening”: there is no approved wording in their language."

    def test_a_stream_that_delivery_paused_pauses_its_campaign_until_a_person_resumes_it(self):
        self.launch()
        self.campaign.refresh_from_db()
        pause_stream(self.campaign.stream)
        assert jobs.advance(None)["paused"] == 1
        self.campaign.refresh_from_db()
        assert self.campaign.state == "paused"
        assert self.campaign.pause_reason.startswith("Carriers refuse or filter its texts.")
        assert "paused" not in jobs.advance(None)
        actions.resume(self.campaign, self.administrator)
        assert self.campaign.stream.state == "active"
        assert "paused" not in jobs.advance(None)

    def test_a_campaign_that_takes_nobody_in_finishes(self):
        Campaign.objects.update(standing=False)
        Touch.objects.exclude(position=1).delete()
        self.campaign.refresh_from_db()
        self.launch()
        self.campaign.refresh_from_db()
        assert (self.campaign.state, self.campaign.ended_at) == ("finished", NOON)
        assert self.enrollment().state == "completed"


class AnswerTests(CampaignCase):
    """What the patient has answered counts for every campaign, until staff have dealt with it or a new year asks anew."""

    def setUp(self) -> None:
        self.second = self.make_campaign("Second")
        self.launch()
        actions.start(self.second, self.administrator)
        jobs.advance(None)
        self.accepted(self.texts().get())

    def hear(self, body: str) -> None:
        receive(sid=f"SM{'0' * 32}", address="+16175550142", to="+15550100000", body=body, raw={})

    def ends(self) -> list[tuple[str, str]]:
        return [(e.state, e.why) for e in (self.enrollment(), self.enrollment(campaign=self.second))]

    def later_texts(self) -> int:
        for days in (2, 4, 31):
            with self.later(days=days):
                jobs.advance(None)
        return self.texts().filter(direction="out").count() - 1

    def test_after_an_answer_no_other_campaign_asks_about_the_gap(self):
        for body, why in (
            ("No thanks, not interested in the screening", "declined"),
            ("Can the nurse call me about this?", "replied"),
        ):
            with self.subTest(body):
                with self.later(days=1):
                    self.hear(body)
                assert self.later_texts() == 0
                assert self.ends() == [("ended", why), ("left_out", "settled")]
                Message.objects.heard().delete()
                Enrollment.objects.filter(campaign=self.campaign).update(state="active", why="")

    def test_declined_while_put_off_it_does_not_go_on(self):
        with self.later(days=1):
            gap_actions.defer(self.gap, date(2026, 4, 3), "in April", self.coordinator)
            jobs.advance(None)
            self.hear("Actually no, I do not want this screening")
        CareGap.objects.update(status="open", deferred_until=None)
        assert self.later_texts() == 0
        assert self.ends() == [("ended", "declined"), ("left_out", "settled")]

    def test_a_death_that_was_reported_holds_every_campaign(self):
        starters.ensure_templates("supervisor", ("CMS125",))
        breast, gap = self.make_campaign("Breast", measure="CMS125"), self.make_gap(self.patient, "CMS125")
        with self.later(days=1):
            self.hear("My mother Ana passed away last Tuesday")
            actions.start(breast, self.administrator)
        assert self.later_texts() == 0
        row = self.enrollment(gap, breast)
        assert (row.state, row.why) == ("left_out", "undecided")
        Enrollment.objects.filter(pk=row.pk).update(state="active", why="", due_at=NOON)
        assert self.later_texts() == 0
        assert not self.texts(gap).exists()
        Task.objects.update(state="done", outcome="not_significant")
        with self.later(days=31):
            assert jobs.advance(None)["text"] == 1

    def test_reopened_it_does_not_run_beside_the_campaign_that_took_over(self):
        Enrollment.objects.filter(campaign=self.campaign).update(state="ended", why="gap_closed")
        Enrollment.objects.filter(campaign=self.second).update(state="active", why="", due_at=NOON)
        jobs.advance(None)
        assert self.ends() == [("ended", "gap_closed"), ("active", "")]


class PoisonTests(CampaignCase):
    def test_one_patient_whose_touch_fails_stops_nobody(self):
        Template.objects.filter(key="cms130-first", language="es").update(
            body="{first_name} {diagnosis} STOP"
        )
        poisoned = self.make_gap(self.make_patient("Bo", "Lee", "+16175550150", language="es"))
        with self.assertLogs("engage.campaigns.touching", "ERROR") as logs:
            self.launch()
        assert self.texts().count() == 1
        assert self.texts(poisoned).count() == 0
        row = self.enrollment(poisoned)
        assert (row.state, row.position, row.due_at) == ("active", 1, NOON + timedelta(hours=1))
        task = Task.objects.get()
        assert (task.queue, task.about) == ("supervisors", poisoned.about)
        assert "Lee" not in " ".join(logs.output)

    def test_the_command_says_so(self):
        Template.objects.update(body="{diagnosis}")
        actions.start(self.campaign, self.administrator)
        with (
            self.assertLogs("engage.campaigns.touching", "ERROR"),
            pytest.raises(CommandError, match="1 could not"),
        ):
            call_command("advance_campaigns")

    def test_a_name_that_looks_like_a_placeholder_stays_a_name(self):
        Patient.objects.update(given="{clinic_phone}")
        self.launch()
        assert self.texts().get().body.startswith("{clinic_phone}, Harbor Clinic here.")


class NoTimeLeftTests(CampaignCase):
    def test_what_is_left_waits_for_the_next_run(self):
        for n in range(3):
            self.make_gap(self.make_patient(f"P{n}", "Lee", f"+1617555{n:04}"))
        actions.start(self.campaign, self.administrator)
        with patch.object(touching, "BATCH", 2):
            jobs.advance(budget=0)
            assert Message.objects.count() == 0
            jobs.advance(None)
        assert Message.objects.count() == 4


class BatchTests(CampaignCase):
    def test_a_batch_costs_the_same_few_questions_whatever_its_size(self):
        for n in range(40):
            self.make_gap(self.make_patient(f"P{n}", "Lee", f"+1617555{n:04}"))
        actions.start(self.campaign, self.administrator)
        jobs.take_in(self.campaign)
        with CaptureQueriesContext(connection) as asked:
            assert touching.make_due_touches() == {"text": 41}
        assert len(asked) < 150  # a savepoint around each turn is two of them, and no question to the data
        assert len([q for q in asked if "SAVEPOINT" not in q["sql"]]) <= 24

    def test_a_batch_that_cannot_be_written_at_once_goes_one_by_one(self):
        other = self.make_gap(self.make_patient("Bo", "Lee", "+16175550150"))
        actions.start(self.campaign, self.administrator)
        with connection.cursor() as cursor:
            cursor.execute(poison_trigger(f"campaign:{self.campaign.pk}:{other.pk}:1"))
        with self.assertLogs("engage.campaigns.touching", "ERROR"):
            assert jobs.advance(None) == {"enrolled": 2, "text": 1, "failed": 1}
        assert self.texts().count() == 1
        assert Task.objects.get().about == other.about


def poison_trigger(key: str) -> str:
    """The database refuses exactly one message."""
    if connection.vendor == "postgresql":
        return f"""CREATE FUNCTION refuse_one() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''no''; END' LANGUAGE plpgsql;
            CREATE TRIGGER refuse_one BEFORE INSERT ON messaging_message FOR EACH ROW
            WHEN (NEW.key = '{key}') EXECUTE FUNCTION refuse_one()"""
    return f"""CREATE TRIGGER refuse_one BEFORE INSERT ON messaging_message WHEN NEW.key = '{key}'
        BEGIN SELECT RAISE(ABORT, 'no'); END"""
