"""The weekly sample: drawn the same every time, weighted, put before nurses, and what it leads to."""

from collections import Counter
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engage.audit.models import AuditEvent
from engage.inbox import actions, flags, sampling
from engage.inbox.actions import receive
from engage.inbox.jobs import draw_samples
from engage.inbox.models import Conversation, Flag, InboxError, Level, Reading, Sample, SampleItem
from engage.lib import clock
from engage.messaging.models import Message
from engage.worklist.models import Task
from tests.inbox.base import ANA, InboxTestCase, numbers

WEEK = date(2026, 2, 23)  # the last whole week before Wednesday 4 March
ROUTINE, GRAVE = "Thank you!", "I have chest pain"


class SampleTestCase(InboxTestCase):
    def heard(self, body, day=2, address=ANA, hour=12):
        at = datetime(2026, 2, 23, hour, tzinfo=ZoneInfo("America/New_York")) + timedelta(days=day)
        return receive(
            sid=f"SM{next(numbers):032x}", address=address, to="+15550100000", body=body, raw={}, at=at
        )

    def drawn(self, *bodies):
        for body in bodies:
            self.heard(body)
        return sampling.draw(self.clinic, WEEK)

    def rows(self, counts):
        """Readings made without reading: {(level, language): how many}."""
        made = [
            Message(
                direction="in", state="received", clinic=self.clinic, patient=self.patient, address=ANA, body="x",
                key=f"in:{next(numbers)}", created_at=datetime(2026, 2, 25, 15, tzinfo=ZoneInfo("UTC")),
            )
            for _ in range(sum(counts.values()))
        ]  # fmt: skip
        Message.objects.bulk_create(made)
        kinds = [kind for kind, n in counts.items() for _ in range(n)]
        Reading.objects.bulk_create(
            Reading(message=m, said=level, level=level, language=language, complete=True)
            for m, (level, language) in zip(Message.objects.filter(body="x"), kinds, strict=True)
        )


class Drawing(SampleTestCase):
    def test_every_stratum_is_drawn_and_the_weights_add_up_to_all_replies(self):
        self.rows({(3, "en"): 300, (3, "es"): 40, (3, "vi"): 2, (2, "en"): 90, (2, "es"): 9, (0, "en"): 5})
        sample = sampling.draw(self.clinic, WEEK)
        items = list(sample.items.all())
        assert sample.replies == 446 and sum(i.weight for i in items) == pytest.approx(446)
        assert Counter(i.said for i in items) == {3: 20, 2: 12, 0: 5}
        routine = Counter(i.language for i in items if i.said == 3)
        assert routine["vi"] == 2 and routine["es"] >= 3 and routine["en"] > 10
        assert [i.position for i in sample.items.order_by("position")] == list(range(1, 38))

    def test_the_same_replies_whenever_it_is_drawn(self):
        self.rows({(3, "en"): 100})
        first = set(sampling.draw(self.clinic, WEEK).items.values_list("message", "position"))
        assert set(sampling.draw(self.clinic, WEEK).items.values_list("message", "position")) == first
        Task.objects.all().delete()
        Sample.objects.all().delete()
        assert set(sampling.draw(self.clinic, WEEK).items.values_list("message", "position")) == first

    def test_only_the_weeks_own_replies_in_the_clinics_zone(self):
        inside = [self.heard("one", day=0, hour=0), self.heard("two", day=6, hour=23)]
        self.heard("three", day=-1, hour=23), self.heard("four", day=7, hour=0)
        sample = sampling.draw(self.clinic, WEEK)
        assert set(sample.items.values_list("message", flat=True)) == {m.pk for m in inside}

    def test_what_triage_said_counts_whatever_people_decided_since(self):
        message = self.heard(GRAVE)
        actions.dismiss(Flag.objects.get(message=message, label="emergency"), by=self.nurse)
        assert sampling.draw(self.clinic, WEEK).items.get().said == Level.URGENT

    def test_a_later_reader_that_raised_a_reply_is_part_of_the_triage(self):
        message = self.heard(ROUTINE)
        conversation = Conversation.of(message)
        Flag.objects.create(
            conversation=conversation, message=message, label="abuse", level=0, source="model"
        )
        assert sampling.draw(self.clinic, WEEK).items.get().said == Level.URGENT

    def test_what_was_never_sorted_is_counted_and_not_drawn(self):
        Reading.objects.filter(message=self.heard("hello")).update(complete=False)
        sample = self.drawn(ROUTINE)
        assert (sample.replies, sample.unsorted, sample.items.count()) == (2, 1, 1)

    def test_the_job_draws_once_and_asks_the_nurses_of_that_clinic(self):
        self.heard(ROUTINE)
        assert draw_samples() == 1 and draw_samples() == 1  # nobody wrote to Mesa
        task = Task.objects.get(reason="sample")
        assert (task.clinic, task.queue, task.patient) == (self.clinic, "nurses", None)
        assert task.link == f"/sorting/samples/{Sample.objects.get().pk}/"
        assert AuditEvent.objects.filter(action="sample.draw").count() == 1


class Deciding(SampleTestCase):
    def test_agreeing_with_all_ends_the_sample_and_its_task(self):
        sample = self.drawn(ROUTINE, "call me please")
        for item in sampling.waiting(sample):
            sampling.decide(item, item.said, by=self.nurse)
        sample.refresh_from_db()
        task = Task.objects.get(reason="sample")
        assert sample.done_at == clock.now()
        assert (task.state, task.outcome, task.closed_by) == ("done", "checked", self.nurse)

    def test_a_missed_emergency_alerts_and_opens_the_urgent_task(self):
        item = self.drawn(ROUTINE).items.get()
        actions.close(Conversation.of(item.message), by=self.coordinator)
        sampling.decide(item, Level.URGENT, label="emergency", by=self.nurse)
        task = Task.objects.get(reason="urgent_reply")
        assert task.priority == Task.Priority.URGENT and task.queue == "oncall"
        assert Conversation.of(item.message).state == "open"
        assert item.message.flags.get(source="staff").label == "emergency"

    def test_a_missed_question_is_a_task_unless_somebody_has_written_since(self):
        first, second = self.drawn(ROUTINE, "ok").items.order_by("message_id")
        sampling.decide(first, Level.SIGNIFICANT, label="question", by=self.nurse)
        assert Task.objects.filter(reason="reply", opened_by="sampling").count() == 1
        Task.objects.filter(reason="reply").delete()
        self.said("We have answered.", author=self.coordinator)
        sampling.decide(second, Level.SIGNIFICANT, label="question", by=self.nurse)
        assert not Task.objects.filter(reason="reply").exists()

    def test_graver_needs_a_meaning_of_that_level(self):
        item = self.drawn(ROUTINE).items.get()
        for verdict, label in (
            (0, ""),
            (0, "question"),
            (2, "emergency"),
            (2, "nonsense"),
            (1, "question"),
            (9, ""),
        ):
            with pytest.raises(InboxError):
                sampling.decide(item, verdict, label=label, by=self.nurse)
        assert SampleItem.objects.get().verdict is None

    def test_less_grave_is_a_verdict_and_leaves_the_flags_to_the_conversation(self):
        item = self.drawn(GRAVE).items.get()
        sampling.decide(item, Level.ROUTINE, by=self.nurse)
        assert item.message.flags.get(label="emergency").state == "proposed"

    def test_taken_back(self):
        sample = self.drawn(ROUTINE)
        item = sample.items.get()
        sampling.decide(item, Level.URGENT, label="emergency", by=self.nurse)
        sampling.take_back(item, by=self.nurse)
        sample.refresh_from_db()
        assert (item.verdict, item.decided_by, sample.done_at) == (None, None, None)
        assert item.message.flags.get(source="staff").state == Flag.State.DISMISSED
        assert Task.objects.get(reason="urgent_reply").state == "done"
        assert Task.objects.filter(reason="sample").exclude(state="done").count() == 1

    def test_seen_by_the_clinics_own_people(self):
        sample = self.drawn(ROUTINE)
        assert list(sampling.visible_to(self.nurse)) == [sample]
        assert not sampling.visible_to(self.stranger).exists()


def test_urgent_labels_have_their_level():
    assert sampling.level_of("abuse") == Level.URGENT and sampling.level_of("question") == Level.SIGNIFICANT
    assert flags.URGENT_LABELS == sampling.URGENT_LABELS
