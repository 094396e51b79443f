from datetime import timedelta

from django.db import transaction
from django.test import override_settings

from engage.campaigns import actions, counts, enrolling, jobs
from engage.campaigns.models import Campaign, Enrollment
from engage.caregaps.models import CareGap
from engage.messaging.models import Message, Template
from engage.patients.actions import record_consent
from engage.patients.models import ContactPoint, Patient
from engage.worklist.actions import open_task
from engage.worklist.models import Task
from tests.base import NOON
from tests.campaigns.base import CampaignCase

Why = Enrollment.Why


class WhyTests(CampaignCase):
    """Each reason to be left out: once in the count, once in the enrollment, from the same question."""

    def left_out(self, why: str) -> None:
        found = counts.preview(self.campaign)
        assert (found.reached, found.left_out) == (0, {why: 1})
        enrolling.take_in(self.campaign)
        row = self.enrollment()
        assert (row.state, row.why, row.due_at) == ("left_out", why, None)
        assert row.ended_at == NOON

    def point(self, **fields) -> None:
        ContactPoint.objects.filter(patient=self.patient).update(**fields)

    def test_reached(self):
        assert counts.preview(self.campaign).reached == 1
        enrolling.take_in(self.campaign)
        row = self.enrollment()
        assert (row.state, row.why, row.position, row.due_at) == ("active", "", 1, NOON)
        assert (row.patient, row.clinic, row.ended_at) == (self.patient, self.clinic, None)

    def test_deceased(self):
        Patient.objects.update(deceased=True)
        self.left_out(Why.DECEASED)

    def test_confidential(self):
        Patient.objects.update(confidential=True)
        self.left_out(Why.CONFIDENTIAL)

    def test_no_approved_wording_in_the_language(self):
        Patient.objects.update(language="vi")
        self.left_out(Why.NO_LANGUAGE)

    def test_a_language_counts_only_when_every_text_has_it_approved(self):
        Template.objects.filter(key="cms130-again", language="es").update(approved_at=None)
        Patient.objects.update(language="es")
        self.left_out(Why.NO_LANGUAGE)

    def test_no_phone(self):
        ContactPoint.objects.all().delete()
        self.left_out(Why.NO_NUMBER)

    def test_a_phone_that_takes_no_texts(self):
        self.point(state=ContactPoint.State.SMS_INCAPABLE)
        self.left_out(Why.NO_NUMBER)

    @override_settings(CARRIER="twilio")
    def test_a_number_nobody_was_given(self):
        self.point(valid=False)
        self.left_out(Why.NO_NUMBER)

    @override_settings(CARRIER="twilio", SEND_ALLOWLIST=["+1617555"])
    def test_a_number_on_the_allow_list_counts_as_given(self):
        self.point(valid=False)
        assert counts.preview(self.campaign).reached == 1

    def test_never_agreed(self):
        self.point(sms_consent="none")
        self.left_out(Why.NO_CONSENT)

    def test_opted_out(self):
        self.point(sms_consent="revoked")
        self.left_out(Why.OPTED_OUT)

    def test_blocked_by_an_opt_out_at_the_carrier(self):
        self.point(state=ContactPoint.State.OPTED_OUT)
        self.left_out(Why.OPTED_OUT)

    def test_a_second_number_reaches(self):
        self.point(sms_consent="revoked")
        ContactPoint.objects.create(
            patient=self.patient, system="phone", rank=2, value="+16175550143", sms_consent="granted"
        )
        assert counts.preview(self.campaign).reached == 1

    def test_a_second_number_does_not_reach_after_a_stop_on_the_first(self):
        ContactPoint.objects.create(
            patient=self.patient, system="phone", rank=2, value="+16175550143", sms_consent="granted"
        )
        record_consent(address="+16175550142", channel="sms", decision="revoked", source="patient_text")
        self.left_out(Why.OPTED_OUT)
        record_consent(address="+16175550143", channel="sms", decision="granted", source="staff")
        assert enrolling.readmit(self.campaign) == 1

    def test_already_in_another_campaign_for_the_gap(self):
        other = self.make_campaign("Other")
        Enrollment.objects.create(campaign=other, gap=self.gap, patient=self.patient, clinic=self.clinic)
        self.left_out(Why.OTHER_CAMPAIGN)

    def answered(self, why: str, at=NOON - timedelta(days=20), state="ended") -> None:
        other = self.make_campaign("Other")
        Enrollment.objects.create(
            campaign=other, gap=self.gap, patient=self.patient, clinic=self.clinic, state=state, why=why, ended_at=at
        )  # fmt: skip

    def test_answered_already_in_another_campaign(self):
        for why in (Why.REPLIED, Why.DECLINED, Why.STAFF):
            with self.subTest(why):
                Enrollment.objects.all().delete()
                self.answered(why)
                self.left_out(Why.SETTLED)

    def test_a_new_year_may_ask_anew(self):
        self.answered(Why.DECLINED, at=NOON - timedelta(days=100))
        assert counts.preview(self.campaign).reached == 1

    def test_another_campaign_that_ended_without_an_answer_is_none(self):
        self.answered(Why.CAMPAIGN_STOPPED)
        assert counts.preview(self.campaign).reached == 1

    def test_staff_must_decide_first(self):
        for reason in ("check_deceased", "opt_out_doubt"):
            with self.subTest(reason):
                Enrollment.objects.all().delete()
                task = open_task(
                    reason=reason, summary="x", about="conversation:1", due_at=NOON, clinic=self.clinic, patient=self.patient
                )  # fmt: skip
                self.left_out(Why.UNDECIDED)
                Task.objects.filter(pk=task.pk).update(state="done", outcome="not_significant")
                assert enrolling.readmit(self.campaign) == 1

    def test_reached_too_often_lately(self):
        for n in range(4):
            Message.objects.create(
                key=f"k{n}", address="+1", body="x", about=self.gap.about, state="sent",
                accepted_at=NOON - timedelta(days=89 - n),
            )  # fmt: skip
        self.left_out(Why.RECENT)

    def test_four_texts_but_one_long_ago_are_not_too_many(self):
        for n in range(4):
            Message.objects.create(
                key=f"k{n}", address="+1", body="x", about=self.gap.about, state="sent",
                accepted_at=NOON - timedelta(days=91 - n),
            )  # fmt: skip
        assert counts.preview(self.campaign).reached == 1


class TakeInTests(CampaignCase):
    def test_a_second_launch_writes_nothing(self):
        ContactPoint.objects.create(patient=self.make_patient("Bo", "Lee"), system="phone", value="+1")
        self.make_gap(Patient.objects.get(given="Bo"))
        assert enrolling.take_in(self.campaign) == 2
        assert enrolling.take_in(self.campaign) == 0
        assert enrolling.readmit(self.campaign) == 0

    def test_killed_between_chunks_it_goes_on(self):
        gaps = [self.make_gap(self.make_patient(f"P{n}", "Lee", f"+1617555{n:04}")) for n in range(5)]
        ends = sorted(g.pk for g in [self.gap, *gaps])
        first = enrolling.judged(enrolling.not_in(self.campaign), self.campaign).filter(pk__lte=ends[2])
        with transaction.atomic():
            assert enrolling._insert(self.campaign, first[:100], NOON, NOON) == 3
        assert enrolling.take_in(self.campaign) == 3
        assert Enrollment.objects.filter(campaign=self.campaign).count() == 6

    def test_another_clinics_patients_and_other_measures_are_not_chosen(self):
        self.make_gap(self.make_patient("Bo", "Lee", "+16175550150", clinic=self.other_clinic))
        self.make_gap(self.make_patient("Cy", "Lee", "+16175550151"), measure="CMS125")
        self.make_gap(self.make_patient("Di", "Lee", "+16175550152"), status="closed")
        self.make_gap(self.make_patient("Ed", "Lee", "+16175550153", active=False))
        self.make_gap(self.make_patient("Flo", "Lee", "+16175550154", merged_into=self.patient))
        enrolling.take_in(self.campaign)
        assert [e.patient for e in Enrollment.objects.all()] == [self.patient]

    def test_two_open_gaps_of_one_measure_are_one_enrollment(self):
        self.make_gap(self.patient, group=2)
        assert enrolling.take_in(self.campaign) == 1

    def test_left_out_until_the_reason_has_gone(self):
        ContactPoint.objects.update(sms_consent="none")
        enrolling.take_in(self.campaign)
        ContactPoint.objects.update(sms_consent="revoked")
        assert enrolling.readmit(self.campaign) == 1
        assert self.enrollment().why == Why.OPTED_OUT
        ContactPoint.objects.update(sms_consent="granted")
        with self.later(days=1):
            assert enrolling.readmit(self.campaign) == 1
        row = self.enrollment()
        assert (row.state, row.why, row.ended_at, row.due_at) == (
            "active",
            "",
            None,
            NOON + timedelta(days=1),
        )

    def test_a_standing_campaign_takes_new_gaps_in_another_does_not(self):
        once = self.make_campaign("Once", standing=False, measure="CMS125")
        first = self.make_gap(self.make_patient("Bo", "Lee", "+16175550150"), measure="CMS125")
        for campaign in (self.campaign, once):
            actions.start(campaign, self.administrator)
        jobs.advance(None)
        new = self.make_gap(self.make_patient("Cy", "Lee", "+16175550151"))
        self.make_gap(self.make_patient("Di", "Lee", "+16175550152"), measure="CMS125")
        assert jobs.advance(None)["enrolled"] == 1
        assert set(CareGap.objects.filter(enrollments__campaign=self.campaign)) == {self.gap, new}
        assert set(CareGap.objects.filter(enrollments__campaign=once)) == {first}

    def test_missing_wording_is_one_task_with_the_number_of_people(self):
        for n in range(3):
            self.make_gap(self.make_patient(f"P{n}", "Lee", f"+1617555{n:04}", language="vi"))
        self.launch()
        task = Task.objects.get(reason="no_template")
        assert task.summary.startswith("3 people are left out of “Screening”")
        assert (task.queue, task.clinic) == ("supervisors", self.clinic)
        for key in ("cms130-first", "cms130-again"):
            Template.objects.create(key=key, language="vi", body="{first_name} …", name=key, approved_at=NOON)
        assert jobs.advance(None)["readmitted"] == 3
        task.refresh_from_db()
        assert (task.state, task.outcome) == ("done", "by_system")

    def test_a_segment_that_makes_no_sense_stops_only_its_campaign(self):
        broken = self.make_campaign("Broken")
        Campaign.objects.filter(pk=broken.pk).update(segment={"zip": "1"}, state="running")
        actions.start(self.campaign, self.administrator)
        done = jobs.advance(None)
        assert (done["failed"], done["enrolled"]) == (1, 1)
