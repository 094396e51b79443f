"""What people do in the inbox: see, take, answer, take back, snooze, close, match, decide about flags."""

from datetime import timedelta

import pytest

from engage.audit.models import AuditEvent
from engage.inbox import actions, jobs
from engage.inbox.actions import InboxError
from engage.inbox.models import Conversation, Flag, Level, Reading
from engage.lib import clock
from engage.messaging import policy
from engage.messaging.models import Message
from engage.patients.models import ContactPoint, Patient
from engage.worklist import actions as worklist
from engage.worklist.models import Task
from tests.inbox.base import ANA, InboxTestCase

DULL = "The blue one is in the kitchen"


class Answering(InboxTestCase):
    def setUp(self):
        self.hear("What time do you open?")

    def test_an_answer_goes_through_the_gate_and_leaves_the_turn_to_the_patient(self):
        conversation = self.conversation()
        message = actions.reply(conversation, "We open at 8.", by=self.nurse, key="staff:1")
        assert (message.author, message.address, message.state) == (self.nurse, ANA, "queued")
        assert message.lane == 1
        assert message.undo_until is not None
        conversation = self.conversation()
        assert (conversation.state, conversation.owner, conversation.waiting_since) == (
            "waiting",
            self.nurse,
            None,
        )
        assert Task.objects.get(reason="reply").outcome == "answered"

    def test_the_same_form_twice_answers_once(self):
        first = actions.reply(self.conversation(), "We open at 8.", by=self.nurse, key="staff:1")
        again = actions.reply(self.conversation(), "We open at 8.", by=self.nurse, key="staff:1")
        assert first.pk == again.pk

    def test_taken_back_in_time_nothing_goes_and_the_patient_waits_again(self):
        message = actions.reply(self.conversation(), "We open at 8.", by=self.nurse, key="staff:1")
        assert actions.take_back(self.conversation(), message, by=self.nurse)
        message.refresh_from_db()
        assert message.state == "suppressed"
        conversation = self.conversation()
        assert (conversation.state, conversation.waiting_since) == ("open", clock.now())
        assert conversation.level == Level.SIGNIFICANT
        assert Task.objects.get(reason="reply").state == "open"

    def test_only_its_author_takes_it_back(self):
        message = actions.reply(self.conversation(), "We open at 8.", by=self.nurse, key="staff:1")
        assert not actions.take_back(self.conversation(), message, by=self.coordinator)

    def test_after_an_opt_out_the_gate_refuses_and_the_conversation_goes_on_waiting(self):
        self.hear("STOP")
        message = actions.reply(self.conversation(), "We open at 8.", by=self.nurse, key="staff:1")
        assert message.state == "suppressed"
        assert message.state_reason
        assert self.conversation().state == "open"

    def test_nothing_to_say_is_refused(self):
        with pytest.raises(InboxError, match="Write something"):
            actions.reply(self.conversation(), " \n", by=self.nurse, key="staff:1")

    def test_an_answer_to_something_urgent_does_not_settle_it(self):
        self.hear("I have chest pain")
        actions.reply(self.conversation(), "Please call 911 now.", by=self.nurse, key="staff:1")
        assert (self.conversation().state, self.conversation().level) == ("open", Level.URGENT)


class Looking(InboxTestCase):
    def setUp(self):
        self.hear("What time do you open?")

    def test_the_first_to_see_it_is_kept(self):
        assert actions.mark_seen(self.conversation(), self.nurse)
        assert not actions.mark_seen(self.conversation(), self.coordinator)
        assert self.conversation().seen_by == self.nurse

    def test_a_newer_reply_is_unseen_again(self):
        stale = self.conversation()
        actions.mark_seen(self.conversation(), self.nurse)
        self.hear("hello?")
        assert self.conversation().seen_at is None
        stale.last_message_at -= timedelta(seconds=1)
        assert not actions.mark_seen(stale, self.nurse)

    def test_taking(self):
        assert actions.take(self.conversation(), self.nurse)
        assert not actions.take(self.conversation(), self.coordinator)
        assert actions.take(self.conversation(), self.coordinator, over=self.nurse.pk)
        actions.release(self.conversation(), by=self.coordinator)
        assert self.conversation().owner is None


class Leaving(InboxTestCase):
    def setUp(self):
        self.hear("What time do you open?")

    def test_snoozed_until_its_time(self):
        actions.snooze(self.conversation(), clock.now() + timedelta(hours=1), by=self.nurse)
        assert jobs.wake_snoozed() == 0
        with self.settings(NOW=clock.now() + timedelta(hours=2)):
            assert jobs.wake_snoozed() == 1
        assert self.conversation().state == "open"

    def test_or_until_the_patient_writes(self):
        actions.snooze(self.conversation(), clock.now() + timedelta(hours=1), by=self.nurse)
        self.hear("hello?")
        assert self.conversation().state == "open"

    def test_closing_settles_its_question_and_reopening_brings_it_back(self):
        actions.close(self.conversation(), by=self.nurse)
        assert self.conversation().state == "closed"
        assert Task.objects.get(reason="reply").outcome == "answered"
        actions.reopen(self.conversation(), by=self.nurse)
        assert (self.conversation().state, self.conversation().level) == ("open", Level.SIGNIFICANT)
        assert Task.objects.get(reason="reply").state == "open"

    def test_closing_leaves_tasks_of_their_own(self):
        self.hear("please call me, I need to change my appointment")
        actions.close(self.conversation(), by=self.nurse)
        assert Task.objects.open().exists()

    def test_nothing_urgent_is_closed_or_snoozed_without_an_outcome(self):
        self.hear("I have chest pain")
        with pytest.raises(InboxError, match="urgent reply has no outcome"):
            actions.close(self.conversation(), by=self.nurse)
        with pytest.raises(InboxError, match="urgent reply has no outcome"):
            actions.snooze(self.conversation(), clock.now() + timedelta(hours=1), by=self.nurse)
        task = Task.objects.get(reason="urgent_reply")
        worklist.finish(task, "emergency_handled", "Called 911 with her.", by=self.nurse)
        actions.close(self.conversation(), by=self.nurse)
        assert self.conversation().state == "closed"


class Concerns(InboxTestCase):
    """Two concerns of one patient reach those whom each is for, in the patient's words."""

    SYMPTOM, COMPLAINT = "I have a rash and it itches", "I want to complain, your nurse was very rude to me"

    def test_a_complaint_reaches_the_supervisors_whatever_else_is_said(self):
        for bodies in ((self.SYMPTOM, self.COMPLAINT), (self.COMPLAINT, self.SYMPTOM)):
            Task.objects.all().delete()
            for body in bodies:
                self.hear(body)
            queues = dict(Task.objects.open().values_list("reason", "queue"))
            assert (queues["symptom"], queues["complaint"]) == ("nurses", "supervisors")
            assert Task.objects.get(reason="complaint").summary.startswith("Complains: ")
            assert "Complains" not in Task.objects.get(reason="symptom").summary

    def test_an_answer_settles_all_but_the_complaint_and_taken_back_it_settles_none(self):
        for body in (self.SYMPTOM, self.COMPLAINT, "What time do you open?"):
            self.hear(body)
        sent = actions.reply(self.conversation(), "Please come in.", by=self.nurse, key="staff:1")
        assert self.reasons() == {"complaint"}
        actions.take_back(self.conversation(), sent, by=self.nurse)
        assert self.reasons() == {"complaint", "symptom", "reply"}

    def reasons(self):
        """What is open about the conversation, without the calls that somebody asks for."""
        return set(Task.objects.open().exclude(reason="call").values_list("reason", flat=True))

    def test_what_joins_says_so_and_brings_back_what_was_put_off(self):
        self.hear("What time do you open?")
        task = Task.objects.get()
        worklist.snooze(task, clock.now() + timedelta(days=7), by=self.nurse)
        self.hear("Do you have parking?")
        task.refresh_from_db()
        assert (task.state, task.snoozed_until) == ("open", None)
        assert task.summary == "Asks a question: “Do you”. Asks a question: “What”."


class Handled(InboxTestCase):
    """An urgent task that ended on the worklist takes the conversation off the top of the inbox."""

    def setUp(self):
        self.hear("I have chest pain")
        self.task = Task.objects.get(reason="urgent_reply")

    def finish(self):
        worklist.finish(self.task, "emergency_handled", "Called 911 with her.", by=self.nurse)

    def test_at_once(self):
        self.finish()
        actions.settle_urgent(self.task.about)
        assert (self.conversation().state, self.conversation().level) == ("open", Level.SIGNIFICANT)

    def test_or_by_the_job(self):
        jobs.finish_unsorted()
        assert self.conversation().level == Level.URGENT
        self.finish()
        jobs.finish_unsorted()
        assert self.conversation().level == Level.SIGNIFICANT

    def test_undone_it_is_urgent_again(self):
        self.finish()
        actions.settle_urgent(self.task.about)
        worklist.reopen(self.task, by=self.nurse)
        actions.settle_urgent(self.task.about)
        assert self.conversation().level == Level.URGENT

    def test_a_new_urgent_reply_is_urgent(self):
        self.finish()
        actions.settle_urgent(self.task.about)
        self.hear("the chest pain is back, I can't breathe")
        assert self.conversation().level == Level.URGENT
        assert Task.objects.open().filter(reason="urgent_reply").count() == 1

    def test_a_second_urgent_reply_says_why_too(self):
        self.hear("I want to kill myself")
        assert Task.objects.open().get(reason="urgent_reply").summary == (
            "Mentions self-harm: “kill myself”. Mentions what may be an emergency: “chest pain”."
        )

    def test_what_came_after_the_last_reply_shown_is_not_handled_with_it(self):
        first = Message.objects.heard().get()
        self.hear("I want to kill myself")
        with pytest.raises(InboxError, match="wrote again"):
            actions.refuse_unread(self.task.about, first.pk)
        self.finish()
        actions.settle_urgent(self.task.about, by=self.nurse, last=first.pk)
        assert self.conversation().level == Level.URGENT
        assert list(Reading.objects.order_by("pk").values_list("level", flat=True)) == [2, 0]
        event = AuditEvent.objects.get(action="conversation.settle")
        assert (event.actor, event.detail) == ("nurse", {"messages": [first.pk]})

    def test_a_newer_reply_that_needs_nobody_holds_nothing_up(self):
        first = Message.objects.heard().get()
        self.hear("Thanks")
        actions.refuse_unread(self.task.about, first.pk)

    def test_what_names_no_conversation_is_left_alone(self):
        actions.settle_urgent("caregap:8")
        actions.settle_urgent("conversation:x")
        assert self.conversation().level == Level.URGENT


class Moving(InboxTestCase):
    """A patient comes to another clinic, or a colleague leaves."""

    def waiting(self):
        gap = self.open_gap()
        self.said(about=gap.about)
        self.hear("Yes please book it. I have chest pain")
        actions.take(self.conversation(), self.nurse)
        worklist.take(Task.objects.open().first(), by=self.nurse)
        assert {t.about for t in Task.objects.open()} == {gap.about, self.conversation().about}

    def move(self, clinic):
        type(self.patient).objects.filter(pk=self.patient.pk).update(clinic=clinic)

    def test_conversation_and_tasks_go_along(self):
        self.waiting()
        self.move(self.other_clinic)
        assert jobs.follow_moves() == 3
        assert (self.conversation().clinic, self.conversation().owner) == (self.other_clinic, None)
        assert set(Task.objects.open().values_list("clinic", "claimed_by")) == {(self.other_clinic.pk, None)}
        moved = AuditEvent.objects.filter(action__endswith=".change_clinic")
        assert {(e.clinic_id, e.detail["before"]) for e in moved} == {(self.other_clinic.pk, self.clinic.pk)}
        assert jobs.follow_moves() == 0

    def test_with_the_next_reply_at_once(self):
        self.waiting()
        self.move(self.other_clinic)
        self.hear("still hurting")
        assert set(Task.objects.open().values_list("clinic", flat=True)) == {self.other_clinic.pk}
        assert AuditEvent.objects.filter(action="task.change_clinic").count() == 2

    def test_left_without_a_clinic_what_is_open_stays_where_it_is_seen(self):
        self.waiting()
        self.move(None)
        self.hear("please hurry")
        assert jobs.follow_moves() == 0
        assert self.conversation().clinic == self.clinic
        assert set(Task.objects.open().values_list("clinic", flat=True)) == {self.clinic.pk}

    def test_what_a_colleague_who_left_had_taken_is_everybodys(self):
        self.hear("What time do you open?")
        task = Task.objects.get()
        worklist.hand_to(task, self.nurse, by=self.coordinator)
        actions.take(self.conversation(), self.nurse)
        assert jobs.follow_moves() == 0
        self.nurse.is_active = False
        self.nurse.save()
        assert jobs.follow_moves() == 2
        task.refresh_from_db()
        assert (self.conversation().owner, task.owner, task.queue) == (None, None, "coordinators")
        assert AuditEvent.objects.filter(action="task.hand_back").get().detail["before"] == self.nurse.pk


class Flags(InboxTestCase):
    def test_not_significant_is_a_recorded_act_that_ends_the_urgent_task(self):
        self.hear("I have chest pain")
        for flag in Flag.objects.filter(level=Level.URGENT):
            actions.dismiss(flag, by=self.nurse)
        assert Task.objects.get(reason="urgent_reply").outcome == "not_significant"
        assert self.conversation().level > Level.UNSORTED
        assert AuditEvent.objects.filter(action="flag.dismissed", actor="nurse").exists()

    def test_dismissing_one_urgent_flag_of_two_leaves_the_task(self):
        self.hear("I have chest pain")
        self.hear("I want to kill myself")
        actions.dismiss(Flag.objects.filter(label="emergency").first(), by=self.nurse)
        assert Task.objects.get(reason="urgent_reply").state == "open"
        assert self.conversation().level == Level.URGENT

    def test_what_triage_said_stays_known_whatever_people_decide(self):
        reading = self.hear("I have chest pain").reading
        actions.dismiss(Flag.objects.get(label="emergency"), by=self.nurse)
        reading.refresh_from_db()
        assert (reading.said, reading.level) == (Level.URGENT, Level.ROUTINE)

    def test_what_triage_missed_is_added(self):
        message = self.hear("What time do you open?")
        actions.add_flag(message, "emergency", by=self.nurse)
        assert self.conversation().level == Level.URGENT
        assert Task.objects.filter(reason="urgent_reply").exists()

    def test_an_opt_out_that_triage_missed_suspends_what_is_automatic(self):
        message = self.hear("What time do you open?")
        actions.add_flag(message, "opt_out", by=self.nurse)
        assert policy.consider(self.patient).code == "opted_out"
        assert Task.objects.filter(reason="opt_out_doubt").exists()

    def test_an_unknown_meaning_is_refused(self):
        with pytest.raises(InboxError):
            actions.add_flag(self.hear("hello"), "nonsense", by=self.nurse)

    def test_it_was_her_number_after_all(self):
        self.hear("You have the wrong person, I am not Ana")
        actions.dismiss(Flag.objects.filter(label="wrong_person").first(), by=self.nurse)
        assert self.patient.contact_points.get().state == ContactPoint.State.ACTIVE


class Match(InboxTestCase):
    NUMBER = "+16175550177"

    def unmatched(self, body):
        self.hear(body, address=self.NUMBER)
        return Conversation.objects.get(patient=None, address=self.NUMBER)

    def test_the_replies_join_the_patient_with_all_they_ask_for(self):
        gap = self.open_gap()
        self.said(about=gap.about, address=self.NUMBER)
        stranger = self.unmatched("I already had my colonoscopy in March")
        joined = actions.match(stranger, self.patient, by=self.coordinator)
        assert joined == self.conversation()
        assert Message.objects.get(direction="in").patient == self.patient
        assert Task.objects.get(reason="already_done").about == gap.about
        assert Task.objects.get(reason="unmatched_reply").outcome == "answered"
        assert AuditEvent.objects.get(action="conversation.match").patient_id == self.patient.pk

    def test_it_merges_into_the_conversation_there_is(self):
        self.hear("What time do you open?")
        before = self.conversation()
        stranger = self.unmatched("this is my other phone, please call me")
        joined = actions.match(stranger, self.patient, by=self.coordinator)
        assert joined.pk == before.pk
        assert not Conversation.objects.filter(pk=stranger.pk).exists()
        assert Flag.objects.filter(conversation=joined, message__address=self.NUMBER).exists()
        assert joined.address == self.NUMBER

    def test_something_urgent_stays_urgent_and_is_not_alerted_twice(self):
        self.make_patient("Eva", "Rivera", ANA)
        self.hear("I have chest pain")
        joined = actions.match(Conversation.objects.get(address=ANA), self.patient, by=self.coordinator)
        assert joined.level == Level.URGENT
        assert Task.objects.open().get(reason="urgent_reply").patient == self.patient
        assert len(self.sent_to()) == 1

    def test_remembered_the_next_reply_finds_its_patient(self):
        actions.match(self.unmatched("hello, it is Ana"), self.patient, by=self.coordinator, remember=True)
        assert self.patient.contact_points.get(value=self.NUMBER).sms_consent == "granted"
        assert self.hear("me again", address=self.NUMBER).patient == self.patient

    def test_not_remembered_it_does_not(self):
        actions.match(self.unmatched("hello, it is Ana"), self.patient, by=self.coordinator)
        assert self.hear("me again", address=self.NUMBER).patient is None

    def test_an_opted_out_number_is_not_remembered(self):
        self.hear("STOP", address=self.NUMBER)
        actions.match(self.unmatched("hello, it is Ana"), self.patient, by=self.coordinator, remember=True)
        assert not self.patient.contact_points.filter(value=self.NUMBER).exists()

    def test_matched_by_mistake_the_replies_leave_the_chart_and_wait_again(self):
        self.hear("What time do you open?")
        stranger = self.unmatched("I have chest pain")
        joined = actions.match(stranger, self.patient, by=self.coordinator, remember=True)
        assert joined.level == Level.URGENT
        unknown = actions.unmatch(joined, by=self.nurse)
        assert (unknown.patient, unknown.address, unknown.level) == (None, self.NUMBER, Level.URGENT)
        assert [m.body for m in unknown.messages().filter(direction="in")] == ["I have chest pain"]
        assert unknown.messages().filter(direction="out", template__purpose="crisis").exists()
        assert set(unknown.flags.values_list("label", flat=True)) == {"emergency"}
        assert Task.objects.open().get(reason="urgent_reply").about == unknown.about
        mine = self.conversation()
        assert (mine.level, mine.state) == (Level.SIGNIFICANT, "open")
        assert [m.body for m in mine.messages()] == ["What time do you open?"]
        assert not mine.flags.filter(level=Level.URGENT).exists()
        assert Task.objects.open().get(about=mine.about).reason == "reply"
        assert self.hear("me again", address=self.NUMBER).patient is None
        assert AuditEvent.objects.get(action="conversation.unmatch").patient_id == self.patient.pk

    def test_what_people_and_the_second_reader_raised_goes_along_both_ways(self):
        self.hear(DULL)
        stranger = self.unmatched(DULL)
        heard = stranger.messages().get(direction="in")
        actions.add_flag(heard, "self_harm", by=self.nurse)
        task = Task.objects.open().get(reason="urgent_reply")
        joined = actions.match(stranger, self.patient, by=self.coordinator)
        moved = Task.objects.open().get(reason="urgent_reply")
        assert (moved.pk, moved.patient, moved.about) == (task.pk, self.patient, joined.about)
        assert joined.level == Level.URGENT
        unknown = actions.unmatch(joined, by=self.nurse)
        back = Task.objects.open().get(reason="urgent_reply")
        assert (back.patient, back.about, unknown.level) == (None, unknown.about, Level.URGENT)
        assert "seen by staff" in back.summary
        assert self.conversation().level == Level.SIGNIFICANT

    def test_an_urgent_task_of_both_is_one_and_is_parted_again(self):
        self.hear("I have chest pain")
        mine = Task.objects.get(reason="urgent_reply")
        joined = actions.match(self.unmatched("I want to kill myself"), self.patient, by=self.coordinator)
        both = Task.objects.open().get(reason="urgent_reply")
        assert both.pk == mine.pk and "chest pain" in both.summary and "kill myself" in both.summary
        unknown = actions.unmatch(joined, by=self.nurse)
        mine.refresh_from_db()
        assert mine.state == "open" and "kill myself" not in mine.summary
        theirs = Task.objects.open().get(reason="urgent_reply", about=unknown.about)
        assert "kill myself" in theirs.summary and "chest pain" not in theirs.summary
        assert self.conversation().level == unknown.level == Level.URGENT

    def test_the_patients_own_tasks_outlive_a_wrong_match(self):
        self.said()
        self.hear("Yes please book it")
        actions.add_flag(Message.objects.heard().get(), "self_harm", by=self.nurse)
        actions.reply(self.conversation(), "We will call you.", by=self.nurse, key="staff:1")
        before = set(Task.objects.open().values_list("pk", "summary"))
        assert set(Task.objects.open().values_list("reason", flat=True)) == {"urgent_reply", "wants_visit"}
        joined = actions.match(self.unmatched("Please call me, who is this?"), self.patient, by=self.nurse)
        assert Task.objects.open().filter(patient=self.patient, reason="call").exists()
        unknown = actions.unmatch(joined, by=self.nurse)
        assert set(Task.objects.open().filter(patient=self.patient).values_list("pk", "summary")) == before
        assert Task.objects.open().get(about=unknown.about).reason == "unmatched_reply"

    def test_an_emergency_that_was_handled_stays_handled_both_ways(self):
        stranger = self.unmatched("I have chest pain")
        task = Task.objects.get(reason="urgent_reply")
        worklist.finish(task, "emergency_handled", "Called 911.", by=self.nurse)
        actions.settle_urgent(task.about)
        joined = actions.match(stranger, self.patient, by=self.coordinator)
        assert joined.level == Level.SIGNIFICANT
        assert actions.unmatch(joined, by=self.coordinator).level == Level.SIGNIFICANT
        assert not Task.objects.open().filter(reason="urgent_reply").exists()

    def test_those_on_call_in_another_clinic_are_told(self):
        self.make_patient("Eva", "Rivera", ANA, clinic=self.other_clinic)
        self.other_clinic.on_call_number = "+16025550199"
        self.other_clinic.save()
        self.said()
        self.hear("I have chest pain")
        stranger = Conversation.objects.get(patient=None)
        assert stranger.clinic == self.clinic
        actions.match(stranger, Patient.objects.get(given="Eva"), by=self.coordinator)
        assert len(self.sent_to("+16025550199")) == len(self.sent_to(self.clinic.on_call_number)) == 1
        assert Task.objects.open().get(reason="urgent_reply").clinic == self.other_clinic

    def test_what_was_closed_before_stays_out_of_the_chart(self):
        stranger = self.unmatched("This is Bo. I have a rash on my leg, what should I do?")
        actions.close(stranger, by=self.nurse)
        with self.settings(NOW=clock.now() + timedelta(hours=1)):
            stranger = self.unmatched("Ana here, please call me")
            joined = actions.match(stranger, self.patient, by=self.coordinator)
            assert [m.body for m in joined.messages()] == ["Ana here, please call me"]
            assert list(Task.objects.open().values_list("reason", flat=True)) == ["call"]
            stranger.refresh_from_db()
            assert (stranger.patient, stranger.state, stranger.waiting_since) == (None, "closed", None)
            assert [m.body[:10] for m in stranger.messages()] == ["This is Bo"]
            assert not joined.flags.filter(message__in=stranger.messages()).exists()
            unknown = actions.unmatch(joined, by=self.coordinator)
            assert unknown.pk == stranger.pk and unknown.messages().count() == 2
            assert unknown.unanswered().get().body == "Ana here, please call me"

    def test_the_first_words_of_a_patient_can_be_taken_out_too(self):
        joined = actions.match(self.unmatched("hello, it is Ana"), self.patient, by=self.coordinator)
        unknown = actions.unmatch(joined, by=self.coordinator)
        assert self.conversation().state == "closed"
        assert not Task.objects.open().filter(patient=self.patient).exists()
        again = actions.match(unknown, self.make_patient("Eva", "Stone", "+16175550188"), by=self.coordinator)
        assert again.messages().get(direction="in").body == "hello, it is Ana"

    def test_an_answer_to_the_patient_stays_with_the_patient(self):
        joined = actions.match(self.unmatched("hello, it is Ana"), self.patient, by=self.coordinator)
        sent = actions.reply(joined, "Good morning", by=self.nurse, key="staff:1")
        actions.unmatch(joined, by=self.coordinator)
        sent.refresh_from_db()
        assert sent.patient == self.patient

    def test_only_what_was_matched_by_hand_is_taken_out(self):
        self.hear("What time do you open?")
        with pytest.raises(InboxError, match="matched by hand"):
            actions.unmatch(self.conversation(), by=self.coordinator)

    def test_matched_twice_is_refused(self):
        stranger = self.unmatched("hello, it is Ana")
        actions.match(stranger, self.patient, by=self.coordinator)
        with pytest.raises((InboxError, Conversation.DoesNotExist)):
            actions.match(stranger, self.patient, by=self.coordinator)

    def test_nobody_is_answered_before_it_is_known_who_wrote(self):
        with pytest.raises(InboxError, match="Choose the patient first"):
            actions.reply(self.unmatched("hello"), "Hi", by=self.nurse, key="staff:1")
