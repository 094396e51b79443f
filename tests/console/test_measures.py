import re
from datetime import date

from engage.audit.models import AuditEvent
from engage.caregaps.models import GapRun, MeasureTally
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
    def make_run(cls, day, numerator, state="completed"):
        run = GapRun.objects.create(as_of=day, rules="2026.1", state=state, opened=7, closed=2, unchanged=50)
        for clinic, size in ((cls.clinic, 100), (cls.other_clinic, 1000), (None, 10)):
            MeasureTally.objects.create(
                run=run, clinic=clinic, measure="CMS130", initial_population=size, denominator=size, excluded=size // 5,
                numerator=numerator if clinic == cls.clinic else 1, open_gaps=max(size - numerator, 0),
            )  # fmt: skip

    def text(self, url, user=None, status=200):
        self.client.force_login(user or self.coordinator)
        answer = self.client.get(url)
        assert answer.status_code == status
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


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
        assert "37.5% 1 Feb 2026 50.0% 1 Mar 2026" in html
        assert "1 Mar 2026 50.0% 40 80 60 1 Feb 2026 37.5% 30 80 70" in html
        assert "123.8%" not in html
        assert self.client.get("/measures/").content.decode().count("<circle") == 2

    def test_the_last_run_is_told(self):
        assert "Last run as of 2 Mar 2026: failed; 7 opened, 2 closed, 50 unchanged." in self.text(
            "/measures/"
        )

    def test_nothing_counted_yet_is_said(self):
        GapRun.objects.all().delete()
        assert "Nothing is counted yet" in self.text("/measures/")

    def test_a_day_run_twice_counts_once(self):
        self.make_run(date(2026, 3, 1), numerator=48)
        html = self.text("/measures/")
        assert "60.0% 48 of 80" in html and "50.0%" not in html


class MeasureTests(MeasureCase):
    def test_open_gaps_by_clinic_clinician_language_and_age(self):
        doctor = Practitioner.objects.create(source="t", fhir_id="1", name="Dr. Woo")
        self.make_gap(self.make_patient("Bo", "Lee", language="es", pcp=doctor, birth_date=date(1956, 3, 5)))
        self.make_gap(self.make_patient("Cy", "Strange", clinic=self.other_clinic))
        html = self.text("/measures/CMS130/")
        assert "Open gaps now: 2" in html
        for words in (
            "Harbor Clinic 2 100%",
            "Dr. Woo 1 50%",
            "No clinician 1 50%",
            "Spanish 1 50%",
            "60 to 69 2 100%",
        ):
            assert words in html, words

    def test_the_rules_in_words(self):
        html = self.text("/measures/CMS130/")
        assert "aged 46" in html and "colonoscopy from 1 Jan 2017" in html and "hospice care" in html

    def test_a_measure_we_do_not_have(self):
        self.text("/measures/CMS999/", status=404)
        self.text("/measures/CMS999/patients/", status=404)

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

    def test_a_choice_that_makes_no_sense_is_not_found(self):
        for query in ("clinic=x", "age=old", "age=1-9999", "pcp=-1", "clinic=99999999999999999999999"):
            self.text(f"/measures/CMS130/patients/?{query}", status=404)

    def test_another_clinic_cannot(self):
        assert "Rivera" not in self.text("/measures/CMS130/patients/", self.stranger)
        assert "Rivera" not in self.text(f"/measures/CMS130/patients/?clinic={self.clinic.pk}", self.stranger)
        assert not AuditEvent.objects.filter(patient_id=self.patient.pk).exists()

    def test_the_administrator_sees_numbers_not_patients(self):
        assert "Open gaps now: 1" in self.text("/measures/CMS130/", self.administrator)
        assert "/patients/?" not in self.client.get("/measures/CMS130/").content.decode()
        self.text("/measures/CMS130/patients/", self.administrator, status=403)
