"""What a run leaves for the measures page: rates by clinic, open gaps by clinician, language and age."""

from datetime import date, timedelta

from django.db.models import Sum

from engage.caregaps import actions
from engage.caregaps.jobs import find_gaps
from engage.caregaps.models import CareGap, GapRun, MeasureTally, OpenTally
from engage.caregaps.tallies import BANDS, patients_in_cells
from engage.lib import clock
from engage.patients.models import Patient, Practitioner
from tests.base import CastTestCase
from tests.caregaps.charts import lab, visit
from tests.caregaps.test_find_gaps import THIS_YEAR, Charts


class Open(Charts, CastTestCase):
    def counts(self, measure="CMS130"):
        rows = OpenTally.objects.filter(measure=measure)
        return {(t.clinic_id, t.by, t.key): t.open_gaps for t in rows}

    def test_open_gaps_by_clinician_language_and_age(self):
        doctor = Practitioner.objects.create(source="t", fhir_id="1", name="Dr. Woo")
        spanish = self.make_patient("Bo", "Lee", language="es", pcp=doctor, birth_date=date(1977, 3, 4))
        elsewhere = self.make_patient("Cy", "Far", clinic=self.other_clinic)
        met = self.make_patient("Di", "Met", pcp=doctor)
        for patient in (self.patient, spanish, elsewhere, met):
            self.add(visit(THIS_YEAR), patient=patient)
        self.add(lab("12503-9", "2026-02-02"), patient=met)
        find_gaps()
        here, there = self.clinic.pk, self.other_clinic.pk
        assert self.counts() == {
            (here, "pcp", ""): 1,
            (here, "pcp", str(doctor.pk)): 1,
            (here, "language", "en"): 1,
            (here, "language", "es"): 1,
            (here, "age", "60-69"): 1,
            (here, "age", "40-49"): 1,  # 49 today
            (there, "pcp", ""): 1,
            (there, "language", "en"): 1,
            (there, "age", "60-69"): 1,
        }

    def test_they_are_those_that_are_open(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        actions.close_by_staff(
            self.gap(), what="colonoscopy", done_on=date(2020, 3, 1), precision="month", place="", known_by="patient_says",
            note="", by=self.nurse,
        )  # fmt: skip
        find_gaps()
        assert CareGap.objects.filter(measure="CMS125", status="open").count() == 1
        assert self.counts("CMS130") == {} and self.counts("CMS125")

    def test_what_was_put_off_is_counted_as_it_is_listed(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        actions.defer(self.gap(), clock.today() + timedelta(days=9), "Asked to wait", self.nurse)
        for how in ({}, {"full": True}, {"as_of": clock.today() + timedelta(days=8)}):
            run = find_gaps(**how)
            listed = CareGap.objects.filter(measure="CMS130").open().count()
            tallied = MeasureTally.objects.filter(run=run, measure="CMS130").aggregate(n=Sum("open_gaps"))[
                "n"
            ]
            assert (listed, tallied, self.counts("CMS130")) == (0, 0, {}) and self.counts("CMS125")
        find_gaps(as_of=clock.today() + timedelta(days=9))
        assert self.counts("CMS130")

    def test_only_the_last_run_of_a_measure_is_kept(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        find_gaps(measures=["CMS130"])
        last = GapRun.objects.latest("pk")
        assert set(OpenTally.objects.filter(measure="CMS130").values_list("run", flat=True)) == {last.pk}
        assert set(OpenTally.objects.filter(measure="CMS125").values_list("run", flat=True)) == {last.pk - 1}

    def test_a_birthday_moves_a_patient_into_the_next_band_on_the_day(self):
        Patient.objects.update(birth_date=date(1976, 3, 4))
        bands = {day: {cell.band for cell in patients_in_cells(date(2026, 3, day))} for day in (3, 4)}
        assert [BANDS[place] for day in (3, 4) for place in bands[day]] == [(40, 49), (50, 59)]

    def test_the_dead_the_inactive_and_those_of_unknown_age(self):
        dead = self.make_patient("Bo", "Dead", deceased=True)
        gone = self.make_patient("Cy", "Gone", active=False)
        ageless = self.make_patient("Di", "Ageless", birth_date=None)
        cells = patients_in_cells(clock.today())
        everyone = {pk for patients in cells.values() for pk in patients}
        assert everyone == {self.patient.pk, ageless.pk} and not everyone & {dead.pk, gone.pk}
        assert next(cell.band for cell, patients in cells.items() if ageless.pk in patients) == -1
