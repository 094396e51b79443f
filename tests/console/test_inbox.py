"""The pages of the inbox: folders, list, conversation, composer, matching, flags; who may see them."""

from datetime import timedelta

from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from engage.audit.models import AuditEvent
from engage.inbox import actions
from engage.inbox.models import Conversation, Flag, Level
from engage.lib import clock
from engage.messaging.models import Message, Template
from engage.worklist.models import Task
from tests.base import NOON
from tests.inbox.base import ANA, InboxTestCase

NIGHT = NOON + timedelta(hours=13)  # 01:00 in New York


class Pages(InboxTestCase):
    def setUp(self):
        self.client.force_login(self.coordinator)

    def page(self, name, *args, **query):
        return self.client.get(reverse(name, args=args), query)

    def do(self, name, *args, **data):
        return self.client.post(reverse(name, args=args), data)


class Lists(Pages):
    def test_each_folder_opens(self):
        self.hear("What time do you open?")
        for slug in (
            "urgent",
            "open",
            "mine",
            "unassigned",
            "waiting",
            "snoozed",
            "unmatched",
            "closed",
            "all",
        ):
            assert self.page("inbox_folder", slug).status_code == 200, slug

    def test_no_such_folder(self):
        assert self.page("inbox_folder", "nonsense").status_code == 404

    def test_a_row_shows_the_flag_in_shape_word_and_the_patients_words(self):
        self.hear("Since this morning I have chest pain")
        page = self.page("inbox").content.decode()
        assert "▲" in page
        assert "Urgent" in page
        assert "“chest pain”" in page
        assert "Rivera, Ana" in page

    def test_the_most_urgent_row_is_first(self):
        self.make_patient("Eva", "Stone", "+16175550143")
        self.hear("What time do you open?")
        self.hear("I have chest pain", address="+16175550143")
        page = self.page("inbox").content.decode()
        assert page.index("Stone, Eva") < page.index("Rivera, Ana")

    def test_fifty_rows_cost_no_more_queries_than_one(self):
        for n in range(55):
            self.make_patient(f"P{n}", "Test", f"+1617555{1000 + n}")
            self.hear("What time do you open?", address=f"+1617555{1000 + n}")
        self.page("inbox")  # the session is written once
        with CaptureQueriesContext(connection) as asked:
            page = self.page("inbox")
        assert len(asked) <= 12
        assert page.content.decode().count("data-row") == 50
        more = self.page("inbox", after=page.context["more"]).content.decode()
        assert more.count("data-row") == 5

    def test_search_by_family_name(self):
        self.hear("What time do you open?")
        assert "Rivera, Ana" in self.page("inbox", q="riv").content.decode()
        assert "No conversation matches" in self.page("inbox", q="zzz").content.decode()

    def test_an_empty_folder_says_that_it_is_done(self):
        assert "Every reply has been looked at." in self.page("inbox").content.decode()

    def test_the_list_is_audited(self):
        self.hear("What time do you open?")
        self.page("inbox")
        assert AuditEvent.objects.filter(action="inbox.list", patient_id=self.patient.pk).exists()

    def test_another_clinic_sees_nothing_of_it(self):
        self.hear("What time do you open?")
        self.client.force_login(self.stranger)
        assert b"Rivera" not in self.page("inbox_folder", "all").content


class Conversations(Pages):
    def open(self, **query):
        return self.page("conversation", self.conversation().pk, **query)

    def test_evidence_is_underlined_and_markup_is_not_taken_from_patients(self):
        self.hear("I have chest pain now <b>help</b>")
        page = self.open().content.decode()
        assert '<mark class="urgent">chest pain</mark>' in page
        assert "&lt;b&gt;help&lt;/b&gt;" in page

    def test_seeing_it_is_noted_and_audited(self):
        self.hear("What time do you open?")
        page = self.open().content.decode()
        assert "Seen by Coordinator, 12:00" in page
        assert AuditEvent.objects.filter(action="conversation.view", patient_id=self.patient.pk).exists()

    def test_htmx_gets_the_pane_alone(self):
        self.hear("What time do you open?")
        address = reverse("conversation", args=[self.conversation().pk])
        page = self.client.get(address, headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in page
        assert "time do you open?" in page

    def test_each_text_says_why_it_went_or_did_not(self):
        checks = [{"check": "consent", "ok": False, "found": "The patient opted out."}]
        self.said(state="suppressed", state_reason="The patient opted out.", verdict={"checks": checks})
        self.hear("hello?")
        page = self.open().content.decode()
        assert "Why was this not sent?" in page
        assert "Not sent: The patient opted out." in page
        assert "Automatic" in page

    def test_another_clinic_cannot(self):
        self.hear("What time do you open?")
        self.client.force_login(self.stranger)
        assert self.open().status_code == 404

    def test_the_administrator_of_campaigns_reads_no_conversation(self):
        self.hear("What time do you open?")
        self.client.force_login(self.administrator)
        assert self.open().status_code == 403


class Composing(Pages):
    def setUp(self):
        super().setUp()
        self.hear("What time do you open?")
        self.pk = self.conversation().pk

    def send(self, body="We open at 8.", **more):
        form = self.page("conversation", self.pk).context["composer"]
        data = {"body": body, "key": form.key, "last": form.last} | more
        return self.do("conversation_reply", self.pk, **data)

    def test_it_shows_to_whom_and_when_it_goes(self):
        page = self.page("conversation", self.pk).content.decode()
        assert "Ana Rivera" in page
        assert "1 May 1960" in page
        assert "Goes now" in page
        assert "consent to texts: given" in page

    def test_at_night_it_says_when_it_will_go(self):
        with override_settings(NOW=NIGHT + timedelta(days=2)):
            page = self.page("conversation", self.pk).content.decode()
        assert "Goes at 09:00 today (quiet hours)" in page

    def test_an_answer_is_queued_with_ten_seconds_to_undo(self):
        assert self.send().status_code == 302
        message = Message.objects.get(author=self.coordinator)
        assert message.state == "queued"
        page = self.page("conversation", self.pk).content.decode()
        assert f"/inbox/messages/{message.pk}/undo/" in page

    def test_undo_brings_the_words_back_into_the_composer(self):
        self.send("We open at nine.")
        message = Message.objects.get(author=self.coordinator)
        back = self.do("message_undo", message.pk)
        message.refresh_from_db()
        assert message.state == "suppressed"
        assert "We open at nine.</textarea>" in self.client.get(back.url).content.decode()

    def test_only_the_author_can_undo(self):
        self.send()
        self.client.force_login(self.nurse)
        self.do("message_undo", Message.objects.get(author=self.coordinator).pk)
        assert Message.objects.get(author=self.coordinator).state == "queued"

    def test_the_form_sent_twice_answers_once(self):
        form = self.page("conversation", self.pk).context["composer"]
        for _ in range(2):
            self.do("conversation_reply", self.pk, body="We open at 8.", key=form.key, last=form.last)
        assert Message.objects.filter(author=self.coordinator).count() == 1

    def test_a_newer_reply_must_be_read_first_and_the_words_are_kept(self):
        form = self.page("conversation", self.pk).context["composer"]
        self.hear("Never mind, I found it")
        page = self.do("conversation_reply", self.pk, body="We open at 8.", key=form.key, last=form.last)
        assert page.status_code == 422
        assert "wrote again while you were writing" in page.content.decode()
        assert "We open at 8.</textarea>" in page.content.decode()
        assert not Message.objects.filter(author=self.coordinator).exists()

    def test_a_colleagues_answer_must_be_read_first(self):
        form = self.page("conversation", self.pk).context["composer"]
        first = actions.reply(self.conversation(), "At nine.", by=self.nurse, key="staff:1")
        late = {"body": "We open at 8.", "key": form.key, "last": form.last}
        page = self.do("conversation_reply", self.pk, **late)
        assert page.status_code == 422
        assert "A colleague answered while you were writing" in page.content.decode()
        assert "We open at 8.</textarea>" in page.content.decode()
        assert actions.take_back(self.conversation(), first, by=self.nurse)
        assert self.do("conversation_reply", self.pk, **late).status_code == 302

    def test_after_an_opt_out_it_says_why_nothing_can_go(self):
        self.hear("STOP")
        page = self.page("conversation", self.pk).content.decode()
        assert "Cannot go: The patient opted out." in page
        assert "disabled>Send" in page

    def test_a_key_made_up_by_somebody_is_refused(self):
        assert self.send(key="campaign:1:1:1").status_code == 422

    def test_the_preview_counts_parts(self):
        page = self.do("conversation_preview", self.pk, body="a" * 161)
        assert page.content.decode() == "161 characters, 2 parts"

    def test_ready_answers_come_in_the_patients_language(self):
        for language, words in (("en", "We will call you."), ("es", "Le llamamos.")):
            Template.objects.create(
                key="we-call",
                language=language,
                purpose="staff",
                name="We call",
                body=words,
                approved_at=clock.now(),
            )
        self.patient.language = "es"
        self.patient.save()
        page = self.page("conversation", self.pk, ready="we-call").content.decode()
        assert "Le llamamos.</textarea>" in page


class Acts(Pages):
    def setUp(self):
        super().setUp()
        self.hear("What time do you open?")
        self.pk = self.conversation().pk

    def test_take_and_give_back(self):
        self.do("conversation_take", self.pk)
        assert self.conversation().owner == self.coordinator
        self.do("conversation_release", self.pk)
        assert self.conversation().owner is None

    def test_a_colleagues_conversation_is_taken_over_only_knowingly(self):
        self.do("conversation_take", self.pk)
        self.client.force_login(self.nurse)
        self.do("conversation_take", self.pk)
        assert self.conversation().owner == self.coordinator
        self.do("conversation_take", self.pk, over=self.coordinator.pk)
        assert self.conversation().owner == self.nurse

    def test_taking_over_can_be_undone_while_it_is_ones_own(self):
        self.do("conversation_take", self.pk)
        self.client.force_login(self.nurse)
        answer = self.do("conversation_take", self.pk, over=self.coordinator.pk)
        undo = f"{reverse('conversation_hand_back', args=[self.pk])}?to={self.coordinator.pk}"
        assert f'action="{undo}"' in self.client.get(answer["Location"]).content.decode()
        for to in (self.stranger.pk, self.auditor.pk, "x", ""):
            self.client.post(f"{reverse('conversation_hand_back', args=[self.pk])}?to={to}")
            assert self.conversation().owner == self.nurse
        self.client.post(undo)
        assert self.conversation().owner == self.coordinator
        said = AuditEvent.objects.get(action="conversation.hand_back")
        assert (said.actor_id, said.detail) == (self.nurse.pk, {"to": self.coordinator.pk})
        self.client.post(undo)  # once more: it is not the nurse's now
        assert AuditEvent.objects.filter(action="conversation.hand_back").count() == 1

    def test_snooze_close_and_open_again(self):
        last = self.page("conversation", self.pk).context["last"]
        self.do("conversation_snooze", self.pk, until="tomorrow", last=last)
        assert self.conversation().snoozed_until == NOON.replace(day=5, hour=14)
        self.do("conversation_reopen", self.pk)
        self.do("conversation_close", self.pk, last=last)
        assert self.conversation().state == "closed"
        self.do("conversation_reopen", self.pk)
        assert self.conversation().state == "open"

    def test_over_a_newer_reply_nobody_has_read_nothing_leaves(self):
        page = self.page("conversation", self.pk)
        last = page.context["last"]
        assert page.content.decode().count(f'name="last" value="{last}"') == 2  # to snooze, to close
        self.hear("Also I have a rash on my arm that itches")
        for act, more in (("snooze", {"until": "tomorrow"}), ("close", {})):
            answer = self.client.post(
                reverse(f"conversation_{act}", args=[self.pk]), {"last": last, **more}, follow=True
            )
            assert "the patient wrote again since you opened this" in answer.content.decode()
            assert self.conversation().state == "open"
        assert Task.objects.open().filter(about=self.conversation().about).exists()

    def test_snoozed_until_nonsense_stays(self):
        self.do("conversation_snooze", self.pk, until="never")
        assert self.conversation().state == "open"

    def test_urgent_is_not_closed_and_the_page_says_why(self):
        self.hear("I have chest pain")
        page = self.client.post(reverse("conversation_close", args=[self.pk]), follow=True).content.decode()
        assert "an urgent reply has no outcome" in page
        assert self.conversation().state == "open"

    def test_not_significant(self):
        self.hear("I have chest pain")
        for flag in Flag.objects.filter(level=Level.URGENT):
            self.do("flag_dismiss", flag.pk)
        assert Task.objects.get(reason="urgent_reply").outcome == "not_significant"

    def test_right_and_missed(self):
        flag = Flag.objects.first()
        self.do("flag_confirm", flag.pk)
        self.do("message_flag", Message.objects.get(direction="in").pk, label="symptom")
        assert Flag.objects.get(pk=flag.pk).state == "confirmed"
        assert Flag.objects.get(label="symptom").source == "staff"

    def test_write_first(self):
        eva = self.make_patient("Eva", "Stone", "+16175550143")
        page = self.client.post(reverse("patient_write", args=[eva.pk]), follow=True)
        assert "Eva Stone" in page.content.decode()
        assert self.conversation(eva).state == "waiting"


class Unmatched(Pages):
    NUMBER = "+16175550177"

    def setUp(self):
        super().setUp()
        self.eva = self.make_patient("Eva", "Rivera", ANA, mrn="MRN77")
        self.hear("I already had it in March")
        self.talk = Conversation.objects.get(address=ANA)

    def test_the_candidates_are_shown_with_two_identifiers_and_the_hint(self):
        self.said(patient=self.eva)
        page = self.page("conversation", self.talk.pk).content.decode()
        assert "Rivera, Eva" in page
        assert "MRN77" in page
        assert "our last text went to this patient" in page
        assert AuditEvent.objects.filter(action="inbox.candidates", patient_id=self.eva.pk).exists()

    def test_a_candidate_of_another_clinic_is_counted_and_not_named(self):
        self.make_patient("Zoe", "Secret", ANA, clinic=self.other_clinic)
        self.hear("hello?")
        page = self.page("conversation", self.talk.pk).content.decode()
        assert "1 more on this number" in page
        assert "Secret" not in page

    def test_choosing_one_moves_the_replies(self):
        last = self.page("conversation", self.talk.pk).context["last"]
        page = self.do("conversation_match", self.talk.pk, patient=self.eva.pk, last=last)
        assert page.url == f"{self.conversation(self.eva).link}#latest"
        assert Message.objects.get(direction="in").patient == self.eva

    def test_a_newer_reply_of_a_shared_number_may_be_somebody_elses(self):
        shown = self.page("conversation", self.talk.pk)
        last = shown.context["last"]
        assert (
            shown.content.decode().count(f'name="last" value="{last}"') == 3
        )  # to snooze, to close, to match
        self.hear("This is not Eva")
        chosen = {"patient": self.eva.pk, "last": last}
        page = self.client.post(reverse("conversation_match", args=[self.talk.pk]), chosen, follow=True)
        assert "Another reply has come from this number" in page.content.decode()
        assert not Message.objects.filter(patient=self.eva).exists()

    def test_chosen_by_mistake_it_is_taken_back(self):
        chosen = {"patient": self.eva.pk, "last": Message.objects.get(direction="in").pk}
        page = self.client.post(
            reverse("conversation_match", args=[self.talk.pk]), chosen, follow=True
        ).content.decode()
        back = reverse("conversation_unmatch", args=[self.conversation(self.eva).pk])
        assert page.count(f'action="{back}"') == 2  # in the toast, and with the reply
        answer = self.client.post(back, follow=True)
        assert "Who wrote this?" in answer.content.decode()
        assert Message.objects.get(direction="in").patient is None
        again = self.client.post(back, follow=True)
        assert "No reply here was matched by hand." in again.content.decode()

    def test_a_patient_of_another_clinic_cannot_be_chosen(self):
        other = self.make_patient("Zoe", "Secret", clinic=self.other_clinic)
        assert self.do("conversation_match", self.talk.pk, patient=other.pk).status_code == 404
        assert self.do("conversation_match", self.talk.pk, patient="x").status_code == 404

    def test_somebody_else_is_found_by_search(self):
        self.make_patient("Bo", "Stone", "+16175550190")
        page = self.page("conversation", self.talk.pk, find="stone").content.decode()
        assert "Stone, Bo" in page


class Doubt(Pages):
    def setUp(self):
        super().setUp()
        self.hear("Stop it with these already ugh")
        self.pk = self.conversation().pk

    def test_the_page_asks_about_the_number_and_an_answer_can_go(self):
        page = self.page("conversation", self.pk)
        asked = " ".join(page.content.decode().split())
        assert "Nothing automatic is sent to (617) 555-0142 until you decide" in asked
        form = page.context["composer"]
        self.do("conversation_reply", self.pk, body="We stop them.", key=form.key, last=form.last)
        assert Message.objects.get(author=self.coordinator).state == "queued"

    def test_the_decision_ends_the_question_and_the_texts(self):
        self.do("conversation_doubt", self.pk, decision="stop")
        assert self.page("conversation", self.pk).context["in_doubt"] == []
        assert self.patient.contact_points.get().sms_consent == "revoked"


class Closing(Pages):
    """ "I already had it in March": recorded with evidence, and taken back."""

    def setUp(self):
        super().setUp()
        self.gap = self.open_gap()
        self.said(about=self.gap.about)
        self.hear("I already had my colonoscopy in March")
        self.waiting = self.queued(about=self.gap.about)

    def record(self, **more):
        form = {"what": "colonoscopy", "done_on": "March 2025", "known_by": "patient_says"}
        return self.do("close_gap", self.gap.pk, **form | more)

    def test_the_conversation_offers_it(self):
        page = self.page("conversation", self.conversation().pk).content.decode()
        assert f"/gaps/{self.gap.pk}/close/" in page

    def test_the_form_is_filled_in_from_the_patients_words(self):
        page = self.page("conversation", self.conversation().pk)
        ((_, form, said),) = page.context["gaps"]
        assert said
        assert form.initial["what"] == "colonoscopy"
        assert form.initial["done_on"] == "March 2026"
        assert form.initial["message_id"] == Message.objects.get(direction="in").pk

    def test_it_closes_the_gap_settles_the_task_and_cancels_what_was_queued(self):
        back = self.record(next="/inbox/")
        assert back.url == "/inbox/"
        self.gap.refresh_from_db()
        self.waiting.refresh_from_db()
        assert (self.gap.status, self.waiting.state) == ("closed", "suppressed")
        closure = self.gap.closures.get()
        assert (closure.done_on.isoformat(), closure.precision, closure.recorded_by) == (
            "2025-03-01",
            "month",
            self.coordinator,
        )
        assert Task.objects.get(reason="already_done").outcome == "already_done"

    def test_it_can_be_taken_back(self):
        self.record()
        self.do("undo_closure", self.gap.closures.get().pk)
        self.gap.refresh_from_db()
        assert self.gap.status == "open"

    def test_taken_back_of_one_who_has_died_it_stays_closed(self):
        self.record()
        type(self.patient).objects.filter(pk=self.patient.pk).update(deceased=True)
        self.do("undo_closure", self.gap.closures.get().pk)
        assert "The closure is taken back: the gap stays closed." in self.page("inbox").content.decode()

    def test_what_makes_no_sense_is_said(self):
        for written, said in (
            ("2027-01-01", "still to come"),
            ("1950", "before the patient was born"),
            ("soon", "not a date we can read"),
            ("2025-02-30", "no such day"),
        ):
            page = self.record(done_on=written)
            assert page.status_code == 422
            assert said in page.content.decode(), written

    def test_it_never_goes_to_another_site_afterwards(self):
        assert self.record(next="https://evil.example/").url == f"/patients/{self.patient.pk}/"

    def test_another_clinic_cannot(self):
        self.client.force_login(self.stranger)
        assert self.record().status_code == 404
        assert self.page("close_gap", self.gap.pk).status_code == 404
