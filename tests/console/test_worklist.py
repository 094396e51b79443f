"""The worklist's pages: what a row says, the panel, the acts, and that all of it works without JavaScript."""

from datetime import date, timedelta

from django.test import override_settings
from django.urls import reverse

from engage.audit.models import AuditEvent
from engage.campaigns.models import Campaign, Enrollment
from engage.caregaps.models import CareGap
from engage.console.templatetags.desk import due_text
from engage.inbox.models import Conversation, Flag
from engage.lib import clock
from engage.messaging.models import Message, Stream
from engage.records.actions import import_resources
from engage.worklist.models import Outcome, Reason, Task
from tests.base import NOON, CastTestCase

HTMX = {"HX-Request": "true"}


class Desk(CastTestCase):
    """A patient with an urgent reply, and one who is due for a screening."""

    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        with override_settings(NOW=NOON):
            cls.fill()

    @classmethod
    def fill(cls):
        cls.conversation = Conversation.objects.create(
            patient=cls.patient, clinic=cls.clinic, address="+16175550142", level=0, waiting_since=clock.now()
        )
        cls.message = Message.objects.create(
            direction="in", state="received", clinic=cls.clinic, patient=cls.patient, address="+16175550142",
            body="I have chest pain since noon", key="in:1",
        )  # fmt: skip
        Flag.objects.create(
            conversation=cls.conversation, message=cls.message, label="emergency", level=0, evidence="chest pain",
            start=7, end=17, source="lexicon",
        )  # fmt: skip
        cls.urgent = cls.task(
            "urgent_reply", "Mentions what may be an emergency: “chest pain”.", cls.conversation.about, minutes=5,
            priority=0, queue="oncall", link=cls.conversation.link,
        )  # fmt: skip
        cls.ben = cls.make_patient("Ben", "Adams", "+16175550143", mrn="HA77", language="es")
        cls.gap = CareGap.objects.create(
            patient=cls.ben, measure="CMS130", period_start=date(2026, 1, 1), rules="2025.1", status="open",
            opened_on=date(2026, 1, 2), due_since=date(2026, 1, 1),
        )  # fmt: skip
        cls.call = cls.task(
            "call", "Nobody answered two texts: call.", cls.gap.about, minutes=-60, patient=cls.ben
        )

    @classmethod
    def task(cls, reason, summary, about, minutes, patient=None, **more):
        return Task.objects.create(
            reason=reason, summary=summary, about=about, clinic=cls.clinic, patient=patient or cls.patient,
            due_at=clock.now() + timedelta(minutes=minutes), **more,
        )  # fmt: skip

    def setUp(self):
        self.client.force_login(self.coordinator)

    def at(self, name, task=None):
        return reverse(name, args=[task.pk] if task else [])

    def post(self, name, task, htmx=False, **values):
        shown = {"last": self.message.pk}  # as the form of the panel has it
        return self.client.post(self.at(name, task), shown | values, headers=HTMX if htmx else {})


class Listing(Desk):
    def test_a_row_says_why_in_the_patients_words_then_who_and_what(self):
        text = self.client.get("/worklist/").content.decode()
        assert text.index("Needs a person now") < text.index("Rivera, Ana") < text.index("Overdue")
        assert text.index("Overdue") < text.index("Adams, Ben")
        assert "▲" in text and "Urgent" in text and "“chest pain”" in text
        assert "Mentions what may be an emergency." in text  # the words stand once, in the first column
        assert "1 h late" in text and "Spanish" in text

    def test_what_fell_due_this_minute_is_not_called_late(self):
        at = clock.now()
        wait = [
            (at + timedelta(minutes=1), "by"),
            (at - timedelta(seconds=30), "due now"),
            (at - timedelta(minutes=2), "2 min late"),
        ]
        for due, said in wait:
            assert due_text(Task(due_at=due, clinic=self.clinic)).startswith(said)

    def test_a_dismissed_flag_is_no_reason_any_more(self):
        Flag.objects.update(state="dismissed")
        assert (
            "Mentions what may be an emergency: “chest pain”."
            in self.client.get("/worklist/").content.decode()
        )

    def test_each_patient_shown_leaves_an_audit_row(self):
        self.client.get("/worklist/")
        seen = AuditEvent.objects.filter(action="worklist.list").values_list("patient_id", flat=True)
        assert sorted(seen) == sorted([self.patient.pk, self.ben.pk])

    def test_filters_and_their_empty_state(self):
        assert b"Rivera" not in self.client.get("/worklist/?language=es").content
        nothing = self.client.get("/worklist/?reason=no_template").content.decode()
        assert "Nothing here matches" in nothing and "Show everything" in nothing

    def test_an_empty_list_says_so(self):
        Task.objects.update(state="done", outcome="answered")
        assert "Nothing waits for you" in self.client.get("/worklist/").content.decode()

    def test_the_sender_nobody_knows_yet_is_a_number(self):
        Task.objects.all().delete()
        talk = Conversation.objects.create(address="+16175550177", clinic=self.clinic)
        Task.objects.create(
            reason=Reason.UNMATCHED_REPLY, summary="Whose reply is this?", about=talk.about, clinic=self.clinic,
            due_at=clock.now(), link=talk.link,
        )  # fmt: skip
        assert "(617) 555-0177" in self.client.get("/worklist/").content.decode()
        Task.objects.create(
            reason=Reason.URGENT_REPLY, summary="Mentions chest pain.", about=talk.about, clinic=self.clinic,
            due_at=clock.now(), link=talk.link,
        )  # fmt: skip
        assert self.client.get("/worklist/").content.decode().count("(617) 555-0177</a>") == 2

    def test_at_most_twelve_queries_with_many_rows(self):
        for n in range(60):
            patient = self.make_patient("P", f"P{n}", f"+161755502{n:02}")
            self.task("reply", "Asks.", f"conversation:{900 + n}", n, patient)
        self.client.get("/worklist/")
        with self.assertNumQueries(11):
            page = self.client.get("/worklist/").content.decode()
        assert page.count('id="row-p') == 50
        assert "The next patients" in page

    def test_the_next_page_follows_and_keeps_the_filters(self):
        for n in range(60):
            self.task("reply", "Asks.", f"x:{n}", n, self.make_patient("P", f"P{n:02}"))
        first = self.client.get("/worklist/?reason=reply")
        following = self.client.get(f"/worklist/?{first.context['more']}")
        names = [
            [row.patient.family for _, _, rows in page.context["bands"] for row in rows]
            for page in (first, following)
        ]
        assert len(names[0]) == 50 and len(names[1]) == 10
        assert not set(names[0]) & set(names[1])


class Panel(Desk):
    def test_it_names_the_patient_twice_over_and_shows_what_was_said(self):
        page = self.client.get(self.at("worklist_task", self.urgent)).content.decode()
        panel = page[page.index('class="panel"') :]
        assert "Rivera, Ana" in panel and "1 May 1960" in panel
        assert "<mark>chest pain</mark>" in panel
        assert self.conversation.link in panel
        assert "Put off" not in panel  # an urgent one cannot be put off

    def test_the_same_fragment_alone_for_htmx(self):
        alone = self.client.get(self.at("worklist_task", self.urgent), headers=HTMX).content.decode()
        assert 'class="panel"' in alone and "<html" not in alone
        whole = self.client.get(self.at("worklist_task", self.urgent)).content.decode()
        assert "<html" in whole and "Adams, Ben" in whole  # with its list beside it

    def test_the_gap_is_explained_and_can_be_closed_here(self):
        panel = self.client.get(self.at("worklist_task", self.call)).content.decode()
        assert "Colorectal" in panel
        assert reverse("close_gap", args=[self.gap.pk]) in panel

    def test_the_patients_reply_is_offered_as_the_evidence(self):
        said = Message.objects.create(
            direction="in", state="received", clinic=self.clinic, patient=self.ben, body="Did it in March", key="in:2",
            address="+16175550143",
        )  # fmt: skip
        Conversation.objects.create(patient=self.ben, clinic=self.clinic, address="+16175550143")
        task = self.task("already_done", "Says it is already done.", self.gap.about, 60, self.ben)
        panel = self.client.get(self.at("worklist_task", task)).content.decode()
        assert f'name="message_id" value="{said.pk}"' in panel
        assert panel.index("Due for") < panel.index("How did it end?")

    def test_looking_is_recorded(self):
        self.client.get(self.at("worklist_task", self.call))
        assert AuditEvent.objects.filter(action="task.view", patient_id=self.ben.pk).count() == 1

    def test_another_clinic_cannot(self):
        self.client.force_login(self.stranger)
        for name in ("worklist_task",):
            assert self.client.get(self.at(name, self.urgent)).status_code == 404
        for name in (
            "task_take",
            "task_release",
            "task_finish",
            "task_snooze",
            "task_hand_on",
            "task_reopen",
        ):
            for htmx in (True, False):
                answer = self.post(name, self.urgent, htmx, outcome="answered", until="hour", to="nurses")
                assert answer.status_code == 404, name
        self.urgent.refresh_from_db()
        assert (self.urgent.state, self.urgent.claimed_by) == ("open", None)


class Ending(Desk):
    def test_without_javascript_it_ends_and_undo_waits_on_the_next_page(self):
        answer = self.client.post(
            self.at("task_finish", self.call),
            {"outcome": "booked", "note": "", "back": "language=es&x=1"},
            follow=True,
        )
        assert answer.redirect_chain == [("/worklist/?language=es", 302)]
        assert "Ended: visit booked." in answer.content.decode()
        self.call.refresh_from_db()
        assert (self.call.outcome, self.call.closed_by) == ("booked", self.coordinator)
        undo = reverse("task_reopen", args=[self.call.pk])
        assert undo in answer.content.decode()
        self.client.post(undo)
        self.call.refresh_from_db()
        assert self.call.state == "open"

    def test_by_htmx_the_row_leaves_and_a_toast_offers_undo(self):
        answer = self.post("task_finish", self.call, htmx=True, outcome="booked")
        text = answer.content.decode()
        assert answer["Row-Gone"] == f"row-p{self.ben.pk}" and answer["HX-Push-Url"] == "/worklist/"
        assert f'id="row-p{self.ben.pk}" hx-swap-oob="delete"' in text
        assert "Undo" in text and self.at("task_reopen", self.call) in text

    def test_a_row_with_something_left_stays(self):
        self.task("reply", "Asks.", "x:1", 30, self.ben)
        answer = self.post("task_finish", self.call, htmx=True, outcome="booked")
        assert "Row-Gone" not in answer
        assert f'<tr id="row-p{self.ben.pk}" hx-swap-oob="true">' in answer.content.decode()

    def test_ticked_tasks_of_the_same_patient_end_too_and_come_back_together(self):
        other = self.task("reply", "Asks.", "x:1", 30, self.ben)
        self.post("task_finish", self.call, outcome="answered", also=[other.pk, self.urgent.pk])
        assert set(Task.objects.open()) == {self.urgent}  # of another patient: not ended with it
        self.client.post(f"{self.at('task_reopen', self.call)}?also={other.pk}")
        assert Task.objects.open().count() == 3

    def test_without_an_outcome_or_its_note_the_panel_comes_back_with_what_was_written(self):
        for htmx in (True, False):
            answer = self.post("task_finish", self.urgent, htmx, outcome="emergency_handled", note="")
            assert answer.status_code == 422
            assert "few words" in answer.content.decode()
            assert "data-focus" in answer.content.decode()  # the note is where one goes on
        answer = self.post("task_finish", self.call, outcome="nonsense", note="I wrote this")
        assert answer.status_code == 422 and "I wrote this" in answer.content.decode()
        assert Task.objects.open().count() == 2

    def test_over_a_newer_reply_nobody_has_read_it_does_not_end(self):
        panel = self.client.get(self.at("worklist_task", self.urgent)).content.decode()
        assert f'name="last" value="{self.message.pk}"' in panel
        newer = Message.objects.create(
            direction="in", state="received", clinic=self.clinic, patient=self.patient, address="+16175550142",
            body="I want to kill myself", key="in:3",
        )  # fmt: skip
        handled = {"outcome": "emergency_handled", "note": "Called 911."}
        for htmx in (True, False):
            answer = self.post("task_finish", self.urgent, htmx, **handled)
            text = answer.content.decode()
            assert answer.status_code == 422 and "wrote again" in text and newer.body in text
            assert f'name="last" value="{newer.pk}"' in text
        assert self.post("task_finish", self.urgent, last=newer.pk, **handled).status_code == 302
        assert not Task.objects.open().filter(pk=self.urgent.pk).exists()

    def test_one_that_fails_keeps_all_open(self):
        other = self.task("reply", "Asks.", "x:1", 30, self.ben)
        self.post("task_finish", self.call, outcome="booked", also=[other.pk])
        Task.objects.filter(pk=self.call.pk).update(state="open", outcome="")
        other.refresh_from_db()
        self.nurse_holds(self.ben)
        answer = self.post("task_finish", self.call, outcome="booked")
        assert answer.status_code == 422 and "Nurse is working" in answer.content.decode()
        assert Task.objects.open().filter(pk=self.call.pk).exists()

    def nurse_holds(self, patient):
        Task.objects.filter(patient=patient).update(
            claimed_by=self.nurse, claimed_until=clock.machine_now() + timedelta(minutes=9)
        )

    def test_a_no_or_a_visit_ends_the_reminders_of_that_gap(self):
        for outcome, why in ((Outcome.DECLINED, "declined"), (Outcome.BOOKED, "staff")):
            Enrollment.objects.all().delete()
            campaign = Campaign.objects.create(
                name=outcome, measure="CMS130", stream=Stream.objects.create(name=outcome), state="running"
            )
            mine = Enrollment.objects.create(
                campaign=campaign, gap=self.gap, patient=self.ben, clinic=self.clinic
            )
            Task.objects.filter(pk=self.call.pk).update(state="open", outcome="")
            self.post("task_finish", self.call, outcome=outcome)
            mine.refresh_from_db()
            assert (mine.state, mine.why) == ("ended", why)

    def test_a_death_ends_everything_planned_and_undo_takes_it_back(self):
        queued = Message.objects.create(
            clinic=self.clinic, patient=self.ben, address="+16175550143", body="You are due.", key="out:1"
        )
        self.post("task_finish", self.call, outcome="deceased", note="His daughter called.")
        self.ben.refresh_from_db()
        queued.refresh_from_db()
        assert self.ben.deceased and queued.state == "suppressed"
        self.post("task_reopen", self.call)
        self.ben.refresh_from_db()
        assert not self.ben.deceased
        assert AuditEvent.objects.filter(action="patient.death_withdrawn", patient_id=self.ben.pk).exists()

    def test_undo_takes_back_no_death_that_the_task_did_not_tell(self):
        type(self.ben).objects.filter(pk=self.ben.pk).update(deceased=True)
        self.post("task_finish", self.call, outcome="deceased", note="His daughter called.")
        self.post("task_reopen", self.call)
        self.ben.refresh_from_db()
        assert self.ben.deceased

    def test_a_death_the_record_has_told_meanwhile_comes_back_with_the_next_import(self):
        self.post("task_finish", self.call, outcome="deceased", note="His daughter called.")
        dead = {"resourceType": "Patient", "id": self.ben.fhir_id, "deceasedBoolean": True}
        import_resources([dead], source=self.ben.source)
        self.post("task_reopen", self.call)
        import_resources([dead], source=self.ben.source)
        self.ben.refresh_from_db()
        assert self.ben.deceased

    def test_what_the_record_says_of_a_death_is_not_taken_back(self):
        self.post("task_finish", self.call, outcome="deceased", note="His daughter called.")
        type(self.ben).objects.filter(pk=self.ben.pk).update(deceased_on=date(2026, 3, 1))
        self.post("task_reopen", self.call)
        self.ben.refresh_from_db()
        assert self.ben.deceased


class Holding(Desk):
    def test_take_shows_until_when_and_keeps_others_out(self):
        self.post("task_take", self.call)
        self.client.force_login(self.nurse)
        page = self.client.get("/worklist/").content.decode()
        assert "Held by Coordinator until" in page
        panel = self.client.get(self.at("worklist_task", self.call)).content.decode()
        assert "Take over" in panel
        assert self.post("task_take", self.call).status_code == 422
        assert self.post("task_finish", self.call, outcome="booked").status_code == 422
        answer = self.post("task_take", self.call, htmx=True, over=self.coordinator.pk)
        assert "Yours until" in answer.content.decode() and "hx-swap-oob" in answer.content.decode()
        self.call.refresh_from_db()
        assert self.call.held_by() == self.nurse
        assert AuditEvent.objects.filter(action="task.take").count() == 2

    def test_give_back(self):
        self.post("task_take", self.call)
        answer = self.post("task_release", self.call)
        assert answer.status_code == 302
        self.call.refresh_from_db()
        assert self.call.held_by() is None


class PuttingOff(Desk):
    def test_everything_of_the_patient_leaves_until_nine_tomorrow_and_undo_brings_it_back(self):
        other = self.task("reply", "Asks.", "x:1", 30, self.ben)
        self.post("task_snooze", self.call, until="tomorrow")
        self.call.refresh_from_db()
        assert self.call.snoozed_until.isoformat() == "2026-03-05T14:00:00+00:00"  # nine in New York
        assert b"Adams" not in self.client.get("/worklist/").content
        assert b"Adams" in self.client.get("/worklist/snoozed/").content
        self.client.post(f"{self.at('task_reopen', self.call)}?also={other.pk}")
        assert Task.objects.filter(state="open", patient=self.ben).count() == 2

    def test_an_urgent_patient_and_nonsense_stay(self):
        other = self.task("reply", "Asks.", "x:1", 30, self.patient)
        assert self.post("task_snooze", other, until="hour").status_code == 422
        assert self.post("task_snooze", self.call, until="soon").status_code == 422
        assert Task.objects.filter(state="snoozed").count() == 0

    def test_hand_on(self):
        self.post("task_hand_on", self.call, to=str(self.nurse.pk))
        self.call.refresh_from_db()
        assert self.call.owner == self.nurse
        self.post("task_hand_on", self.call, to="supervisors")
        self.call.refresh_from_db()
        assert (self.call.owner, self.call.queue) == (None, "supervisors")
        for to in ("", "nobody", str(self.stranger.pk), str(self.auditor.pk)):
            assert self.post("task_hand_on", self.call, to=to).status_code == 422

    def test_mine_shows_what_was_handed_to_me(self):
        self.post("task_hand_on", self.call, to=str(self.nurse.pk))
        self.client.force_login(self.nurse)
        mine = self.client.get("/worklist/?mine=1").content.decode()
        assert "Adams" in mine and "Rivera" not in mine


class Done(Desk):
    def test_it_can_be_read_and_taken_back_later(self):
        self.post("task_finish", self.call, outcome="left_voicemail", note="Twice.")
        page = self.client.get("/worklist/done/").content.decode()
        assert "Adams, Ben" in page and "Left a voicemail" in page and "Twice." in page
        panel = self.client.get(self.at("worklist_task", self.call)).content.decode()
        assert "Ended: Left a voicemail" in panel and "Open again" in panel
        self.post("task_reopen", self.call)
        assert b"Adams" in self.client.get("/worklist/").content

    def test_both_have_an_empty_state(self):
        assert b"Nothing has been ended yet" in self.client.get("/worklist/done/").content
        assert b"Nothing is put off" in self.client.get("/worklist/snoozed/").content
