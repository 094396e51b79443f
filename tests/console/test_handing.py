"""Handing on and taking several patients at once, and that each can be undone."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from django.urls import reverse

from engage.audit.models import AuditEvent
from engage.lib import clock
from engage.worklist.models import Task
from tests.console.test_worklist import Desk


def undo_of(answer):
    """The address that the toast's Undo posts to."""
    return str(list(answer.context["messages"])[-1].extra_tags)


class HandingOn(Desk):
    def hand_on(self, to, task=None):
        answer = self.client.post(self.at("task_hand_on", task or self.call), {"to": str(to)}, follow=True)
        self.call.refresh_from_db()
        return undo_of(answer)

    def back(self, undo, **more):
        answer = self.client.post(undo, follow=True, **more)
        self.call.refresh_from_db()
        return answer

    def test_undo_gives_it_back_to_the_owner_and_queue_of_before(self):
        Task.objects.filter(pk=self.call.pk).update(owner=self.oncall, queue="nurses")
        undo = self.hand_on("supervisors")
        assert (self.call.owner, self.call.queue) == (None, "supervisors")
        answer = self.back(undo)
        assert (self.call.owner, self.call.queue) == (self.oncall, "nurses")
        assert "it is where it was" in answer.content.decode() and "Ben" in answer.content.decode()
        said = AuditEvent.objects.filter(action="task.hand_back", patient_id=self.ben.pk).get()
        assert (said.actor_id, said.detail) == (self.coordinator.pk, {"to": str(self.oncall.pk)})

    def test_by_htmx_the_toast_offers_it(self):
        answer = self.post("task_hand_on", self.call, htmx=True, to=str(self.nurse.pk))
        assert f'action="{reverse("tasks_hand_back")}?to={self.nurse.pk}&amp;was=' in answer.content.decode()

    def test_not_once_it_has_gone_on_or_somebody_acts(self):
        undo = self.hand_on(self.nurse.pk)
        Task.objects.filter(pk=self.call.pk).update(owner=self.supervisor)
        assert "handed on again since" in self.back(undo).content.decode()
        assert self.call.owner == self.supervisor
        Task.objects.filter(pk=self.call.pk).update(owner=self.nurse)
        assert self.call.claim(self.nurse)
        assert "Nurse is working on this patient" in self.back(undo).content.decode()
        assert self.call.owner == self.nurse

    def test_what_another_clinic_or_nobody_sent_moves_nothing(self):
        undo = self.hand_on(self.nurse.pk)
        self.client.force_login(self.stranger)
        self.back(undo)
        assert self.call.owner == self.nurse
        self.client.force_login(self.coordinator)
        for was in ("", "x", f"{self.call.pk}..nowhere", f"{self.call.pk}.{self.stranger.pk}.nurses"):
            self.back(f"{reverse('tasks_hand_back')}?to={self.nurse.pk}&was={was}")
            assert (self.call.owner_id or 0) in (self.nurse.pk, 0), was
            Task.objects.filter(pk=self.call.pk).update(owner=self.nurse)


class Selected(Desk):
    def do(self, name, *tasks, **more):
        chosen = {"task": [t.pk for t in tasks], "back": "language=es&x=1"} | more
        return self.client.post(reverse(name), chosen, follow=True)

    def owners(self):
        return dict(Task.objects.values_list("pk", "owner"))

    def test_taken_together_and_given_back_by_undo(self):
        answer = self.do("selected_take", self.call, self.urgent)
        assert answer.redirect_chain == [("/worklist/?language=es", 302)]
        assert "2 rows taken." in answer.content.decode()
        assert all(task.held_by() == self.coordinator for task in Task.objects.all())
        self.client.post(undo_of(answer))
        assert not any(task.held_by() for task in Task.objects.all())
        acts = AuditEvent.objects.filter(action__startswith="task.").values_list("action", flat=True)
        assert sorted(acts) == ["task.release"] * 2 + ["task.take"] * 2

    def test_all_or_none_are_taken(self):
        assert self.call.claim(self.nurse)
        answer = self.do("selected_take", self.urgent, self.call)
        assert "Somebody else holds one of these patients" in answer.content.decode()
        self.urgent.refresh_from_db()
        assert self.urgent.held_by() is None

    def test_all_that_waits_for_a_patient_is_handed_on_and_comes_back(self):
        other = self.task("reply", "Asks.", "x:1", 30, self.ben, owner=self.oncall)
        later = clock.now() + timedelta(days=1)
        put_off = self.task("call", "Later.", "x:2", 9, self.ben, state="snoozed", snoozed_until=later)
        before = self.owners()
        answer = self.do("selected_hand_on", self.call, self.urgent, to=str(self.nurse.pk))
        assert "2 rows handed to Nurse." in answer.content.decode()
        assert {pk for pk, owner in self.owners().items() if owner == self.nurse.pk} == {
            self.call.pk, self.urgent.pk, other.pk,
        }  # fmt: skip
        assert put_off.pk in self.owners()
        self.client.post(undo_of(answer))
        assert self.owners() == before

    def test_all_or_none_are_handed_on(self):
        before = self.owners()
        for to in ("", "nobody", str(self.stranger.pk)):
            self.do("selected_hand_on", self.call, self.urgent, to=to)
            assert self.owners() == before
        assert self.call.claim(self.nurse)
        self.do("selected_hand_on", self.urgent, self.call, to="supervisors")
        assert set(Task.objects.values_list("queue", flat=True)) == {"oncall", "coordinators"}

    def test_nothing_selected_and_another_clinic(self):
        assert "Select a row first" in self.do("selected_take").content.decode()
        self.client.force_login(self.stranger)
        for name in ("selected_take", "selected_hand_on"):
            assert "Select a row first" in self.do(name, self.call, to="nurses").content.decode()
        self.client.post(f"{reverse('selected_release')}?tasks={self.call.pk}_x")
        self.call.refresh_from_db()
        assert (self.call.owner, self.call.queue, self.call.claimed_by) == (None, "coordinators", None)

    def test_each_row_has_a_box_named_after_its_patient(self):
        text = self.client.get("/worklist/").content.decode()
        assert f'value="{self.call.pk}" data-pick aria-labelledby="open-p{self.ben.pk}"' in text
        assert f'action="{reverse("selected_take")}"' in text

    def test_the_undo_says_only_ids_and_queues(self):
        answer = self.do("selected_hand_on", self.call, to="nurses")
        asked = parse_qs(urlsplit(undo_of(answer)).query)
        assert asked == {"to": ["nurses"], "was": [f"{self.call.pk}..coordinators"]}
