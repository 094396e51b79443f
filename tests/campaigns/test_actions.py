from datetime import date, timedelta

import pytest
from django.db import DatabaseError, connection

from engage.audit.models import AuditEvent
from engage.campaigns import actions, jobs
from engage.campaigns.models import Campaign, Enrollment, Touch
from engage.caregaps.models import CareGap, Closure
from engage.messaging.actions import queue
from engage.messaging.models import Lane, Message, Template
from engage.patients.models import ContactPoint
from engage.worklist.actions import open_task
from engage.worklist.models import Task
from tests.base import NOON
from tests.campaigns.base import CampaignCase

EVIDENCE = {
    "what": "colonoscopy", "done_on": date(2025, 3, 1), "precision": "month", "place": "Mercy Hospital",
    "known_by": "patient_says", "note": "told us by text",
}  # fmt: skip


class CloseGapTests(CampaignCase):
    def setUp(self) -> None:
        self.launch()
        self.text = self.texts().get()
        open_task(
            reason="call",
            summary="Call.",
            about=self.gap.about,
            due_at=NOON,
            clinic=self.clinic,
            patient=self.patient,
        )

    def close(self) -> Closure:
        return actions.close_gap(self.gap, by=self.coordinator, **EVIDENCE)

    def state(self):
        self.gap.refresh_from_db()
        self.text.refresh_from_db()
        return (
            self.gap.status,
            self.enrollment().state,
            self.text.state,
            Task.objects.get(reason="call").state,
        )

    def test_gap_enrollment_text_and_task_go_together(self):
        self.close()
        assert self.state() == ("closed", "ended", "suppressed", "done")
        assert self.text.state_reason == "The care gap was closed by staff."
        assert self.enrollment().why == "gap_closed"
        task = Task.objects.get(reason="call")
        assert (task.outcome, task.closed_by) == ("already_done", self.coordinator)

    def test_nothing_more_is_made(self):
        self.close()
        with self.later(days=3):
            jobs.advance(None)
        assert self.texts().count() == 1

    def test_when_one_part_fails_nothing_has_happened(self):
        with connection.cursor() as cursor:  # the tasks' table refuses: the last step of the four
            cursor.execute(refusal())
        with pytest.raises(DatabaseError):
            self.close()
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER no_closing" + on_table())
        assert self.state() == ("open", "active", "queued", "open")
        assert not Closure.objects.exists()
        assert not AuditEvent.objects.filter(action__startswith="gap.").exists()

    def test_undo_brings_all_of_it_back(self):
        closure = self.close()
        actions.reopen_gap(closure, by=self.coordinator)
        assert self.state() == ("open", "active", "suppressed", "open")
        row = self.enrollment()
        assert (row.position, row.round, row.why) == (1, 2, "")
        jobs.advance(None)
        anew = self.texts().last()
        assert anew.key == f"campaign:{self.campaign.pk}:{self.gap.pk}:1:2"
        assert anew.state == "queued"

    def test_undo_after_the_text_has_gone_does_not_send_it_again(self):
        self.accepted(self.text)
        actions.reopen_gap(self.close(), by=self.coordinator)
        jobs.advance(None)
        assert self.texts().count() == 1
        assert self.enrollment().position == 2

    def test_undo_leaves_a_stopped_campaign_alone(self):
        closure = self.close()
        actions.stop(Campaign.objects.get(), self.administrator)
        actions.reopen_gap(closure, by=self.coordinator)
        jobs.advance(None)
        assert self.enrollment().state == "ended"
        assert self.texts().count() == 1


def refusal() -> str:
    if connection.vendor == "postgresql":
        return """CREATE FUNCTION refuse_closing() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''no''; END' LANGUAGE plpgsql;
            CREATE TRIGGER no_closing BEFORE UPDATE ON worklist_task FOR EACH ROW EXECUTE FUNCTION refuse_closing()"""
    return "CREATE TRIGGER no_closing BEFORE UPDATE ON worklist_task BEGIN SELECT RAISE(ABORT, 'no'); END"


def on_table() -> str:
    return " ON worklist_task" if connection.vendor == "postgresql" else ""


class EndForPatientTests(CampaignCase):
    def setUp(self) -> None:
        self.launch()
        self.breast = self.make_campaign("Breast", measure="CMS125")
        self.second = self.make_gap(self.patient, measure="CMS125")
        actions.start(self.breast, self.administrator)
        jobs.advance(None)

    def test_a_reply_ends_every_campaign_of_the_patient(self):
        assert actions.end_for_patient(self.patient, "replied", by="patient") == 2
        assert set(Enrollment.objects.values_list("state", "why")) == {("ended", "replied")}
        assert set(Message.objects.values_list("state", "state_reason")) == {
            ("suppressed", "The patient replied.")
        }
        event = AuditEvent.objects.get(action="campaign.end")
        assert (event.actor, event.patient_id, event.detail) == (
            "patient", self.patient.pk, {"why": "replied", "ended": 2},
        )  # fmt: skip

    def test_for_one_gap_the_other_goes_on(self):
        assert actions.end_for_patient(self.patient, "declined", by=self.coordinator, gap=self.gap) == 1
        assert self.enrollment(self.second, self.breast).state == "active"
        assert self.texts(self.second).get().state != "suppressed"

    def test_what_staff_wrote_stays(self):
        letter = queue(
            body="I will call you at 3.", key="staff:1", patient=self.patient, lane=Lane.STAFF,
            author=self.coordinator, about=self.gap.about,
        )  # fmt: skip
        actions.end_for_patient(self.patient, "replied", by="patient")
        letter.refresh_from_db()
        assert letter.state == "queued"

    def test_what_is_under_way_or_with_the_carrier_is_not_sent_again(self):
        for state in ("sending", "in_doubt", "needs_review", "accepted", "sent"):
            with self.subTest(state):
                Enrollment.objects.update(state="active", why="")
                Message.objects.update(state=state, withdrawn="")
                actions.end_for_patient(self.patient, "declined", by="patient")
                text = self.texts().get()
                assert (text.state, text.withdrawn) == (state, "The patient declined.")

    def test_the_call_that_waited_is_closed_even_after_the_last_touch(self):
        Enrollment.objects.update(state="completed")
        open_task(
            reason="call",
            summary="Call.",
            about=self.gap.about,
            due_at=NOON,
            clinic=self.clinic,
            patient=self.patient,
        )
        assert actions.end_for_patient(self.patient, "deceased", by="system:import") == 0
        assert Task.objects.get().outcome == "deceased"

    def test_an_answer_counts_where_outreach_had_ended_of_itself(self):
        for state, why, status in (
            ("completed", "", "open"),
            ("ended", "gap_closed", "deferred"),
            ("ended", "campaign_stopped", "open"),
        ):
            with self.subTest(f"{state} {why}"):
                Enrollment.objects.filter(gap=self.gap).update(state=state, why=why, ended_at=NOON)
                CareGap.objects.filter(pk=self.gap.pk).update(status=status)
                with self.later(days=1):
                    assert actions.end_for_patient(self.patient, "declined", by="patient", gap=self.gap) == 1
                row = self.enrollment()
                assert (row.state, row.why, row.ended_at) == ("ended", "declined", NOON + timedelta(days=1))

    def test_what_was_done_stays_done(self):
        Enrollment.objects.filter(gap=self.gap).update(state="ended", why="gap_closed")
        CareGap.objects.filter(pk=self.gap.pk).update(status="closed")
        assert actions.end_for_patient(self.patient, "replied", by="patient", gap=self.gap) == 0
        assert self.enrollment().why == "gap_closed"

    def test_repeated_it_does_nothing(self):
        actions.end_for_patient(self.patient, "replied", by="patient")
        assert actions.end_for_patient(self.patient, "replied", by="patient") == 0
        assert AuditEvent.objects.filter(action="campaign.end").count() == 1


class StateTests(CampaignCase):
    def test_start_makes_a_stream_and_is_audited(self):
        actions.start(self.campaign, self.administrator)
        assert self.campaign.state == "running"
        assert (self.campaign.stream.name, self.campaign.stream.clinic) == ("Screening", self.clinic)
        event = AuditEvent.objects.get(action="campaign.start")
        assert (event.actor, event.clinic_id) == ("campaigns", self.clinic.pk)

    def test_two_people_cannot_both_start_it(self):
        theirs = Campaign.objects.get(pk=self.campaign.pk)
        actions.start(self.campaign, self.administrator)
        with pytest.raises(actions.CampaignError, match="running"):
            actions.start(theirs, self.supervisor)

    def test_what_must_be_done_first(self):
        Template.objects.filter(key="cms130-again").update(approved_at=None)
        self.campaign.clinics.clear()
        self.campaign.segment = {"zip": 1}
        problems = actions.unready(self.campaign)
        assert problems[0] == "Choose at least one clinic."
        assert "“zip” is not something" in problems[1]
        assert problems[2] == "Touch 2 has no approved wording."
        Touch.objects.all().delete()
        assert "Add at least one touch." in actions.unready(self.campaign)
        with pytest.raises(actions.CampaignError, match="at least one clinic"):
            actions.start(self.campaign, self.administrator)
        assert Campaign.objects.get().state == "draft"

    def test_paused_nobody_enters_and_nothing_is_made_or_sent(self):
        self.launch()
        actions.pause(self.campaign, self.supervisor, "Rota")
        self.make_gap(self.make_patient("Bo", "Lee", "+16175550150"))
        with self.later(days=3):
            assert jobs.advance(None) == {}
        self.campaign.refresh_from_db()
        assert (self.campaign.state, self.campaign.pause_reason) == ("paused", "Rota")
        assert self.campaign.stream.state == "paused"
        assert self.texts().get().state == "queued"  # it waits, and the gate holds it at its claim

    def test_resumed_it_catches_up(self):
        self.launch()
        self.accepted(self.texts().get())
        actions.pause(self.campaign, self.supervisor)
        actions.resume(self.campaign, self.supervisor)
        assert self.campaign.stream.state == "active"
        with self.later(days=4):
            assert jobs.advance(None) == {"text": 1}

    def test_stopped_all_ends(self):
        self.launch()
        call = open_task(
            reason="call", summary="Call.", about=self.gap.about, due_at=NOON, clinic=self.clinic,
            patient=self.patient, opened_by=f"campaign:{self.campaign.pk}",
        )  # fmt: skip
        assert actions.stop(self.campaign, self.supervisor) == 1
        assert (self.enrollment().state, self.enrollment().why) == ("ended", "campaign_stopped")
        assert self.texts().get().state == "suppressed"
        assert self.campaign.stream.state == "cancelled"
        call.refresh_from_db()
        assert call.outcome == "no_longer_needed"
        with self.later(days=4):
            assert jobs.advance(None) == {}
        with pytest.raises(actions.CampaignError, match="stopped"):
            actions.resume(self.campaign, self.supervisor)

    def test_another_campaigns_call_stays_when_one_stops(self):
        self.launch()
        other = open_task(
            reason="call",
            summary="Call.",
            about="caregap:999",
            due_at=NOON,
            clinic=self.clinic,
            opened_by="campaign:999",
        )
        actions.stop(self.campaign, self.supervisor)
        other.refresh_from_db()
        assert other.is_open

    def test_a_number_given_later_is_reached(self):
        ContactPoint.objects.update(sms_consent="none")
        self.launch()
        assert self.enrollment().state == "left_out"
        ContactPoint.objects.update(sms_consent="granted")
        with self.later(days=1):
            assert jobs.advance(None) == {"readmitted": 1, "text": 1}
        assert self.enrollment().due_at == NOON + timedelta(days=4, hours=-1)  # noon in summer time
