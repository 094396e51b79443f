"""A reply is kept once, matched only when that is certain, read, and given to a person with a deadline."""

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from engage.audit.models import AuditEvent
from engage.campaigns.models import Campaign, Enrollment
from engage.inbox.actions import receive
from engage.inbox.models import Conversation, Flag, Level, Reading
from engage.lib import clock
from engage.messaging.models import Message
from engage.patients.models import ContactPoint
from engage.worklist.models import Task
from tests.inbox.base import ANA, InboxTestCase

STRANGER = "+16175550177"


class KeptOnce(InboxTestCase):
    def test_a_reply_is_kept_with_what_it_answers(self):
        text = self.said()
        message = self.hear("What time do you open?")
        assert (message.direction, message.state, message.patient) == ("in", "received", self.patient)
        assert message.reply_to == text
        assert message.clinic == self.clinic
        conversation = self.conversation()
        assert (conversation.state, conversation.waiting_since) == ("open", clock.now())
        assert conversation.unread

    def test_the_same_webhook_twice_changes_nothing(self):
        first = self.hear("tengo dolor de pecho", sid="SM1")
        before = (
            Task.objects.count(),
            Flag.objects.count(),
            Message.objects.count(),
            AuditEvent.objects.count(),
        )
        again = self.hear("tengo dolor de pecho", sid="SM1")
        after = (
            Task.objects.count(),
            Flag.objects.count(),
            Message.objects.count(),
            AuditEvent.objects.count(),
        )
        assert first.pk == again.pk
        assert before == after

    def test_it_shows_that_the_number_works_and_its_repetition_shows_nothing(self):
        self.patient.contact_points.update(state="suspect", suspect_count=2)
        self.hear("What time do you open?", sid="SM1")
        point = self.patient.contact_points.get()
        assert (point.state, point.suspect_count) == ("active", 0)
        self.patient.contact_points.update(state="suspect", suspect_count=2)
        self.hear("What time do you open?", sid="SM1")
        assert self.patient.contact_points.get().state == "suspect"

    def test_without_the_carriers_id_it_is_refused(self):
        with pytest.raises(ValueError, match="kept once"):
            receive(sid="", address=ANA, to="", body="hi", raw={})

    def test_waiting_since_is_the_oldest_unanswered_reply(self):
        self.hear("What time do you open?")
        later = clock.now() + timedelta(hours=3)
        receive(sid="SM9", address=ANA, to="", body="hello?", raw={}, at=later)
        assert self.conversation().waiting_since == clock.now()
        assert self.conversation().last_heard_at == later

    def test_receiving_leaves_an_audit_row_without_words(self):
        message = self.hear("What time do you open?")
        row = AuditEvent.objects.get(action="message.receive")
        assert (row.patient_id, row.subject_id) == (self.patient.pk, str(message.pk))
        assert "open" not in str(row.detail)


class OddBodies(InboxTestCase):
    def test_nul_is_dropped_and_nothing_else(self):
        assert self.hear("ho\x00la\x07 ¿qué?").body == "hola ¿qué?"

    def test_empty(self):
        self.hear("")
        assert self.conversation().level == Level.SIGNIFICANT

    def test_a_picture_alone_says_so(self):
        message = self.hear("", NumMedia="2", MediaContentType0="image/jpeg", MediaContentType1="image/png")
        assert message.state_reason == "Came with 2 attachments (image), kept by the carrier."
        assert Task.objects.get(reason="reply").summary.endswith("a message without words.")

    def test_a_picture_beside_a_polite_word_is_looked_at(self):
        for n, words in enumerate(("ok", "Thanks", "Thank you!", "👍"), 1):
            message = self.hear(words, NumMedia="1", MediaContentType0="image/jpeg")
            assert Reading.objects.get(message=message).level == Level.SIGNIFICANT, words
        assert Task.objects.get(reason="reply").summary.startswith("Wrote something a person must read")
        message = self.hear("STOP", NumMedia="1", MediaContentType0="image/jpeg")
        assert Reading.objects.get(message=message).level == Level.SIGNIFICANT

    def test_emoji(self):
        assert self.hear("🙏🏽👍").body == "🙏🏽👍"

    def test_a_long_one_is_kept_whole(self):
        body = "I would like to know more about it, thank you. " * 60
        message = self.hear(body)
        assert message.body == body
        assert all(len(t.summary) <= 300 for t in Task.objects.all())

    def test_a_sender_that_is_no_number(self):
        message = self.hear("Your code is 1234", address="AMAZON")
        assert (message.address, message.patient) == ("AMAZON", None)


class Matching(InboxTestCase):
    def test_an_unknown_number_is_a_conversation_of_its_own(self):
        self.hear("What time do you open?", address=STRANGER)
        conversation = Conversation.objects.get(address=STRANGER)
        assert (conversation.patient, conversation.clinic) == (None, None)
        task = Task.objects.get(about=conversation.about)
        assert (task.reason, task.patient) == ("unmatched_reply", None)

    def test_a_shared_number_is_never_guessed_even_after_a_text_to_one_of_them(self):
        sister = self.make_patient("Eva", "Rivera", ANA)
        self.said()
        self.hear("I already had it in March")
        conversation = Conversation.objects.get(address=ANA)
        assert conversation.patient is None
        assert conversation.candidates == sorted([self.patient.pk, sister.pk])
        assert conversation.clinic == self.clinic

    def test_the_dead_the_merged_and_the_mistaken_are_nobody(self):
        self.make_patient("Eva", "Rivera", ANA, deceased=True)
        self.make_patient("Ema", "Rivera", ANA, active=False, merged_into=self.patient)
        other = self.make_patient("Eli", "Stone", ANA)
        other.contact_points.update(state=ContactPoint.State.WRONG_PERSON)
        assert self.hear("What time do you open?").patient == self.patient

    def test_a_number_that_is_only_old_is_for_a_person_to_decide(self):
        self.patient.contact_points.update(state=ContactPoint.State.OLD)
        self.hear("What time do you open?")
        assert Conversation.objects.get(address=ANA).candidates == [self.patient.pk]

    def test_a_number_shared_by_two_clinics_belongs_to_the_one_that_wrote_last(self):
        other = self.make_patient("Eva", "Stone", ANA, clinic=self.other_clinic)
        self.said(patient=other)
        self.hear("What time do you open?")
        assert Conversation.objects.get(address=ANA).clinic == self.other_clinic

    def test_when_the_other_clinic_writes_next_the_tasks_go_along_with_the_conversation(self):
        other = self.make_patient("Eva", "Stone", ANA, clinic=self.other_clinic)
        self.said()
        self.hear("What time do you open?")
        conversation = Conversation.objects.get(address=ANA)
        assert conversation.clinic == self.clinic
        Task.objects.filter(about=conversation.about).update(owner=self.nurse)
        self.said(patient=other)
        self.hear("Can we come Thursday instead?")
        tasks = Task.objects.open().filter(about=conversation.about)
        assert {(task.clinic, task.owner) for task in tasks} == {(self.other_clinic, None)}


class Urgent(InboxTestCase):
    def test_it_is_on_top_has_a_task_in_five_minutes_an_alert_and_the_crisis_reply(self):
        self.patient.language = "es"
        self.patient.save()
        message = self.hear("tengo dolor de pecho")
        conversation = self.conversation()
        assert (conversation.level, conversation.language) == (Level.URGENT, "es")
        task = Task.objects.get(reason="urgent_reply")
        assert task.summary == "Mentions what may be an emergency: “dolor de pecho”."
        assert (task.queue, task.priority) == ("oncall", Task.Priority.URGENT)
        assert task.due_at - message.created_at == timedelta(minutes=5)
        (crisis,) = self.sent_to()
        assert crisis.template.purpose == "crisis"
        assert crisis.language == "es"
        assert "911" in crisis.body
        (alert,) = self.sent_to(self.clinic.on_call_number)
        assert "Rivera" not in alert.body
        assert "Ana" not in alert.body
        assert alert.patient is None

    def test_the_flag_holds_the_patients_own_words(self):
        message = self.hear("Since this morning I have chest pain, what now?")
        flag = Flag.objects.get(label="emergency")
        assert message.body[flag.start : flag.end] == flag.evidence == "chest pain"

    def test_a_second_urgent_text_adds_no_second_crisis_reply_nor_task(self):
        self.hear("I have chest pain")
        self.hear("the chest pain is getting worse")
        assert len(self.sent_to()) == 1
        assert Task.objects.filter(reason="urgent_reply").count() == 1

    def test_one_alert_in_five_minutes_whenever_they_begin(self):
        for second, alerts in (
            (299, 1),
            (300, 1),
            (301, 1),
            (565, 1),
            (600, 2),
        ):  # five minutes end between the first two
            at = datetime(2026, 11, 26, 14, 35, tzinfo=UTC) + timedelta(seconds=second)
            with mock.patch.object(clock, "machine_now", lambda at=at: at):
                self.hear("I have chest pain")
            assert len(self.sent_to(self.clinic.on_call_number)) == alerts, second

    def test_abuse_alone_gets_no_automatic_text_that_somebody_else_may_read(self):
        self.hear("he hits me, I'm not safe at home")
        assert self.sent_to() == []
        assert Task.objects.filter(reason="urgent_reply").exists()
        assert len(self.sent_to(self.clinic.on_call_number)) == 1

    def test_from_an_unknown_number_too(self):
        self.make_patient("Eva", "Rivera", ANA)
        self.hear("I want to kill myself")
        conversation = Conversation.objects.get(address=ANA)
        assert conversation.level == Level.URGENT
        assert Task.objects.get(reason="urgent_reply").about == conversation.about
        assert [m.template.purpose for m in self.sent_to()] == ["crisis"]
        assert len(self.sent_to(self.clinic.on_call_number)) == 1

    def test_from_nobody_we_know_every_clinic_is_told(self):
        self.hear("I have chest pain", address=STRANGER)
        assert [m.template.purpose for m in self.sent_to(STRANGER)] == ["crisis"]
        assert len(self.sent_to(self.clinic.on_call_number)) == 1

    def test_who_is_busy_or_away_gets_the_crisis_reply_too(self):
        for n, body in enumerate(
            (
                "im in a meeting and i cant breathe",
                "I'll call you back later, chest pain now",
                "I am away from home and want to die",
            )
        ):
            self.hear(body, address=f"+1305555010{n}")
            assert [m.template.purpose for m in self.sent_to(f"+1305555010{n}")] == ["crisis"], body

    def test_a_machine_is_not_answered(self):
        self.hear("Automatic reply: I am out of the office until Monday. If this is an emergency call 911.")
        assert self.sent_to() == []

    def test_an_opted_out_patient_who_writes_still_gets_the_crisis_reply(self):
        self.hear("STOP")
        self.hear("I want to kill myself")
        crisis = next(m for m in self.sent_to() if m.template.purpose == "crisis")
        assert crisis.state == "queued"


class Significant(InboxTestCase):
    def test_already_done_is_a_task_about_the_gap(self):
        gap = self.open_gap()
        self.said(about=gap.about)
        self.hear("I already had my colonoscopy in March")
        task = Task.objects.get(reason="already_done")
        assert (task.about, task.patient, task.link) == (gap.about, self.patient, self.conversation().link)
        assert "I already had" in task.summary or "already had" in task.summary

    def test_yes_to_a_recall_is_a_visit_to_book(self):
        gap = self.open_gap()
        self.said("You are due. Reply YES and we will call you to schedule.", about=gap.about)
        self.hear("Yes")
        assert Task.objects.get(reason="wants_visit").about == gap.about

    def test_deadlines_run_in_working_hours(self):
        self.hear("What time do you open?")
        due = Task.objects.get(reason="reply").due_at
        assert due - clock.now() == timedelta(days=1)  # Wednesday noon to Thursday noon: 8 working hours

    def test_a_death_is_checked_by_a_person_and_nothing_is_recorded_by_itself(self):
        self.hear("my wife Ana passed away last week")
        assert Task.objects.filter(reason="check_deceased").exists()
        self.patient.refresh_from_db()
        assert not self.patient.deceased

    def test_a_guess_or_a_call_for_help_sets_no_number_aside(self):
        for body in ("I'm not ok. help me", "not me", "This is not Ana, wrong number. I have chest pain"):
            self.hear(body)
            assert self.patient.contact_points.get().state == ContactPoint.State.ACTIVE, body
        assert Task.objects.filter(reason="wrong_person").exists()

    def test_plain_words_set_it_aside(self):
        for body in (
            "wrong lady but good luck",
            "You have the wrong person, I am not Ana",
            "no soy la señora Rivera, se equivocaron",
            "hi there's no Ana at this number, who are you looking for",
        ):
            self.patient.contact_points.update(state=ContactPoint.State.ACTIVE)
            self.hear(body)
            assert self.patient.contact_points.get().state == ContactPoint.State.WRONG_PERSON, body

    def test_wrong_person_sets_the_number_aside_and_opens_a_privacy_task(self):
        self.hear("You have the wrong person, I am not Ana")
        point = self.patient.contact_points.get()
        assert point.state == ContactPoint.State.WRONG_PERSON
        assert Task.objects.get(reason="wrong_person").queue == "supervisors"
        assert self.hear("hello?").patient is None  # a stranger's words do not enter her record

    def test_who_writes_in_another_language_has_a_task_that_says_so(self):
        self.said(about="caregap:1", body="You're due for a mammogram. Reply YES to schedule.")
        self.hear("Vâng, tôi đồng ý, xin đặt lịch hẹn cho tôi")
        assert self.conversation().language == "vi"
        assert "Needs another language" in " ".join(Task.objects.open().values_list("summary", flat=True))

    def test_routine_opens_no_task(self):
        self.said("Your visit is on Tuesday. See you then!")
        self.hear("thanks!")
        assert not Task.objects.exists()
        assert self.conversation().level == Level.ROUTINE


class CampaignsStop(InboxTestCase):
    def setUp(self):
        self.gap = self.open_gap()
        self.campaign = Campaign.objects.create(name="Recall", measure="CMS130", state="running")
        self.enrollment = Enrollment.objects.create(
            campaign=self.campaign, gap=self.gap, patient=self.patient, clinic=self.clinic
        )
        self.said(about=self.gap.about)

    def after(self, body):
        self.hear(body)
        self.enrollment.refresh_from_db()
        return self.enrollment.state, self.enrollment.why

    def test_a_real_reply_ends_the_automatic_nudges(self):
        assert self.after("What time do you open?") == ("ended", "replied")

    def test_thanks_does_not(self):
        assert self.after("thanks!") == ("active", "")

    def test_no_is_a_refusal(self):
        assert self.after("No thanks") == ("ended", "declined")

    def test_stop_is_an_opt_out(self):
        assert self.after("STOP") == ("ended", "opted_out")

    def test_help_does_not(self):
        assert self.after("HELP") == ("active", "")


class Floods(InboxTestCase):
    def test_ten_identical_replies_in_a_minute_are_ten_messages_and_one_matter(self):
        for _ in range(10):
            self.hear("I have chest pain")
        assert Message.objects.filter(direction="in").count() == 10
        assert Task.objects.filter(reason="urgent_reply").count() == 1
        assert len(self.sent_to()) == len(self.sent_to(self.clinic.on_call_number)) == 1

    def test_a_machine_that_answers_our_answer_is_not_answered_again(self):
        self.hear("I have chest pain")
        for _ in range(3):
            self.hear("[Auto] In a meeting, will reply after 5")
            self.hear("I'm driving right now and will get back to you later. (Auto-reply)")
        assert len(self.sent_to()) == 1

    def test_a_short_code_is_nobody_we_know_and_gets_no_answer(self):
        message = self.hear("FreeMsg: your data plan is at 80%. Reply HELP for help", address="38255")
        assert (message.patient, self.sent_to("38255")) == (None, [])

    def test_half_a_character_is_kept_as_a_sign_that_it_was_there(self):
        message = self.hear("chest pain \ud83d")
        message.refresh_from_db()
        assert message.body.startswith("chest pain")
        assert self.conversation().level == Level.URGENT


class Graded(InboxTestCase):
    """A reply that alone waits gives the conversation its level without asking for the others; it is the same."""

    def level_after(self, body, at):
        receive(sid=f"SM{at:%H%M}", address=ANA, to="+15550100000", body=body, raw={}, at=at)
        conversation = self.conversation()
        assert conversation.level == conversation.graded()
        return conversation.level

    def test_one_reply_after_another_and_an_older_one_that_was_lost_on_its_way(self):
        now = clock.now()
        assert self.level_after("thanks!", now) == Level.ROUTINE
        assert self.level_after("I have chest pain", now + timedelta(minutes=1)) == Level.URGENT
        assert self.level_after("thanks!", now + timedelta(minutes=2)) == Level.URGENT
        Conversation.objects.update(
            waiting_since=None, state="waiting", level=Level.ROUTINE
        )  # somebody has answered
        assert self.level_after("thanks!", now - timedelta(minutes=1)) == Level.URGENT
        Conversation.objects.update(waiting_since=None, state="waiting", level=Level.ROUTINE)
        assert self.level_after("thanks!", now + timedelta(minutes=3)) == Level.ROUTINE

    def test_a_number_that_blocked_us_works_again(self):
        self.patient.contact_points.update(state="blocked")
        self.hear("What time do you open?")
        assert self.patient.contact_points.get().state == "active"
