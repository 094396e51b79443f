"""Opt-out, opt-in and help words, with the traps that bite real clinics."""

from datetime import timedelta
from unittest import mock

from django.test import override_settings

from engage.campaigns.models import Campaign, Enrollment
from engage.inbox import permission
from engage.inbox.actions import decide_doubt, match, receive, reply
from engage.inbox.jobs import finish_unsorted
from engage.inbox.models import Conversation, Level
from engage.lib import clock
from engage.messaging import policy
from engage.messaging.models import Message, Template
from engage.patients.models import Consent, ContactPoint
from engage.records.models import Appointment, Source
from engage.worklist.models import Task
from tests.inbox.base import ANA, RECALL, InboxTestCase


class Stop(InboxTestCase):
    def consent(self, patient=None):
        return (patient or self.patient).contact_points.get().sms_consent

    def test_it_ends_consent_and_what_was_queued_in_the_same_act(self):
        waiting = self.queued()
        message = self.hear("STOP")
        waiting.refresh_from_db()
        assert self.consent() == "revoked"
        assert waiting.state == "suppressed"
        row = Consent.objects.get(channel="sms")
        assert (row.source, row.evidence, row.patient) == ("patient_text", f"message:{message.pk}", None)
        assert self.conversation().level == Level.ROUTINE  # carried out; nobody has to act

    def test_the_carrier_confirms_its_own_words_and_we_do_not(self):
        self.hear("STOP")
        assert self.sent_to() == []

    @override_settings(OPT_OUT_CONFIRMATION="ours")
    def test_unless_the_confirmation_is_ours(self):
        self.hear("STOP")
        assert [m.template.purpose for m in self.sent_to()] == ["stopped"]

    def test_a_phrase_the_carrier_does_not_know_is_confirmed_by_us_once(self):
        self.hear("please stop texting me")
        self.hear("please stop texting me")
        assert self.consent() == "revoked"
        assert [m.template.purpose for m in self.sent_to()] == ["stopped"]

    def test_spanish(self):
        self.hear("ya no me manden mensajes")
        assert self.consent() == "revoked"
        assert [m.language for m in self.sent_to()] == ["es"]

    def test_it_belongs_to_the_number_and_covers_everyone_on_it(self):
        sister = self.make_patient("Eva", "Rivera", ANA)
        hers = self.queued(sister)
        self.hear("STOP")
        hers.refresh_from_db()
        assert [self.consent(), self.consent(sister), hers.state] == ["revoked", "revoked", "suppressed"]

    def test_from_an_unknown_number_it_is_kept(self):
        self.hear("STOP", address="+16175550177")
        assert Consent.objects.filter(address="+16175550177", decision="revoked").exists()

    def test_the_carriers_own_verdict_counts(self):
        self.hear("Finito", OptOutType="STOP")
        assert self.consent() == "revoked"

    def test_our_own_text_below_or_above_it_changes_nothing(self):
        older = "Harbor Clinic: your visit is on Friday at 9. Reply STOP to opt out."
        self.said()
        for body in (f"STOP\n\n{RECALL}", f'Stop "{RECALL}"', f"{RECALL}\nSTOP", f"Stop\n{older}"):
            with self.subTest(body):
                self.patient.contact_points.update(sms_consent="granted")
                self.hear(body)
                assert self.consent() == "revoked"

    def test_what_stands_below_it_is_read_all_the_same(self):
        self.hear("Stop\nI have chest pain")
        assert (self.consent(), self.conversation().level) == ("revoked", Level.URGENT)

    def test_what_is_quoted_below_it_is_looked_at(self):
        self.hear("Stop\n> I have chest pain")
        assert (self.consent(), self.conversation().level) == ("revoked", Level.SIGNIFICANT)

    def test_of_whoever_has_an_old_number_now_it_ends_nothing_else(self):
        self.patient.contact_points.update(state="old")
        ContactPoint.objects.create(
            patient=self.patient, system="phone", use="mobile", rank=2, raw="x", value="+16175550143",
            sms_consent="granted",
        )  # fmt: skip
        recall = Campaign.objects.create(name="Recall", measure="CMS130", state="running")
        enrollment = Enrollment.objects.create(
            campaign=recall, gap=self.open_gap(), patient=self.patient, clinic=self.clinic
        )
        self.hear("STOP")
        enrollment.refresh_from_db()
        assert enrollment.state == "active"
        assert self.patient.contact_points.get(state="old").sms_consent == "revoked"

    def test_stop_within_a_sentence_is_no_opt_out(self):
        self.hear("we have got to STOP this pain in my knee")
        assert self.consent() == "granted"

    def test_cancel_with_a_visit_ahead_asks_a_person_what_was_meant(self):
        source = Source.objects.create(name="test")
        Appointment.objects.create(
            source=source,
            fhir_id="1",
            patient=self.patient,
            status="booked",
            starts_at=clock.now() + timedelta(days=2),
        )
        self.hear("CANCEL")
        assert self.consent() == "revoked"
        assert Task.objects.get().reason == "may_cancel"

    def test_cancel_to_a_question_about_a_visit_does_too(self):
        self.said("Reminder: appointment Tue at 10:20 AM. Reply C to confirm or R to reschedule.")
        self.hear("CANCEL")
        assert Task.objects.get().reason == "may_cancel"

    def test_cancel_in_more_words_does_too(self):
        for body in (
            "Cancel please",
            "please cancel",
            "CANCEL CANCEL",
            "cancelar por favor",
            "cancel now",
            "cancel this",
        ):
            with self.subTest(body):
                Task.objects.all().delete()
                self.said("Reminder: appointment Tue at 10:20 AM. Reply C to confirm or R to reschedule.")
                self.hear(body)
                assert [task.reason for task in Task.objects.all()] == ["may_cancel"]

    def test_cancel_without_one_does_not(self):
        self.hear("CANCEL")
        assert not Task.objects.exists()

    def test_wrong_number_ends_texts_and_checks_privacy(self):
        self.hear("wrong number")
        assert self.consent() == "revoked"
        assert self.patient.contact_points.get().state == ContactPoint.State.WRONG_PERSON
        assert Task.objects.filter(reason="wrong_person").exists()


class Start(InboxTestCase):
    def state(self):
        return self.patient.contact_points.get().sms_consent

    def test_it_restores_consent_on_ones_own_number(self):
        self.hear("STOP")
        self.hear("START")
        assert self.state() == "granted"

    def test_spanish_is_confirmed_by_us_in_spanish(self):
        self.hear("STOP")
        self.hear("INICIO")
        assert [(m.template.purpose, m.language, m.state) for m in self.sent_to()] == [
            ("started", "es", "queued")
        ]

    def test_never_on_a_shared_number(self):
        self.make_patient("Eva", "Rivera", ANA)
        self.hear("STOP")
        self.hear("START")
        assert self.state() == "revoked"
        assert Task.objects.get(reason="other").summary.startswith("Asks on a shared or unknown number")

    def test_never_on_a_shared_number_though_a_person_says_whose_it_is(self):
        sister = self.make_patient("Eva", "Rivera", ANA)
        self.hear("STOP")
        self.hear("START")
        match(Conversation.objects.get(patient=None), self.patient, by=self.coordinator)
        assert (self.state(), sister.contact_points.get().sms_consent) == ("revoked", "revoked")

    def test_one_that_was_written_before_the_last_stop_is_for_a_person(self):
        """Lost for a while and found by the poller; or done again after a match."""
        self.hear("STOP")
        at = clock.now() - timedelta(minutes=10)
        receive(sid="SM-late", address=ANA, to="+15550100000", body="START", raw={}, at=at)
        assert self.state() == "revoked"
        assert "and to stop after that" in Task.objects.get(reason="other").summary

    def test_nor_one_that_could_not_be_carried_out_at_first(self):
        with mock.patch.object(permission, "start", side_effect=RuntimeError):
            self.hear("START")
        self.hear("STOP")
        finish_unsorted()
        assert self.state() == "revoked"

    def test_yes_is_none_though_the_carrier_takes_it_for_one(self):
        self.hear("STOP")
        self.hear("YES", OptOutType="START")
        assert self.state() == "revoked"
        assert "after opting out" in Task.objects.get(reason="other").summary

    def test_yes_after_an_opt_out_is_no_opt_in(self):
        self.hear("STOP")
        self.hear("YES")
        assert self.state() == "revoked"
        assert "after opting out" in Task.objects.get(reason="other").summary

    def test_yes_to_an_opt_in_question_is_one(self):
        self.hear("STOP")
        asked = Template.objects.create(key="opt_in_question", purpose="staff", name="?", body="Texts again?")
        self.said("Texts again? Reply YES", template=asked)
        self.hear("YES")
        assert self.state() == "granted"

    def test_yes_with_consent_is_only_an_answer(self):
        self.said("You are due. Reply YES and we will call you to schedule.")
        self.hear("YES")
        assert not Consent.objects.exists()


class Help(InboxTestCase):
    def test_it_is_answered_once_a_day(self):
        self.hear("HELP")
        self.hear("AYUDA")
        answers = self.sent_to()
        assert [m.template.purpose for m in answers] == ["help"]
        assert self.state_of(answers[0]) in ("queued", "held")

    def test_again_when_the_first_answer_never_left(self):
        self.hear("STOP")
        self.hear("HELP")  # the number has opted out: the answer is refused
        self.hear("START")
        self.hear("HELP")
        assert [m.state for m in self.sent_to() if m.template.purpose == "help"] == ["suppressed", "queued"]

    def state_of(self, message: Message):
        return message.state


class Doubt(InboxTestCase):
    DOUBTFUL = "Stop it with these already ugh"

    def setUp(self):
        self.waiting = self.queued()
        self.hear(self.DOUBTFUL)
        self.point = self.patient.contact_points.get()

    def test_sending_is_suspended_at_once_and_a_person_decides_within_a_business_day(self):
        self.waiting.refresh_from_db()
        assert self.waiting.state == "suppressed"
        assert (self.point.state, self.point.sms_consent) == ("opted_out", "granted")
        task = Task.objects.get(reason="opt_out_doubt")
        assert task.due_at - clock.now() == timedelta(days=1)

    def test_stop_said_of_something_else_leaves_staff_free_to_answer(self):
        decide_doubt(self.conversation(), stop=False, by=self.nurse)
        for body in ("My bleeding won't stop", "I'll stop by at 3", "I want to stop smoking"):
            with self.subTest(body):
                self.hear(body)
                self.point.refresh_from_db()
                assert self.point.state == "active"
                assert not Task.objects.open().filter(reason="opt_out_doubt").exists()
        assert Task.objects.open().filter(reason="urgent_reply").exists()

    def test_a_person_lets_messages_go_on(self):
        decide_doubt(self.conversation(), stop=False, by=self.nurse)
        self.point.refresh_from_db()
        assert (self.point.state, self.point.sms_consent) == ("active", "granted")
        assert not Task.objects.open().filter(reason="opt_out_doubt").exists()

    def test_a_person_ends_them(self):
        decide_doubt(self.conversation(), stop=True, by=self.nurse)
        self.point.refresh_from_db()
        assert (self.point.sms_consent, self.point.voice_consent) == ("revoked", "revoked")
        assert {c.recorded_by for c in Consent.objects.filter(source="staff")} == {self.nurse}

    def test_a_number_the_carrier_had_doubts_about_is_suspended_too(self):
        for state in ("suspect", "blocked"):
            decide_doubt(self.conversation(), stop=False, by=self.nurse)
            self.patient.contact_points.update(state=state, suspect_count=1, state_reason="It failed once.")
            self.hear(self.DOUBTFUL)
            assert policy.consider(self.patient).code == "opted_out"

    def test_a_person_can_answer_what_has_just_been_written(self):
        answer = reply(self.conversation(), "We stop them. Is all well?", by=self.nurse, key="a1")
        assert (answer.address, answer.state) == (ANA, "queued")
        assert policy.consider(self.patient).code == "opted_out"  # a program may not

    def test_the_decision_is_about_the_number_that_raised_it(self):
        other = self.second_number()
        self.hear("What are your hours?", address=other.value)
        decide_doubt(self.conversation(), stop=True, by=self.nurse)
        said = {(c.address, c.decision) for c in Consent.objects.filter(source="staff")}
        assert said == {(ANA, "revoked")}
        self.point.refresh_from_db()
        assert self.point.state == "active"  # its consent says no

    def test_and_so_is_the_decision_to_go_on(self):
        other = self.second_number()
        self.hear("What are your hours?", address=other.value)
        decide_doubt(self.conversation(), stop=False, by=self.nurse)
        self.point.refresh_from_db()
        assert (self.point.state, self.point.sms_consent) == ("active", "granted")

    def second_number(self):
        return ContactPoint.objects.create(
            patient=self.patient,
            system="phone",
            use="home",
            rank=2,
            raw="x",
            value="+16175550143",
            sms_consent="granted",
        )
