"""A staff answer that does not arrive: its author's colleagues are told, and the conversation waits again."""

from datetime import timedelta

from django.test import override_settings

from engage.inbox import actions, jobs
from engage.inbox.models import Conversation
from engage.messaging import errors
from engage.messaging.outbox import deliver_once
from engage.worklist.models import Task
from tests.base import NOON
from tests.inbox.base import ANA, InboxTestCase


class LostAnswers(InboxTestCase):
    def answered(self, by=None):
        self.hear("How much is it?")
        message = actions.reply(self.conversation(), "It is 20 dollars.", by=by or self.nurse, key="a:1")
        message.undo_until = None
        message.save()
        assert self.conversation().state == "waiting"
        return message

    def fail(self, message, code):
        message.state, message.error_code, message.state_reason = "undelivered", code, errors.sentence(code)
        message.save()
        errors.take_effect(message, code)

    def task(self):
        return Task.objects.open().get(reason="delivery_review")

    def check(self, says, queue="nurses"):
        assert jobs.reopen_unanswered() == 1
        assert jobs.reopen_unanswered() == 0
        task, conversation = self.task(), self.conversation()
        assert (task.queue, task.about, task.link) == (queue, conversation.about, conversation.link)
        assert says in task.summary and task.summary.endswith("“It is 20 dollars.”.")
        assert (conversation.state, conversation.waiting_since) == ("open", conversation.last_heard_at)

    def test_by_the_carrier(self):
        message = self.answered()
        self.fail(message, "30003")
        self.check("The text of Nurse did not reach the patient: The phone could not be reached.")

    def test_its_authors_queue(self):
        self.fail(self.answered(self.coordinator), "21610")
        self.check("opted out", "coordinators")

    def test_the_sender_is_locked_so_it_waits(self):
        self.fail(self.answered(), "30034")
        assert jobs.reopen_unanswered() == 0 and not Task.objects.filter(reason="delivery_review").exists()

    def test_by_a_word_of_the_patient(self):
        message = self.answered()
        self.hear("STOP")
        message.refresh_from_db()
        assert message.state == "suppressed"
        assert "It is 20 dollars." in self.task().summary

    def test_by_the_gate(self):
        self.answered()
        self.patient.contact_points.update(state="invalid", state_reason="It is no number.")
        deliver_once()
        self.check("not usable: It is no number.")

    def test_by_time(self):
        self.answered()
        with override_settings(NOW=NOON + timedelta(hours=73)):
            deliver_once()
        self.check("too old")

    def test_taking_it_back_tells_nobody(self):
        message = self.answered()
        actions.take_back(self.conversation(), message, by=self.nurse)
        assert not Task.objects.filter(reason="delivery_review").exists()

    def test_another_answer_or_closing_settles_it(self):
        for act in (
            lambda c: actions.reply(c, "It is 20.", by=self.nurse, key=f"a:{c.pk}:2"),
            lambda c: actions.close(c, by=self.nurse),
        ):
            Task.objects.all().delete()
            Conversation.objects.update(state="waiting")
            message = self.sent_to(ANA)[0] if self.sent_to(ANA) else self.answered()
            self.patient.contact_points.update(state="active")
            self.fail(message, "30003")
            assert jobs.reopen_unanswered() == 1
            act(self.conversation())
            assert not Task.objects.open().filter(reason="delivery_review").exists()
            assert jobs.reopen_unanswered() == 0
