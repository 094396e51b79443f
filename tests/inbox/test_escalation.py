"""An urgent reply that nobody takes, and an alert that reaches nobody."""

from datetime import timedelta

from django.test import override_settings

from engage.accounts.models import Clinic
from engage.audit.models import AuditEvent
from engage.inbox import actions, jobs
from engage.inbox.folders import BY_SLUG
from engage.inbox.models import Conversation
from engage.lib import clock
from engage.messaging import errors
from engage.messaging.models import Message
from engage.messaging.outbox import deliver_once
from engage.worklist import board
from engage.worklist.models import Task
from tests.base import NOON
from tests.inbox.base import ANA, InboxTestCase

NEXT = "+16175550177"
STRANGER = "+13055550123"


def later(minutes):
    return override_settings(NOW=NOON + timedelta(minutes=minutes))


class LadderTestCase(InboxTestCase):
    def setUp(self):
        self.number = self.clinic.on_call_number
        Clinic.objects.filter(pk=self.clinic.pk).update(backup_number=NEXT)
        self.clinic.refresh_from_db()
        self.patient.clinic.refresh_from_db()

    def task(self):
        return Task.objects.get(reason="urgent_reply")

    def alerts(self):
        return len(self.sent_to(self.number)), len(self.sent_to(NEXT))

    def climb(self, minutes):
        with later(minutes):
            return jobs.escalate()


class Ladder(LadderTestCase):
    def test_at_its_deadline_the_next_person_then_the_supervisors(self):
        self.hear("I have chest pain")
        assert (self.climb(4), self.alerts()) == (0, (1, 0))
        assert (self.climb(5), self.climb(6), self.climb(14), self.alerts()) == (1, 0, 0, (2, 1))
        assert self.task().queue == "oncall"
        assert "engage_urgent_escalated 1.0" in self.client.get("/metrics").content.decode()
        assert (self.climb(15), self.climb(16), self.climb(600), self.alerts()) == (1, 0, 0, (2, 1))
        task = self.task()
        assert (task.queue, task.priority) == ("supervisors", Task.Priority.URGENT)
        assert task.summary == (
            "Nobody took it for 15 minutes: call the clinician on call, (617) 555-0199. "
            "Mentions what may be an emergency: “chest pain”."
        )
        assert all("Rivera" not in m.body and m.patient is None for m in self.sent_to(NEXT))
        assert AuditEvent.objects.filter(action="task.escalate").count() == 2

    def test_what_joins_it_later_stands_first_and_the_ladder_after_it(self):
        self.hear("I have chest pain")
        Task.objects.update(escalated=1)
        self.climb(15)
        self.hear("I want to kill myself")
        says = self.task().summary
        assert (
            says.index("kill myself") < says.index("Nobody took it for 15 minutes") < says.index("chest pain")
        )

    def test_what_somebody_holds_is_taken_until_they_let_it_lapse(self):
        self.hear("I have chest pain")
        self.task().claim(self.nurse)
        assert self.climb(5) == 0
        Task.objects.update(claimed_until=clock.machine_now() - timedelta(seconds=1))
        assert self.climb(16) == 1

    def test_what_somebody_has_opened_is_taken_for_a_while(self):
        self.hear("I have chest pain")
        with later(2):
            actions.mark_seen(self.conversation(), self.nurse)
        assert (self.climb(5), self.climb(16), self.climb(17)) == (0, 0, 1)

    def test_an_auditor_who_looks_takes_nothing(self):
        self.hear("I have chest pain")
        actions.mark_seen(self.conversation(), self.auditor)
        assert self.climb(5) == 1

    def test_what_has_its_outcome_is_left_alone(self):
        self.hear("I have chest pain")
        Task.objects.update(state="done", outcome="emergency_handled")
        assert self.climb(60) == 0

    def test_of_an_unknown_number_every_clinic_is_told_again(self):
        self.hear("I have chest pain", address=STRANGER)
        assert (self.climb(5), self.alerts()) == (1, (2, 1))
        assert self.climb(15) == 1
        assert self.task().summary.startswith("Nobody took it for 15 minutes: no on-call number is known.")


class Seen(LadderTestCase):
    def test_who_is_called_about_an_unknown_number_sees_what_it_says(self):
        self.hear("I have chest pain", address=STRANGER)
        link = Conversation.objects.get(address=STRANGER).link
        for user, sees in ((self.oncall, True), (self.supervisor, True), (self.coordinator, False)):
            assert bool(board.page(user, board.Asked()).rows) is sees
            assert bool(BY_SLUG["urgent"].queryset(user).count()) is sees
            self.client.force_login(user)
            assert (self.client.get(link).status_code == 200) is sees


class Failing(LadderTestCase):
    def fail(self, code, address=None):
        alert = Message.objects.filter(address=address or self.number).latest("pk")
        alert.state, alert.error_code, alert.state_reason = "undelivered", code, errors.sentence(code)
        alert.save()
        errors.take_effect(alert, code)
        return alert

    def test_the_next_person_is_told_at_once_and_supervisors_have_a_task(self):
        for code in ("30003", "30005", "30007", "30008", "21610", "21211", "30001"):
            with self.subTest(code):
                Message.objects.all().delete()
                Task.objects.all().delete()
                self.hear("I have chest pain")
                self.fail(code)
                assert self.alerts() == (1, 1)  # and nothing waits for hours
                task = Task.objects.get(reason="other")
                assert (task.queue, task.priority) == ("supervisors", Task.Priority.URGENT)
                assert "on-call number (617) 555-0199 could not be reached" in task.summary

    def test_when_the_next_person_cannot_be_reached_either_it_ends_with_the_tasks(self):
        self.hear("I have chest pain")
        self.fail("30003")
        self.fail("30003", NEXT)
        assert self.alerts() == (1, 1)
        assert Task.objects.filter(reason="other").count() == 2

    def test_one_that_is_too_old_has_failed_too(self):
        self.hear("I have chest pain")
        Message.objects.filter(direction="out").exclude(address=self.number).delete()
        with later(61):
            deliver_once()
        assert self.sent_to(self.number)[0].state == "expired"
        assert self.alerts() == (1, 1)

    @override_settings(SEND_ALLOWLIST=[ANA])
    def test_one_that_may_not_go_has_failed_too(self):
        self.hear("I have chest pain")
        assert Task.objects.filter(reason="other").count() == 2

    def test_the_word_of_an_on_call_number_takes_no_alert_back(self):
        self.hear("I have chest pain")
        self.hear("STOP", address=self.number)
        assert self.sent_to(self.number)[0].state == "queued"


class NoNumber(LadderTestCase):
    def test_the_next_person_is_told_and_supervisors_have_one_task(self):
        Clinic.objects.update(on_call_number="")
        self.patient.clinic.refresh_from_db()
        self.hear("I have chest pain")
        self.hear("I want to die")
        assert self.alerts() == (0, 1)
        task = Task.objects.get(reason="other")
        assert "no on-call number" in task.summary and task.priority == Task.Priority.URGENT

    def test_with_an_unknown_clinic_too(self):
        Clinic.objects.update(on_call_number="", backup_number="")
        self.hear("I have chest pain", address=STRANGER)
        assert Task.objects.filter(reason="other").count() == 2


class Again(LadderTestCase):
    def test_a_new_urgent_task_is_a_new_alert(self):
        self.hear("I have chest pain")
        self.hear("worse chest pain")
        assert self.alerts() == (1, 0)
        Task.objects.filter(reason="urgent_reply").update(state="done", outcome="emergency_handled")
        self.hear("I want to die")
        assert self.alerts() == (2, 0)

    def test_what_a_person_flags_as_urgent_alerts(self):
        message = self.hear("What time do you open?")
        actions.add_flag(message, "emergency", by=self.nurse)
        assert self.alerts() == (1, 0)
