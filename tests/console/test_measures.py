import csv
import io
import re
from datetime import date
from unittest import mock

from django.db import connection
from django.test.utils import CaptureQueriesContext

from engage.accounts.models import Role
from engage.audit.models import AuditEvent
from engage.caregaps.models import CareGap, GapRun, MeasureTally, OpenTally
from engage.console import gap_lists
from engage.patients.models import Practitioner
from tests.campaigns.base import CampaignCase


class MeasureCase(CampaignCase):
    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.make_run(date(2026, 2, 1), numerator=30)
        cls.make_run(date(2026, 3, 1), numerator=40)
        cls.make_run(date(2026, 3, 2), numerator=99, state="failed")

    @classmethod
    def make_run(cls, day, numerator, state="completed", measure="CMS130", group=1):
        run = GapRun.objects.create(as_of=day, rules="2026.1", state=state, opened=7, closed=2, unchanged=50)
        for clinic, size in ((cls.clinic, 100), (cls.other_clinic, 1000), (None, 10)):
            MeasureTally.objects.create(
                run=run, clinic=clinic, measure=measure, initial_population=size, denominator=size, excluded=size // 5,
                numerator=numerator if clinic == cls.clinic else 1, open_gaps=max(size - numerator, 0), group=group,
            )  # fmt: skip
        return run

    @classmethod
    def make_open(cls, run, clinic, by, key, number, measure="CMS130"):
        return OpenTally.objects.create(
            run=run, clinic=clinic, measure=measure, by=by, key=key, open_gaps=number
        )

    def text(self, url, user=None, status=200):
        self.client.force_login(user or self.coordinator)
        answer = self.client.get(url)
        assert answer.status_code == status
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))

    def rows(self, url, user=None, status=200):
        self.client.force_login(user or self.coordinator)
        answer = self.client.get(url)
        assert answer.status_code == status
        assert answer["Content-Type"].startswith("text/csv") and "attachment" in answer["Content-Disposition"]
        return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


class ListTests(MeasureCase):
    def test_the_rate_has_its_denominator_and_only_ones_own_clinics(self):
        html = self.text("/measures/")
        assert "50.0% 40 of 80" in html
        assert "As of 1 Mar 2026 · 60 open gaps" in html
        assert "Harbor Clinic 50.0% 40 of 80 60" in html
        assert "Mesa Clinic" not in html and "Unassigned" not in html

    def test_a_supervisor_sees_the_unassigned_too(self):
        html = self.text("/measures/", self.supervisor)
        assert "46.6% 41 of 88" in html
        assert "Unassigned 12.5% 1 of 8" in html

    def test_the_trend_has_completed_runs_only_with_a_table_behind(self):
        html = self.text("/measures/")
        assert "37.5% 1 Feb 2026 scale 30–50% 50.0% 1 Mar 2026" in html
        assert "1 Mar 2026 50.0% 40 80 60 1 Feb 2026 37.5% 30 80 70" in html
        assert "123.8%" not in html
        assert self.client.get("/measures/").content.decode().count("<circle") == 2

    def test_a_first_night_says_that_its_picture_begins_with_the_second(self):
        begins = "One night so far: the picture begins with the second."
        assert begins not in self.text("/measures/CMS130/")
        self.make_run(date(2026, 3, 3), numerator=50, measure="CMS122")
        assert begins in self.text("/measures/CMS122/")

    def test_the_last_run_is_told_and_of_when_the_figures_are(self):
        html = self.text("/measures/")
        assert "Last run as of 2 Mar 2026: failed; 7 opened, 2 closed, 50 unchanged." in html
        assert "The last run failed. The figures below are of 1 Mar 2026." in html

    def test_the_four_empty_states(self):
        assert "No patients" in self.text(
            "/measures/", self.user("lonely", Role.COORDINATOR, self.make_clinic())
        )
        GapRun.objects.exclude(state="failed").delete()
        assert "No run has been completed yet" in self.text("/measures/")
        GapRun.objects.all().delete()
        assert "Nothing is counted yet" in self.text("/measures/")
        assert "No run has counted it yet" in self.text("/measures/CMS130/")

    def make_clinic(self):
        return type(self.clinic).objects.create(name="Empty Clinic", slug="empty", state="MA")

    def test_a_day_run_twice_counts_once(self):
        self.make_run(date(2026, 3, 1), numerator=48)
        html = self.text("/measures/")
        assert "60.0% 48 of 80" in html and "50.0%" not in html

    def test_each_measure_keeps_its_own_last_run(self):
        self.make_run(date(2026, 3, 3), numerator=20, measure="CMS125")
        html = self.text("/measures/")
        assert "Breast cancer screening CMS125 25.0% 20 of 80" in html and "50.0% 40 of 80" in html

    def test_the_same_queries_however_many_measures(self):
        self.client.force_login(self.coordinator)
        self.queries("/measures/")  # the first of a session asks more
        few = self.queries("/measures/")
        for measure in ("CMS125", "CMS165", "CMS124", "CMS122", "CMS131"):
            self.make_run(date(2026, 3, 3), numerator=20, measure=measure)
        assert self.queries("/measures/") <= few <= 12

    def queries(self, url):
        with CaptureQueriesContext(connection) as asked:
            assert self.client.get(url).status_code == 200
        return len(asked)

    def test_the_figures_as_a_table_without_patients(self):
        (row,) = self.rows("/measures/rates.csv", self.administrator)
        assert (row["Measure"], row["Clinic"], row["open_gaps"], row["Rate in percent"]) == (
            "CMS130",
            "Harbor Clinic",
            "60",
            "50.0",
        )


class MeasureTests(MeasureCase):
    def test_open_gaps_by_clinic_clinician_language_and_age(self):
        doctor = Practitioner.objects.create(source="t", fhir_id="1", name="Dr. Woo")
        run = GapRun.objects.get(as_of=date(2026, 3, 1))
        for by, key, number in (
            ("pcp", str(doctor.pk), 45),
            ("pcp", "", 15),
            ("language", "es", 30),
            ("age", "60-69", 60),
        ):
            self.make_open(run, self.clinic, by, key, number)
        self.make_open(run, self.other_clinic, "pcp", str(doctor.pk), 900)
        html = self.text("/measures/CMS130/")
        assert "Open gaps: 60" in html
        for words in (
            "Harbor Clinic 60 100%",
            "Dr. Woo 45 75%",
            "No clinician 15 25%",
            "Spanish 30 50%",
            "60 to 69 60",
        ):
            assert words in html, words
        page = self.client.get("/measures/CMS130/").content.decode()
        for query in (f"clinic={self.clinic.pk}", f"pcp={doctor.pk}", "pcp=none", "language=es", "age=60-69"):
            assert f"/measures/CMS130/patients/?{query}" in page, query

    def test_more_clinicians_than_fit_are_told_in_words(self):
        run = GapRun.objects.get(as_of=date(2026, 3, 1))
        for number in range(25):
            doctor = Practitioner.objects.create(source="t", fhir_id=str(number), name=f"Dr. {number:02}")
            self.make_open(run, self.clinic, "pcp", str(doctor.pk), 100 - number)
        html = self.text("/measures/CMS130/")
        assert "Dr. 19" in html and "Dr. 20" not in html and "5 more, 390 open gaps" in html

    def test_each_group_has_its_rate_and_rules(self):
        self.make_run(date(2026, 3, 3), numerator=20, measure="CMS138")
        run = GapRun.objects.latest("pk")
        MeasureTally.objects.create(
            run=run, clinic=self.clinic, measure="CMS138", group=2, initial_population=9, denominator=8, numerator=6,
            open_gaps=2,
        )  # fmt: skip
        html = self.text("/measures/CMS138/")
        assert "25.0% 20 of 80" in html and "Group 2: 75.0% 6 of 8" in html and "Open gaps: 82" in html

    def test_one_rate_over_the_groups_where_the_measure_asks_for_it(self):
        for group, numerator in ((1, 20), (4, 40)):
            run = self.make_run(date(2026, 3, 3), numerator=numerator, measure="CMS347", group=group)
        MeasureTally.objects.filter(measure="CMS347").update(run=run)
        assert "37.5% 60 of 160" in self.text("/measures/")
        html = self.text("/measures/CMS347/")
        assert "Group 1: 25.0% 20 of 80" in html and "Group 4: 50.0% 40 of 80" in html
        assert "one rate over its 2 groups together" in html and "37.5% 60 of 160" in html

    def test_few_queries_whatever_the_size(self):
        self.client.force_login(self.coordinator)
        with CaptureQueriesContext(connection) as asked:
            self.client.get("/measures/CMS130/")
        assert len(asked) <= 12

    def test_the_rules_in_words(self):
        html = self.text("/measures/CMS130/")
        assert "aged 46" in html and "colonoscopy from 1 Jan 2017" in html and "hospice care" in html

    def test_a_measure_we_do_not_have(self):
        self.text("/measures/CMS999/", status=404)
        self.text("/measures/CMS999/patients/", status=404)

    def test_the_administrator_sees_numbers_not_patients(self):
        assert "Open gaps: 60" in self.text("/measures/CMS130/", self.administrator)
        assert "/patients/?" not in self.client.get("/measures/CMS130/").content.decode()
        self.text("/measures/CMS130/patients/", self.administrator, status=403)
        self.text("/measures/CMS130/patients.csv", self.administrator, status=403)


class PatientTests(MeasureCase):
    def test_click_through_is_limited_to_the_choice_and_audited(self):
        spanish = self.make_patient("Bo", "Lee", language="es")
        self.make_gap(spanish)
        html = self.text("/measures/CMS130/patients/?language=es")
        assert "1 patient, speaking Spanish" in html
        assert "Lee, Bo" in html and "Rivera" not in html
        assert AuditEvent.objects.get(action="measure.patients").patient_id == spanish.pk

    def test_each_choice(self):
        old = self.make_patient("Bo", "Lee", birth_date=date(1940, 1, 1))
        self.make_gap(old)
        for query, there, absent in (
            (f"clinic={self.clinic.pk}", "Lee", "nobody"),
            ("age=80-130", "Lee", "Rivera"),
            ("age=60-69", "Rivera", "Lee"),
            ("pcp=none", "Rivera", "nobody"),
        ):
            html = self.text(f"/measures/CMS130/patients/?{query}")
            assert there in html and absent not in html, query

    def test_page_by_page_and_only_the_shown_are_audited(self):
        for number in range(4):
            self.make_gap(self.make_patient(f"P{number}", "Many"))
        with mock.patch("engage.console.views.measures.SHOWN", 3):
            first, second = (self.text(f"/measures/CMS130/patients/?pcp=none&page={n}") for n in (1, 2))
        assert "Page 1 of 2" in first and "Page 2 of 2" in second and "5 patients" in first
        assert AuditEvent.objects.filter(action="measure.patients").count() == 5
        shown = set(AuditEvent.objects.filter(action="measure.patients").values_list("patient_id", flat=True))
        assert len(shown) == 5

    def test_more_than_a_list_holds_is_said(self):
        for number in range(4):
            self.make_gap(self.make_patient(f"P{number}", "Many"))
        with mock.patch("engage.console.views.measures.MOST", 3):
            html = self.text("/measures/CMS130/patients/")
            assert "More than 3 patients" in html and "Download" not in html
            answer = self.client.get("/measures/CMS130/patients.csv?pcp=none", follow=True)
        assert answer.redirect_chain[0][0] == "/measures/CMS130/patients/?pcp=none"
        assert "More than 3 patients: choose a clinic" in answer.content.decode()

    def test_a_choice_that_makes_no_sense_is_not_found(self):
        for query in ("clinic=x", "age=old", "age=1-9999", "pcp=-1", "clinic=99999999999999999999999"):
            self.text(f"/measures/CMS130/patients/?{query}", status=404)

    def test_another_clinic_cannot(self):
        assert "Rivera" not in self.text("/measures/CMS130/patients/", self.stranger)
        html = self.text(f"/measures/CMS130/patients/?clinic={self.clinic.pk}", self.stranger)
        assert "Rivera" not in html and "Harbor" not in html and "Nobody" in html
        assert self.rows("/measures/CMS130/patients.csv", self.stranger) == []
        assert not AuditEvent.objects.filter(patient_id=self.patient.pk).exists()

    def test_the_file_is_for_those_who_act_and_each_patient_is_audited(self):
        evil = self.make_patient("=HYPERLINK(0)", "=cmd|' /C calc'!A0", language="es")
        self.make_gap(evil)
        rows = self.rows("/measures/CMS130/patients.csv?language=es")
        assert [row["Patient"] for row in rows] == ["'=cmd|' /C calc'!A0, =HYPERLINK(0)"]
        assert AuditEvent.objects.filter(action="measure.download", patient_id=evil.pk).count() == 1
        whole = AuditEvent.objects.get(action="measure.download", patient_id=None)
        assert whole.detail["patients"] == 1 and whole.detail["choice"] == "language=es"
        self.text("/measures/CMS130/patients.csv", self.auditor, status=403)
        assert "Download" not in self.text("/measures/CMS130/patients/", self.auditor)

    def test_few_queries(self):
        for number in range(9):
            self.make_gap(self.make_patient(f"P{number}", "Many"))
        self.client.force_login(self.coordinator)
        with CaptureQueriesContext(connection) as asked:
            self.client.get("/measures/CMS130/patients/?age=60-69")
        assert len(asked) <= 12

    def test_a_band_of_the_pictures_is_a_band_of_the_list(self):
        from engage.caregaps.tallies import BANDS, band_key

        for place in range(len(BANDS)):
            assert gap_lists.band(band_key(place)) == BANDS[place]
        assert CareGap.objects.filter(**gap_lists.born(60, 69)).count() == 1
