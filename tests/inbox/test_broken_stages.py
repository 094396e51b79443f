"""Whatever breaks while a reply is read: it is kept, what could be done is done, and somebody is told."""

import threading
import time
from datetime import timedelta
from unittest import mock

import pytest
from django.db import transaction

from engage.inbox import actions, arrival, jobs
from engage.inbox.actions import InboxError
from engage.inbox.models import Flag, Level, Reading
from engage.inbox.triage import pipeline
from engage.lib import clock
from engage.worklist.models import Task
from tests.base import NOON
from tests.inbox.base import InboxTestCase


class Failing(InboxTestCase):
    def test_a_broken_triage_leaves_the_reply_unsorted_on_top_and_is_tried_again(self):
        with mock.patch("engage.inbox.arrival.triage.attempt", side_effect=KeyError("secret words")):
            message = self.hear("tengo dolor de pecho")
        reading = Reading.objects.get(message=message)
        assert (reading.complete, reading.failure) == (False, "triage: KeyError")
        assert self.conversation().level == Level.UNSORTED
        assert jobs.finish_unsorted() == 1
        assert self.conversation().level == Level.URGENT
        assert Task.objects.filter(reason="urgent_reply").exists()
        assert jobs.finish_unsorted() == 0

    def test_a_broken_alert_loses_neither_task_nor_crisis_reply(self):
        with mock.patch("engage.inbox.consequences.safety.on_call_alert", side_effect=RuntimeError):
            self.hear("tengo dolor de pecho")
        assert self.conversation().level == Level.URGENT
        assert Reading.objects.get().failure == "alert: RuntimeError"
        assert Task.objects.filter(reason="urgent_reply").exists()
        assert [m.template.purpose for m in self.sent_to()] == ["crisis"]
        assert jobs.finish_unsorted() == 1
        assert len(self.sent_to()) == 1  # what was done is not done again
        assert len(self.sent_to(self.clinic.on_call_number)) == 1

    def test_stop_is_obeyed_though_triage_is_broken(self):
        with mock.patch("engage.inbox.arrival.triage.attempt", side_effect=KeyError):
            self.hear("STOP")
        assert self.patient.contact_points.get().sms_consent == "revoked"


class EachStageBroken(InboxTestCase):
    """Whichever reading stage raises, hangs or is missing: nothing is lost, and somebody is told."""

    def broken(self, stage, act):
        stages = [stage if s is stage else s for s in pipeline.STAGES]
        stages[stages.index(stage)] = act
        return mock.patch.object(pipeline, "STAGES", tuple(stages))

    def check(self, message, failure):
        reading = Reading.objects.get(message=message)
        assert (reading.complete, reading.failure) == (False, failure)
        assert self.conversation().unread
        task = Task.objects.get(about__startswith="triage:failing")
        assert (task.queue, task.priority, task.state) == ("supervisors", Task.Priority.URGENT, "open")
        assert "chest" not in task.summary

    def test_a_stage_that_raises_leaves_the_reply_on_top_and_is_told_about(self):
        for stage in pipeline.STAGES:
            with self.subTest(stage.__name__), transaction.atomic():

                def fails(material, name=stage.__name__):
                    raise KeyError(name)

                fails.__name__ = stage.__name__
                with self.broken(stage, fails):
                    message = self.hear("I would like to ask about my visit")
                self.check(message, f"{stage.__name__.strip('_')}: KeyError")
                assert self.conversation().level == Level.UNSORTED
                transaction.set_rollback(True)

    def test_the_supervisors_of_each_clinic_are_told_once(self):
        self.make_patient("Bo", "Stone", "+16025550111", clinic=self.other_clinic)
        with mock.patch.object(pipeline.classifier, "load", side_effect=FileNotFoundError):
            for _ in range(2):
                self.hear("What time do you open?")
                self.hear("What time do you open?", address="+16025550111")
        told = Task.objects.filter(about__startswith="triage:failing")
        assert sorted(t.clinic_id for t in told) == [self.clinic.pk, self.other_clinic.pk]
        jobs.finish_unsorted()
        assert not told.open().exists()

    def test_a_broken_classifier_loses_no_red_flag_and_a_broken_lexicon_not_the_classifier(self):
        with mock.patch.object(pipeline.classifier, "load", side_effect=FileNotFoundError):
            message = self.hear("tengo dolor de pecho")
        self.check(message, "classifier: FileNotFoundError")
        assert self.conversation().level == Level.URGENT
        assert len(self.sent_to(self.clinic.on_call_number)) == 1
        with mock.patch.object(pipeline.lexicon, "load", side_effect=ValueError):
            message = self.hear("I want to die, I can't do this any more")
        self.check(message, "preparation: ValueError")
        assert Flag.objects.filter(message=message, source="classifier", level=Level.URGENT).exists()

    def test_a_stage_that_hangs_is_given_up_and_what_was_found_before_it_counts(self):
        let_go = threading.Event()
        last = pipeline.STAGES[-1]

        def _classifier(material):
            let_go.wait(30)
            return []

        with self.broken(last, _classifier):
            message = self.hear("tengo dolor de pecho")
        let_go.set()
        self.check(message, "classifier: took too long")
        assert self.conversation().level == Level.URGENT

    def test_a_lexicon_that_never_ends_holds_the_webhook_far_below_a_second_and_is_really_ended(self):
        hanging = []

        def _lexicon(material):
            hanging.append(threading.current_thread())
            while True:
                pass

        begin = time.monotonic()
        with self.broken(pipeline.STAGES[1], _lexicon):
            message = self.hear("tengo dolor de pecho")
            assert time.monotonic() - begin < 0.9
            self.check(message, "lexicon: took too long")
            assert self.conversation().level == Level.UNSORTED
        assert hanging
        for thread in hanging:
            thread.join(2)
            assert not thread.is_alive()

    def test_who_tries_again_has_more_time(self):
        last = pipeline.STAGES[-1]

        def _classifier(material):
            time.sleep(0.4)
            return last(material)

        with self.broken(last, _classifier):
            message = self.hear("What time do you open?")
            self.check(message, "classifier: took too long")
            assert jobs.finish_unsorted() == 1
        assert Reading.objects.get(message=message).complete

    def test_the_task_ends_by_itself_once_every_reply_is_read(self):
        with mock.patch.object(pipeline.classifier, "load", side_effect=FileNotFoundError):
            self.hear("What time do you open?")
            self.hear("And on Saturday?")
            assert Task.objects.filter(about__startswith="triage:failing").count() == 1
            jobs.finish_unsorted()
            assert Task.objects.open().filter(about__startswith="triage:failing").exists()
        assert jobs.finish_unsorted() == 2
        task = Task.objects.get(about__startswith="triage:failing")
        assert (task.state, task.outcome) == ("done", "by_system")
        assert self.conversation().level == Level.SIGNIFICANT


class WhileAStageIsBroken(InboxTestCase):
    """The reply is tried again each minute; what people have ended meanwhile stays ended."""

    def broken(self):
        return mock.patch.object(pipeline.classifier, "load", side_effect=FileNotFoundError)

    def test_what_was_ended_is_not_opened_nor_alerted_again(self):
        with self.broken():
            self.hear("tengo dolor de pecho y quiero una cita")
            task = Task.objects.get(reason="urgent_reply")
            begin = clock.machine_now()
            for minute in range(1, 70, 6):
                if minute == 7:
                    Task.objects.update(state="done", outcome="answered", closed_at=clock.now())
                    actions.settle_urgent(task.about)
                later = begin + timedelta(minutes=minute)
                with (
                    mock.patch("engage.inbox.consequences.clock.machine_now", return_value=later),
                    self.settings(NOW=NOON + timedelta(minutes=minute)),
                ):
                    assert jobs.finish_unsorted() == 0
        assert not Task.objects.open().exists()
        assert len(self.sent_to(self.clinic.on_call_number)) == 1
        assert [m.template.purpose for m in self.sent_to()] == ["crisis"]
        assert Reading.objects.get().level == Level.SIGNIFICANT
        assert self.conversation().level == Level.UNSORTED
        assert jobs.finish_unsorted() == 1
        assert self.conversation().level == Level.SIGNIFICANT

    def test_a_doubt_that_a_person_decided_stays_decided(self):
        with self.broken():
            self.hear("please quit with these messages, tengo dolor de pecho")
            assert Task.objects.open().filter(reason="opt_out_doubt").exists()
            actions.decide_doubt(self.conversation(), stop=False, by=self.nurse)
            jobs.finish_unsorted()
        assert not Task.objects.open().filter(reason="opt_out_doubt").exists()

    def test_a_step_that_failed_is_made_up_for(self):
        with mock.patch("engage.inbox.consequences.open_urgent", side_effect=RuntimeError):
            self.hear("tengo dolor de pecho")
        assert not Task.objects.filter(reason="urgent_reply").exists()
        jobs.finish_unsorted()
        assert Task.objects.open().filter(reason="urgent_reply").exists()
        assert len(self.sent_to(self.clinic.on_call_number)) == 1

    def test_what_is_found_later_opens_its_task_and_the_conversation(self):
        with mock.patch("engage.inbox.arrival.triage.attempt", side_effect=KeyError):
            self.hear("What time do you open? I have chest pain")
        actions.reply(self.conversation(), "At 8.", by=self.nurse, key="staff:1")
        assert self.conversation().state == "waiting"
        jobs.finish_unsorted()
        assert (self.conversation().state, self.conversation().level) == ("open", Level.URGENT)
        assert Task.objects.open().filter(reason="urgent_reply").exists()

    def test_an_attempt_that_finds_nothing_forgets_nothing(self):
        with self.broken():
            self.hear("tengo dolor de pecho")
        Task.objects.filter(reason="urgent_reply").update(state="done", outcome="emergency_handled")
        with mock.patch("engage.inbox.arrival.triage.attempt", side_effect=KeyError):
            jobs.finish_unsorted()
        reading = Reading.objects.get()
        assert (reading.said, reading.labels[0]) == (Level.URGENT, "emergency")
        jobs.finish_unsorted()
        assert not Task.objects.open().filter(reason="urgent_reply").exists()

    def test_what_people_raised_stays_raised_and_what_they_dismissed_stays_dismissed(self):
        with self.broken():
            dull = self.hear("The blue one is in the kitchen")
            actions.add_flag(dull, "self_harm", by=self.nurse)
            grave = self.hear("tengo dolor de pecho")
            actions.dismiss(Flag.objects.get(message=grave, level=Level.URGENT), by=self.nurse)
        assert jobs.finish_unsorted() == 2
        levels = dict(Reading.objects.values_list("message", "level"))
        assert levels == {dull.pk: Level.URGENT, grave.pk: Level.ROUTINE}
        assert Reading.objects.get(message=dull).said > Level.URGENT
        assert Reading.objects.get(message=grave).said == Level.URGENT
        assert self.conversation().level == Level.URGENT

    def test_it_neither_closes_nor_is_put_off_before_it_has_been_tried_again(self):
        with self.broken():
            self.hear("What time do you open?")
        for act in (
            lambda: actions.close(self.conversation(), by=self.nurse),
            lambda: actions.snooze(self.conversation(), NOON + timedelta(days=1), by=self.nurse),
        ):
            with pytest.raises(InboxError, match="has not read a reply to the end"):
                act()
        with self.settings(
            NOW=NOON + timedelta(minutes=16)
        ):  # a person has read it: nobody is held up for ever
            actions.close(self.conversation(), by=self.nurse)
            Task.objects.open().filter(reason="reply").delete()
            with mock.patch("engage.inbox.arrival.triage.attempt", side_effect=KeyError):
                jobs.finish_unsorted()
            assert self.conversation().state == "closed"

    def test_one_that_cannot_be_tried_holds_up_no_other_and_none_starves(self):
        with self.broken():
            heard = [self.hear(f"What time do you open on day {n}?") for n in range(3)]
        process = arrival.process

        def poisoned(message, *args, **more):
            if message.pk == heard[0].pk:
                raise RuntimeError
            return process(message, *args, **more)

        with mock.patch("engage.inbox.jobs.arrival.process", poisoned), mock.patch.object(jobs, "AT_ONCE", 2):
            assert jobs.finish_unsorted() == 1  # the first failed, the second is complete
            assert jobs.finish_unsorted() == 1  # the third, before the first again
        assert list(Reading.objects.filter(complete=False).values_list("message", flat=True)) == [heard[0].pk]
        assert jobs.finish_unsorted() == 1
