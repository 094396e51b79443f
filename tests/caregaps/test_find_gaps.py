"""The nightly job: what it opens, keeps, closes and leaves alone; killed, repeated, refused."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from engage.audit.models import AuditEvent
from engage.caregaps import actions, jobs
from engage.caregaps.jobs import AlreadyRunning, find_gaps, nightly
from engage.caregaps.models import CareGap, Closure, GapRun, MeasureTally, OpenTally, TakenOver
from engage.caregaps.writing import Writer
from engage.lib import clock
from engage.messaging import actions as message_actions
from engage.messaging.models import Message
from engage.patients.models import ContactPoint, Patient
from engage.records import valuesets
from engage.records.actions import import_resources
from engage.records.models import Event, ValueSet
from engage.worklist.actions import open_task
from engage.worklist.models import Reason, Task
from tests.base import NOON, CastTestCase, CastTransactionTestCase
from tests.caregaps.charts import CPT, ICD10, blood_pressure, condition, lab, procedure, visit

TODAY = NOON.date()  # 4 March 2026
LAST_YEAR, THIS_YEAR = "2025-03-10T15:00:00-05:00", "2026-02-02T15:00:00-05:00"


def next_year(**how) -> GapRun:
    """A night of 2 January 2027."""
    with override_settings(NOW=datetime(2027, 1, 2, 17, tzinfo=UTC)):
        return find_gaps(**how)


class Charts:
    """Adds facts to the patients of the cast, who come from the source "test"."""

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        valuesets.ensure()  # once for the class: the job itself would do it in every test

    def add(self, *facts, patient=None, prefix="") -> None:
        patient = patient or self.patient
        who = {"subject": {"reference": f"Patient/{patient.fhir_id}"}}
        count = Event.objects.count()
        rows = [{"id": f"{prefix}{patient.fhir_id}-{count + n}"} | fact | who for n, fact in enumerate(facts)]
        import_resources(rows, source="test")

    def gap(self, measure="CMS130", patient=None) -> CareGap:
        return CareGap.objects.get(measure=measure, patient=patient or self.patient)

    def gaps(self) -> dict[str, str]:
        return dict(CareGap.objects.filter(patient=self.patient).values_list("measure", "status"))

    def close(self, gap, what="colonoscopy", done_on=date(2020, 3, 1), precision="month") -> Closure:
        return actions.close_by_staff(
            gap, what=what, done_on=done_on, precision=precision, place="Elsewhere", known_by="patient_says", note="",
            by=self.coordinator,
        )  # fmt: skip


class Opening(Charts, CastTestCase):
    def test_a_gap_opens_with_its_evidence(self):
        self.add(visit(THIS_YEAR), procedure("44388", "2012-05-03", CPT))
        run = find_gaps()
        gap = self.gap()
        event = Event.objects.get(concept__codings__code="44388")
        assert (run.state, run.opened, run.written) == ("completed", 2, 2)  # CMS125 as well
        assert gap.status == "open" and gap.opened_on == TODAY and gap.period_start == date(2026, 1, 1)
        assert gap.evidence == {
            "rule": "period",
            "last": {"what": "colonoscopy", "event": event.pk, "day": "2012-05-03"},
        }
        assert gap.last_event_id == event.pk and gap.due_since == date(2022, 1, 1)

    def test_a_visit_of_the_last_24_months_lets_in_and_says_so(self):
        self.add(visit("2024-03-04T15:00:00-05:00"))
        find_gaps()
        assert self.gap().evidence == {"rule": "recent"}
        assert self.gap().due_since == date(2026, 1, 1)

    def test_a_visit_of_more_than_24_months_ago_does_not(self):
        self.add(visit("2024-03-03T15:00:00-05:00"))
        find_gaps()
        assert self.gaps() == {}

    def test_facts_after_the_day_asked_are_not_read(self):
        self.add(visit(LAST_YEAR), procedure("44388", "2026-03-05", CPT), visit("2026-03-09T10:00:00Z"))
        find_gaps()
        assert self.gap().status == "open" and self.gap().evidence == {"rule": "recent"}
        find_gaps(as_of=date(2026, 3, 5))
        assert self.gap().status == "closed"

    def test_nobody_who_has_it_already_gets_a_row(self):
        self.add(visit(THIS_YEAR), procedure("44388", "2020-05-03", CPT))
        find_gaps(measures=["CMS130"])
        assert not CareGap.objects.exists()

    def test_an_excluded_patient_is_shown_as_such(self):
        self.add(visit(THIS_YEAR), procedure("170935008", "2026-02-03"))
        find_gaps(measures=["CMS130"])
        assert self.gap().status == "excluded"
        assert self.gap().evidence["excluded"] == "hospice"
        assert self.gap().evidence["fact"]["day"] == "2026-02-03"

    def test_due_since_is_never_before_the_patient_was_old_enough(self):
        young = self.make_patient("Eva", "Young", birth_date=date(1979, 6, 1))
        self.add(visit(THIS_YEAR), lab("12503-9", "2010-05-05"), patient=young)
        find_gaps(measures=["CMS130"])
        assert self.gap(patient=young).due_since == date(2025, 1, 1)  # 46 in the year 2025

    def test_due_since_follows_a_corrected_birth_date(self):
        eva = self.make_patient("Eva", "Young", birth_date=date(1979, 6, 1))
        self.add(visit(THIS_YEAR), lab("12503-9", "2010-05-05"), patient=eva)
        find_gaps(measures=["CMS130"])
        actions.defer(self.gap(patient=eva), TODAY + timedelta(days=9), "Asked to wait", self.nurse)
        for born, year, how in ((1960, 2011, {}), (1979, 2025, {}), (1975, 2021, {"full": True})):
            Patient.objects.filter(pk=eva.pk).update(birth_date=date(born, 6, 1))
            find_gaps(**how)
            gap = self.gap(patient=eva)
            assert (gap.due_since, gap.status) == (date(year, 1, 1), "deferred") and gap.deferred_until, born
            assert find_gaps(full=True).written == 0

    def test_tallies_by_clinic(self):
        other = self.make_patient("Bo", "Mesa", clinic=self.other_clinic)
        self.add(visit(THIS_YEAR), patient=other)
        self.add(visit(THIS_YEAR), lab("12503-9", "2026-02-02"))
        run = find_gaps(measures=["CMS130"])
        told = {t.clinic_id: (t.denominator, t.numerator, t.open_gaps) for t in run.tallies.all()}
        assert told == {self.clinic.pk: (1, 1, 0), self.other_clinic.pk: (1, 0, 1)}

    def test_another_clinic_cannot_see_the_gap(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        assert CareGap.objects.visible_to(self.coordinator).exists()
        assert not CareGap.objects.visible_to(self.stranger).exists()


class SecondNights(Charts, CastTestCase):
    def setUp(self):
        self.add(visit(THIS_YEAR), lab("12503-9", "2024-05-05"))
        find_gaps()

    def test_a_second_run_writes_nothing(self):
        before = list(CareGap.objects.order_by("pk").values())
        run = find_gaps()
        assert (run.written, run.opened, run.closed, run.unchanged) == (0, 0, 0, 2)
        assert list(CareGap.objects.order_by("pk").values()) == before

    def test_a_new_older_fact_is_new_evidence_and_nothing_else(self):
        self.add(lab("12503-9", "2024-06-06"))
        run = find_gaps()
        assert (run.written, run.opened) == (1, 0)
        assert self.gap().evidence["last"]["day"] == "2024-06-06"

    def test_the_record_closes_a_gap_and_stops_what_was_under_way(self):
        gap = self.gap()
        message = message_actions.queue(body="Hello", key="k1", patient=self.patient, about=gap.about)
        open_task(
            reason=Reason.CALL,
            summary="Call",
            about=gap.about,
            due_at=clock.now(),
            clinic=self.clinic,
            patient=self.patient,
        )
        self.add(procedure("44388", "2026-03-01", CPT))
        run = find_gaps()
        gap.refresh_from_db()
        message.refresh_from_db()
        assert (gap.status, gap.closed_by, gap.closed_on, run.closed) == ("closed", "record", TODAY, 1)
        assert gap.evidence["fact"]["what"] == "colonoscopy"
        assert message.state == Message.State.SUPPRESSED
        task = Task.objects.get(about=gap.about)
        assert (task.state, task.outcome) == ("done", "by_system")
        assert AuditEvent.objects.filter(action="gap.closed", subject_id=str(gap.pk)).count() == 1

    def test_an_exclusion_ends_it_and_its_end_opens_it_again(self):
        self.add(condition("305686008", "2026-01-05"), prefix="palliative-")
        find_gaps()
        assert self.gap().status == "excluded" and self.gap().closed_on is None
        Event.objects.filter(fhir_id__startswith="palliative-").delete()
        run = find_gaps()
        assert self.gap().status == "open" and run.opened == 2

    def test_a_fact_taken_back_opens_the_gap_again(self):
        self.add(procedure("44388", "2026-03-01", CPT), prefix="done-")
        find_gaps()
        Event.objects.filter(fhir_id__startswith="done-").delete()
        find_gaps(as_of=TODAY + timedelta(days=1))
        gap = self.gap()
        assert (gap.status, gap.closed_by, gap.closed_on) == ("open", "", None)
        assert gap.opened_on == TODAY + timedelta(days=1)

    def test_death_closes_everything(self):
        gap = self.gap()
        message = message_actions.queue(body="Hello", key="k1", patient=self.patient, about=gap.about)
        Patient.objects.filter(pk=self.patient.pk).update(deceased=True)
        find_gaps()
        message.refresh_from_db()
        assert self.gaps() == {"CMS125": "closed", "CMS130": "closed"}
        assert self.gap().closed_by == "left" and message.state == Message.State.SUPPRESSED

    def test_death_also_closes_what_the_night_does_not_count(self):
        gap, twin = self.gap(), self.make_patient("Ana", "Rivera-Ruiz")
        for gone in ({"deceased": True}, {"active": False}, {"merged_into": twin}):
            message = message_actions.queue(
                body="Hello", key=str(gone), patient=self.patient, about=gap.about
            )
            Patient.objects.filter(pk=self.patient.pk).update(**gone)
            with override_settings(NIGHTLY_MEASURES=("CMS125",)):
                find_gaps()
            gap.refresh_from_db()
            message.refresh_from_db()
            assert (gap.status, gap.closed_by, message.state) == ("closed", "left", Message.State.SUPPRESSED)
            Patient.objects.update(deceased=False, active=True, merged_into=None)
            find_gaps()
            assert self.gap().status == "open"

    def test_death_also_closes_what_was_left_out(self):
        ValueSet.objects.filter(oid="2.16.840.1.113883.3.464.1003.108.12.1020").delete()
        Patient.objects.filter(pk=self.patient.pk).update(deceased=True)
        with mock.patch("engage.records.valuesets.ensure"):
            assert "CMS130 was left out" in find_gaps().note
        assert self.gaps() == {"CMS125": "closed", "CMS130": "closed"}

    def test_a_measure_that_is_asked_for_no_more_leaves_its_gaps_as_they_are(self):
        with override_settings(NIGHTLY_MEASURES=("CMS125",)):
            find_gaps()
        assert self.gaps() == {"CMS125": "open", "CMS130": "open"}

    def test_inactive_and_merged_patients_have_no_open_gaps(self):
        Patient.objects.filter(pk=self.patient.pk).update(active=False)
        find_gaps()
        assert self.gaps() == {"CMS125": "closed", "CMS130": "closed"}
        Patient.objects.filter(pk=self.patient.pk).update(active=True)
        find_gaps()
        assert self.gap().status == "open"
        twin = self.make_patient("Ana", "Rivera-Ruiz")
        Patient.objects.filter(pk=self.patient.pk).update(merged_into=twin)
        find_gaps()
        assert self.gap().status == "closed"

    def test_a_new_year_carries_the_open_gap_on(self):
        gap = self.gap()
        message = message_actions.queue(body="Hello", key="k1", patient=self.patient, about=gap.about)
        next_year()
        message.refresh_from_db()
        moved = self.gap()
        assert (moved.pk, moved.period_start, moved.status) == (gap.pk, date(2027, 1, 1), "open")
        assert moved.opened_on == TODAY and moved.due_since == date(2025, 1, 1)
        assert message.state != Message.State.SUPPRESSED

    def test_what_was_closed_last_year_opens_anew(self):
        self.add(lab("12503-9", "2026-03-01"))
        find_gaps()
        assert self.gap().status == "closed"
        next_year(measures=["CMS130"])
        rows = CareGap.objects.filter(measure="CMS130").order_by("period_start")
        assert [(r.period_start.year, r.status) for r in rows] == [(2026, "closed"), (2027, "open")]


class AnotherYear(Charts, CastTestCase):
    """One live row for each patient and group, in the year of the last run, whichever ran before."""

    def setUp(self):
        self.add(visit(LAST_YEAR), visit(THIS_YEAR))

    def live(self) -> list[tuple[str, int]]:
        rows = CareGap.objects.filter(status__in=("open", "deferred", "excluded")).order_by("measure")
        return [(gap.measure, gap.period_start.year) for gap in rows]

    def test_a_day_of_another_year_stops_where_there_are_gaps_of_this_one(self):
        find_gaps()
        before = list(CareGap.objects.order_by("pk").values())
        for day in (date(2025, 6, 1), date(2027, 1, 15)):
            run = find_gaps(as_of=day)
            assert run.state == "stopped" and "care gaps of 2026" in run.note, run.note
        with pytest.raises(CommandError, match="would take them to 2025") as stopped:
            call_command("find_gaps", "--as-of", "2025-06-01")
        assert stopped.value.returncode == 3
        assert list(CareGap.objects.order_by("pk").values()) == before
        assert find_gaps(as_of=date(2026, 12, 31)).state == "completed"

    def test_a_history_runs_year_after_year(self):
        self.add(visit("2024-03-10T15:00:00-05:00"))
        for day in (date(2024, 6, 1), date(2025, 6, 1), None):
            assert find_gaps(as_of=day).state == "completed"
        assert self.live() == [("CMS125", 2026), ("CMS130", 2026)]

    def test_the_next_night_takes_them_back_from_any_year(self):
        for day in (date(2027, 1, 15), date(2025, 6, 1)):
            find_gaps()
            gap, now = self.gap(), self.live()
            find_gaps(as_of=day, accept=True)
            assert self.live() == [("CMS125", day.year), ("CMS130", day.year)]
            run = find_gaps(scheduled=True)
            assert run.state == "completed" and self.live() == now
            assert self.gap() == gap and find_gaps().written == 0

    def test_many_moved_are_not_many_opened(self):
        for n in range(60):
            self.add(visit(THIS_YEAR), patient=self.make_patient(f"N{n}", "Many"))
        find_gaps()
        find_gaps(as_of=date(2027, 1, 15), accept=True)
        assert find_gaps(scheduled=True).state == "completed"
        assert len(self.live()) == 122

    def test_a_row_beside_this_years_ends_with_what_is_under_way(self):
        find_gaps()
        gap = self.gap()
        self.close(gap)
        gap.pk, gap.period_start, gap.status = None, date(2025, 1, 1), "open"  # as --as-of once left it
        gap.save(force_insert=True)
        task = self.task(gap)
        message = message_actions.queue(body="Hello", key="k1", patient=self.patient, about=gap.about)
        run = find_gaps(full=True)
        for row in (gap, task, message):
            row.refresh_from_db()
        assert (gap.status, gap.closed_by, gap.evidence, run.closed) == (
            "closed",
            "left",
            {"closed": "left"},
            1,
        )
        assert (task.state, message.state) == ("done", Message.State.SUPPRESSED)
        assert AuditEvent.objects.filter(action="gap.closed", subject_id=str(gap.pk)).count() == 1
        assert find_gaps(full=True).written == 0

    def test_a_closure_of_last_year_withdrawn_opens_nothing_beside_this_years(self):
        self.add(condition("I10", "2020-01-01", ICD10))
        with override_settings(NOW=datetime(2025, 6, 1, 17, tzinfo=UTC)):
            find_gaps(measures=["CMS165"])
            closure = self.close(self.gap("CMS165"), "blood_pressure", date(2025, 5, 1), "day")
        find_gaps(measures=["CMS165"])
        actions.withdraw_closure(closure, self.coordinator)
        assert self.live() == [("CMS165", 2026)]
        closure.refresh_from_db()
        assert closure.withdrawn_at

    def test_of_two_old_rows_the_later_moves_on(self):
        with override_settings(NOW=datetime(2025, 6, 1, 17, tzinfo=UTC)):
            find_gaps(measures=["CMS130"])
        gap = self.gap()
        kept = gap.pk
        gap.pk, gap.period_start = None, date(2024, 1, 1)
        gap.save(force_insert=True)
        find_gaps()
        rows = CareGap.objects.filter(measure="CMS130").order_by("period_start")
        assert [(row.pk, row.period_start.year, row.status) for row in rows] == [
            (gap.pk, 2024, "closed"),
            (kept, 2026, "open"),
        ]

    def task(self, gap: CareGap) -> Task:
        return open_task(
            reason=Reason.CALL,
            summary="Call",
            about=gap.about,
            due_at=clock.now(),
            clinic=self.clinic,
            patient=self.patient,
        )


class ByStaff(Charts, CastTestCase):
    def setUp(self):
        self.add(visit(THIS_YEAR))
        find_gaps()

    def test_what_staff_recorded_keeps_it_closed(self):
        self.close(self.gap())
        run = find_gaps()
        assert (self.gap().status, self.gap().closed_by, run.written) == ("closed", "staff", 0)

    def test_until_the_look_back_is_over(self):
        self.close(self.gap(), done_on=date(2017, 3, 1))
        find_gaps(as_of=date(2026, 12, 30))
        assert self.gap().status == "closed"
        next_year(measures=["CMS130"])
        assert [g.status for g in CareGap.objects.filter(measure="CMS130").order_by("period_start")] == [
            "closed",
            "open",
        ]

    def test_a_closure_still_good_next_year_opens_nothing(self):
        self.close(self.gap(), done_on=date(2020, 3, 1))
        next_year(measures=["CMS130"])
        assert CareGap.objects.filter(measure="CMS130").count() == 1

    def test_withdrawn_it_is_open_at_once_and_stays_so(self):
        closure = self.close(self.gap())
        actions.withdraw_closure(closure, self.coordinator)
        assert self.gap().status == "open"
        find_gaps()
        assert self.gap().status == "open" and self.gap().evidence == {"rule": "period"}
        acts = list(AuditEvent.objects.filter(subject_type="caregap").values_list("action", flat=True))
        assert acts == ["gap.close", "gap.reopen"]

    def test_evidence_that_would_not_close_it_is_refused(self):
        for what, day, precision in (
            ("mammogram", date(2026, 1, 1), "day"),
            ("colonoscopy", date(2016, 12, 31), "day"),
            ("colonoscopy", date(2016, 1, 1), "year"),
            ("stool_blood_test", date(2025, 12, 31), "day"),
            ("colonoscopy", TODAY + timedelta(days=1), "day"),
            ("colonoscopy", date(2020, 1, 1), "century"),
        ):
            with pytest.raises(actions.GapError):
                self.close(self.gap(), what, day, precision)
        assert not Closure.objects.exists() and self.gap().status == "open"

    def test_a_later_reading_overrules_what_staff_recorded(self):
        self.add(condition("I10", "2019-01-01", ICD10))
        find_gaps()
        self.close(self.gap("CMS165"), "blood_pressure", date(2026, 2, 20), "day")
        self.add(blood_pressure("2026-02-19", 170, 99))
        find_gaps()
        assert self.gap("CMS165").status == "closed"
        self.add(blood_pressure("2026-03-01", 170, 99))
        find_gaps()
        assert self.gap("CMS165").status == "open"

    def test_put_off_until_a_day(self):
        gap = self.gap()
        message = message_actions.queue(body="Hello", key="k1", patient=self.patient, about=gap.about)
        actions.defer(gap, TODAY + timedelta(days=30), "Asked to wait", self.nurse)
        message.refresh_from_db()
        assert message.state == Message.State.SUPPRESSED
        assert find_gaps().written == 0 and self.gap().status == "deferred"
        find_gaps(as_of=TODAY + timedelta(days=30))
        assert (self.gap().status, self.gap().deferred_until) == ("open", None)
        with pytest.raises(actions.GapError):
            actions.defer(self.gap(), TODAY, "", self.nurse)


class Reachability(Charts, CastTestCase):
    def test_due_and_unreachable_is_a_task_until_reachable(self):
        alone = self.make_patient("Sol", "Alone")
        self.add(visit(THIS_YEAR), patient=alone)
        self.add(visit(THIS_YEAR))
        find_gaps()
        task = Task.objects.get(reason=Reason.NO_WAY_TO_REACH)
        assert (task.patient, task.about, task.clinic) == (alone, f"patient:{alone.pk}", self.clinic)
        find_gaps()
        assert Task.objects.filter(reason=Reason.NO_WAY_TO_REACH).count() == 1
        ContactPoint.objects.create(
            patient=alone, system="phone", raw="x", value="+16175550177", sms_consent="granted"
        )
        find_gaps()
        task.refresh_from_db()
        assert (task.state, task.outcome) == ("done", "by_system")

    def test_with_nothing_due_nobody_looks_for_a_number(self):
        self.make_patient("Sol", "Alone")
        find_gaps()
        assert not Task.objects.exists()


@override_settings(NOW=datetime(2026, 3, 5, 2, 30, tzinfo=UTC))  # 9:30 in the evening of the 4th in New York
class AnEvening(Charts, CastTestCase):
    """In UTC it is tomorrow already."""

    def test_a_run_by_hand_is_of_today(self):
        self.add(visit(THIS_YEAR), procedure("44388", "2026-03-05", CPT))
        assert find_gaps().as_of == TODAY and self.gap().status == "open"

    def test_nothing_is_done_tomorrow_already(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        with pytest.raises(actions.GapError, match="still to come"):
            self.close(self.gap(), done_on=TODAY + timedelta(days=1), precision="day")
        self.close(self.gap(), done_on=TODAY, precision="day")
        assert self.gap().closed_on == TODAY

    @override_settings(BUSINESS_TIME_ZONE="Pacific/Honolulu", NOW=datetime(2026, 1, 1, 9, tzinfo=UTC))
    def test_a_year_begins_where_the_clinics_are(self):
        assert find_gaps().as_of == date(2025, 12, 31)


class Stopping(Charts, CastTestCase):
    def many(self, count=60):
        people = [self.make_patient(f"N{n}", "Many", "+16175550142") for n in range(count)]
        self.add(*[visit(THIS_YEAR) | {"id": "x"} for _ in ()])
        rows = [
            visit(THIS_YEAR) | {"id": f"v{p.pk}", "subject": {"reference": f"Patient/{p.fhir_id}"}}
            for p in people
        ]
        import_resources(rows, source="test")

    def test_a_first_run_never_stops(self):
        self.many()
        assert find_gaps().state == "completed"

    def test_a_measure_that_is_new_never_stops_those_known_do(self):
        self.many()
        assert find_gaps(measures=["CMS125"]).opened == 60
        run = find_gaps(scheduled=True)
        assert (run.state, run.opened) == ("completed", 60), run.note
        Event.objects.all().delete()
        assert "120 gaps" in find_gaps(scheduled=True).note
        with override_settings(NIGHTLY_MEASURES=("CMS125", "CMS165")):
            assert "60 gaps would open or close, 100% of the 60 open now" in find_gaps(scheduled=True).note

    def test_too_much_change_stops_and_writes_nothing(self):
        find_gaps()
        self.many()
        run = find_gaps(scheduled=True)
        assert (run.state, run.written) == ("stopped", 0) and "120 gaps" in run.note
        assert not CareGap.objects.exists()
        task = Task.objects.get(about=jobs.ABOUT)
        assert task.queue == "supervisors" and task.clinic is None
        assert find_gaps(accept=True).state == "completed"
        task.refresh_from_db()
        assert task.state == "done"

    def test_a_broken_import_that_loses_facts_stops_too(self):
        self.many()
        find_gaps()
        Event.objects.all().delete()
        assert find_gaps().state == "stopped"
        assert CareGap.objects.filter(status="open").count() == 120

    def test_by_hand_it_exits_3(self):
        find_gaps()
        self.many()
        with pytest.raises(CommandError) as stopped:
            call_command("find_gaps")
        assert stopped.value.returncode == 3
        out = StringIO()
        call_command("find_gaps", "--accept", stdout=out)
        assert out.getvalue().startswith(
            "120 opened, 0 closed by record, 0 excluded, 0 unchanged, 120 rows written"
        )

    def test_a_few_changes_are_never_too_many(self):
        find_gaps()
        self.add(visit(THIS_YEAR))
        assert find_gaps().state == "completed"


class Running(Charts, CastTestCase):
    def test_two_at_once_cannot(self):
        GapRun.objects.create(as_of=TODAY, rules="2025.1", holder=f"{os.uname().nodename}:{os.getpid()}")
        with pytest.raises(AlreadyRunning):
            find_gaps()
        nightly()  # says so and ends
        assert GapRun.objects.count() == 1

    def test_a_run_whose_process_is_gone_is_taken_over(self):
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        dead = GapRun.objects.create(as_of=TODAY, rules="2025.1", holder=f"{os.uname().nodename}:{gone.pid}")
        assert find_gaps().state == "completed"
        dead.refresh_from_db()
        assert dead.state == "failed"

    def test_a_run_of_another_machine_is_dead_after_a_silence(self):
        run = GapRun.objects.create(as_of=TODAY, rules="2025.1", holder="elsewhere:1")
        with pytest.raises(AlreadyRunning):
            find_gaps()
        GapRun.objects.filter(pk=run.pk).update(heartbeat_at=clock.machine_now() - timedelta(hours=1))
        assert find_gaps().state == "completed"

    def test_a_missing_value_set_is_named_and_the_others_go_on(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        ValueSet.objects.filter(oid="2.16.840.1.113883.3.464.1003.108.12.1020").delete()
        with mock.patch("engage.records.valuesets.ensure"):
            run = find_gaps()
            assert run.state == "completed" and "“colonoscopy”" in run.note and "CMS130" in run.note
            assert self.gaps() == {"CMS125": "open", "CMS130": "open"}
            with pytest.raises(CommandError, match="colonoscopy"):
                call_command("find_gaps", "--measure", "CMS130")

    def test_an_unknown_measure(self):
        with pytest.raises(CommandError, match="no measure CMS999"):
            call_command("find_gaps", "--measure", "CMS999")

    def test_an_unknown_measure_in_the_settings_is_on_record(self):
        with override_settings(NIGHTLY_MEASURES=("CMS125", "CMS999")):
            nightly()
        run = GapRun.objects.get()
        assert run.state == "failed" and run.note.startswith("NIGHTLY_MEASURES: There is no measure CMS999;")

    def test_the_counts_are_those_of_the_last_completed_run(self):
        find_gaps()
        before = list(OpenTally.objects.values()), list(MeasureTally.objects.values())
        self.add(visit(THIS_YEAR))
        with mock.patch("engage.caregaps.rolls.write", side_effect=OSError), pytest.raises(OSError):
            find_gaps()
        assert (list(OpenTally.objects.values()), list(MeasureTally.objects.values())) == before

    def test_a_crash_is_on_record_and_the_next_run_goes_on(self):
        self.add(visit(THIS_YEAR))
        with mock.patch("engage.caregaps.jobs.write_tallies", side_effect=OSError), pytest.raises(OSError):
            find_gaps()
        assert GapRun.objects.get().state == "failed"
        assert find_gaps().written == 0
        assert MeasureTally.objects.exists()

    def test_staff_who_act_while_it_runs_are_not_written_over(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        self.add(lab("12503-9", "2024-05-05"))
        real = Writer.update

        def meanwhile(writer, changes):
            if self.gap().status == "open":
                self.close(self.gap())
            return real(writer, changes)

        with mock.patch.object(Writer, "update", meanwhile):
            find_gaps(measures=["CMS130"])
        assert (self.gap().status, self.gap().closed_by) == ("closed", "staff")

    def test_a_run_that_was_given_up_writes_no_more(self):
        self.add(visit(THIS_YEAR))
        real = Writer.insert

        def meanwhile(writer, changes):
            GapRun.objects.update(state="failed", note="The next run took over.")
            return real(writer, changes)

        with mock.patch.object(Writer, "insert", meanwhile), pytest.raises(TakenOver):
            find_gaps()
        assert not CareGap.objects.exists()
        assert GapRun.objects.get().note == "The next run took over."


class Killed(Charts, CastTransactionTestCase):
    def test_killed_half_way_and_run_again_it_ends_the_same(self):
        people = [self.make_patient(f"N{n}", "Many", "+16175550142") for n in range(30)]
        rows = [
            visit(THIS_YEAR) | {"id": f"v{p.pk}", "subject": {"reference": f"Patient/{p.fhir_id}"}}
            for p in people
        ]
        import_resources(rows, source="test")
        with (
            mock.patch("engage.caregaps.writing.NEW_ROWS", 7),
            mock.patch.object(GapRun, "beat", side_effect=[None] * 6 + [KeyboardInterrupt]),
            pytest.raises(KeyboardInterrupt),
        ):
            find_gaps()
        half = CareGap.objects.count()
        assert 0 < half < 60
        run = find_gaps()
        assert CareGap.objects.count() == 60 and run.written == 60 - half
        assert find_gaps().written == 0


@pytest.mark.data
@pytest.mark.django_db
@override_settings(NOW=NOON.replace(year=2020))
def test_everyone_in_bulk100_has_had_a_colonoscopy(data: Path):
    """What the loop's browser test builds on: nobody of these hundred is due for colorectal screening."""
    from engage.caregaps.algebra import Question
    from engage.caregaps.measures import MEASURES
    from engage.caregaps.measures.cms130 import colonoscopy
    from engage.caregaps.period import Period

    call_command("import_fhir", str(data / "fhir" / "bulk100"), stdout=StringIO())
    day = date(2020, 6, 1)
    find_gaps(as_of=day)
    question = Question.nightly(Period.of(day), day)
    counted = MEASURES["CMS130"].rules(2020).groups[0].count(question)
    assert counted.denominator
    assert counted.denominator - counted.excluded <= question.ask(colonoscopy)
    assert not CareGap.objects.filter(measure="CMS130", status="open").exists()
