"""Opening, ending, snoozing, handing on and holding tasks."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from engage.accounts.models import Role
from engage.audit.models import AuditEvent
from engage.lib import clock
from engage.worklist import actions
from engage.worklist.actions import TaskError
from engage.worklist.models import Outcome, Reason, Task
from tests.base import CastTestCase, CastTransactionTestCase


def opened(cast, **more):
    fields = {
        "reason": Reason.REPLY, "summary": "Asks a question.", "about": "conversation:1",
        "due_at": clock.now() + timedelta(hours=4), "clinic": cast.clinic, "patient": cast.patient,
    } | more  # fmt: skip
    return actions.open_task(**fields)


class Opening(CastTestCase):
    def test_repeated_it_is_the_same_task_and_one_audit_row(self):
        first, second = opened(self), opened(self)
        assert first.pk == second.pk
        assert Task.objects.count() == 1
        assert AuditEvent.objects.filter(action="task.open").count() == 1

    def test_another_reason_about_the_same_is_another_task(self):
        assert opened(self).pk != opened(self, reason=Reason.CALL).pk

    def test_it_becomes_more_pressing_and_never_less(self):
        soon, later = clock.now() + timedelta(minutes=5), clock.now() + timedelta(days=9)
        opened(self)
        urgent = opened(self, priority=Task.Priority.URGENT, due_at=soon, queue=Task.Queue.ONCALL)
        assert (urgent.priority, urgent.due_at, urgent.queue) == (0, soon, "oncall")
        calm = opened(self, priority=Task.Priority.ROUTINE, due_at=later)
        assert (calm.priority, calm.due_at, calm.queue) == (0, soon, "oncall")

    def test_something_more_pressing_wakes_what_was_put_off(self):
        task = actions.snooze(opened(self), clock.now() + timedelta(days=3), by=self.coordinator)
        assert not Task.objects.waiting().filter(pk=task.pk).exists()
        opened(self, priority=Task.Priority.ATTENTION)
        assert Task.objects.waiting().filter(pk=task.pk).exists()

    def test_what_asks_for_it_besides_adds_its_sentence_and_wakes_it(self):
        opened(self, source="message:1")
        actions.snooze(opened(self), clock.now() + timedelta(days=3), by=self.coordinator)
        again = opened(self, source="message:1")  # a second run over the same reply
        assert (again.state, again.summary) == ("snoozed", "Asks a question.")
        more = opened(self, source="message:2", summary="Says no.")
        assert (more.state, more.snoozed_until) == ("open", None)
        assert more.summary == "Says no. Asks a question."
        assert more.because == [["message:1", "Asks a question."], ["message:2", "Says no."]]
        assert Task.objects.get().summary == more.summary

    def test_many_sentences_keep_the_newest(self):
        for n in range(9):
            task = opened(self, source=f"message:{n}", summary=f"{n}" * 200)
        assert len(task.summary) == 600
        assert task.summary.startswith("8" * 200 + " 777")

    def test_becoming_more_pressing_is_on_the_record(self):
        opened(self)
        opened(self, priority=Task.Priority.URGENT, queue=Task.Queue.ONCALL)
        detail = AuditEvent.objects.get(action="task.join").detail
        assert (detail["priority"], detail["queue"]) == (0, "oncall")

    def test_after_an_end_the_same_may_be_opened_again(self):
        first = actions.finish(opened(self), Outcome.ANSWERED, by=self.coordinator)
        assert opened(self).pk != first.pk

    def test_a_long_sentence_is_cut_and_not_refused(self):
        assert len(opened(self, summary="x" * 900).summary) == 300


class Ending(CastTestCase):
    def test_an_outcome_ends_it_with_who_when_and_an_audit_row(self):
        task = actions.finish(opened(self), Outcome.BOOKED, " Tuesday ", by=self.coordinator)
        assert (task.state, task.outcome, task.outcome_note) == ("done", "booked", "Tuesday")
        assert (task.closed_by, task.closed_at) == (self.coordinator, clock.now())
        row = AuditEvent.objects.get(action="task.finish")
        assert (row.actor_id, row.patient_id, row.detail) == (
            self.coordinator.pk,
            self.patient.pk,
            {"outcome": "booked"},
        )

    def test_without_a_known_outcome_nothing_ends(self):
        for outcome in ("", "whatever", Outcome.BY_SYSTEM):
            with pytest.raises(TaskError, match="Choose one"):
                actions.finish(opened(self), outcome, by=self.coordinator)
        assert Task.objects.open().count() == 1

    def test_some_outcomes_need_a_sentence(self):
        for outcome in (Outcome.EMERGENCY_HANDLED, Outcome.HANDED_ON, Outcome.DECEASED):
            with pytest.raises(TaskError, match="few words"):
                actions.finish(opened(self), outcome, "  ", by=self.coordinator)

    def test_an_urgent_one_is_not_waved_away_without_a_sentence(self):
        urgent = opened(self, priority=Task.Priority.URGENT)
        with pytest.raises(TaskError, match="few words"):
            actions.finish(urgent, Outcome.NOT_SIGNIFICANT, by=self.nurse)
        actions.finish(urgent, Outcome.NOT_SIGNIFICANT, "Quotes a film.", by=self.nurse)

    def test_not_to_be_reached_is_no_end_of_something_urgent(self):
        for outcome in (Outcome.NO_ANSWER, Outcome.LEFT_VOICEMAIL):
            Task.objects.all().delete()
            urgent = opened(self, reason=Reason.URGENT_REPLY, priority=0, queue=Task.Queue.ONCALL)
            with pytest.raises(TaskError):
                actions.finish(urgent, outcome, by=self.coordinator)
            actions.finish(urgent, outcome, "Rang for a minute.", by=self.coordinator)
            again = Task.objects.open().get()
            assert (again.reason, again.priority, again.queue) == ("call", 0, "oncall")
            assert again.due_at == clock.now() + timedelta(minutes=30)
            assert again.summary == "Not reached, try again. Asks a question."
            actions.finish(again, outcome, "Still not.", by=self.coordinator)
            third = Task.objects.open().get()
            assert (third.pk != again.pk, third.summary) == (True, again.summary)
            assert actions.reopen(again, by=self.coordinator).is_open
            assert Task.objects.open().get() == again
        calm = opened(self, about="conversation:2")
        assert actions.finish(calm, Outcome.NO_ANSWER, by=self.coordinator).outcome == "no_answer"

    def test_it_ends_once(self):
        task = opened(self)
        actions.finish(task, Outcome.ANSWERED, by=self.coordinator)
        with pytest.raises(TaskError, match="already"):
            actions.finish(task, Outcome.BOOKED, by=self.nurse)
        assert Task.objects.get().outcome == "answered"

    def test_all_that_is_about_something_ends_with_it(self):
        opened(self, about="caregap:1", reason=Reason.CALL)
        opened(self, about="caregap:1", reason=Reason.ALREADY_DONE)
        other = opened(self, about="caregap:2")
        assert actions.close_about("caregap:1", Outcome.BY_SYSTEM) == 2
        assert list(Task.objects.open()) == [other]
        assert actions.close_about(["caregap:1", "caregap:2"], Outcome.BY_SYSTEM, reasons=[Reason.CALL]) == 0

    def test_many_keys_are_taken_in_parts(self):
        for n in range(3):
            opened(self, about=f"caregap:{n * 600}")
        assert actions.close_about((f"caregap:{n}" for n in range(1300)), Outcome.BY_SYSTEM) == 3

    def test_undo_opens_it_again(self):
        task = actions.finish(opened(self), Outcome.BOOKED, "Tuesday", by=self.coordinator)
        back = actions.reopen(task, by=self.coordinator)
        assert (back.state, back.outcome, back.outcome_note, back.closed_by) == ("open", "", "", None)

    def test_undo_does_nothing_when_the_same_was_opened_meanwhile(self):
        task = actions.finish(opened(self), Outcome.BOOKED, by=self.coordinator)
        newer = opened(self)
        assert actions.reopen(task, by=self.coordinator).state == "done"
        assert list(Task.objects.open()) == [newer]


class PuttingOffAndHandingOn(CastTestCase):
    def test_it_leaves_the_list_until_the_moment(self):
        until = clock.now() + timedelta(hours=1)
        task = actions.snooze(opened(self), until, by=self.coordinator)
        assert not Task.objects.waiting().exists()
        with self.settings(NOW=until + timedelta(seconds=1)):
            assert list(Task.objects.waiting()) == [task]

    def test_an_urgent_one_and_the_past_are_refused(self):
        urgent = opened(self, priority=Task.Priority.URGENT)
        with pytest.raises(TaskError, match="urgent"):
            actions.snooze(urgent, clock.now() + timedelta(hours=1), by=self.coordinator)
        with pytest.raises(TaskError, match="future"):
            actions.snooze(opened(self, about="x:1"), clock.now(), by=self.coordinator)

    def test_to_a_colleague_or_a_queue(self):
        task = actions.hand_to(opened(self), self.nurse, by=self.coordinator)
        assert task.owner == self.nurse
        task = actions.hand_to(task, Task.Queue.SUPERVISORS, by=self.coordinator)
        assert (task.owner, task.queue) == (None, "supervisors")

    def test_not_to_somebody_of_another_clinic(self):
        with pytest.raises(TaskError, match="does not work"):
            actions.hand_to(opened(self), self.stranger, by=self.coordinator)


class Holding(CastTestCase):
    def test_a_claim_holds_the_whole_patient(self):
        task, other = opened(self), opened(self, about="caregap:1")
        assert actions.take(task, by=self.coordinator)
        other.refresh_from_db()
        assert other.held_by() == self.coordinator
        assert not other.claim(self.nurse)

    def test_another_patient_is_free(self):
        actions.take(opened(self), by=self.coordinator)
        free = opened(self, about="conversation:2", patient=self.make_patient("Ben", "Adams"))
        assert free.claim(self.nurse)

    def test_nobody_else_ends_puts_off_or_hands_on_what_is_held(self):
        task = opened(self)
        opened_later = None
        actions.take(task, by=self.coordinator)
        opened_later = opened(self, about="caregap:1")  # not claimed itself, but of the patient who is held
        for row in (task, opened_later):
            with pytest.raises(TaskError, match="Coordinator is working"):
                actions.finish(row, Outcome.ANSWERED, by=self.nurse)
            with pytest.raises(TaskError, match="Coordinator is working"):
                actions.snooze(row, clock.now() + timedelta(hours=1), by=self.nurse)
            with pytest.raises(TaskError, match="Coordinator is working"):
                actions.hand_to(row, self.nurse, by=self.nurse)
        actions.finish(task, Outcome.ANSWERED, by=self.coordinator)

    def test_a_claim_lapses(self):
        task = opened(self)
        actions.take(task, by=self.coordinator)
        Task.objects.update(claimed_until=clock.machine_now() - timedelta(seconds=1))
        task.refresh_from_db()
        assert task.held_by() is None
        assert actions.take(task, by=self.nurse)

    def test_it_can_be_given_back_and_taken_over_knowingly(self):
        task = opened(self)
        actions.take(task, by=self.coordinator)
        assert not actions.take(task, by=self.nurse, over=self.supervisor.pk)
        assert actions.take(task, by=self.nurse, over=self.coordinator.pk)
        actions.release(task, by=self.coordinator)  # no longer theirs
        task.refresh_from_db()
        assert task.held_by() == self.nurse
        assert actions.release(task, by=self.nurse) == 1
        assert actions.take(task, by=self.supervisor)
        assert actions.release_claims(self.supervisor) == 1

    def test_what_has_ended_cannot_be_taken(self):
        task = actions.finish(opened(self), Outcome.ANSWERED, by=self.coordinator)
        assert not actions.take(task, by=self.nurse)


@pytest.mark.postgres
@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite lets one write at a time: there is no race to test"
)
class Races(CastTransactionTestCase):
    def together(self, *acts):
        """Runs the acts at the same moment, each on its own connection; their answers."""
        barrier, answers = threading.Barrier(len(acts)), [None] * len(acts)

        def run(n, act):
            barrier.wait()
            try:
                answers[n] = act()
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        return answers

    def test_eight_at_once_open_one_task(self):
        made = self.together(*[lambda: opened(self).pk] * 8)
        assert len(set(made)) == 1
        assert Task.objects.count() == 1

    def test_of_two_who_take_at_once_one_is_told_yes(self):
        for n in range(5):
            patient = self.make_patient("Zoe", f"Race{n}")
            tasks = [opened(self, about=f"x:{n}:{k}", patient=patient) for k in range(3)]
            people = [self.user(f"racer{n}{k}", Role.NURSE) for k in range(4)]
            told = self.together(*[lambda t=tasks[k % 3], p=p: t.claim(p) for k, p in enumerate(people)])
            assert sum(told) == 1, told
            holders = {t.claimed_by_id for t in Task.objects.filter(patient=patient)}
            assert holders == {people[told.index(True)].pk}

    def test_of_two_who_end_at_once_one_outcome_stands(self):
        task = opened(self)

        def end(outcome):
            try:
                return actions.finish(Task.objects.get(pk=task.pk), outcome, by=self.coordinator).outcome
            except TaskError:
                return None

        told = self.together(lambda: end(Outcome.BOOKED), lambda: end(Outcome.DECLINED))
        assert sorted(t is None for t in told) == [False, True]
        assert AuditEvent.objects.filter(action="task.finish").count() == 1
