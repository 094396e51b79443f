"""Checking the weekly sample, its figures, and the word list, as people do it in the console."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.urls import reverse

from engage.audit.models import AuditEvent
from engage.inbox import editing, sampling, wordlist
from engage.inbox.actions import receive
from engage.inbox.models import Conversation, Flag, Level, Reading, SampleItem, SecondReading, WordList
from engage.lib import clock
from engage.messaging.models import Message
from engage.worklist.models import Task
from tests.inbox.base import ANA, InboxTestCase, numbers

WEEK = date(2026, 2, 23)
TICKER = "my ticker is going kaput"
WHY = "Two patients wrote it this way last week."


class SortingTestCase(InboxTestCase):
    def drawn(self, *bodies):
        at = datetime(2026, 2, 25, 12, tzinfo=ZoneInfo("America/New_York"))
        for body in bodies:
            sid = f"SM{next(numbers):032x}"
            receive(sid=sid, address=ANA, to="+15550100000", body=body, raw={}, at=at)
        return sampling.draw(self.clinic, WEEK)

    def post(self, name, *args, **data):
        return self.client.post(reverse(name, args=args), data, follow=True)

    def get(self, name, *args, query=""):
        return self.client.get(reverse(name, args=args) + query).content.decode()


class Sampled(SortingTestCase):
    def setUp(self):
        self.client.force_login(self.nurse)

    def test_one_reply_at_a_time_until_all_are_checked(self):
        sample = self.drawn("Thank you!", "I have chest pain")
        for _ in range(2):
            page = self.client.get(reverse("sorting_sample", args=[sample.pk]))
            assert b"Rivera" not in page.content  # a name is not needed to judge words
            item = page.context["item"]
            self.post("sorting_item_decide", item.pk, verdict=item.said)
        assert "All checked" in self.get("sorting_sample", sample.pk)
        assert Task.objects.get(reason="sample").outcome == "checked"
        assert AuditEvent.objects.filter(action="sample.view", patient_id=self.patient.pk).count() >= 2

    def test_missed_and_taken_back(self):
        item = self.drawn("Thank you!").items.get()
        answer = self.post("sorting_item_decide", item.pk, missed="1", label="emergency")
        assert Task.objects.filter(reason="urgent_reply").exclude(state="done").exists()
        assert reverse("sorting_item_undo", args=[item.pk]) in answer.content.decode()
        self.post("sorting_item_undo", item.pk)
        assert SampleItem.objects.get().verdict is None
        assert not Task.objects.filter(reason="urgent_reply").exclude(state="done").exists()

    def test_missed_without_a_meaning_says_what_to_do(self):
        item = self.drawn("Thank you!").items.get()
        answer = self.post("sorting_item_decide", item.pk, missed="1")
        assert answer.status_code == 422 and "should have been flagged as" in answer.content.decode()

    def test_only_graver_meanings_are_offered(self):
        page = self.client.get(reverse("sorting_sample", args=[self.drawn("call me please").pk]))
        assert {label for label, *_ in page.context["first"]} == {"emergency", "self_harm", "abuse"}

    def test_the_worklist_leads_there_and_the_list_asks_few_queries(self):
        sample = self.drawn("Thank you!", "ok")
        task = Task.objects.get(reason="sample")
        assert task.link in self.get("worklist_task", task.pk)
        with self.assertNumQueries(6):
            self.get("sorting")
        assert "0 of 2 checked" in self.get("sorting") and sample.about == task.about

    def test_figures_print_what_they_are_made_of_and_when_they_tell_too_little(self):
        assert "Nothing to count yet" in self.get("sorting_figures")
        for item in sampling.waiting(self.drawn("Thank you!", "ok", "I have chest pain")):
            sampling.decide(item, item.said, by=self.nurse)
        page = self.get("sorting_figures")
        assert "3</strong> replies were checked" in page and "too little to tell" in page
        assert "At worst" in page or "at worst" in page
        assert self.client.get(reverse("sorting_figures") + "?weeks=nonsense").status_code == 200

    def test_figures_of_another_clinic_are_not_shown(self):
        for item in sampling.waiting(self.drawn("Thank you!")):
            sampling.decide(item, item.said, by=self.nurse)
        self.client.force_login(self.user("mesa nurse", "nurse", self.other_clinic))
        assert "Nothing to count yet" in self.get("sorting_figures")

    def test_what_the_second_reader_raised_is_named_and_counted_by_prompt(self):
        message = receive(sid="SM1", address=ANA, to="+15550100000", body="The ducks feed themselves", raw={})
        at = clock.machine_now()
        SecondReading.objects.create(
            message=message, state="answered", prompt_version="2026-01-01", next_at=at, made_at=at
        )
        conversation = Conversation.of(message)
        assert "Second reader" not in self.get("conversation", conversation.pk)
        reason = "Pointed out by a language model (prompt 2026-01-01)."
        Flag.objects.create(
            conversation=conversation, message=message, label="abuse", level=0, source="llm", reason=reason
        )
        page = self.get("conversation", conversation.pk)
        assert "Second reader</span>" in page and reason in page
        page = self.get("sorting_figures")
        assert "Second reader</h2>" in page and "2026-01-01" in page
        self.client.force_login(self.user("mesa nurse", "nurse", self.other_clinic))
        assert "2026-01-01" not in self.get("sorting_figures")


class Words(SortingTestCase):
    def setUp(self):
        self.client.force_login(self.nurse)

    def propose(self, entry="chest-pain", **data):
        changes = editing.draft().changes if editing.draft() else editing.live_changes()
        fields = {"seen": editing.digest(changes, entry), "add": TICKER, "add_examples": TICKER} | data
        return self.post("words_save", entry, **fields)

    def test_searched_by_phrase_example_or_group(self):
        for query, found in (
            ("angina", "chest pain"),
            ("elephant on my chest", "chest pain"),
            ("nothing-like-it", ""),
        ):
            page = self.get("words", query=f"?q={query}")
            assert (found in page) if found else ("No entry has that" in page)

    def test_a_sentence_is_read_and_kept_nowhere(self):
        answer = self.post("words_sentence", sentence="no chest pain today").content.decode()
        assert "which does not count: denied" in answer
        answer = self.post("words_sentence", sentence="my chest is tight").content.decode()
        assert "Mentions chest pain or pressure." in answer
        assert not Message.objects.filter(body__contains="chest").exists()

    def test_from_proposal_to_live_and_back(self):
        heard = self.hear(TICKER)
        assert self.propose().status_code == 200
        self.post("words_try")
        page = self.get("words_draft")
        assert '<strong class="num">1</strong> newly urgent' in page and TICKER in page
        assert AuditEvent.objects.filter(action="wordlist.trial", patient_id=heard.patient_id).exists()
        assert 'name="reason"' not in page  # a nurse proposes
        assert "clinician on call or a supervisor" in self.post("words_publish", reason=WHY).content.decode()
        self.client.force_login(self.oncall)
        self.post("words_publish", reason=WHY)
        assert self.hear(TICKER).reading.level == Level.URGENT
        assert WHY in self.get("words_history")
        self.client.force_login(self.supervisor)
        refused = self.post("words_restore", 0, reason="It pages us for clocks.")
        assert refused.status_code == 422 and "fewer things urgent" in refused.content.decode()
        self.post("words_restore", 0, reason="It pages us for clocks.", typed=editing.MEANT)
        assert self.hear(TICKER).reading.level != Level.URGENT

    def test_what_is_wrong_is_said_and_what_was_written_is_kept(self):
        answer = self.propose(add="a*", add_examples="something else")
        text = answer.content.decode()
        assert answer.status_code == 422 and "fits too many words" in text and "something else" in text
        answer = self.propose(add_examples="something else")
        assert answer.status_code == 422 and "not found by any phrase" in answer.content.decode()
        assert editing.draft() is None

    def test_an_entry_of_our_own(self):
        fields = {"says": "blue lips", "label": "emergency", "level": "urgent", "add": "(blue / gray) lips"}
        self.post("words_add", **fields, add_examples="her gray lips", add_counter="blue lipstick")
        assert "clinic-blue-lips" in editing.draft().changes["entries"]
        assert "(blue / gray) lips" in self.get("words_entry", "clinic-blue-lips")
        again = self.post("words_add", **fields, add_examples="her gray lips")
        assert again.status_code == 422 and "already" in again.content.decode()
        wrong = self.post(
            "words_add", **fields | {"level": "significant", "says": "other"}, add_examples="blue lips"
        )
        assert wrong.status_code == 422 and "is urgent" in wrong.content.decode()

    def test_trials_show_other_clinics_replies_as_a_count_only(self):
        self.hear(TICKER)
        self.propose()
        self.client.force_login(self.user("mesa nurse", "nurse", self.other_clinic))
        self.post("words_try")
        page = self.get("words_draft")
        assert "1 more is of clinics you are not assigned to" in page
        assert AuditEvent.objects.filter(action="wordlist.trial").count() == 0

    def test_fewer_urgent_stays_in_sight(self):
        self.propose("seizure", add="", add_examples="", off="on")
        self.post("words_try")
        self.client.force_login(self.supervisor)
        assert "Fewer things would be urgent" in self.get("words_draft")
        self.post("words_publish", reason=WHY, typed="fewer urgent")
        assert "Fewer things are urgent here than the shipped list says" in self.get("words")

    def test_a_broken_list_is_told_on_its_page(self):
        self.propose()
        editing.publish(editing.try_out(editing.draft()), WHY, by=self.oncall)
        WordList.objects.update(digest="other")
        with self.assertLogs("engage.inbox.wordlist", "ERROR"):
            assert wordlist.BROKEN in self.get("words").replace("&#x27;", "'")


class Loud(SortingTestCase):
    """A reply that triage could not sort is told: on every page, in set-up, to whoever watches."""

    def unsorted(self):
        message = self.hear("hello")
        old = message.created_at - timedelta(minutes=10)
        Message.objects.filter(pk=message.pk).update(created_at=old)
        Reading.objects.filter(message=message).update(complete=False, level=Level.UNSORTED)
        Conversation.objects.update(level=Level.UNSORTED, last_heard_at=old, waiting_since=old)

    def test_the_poll_says_so_to_those_who_act_and_not_to_another_clinic(self):
        self.unsorted()
        for user, told in ((self.nurse, True), (self.stranger, False), (self.auditor, False)):
            self.client.force_login(user)
            assert ("A reply could not be sorted" in self.get("poll_counts")) == told

    def test_a_reply_that_is_being_read_alarms_nobody(self):
        self.unsorted()
        Conversation.objects.update(last_heard_at=clock.now())
        self.client.force_login(self.nurse)
        assert "could not be sorted" not in self.get("poll_counts")

    def test_set_up_and_metrics(self):
        self.client.force_login(self.supervisor)
        assert "engage_replies_unsorted 0.0" in self.get("metrics")
        self.unsorted()
        metrics = self.get("metrics")
        assert "engage_replies_unsorted 1.0" in metrics
        assert "engage_replies_unsorted_oldest_seconds 600.0" in metrics
        assert "engage_word_list_broken 0.0" in metrics
        page = self.get("setup")
        assert "1 reply</span> the oldest has waited 10 min" in page


class OneKey(SortingTestCase):
    def test_not_significant_and_should_have_been_flagged_have_a_key_and_an_undo(self):
        self.hear("I have chest pain")
        conversation = self.conversation()
        self.client.force_login(self.nurse)
        page = self.get("conversation", conversation.pk)
        assert page.count('data-key="n"') == 1 and page.count('data-key="f"') == 1
        flag = Flag.objects.get(label="emergency")
        answer = self.post("flag_dismiss", flag.pk).content.decode()
        assert reverse("flag_restore", args=[flag.pk]) in answer
        self.post("flag_restore", flag.pk)
        assert Flag.objects.get(pk=flag.pk).state == "proposed"
        answer = self.post("message_flag", flag.message_id, label="other").content.decode()
        added = Flag.objects.get(source="staff")
        assert reverse("flag_dismiss", args=[added.pk]) in answer
