"""A night that looks only at those for whom something changed ends as one that looks at everybody."""

from contextlib import contextmanager, suppress
from datetime import date, timedelta
from unittest import mock

import pytest
from django.db import connection, transaction
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase

from engage.caregaps import actions, basis, jobs, rolls
from engage.caregaps.jobs import find_gaps
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap, Closure, CountedTogether, GapRun, MeasureTally, OpenTally
from engage.lib import clock
from engage.patients.models import ContactPoint, Patient, Practitioner
from engage.records import changes, valuesets
from engage.records.actions import import_resources
from engage.records.models import Change, Event, ValueSet
from engage.worklist.models import Task
from tests.base import NOON, Cast, CastTestCase
from tests.caregaps.charts import CPT, ICD10, blood_pressure, condition, lab, procedure, visit
from tests.caregaps.test_find_gaps import THIS_YEAR, TODAY, Charts


@contextmanager
def everybody_after_all():
    """What looking at everybody would do now; it is taken back afterwards."""
    with transaction.atomic():
        yield find_gaps(as_of=clock.today(), full=True, accept=True)
        transaction.set_rollback(True)


def stored() -> list[tuple]:
    columns = (
        "patient",
        "measure",
        "group",
        "period_start",
        "status",
        "closed_by",
        "deferred_until",
        "due_since",
        "evidence_key",
    )
    return sorted(CareGap.objects.values_list(*columns), key=str)


def counted(run: GapRun) -> list[tuple]:
    return [
        row
        for tally in (MeasureTally, OpenTally)
        for fields in [[f.attname for f in tally._meta.fields if f.name not in ("id", "run")]]
        for row in sorted(tally.objects.filter(run=run).values_list(*fields), key=str)
    ]


def on_rolls(run: GapRun) -> dict:
    return {key: {name: set(found) for name, found in sets.items()} for key, sets in rolls.read(run).items()}


def live() -> list[tuple]:
    """Who has a gap open or put off, in whatever period."""
    rows = CareGap.objects.filter(status__in=("open", "deferred"))
    return sorted(rows.values_list("measure", "group", "patient"))


def on_the_list(run: GapRun) -> list[tuple]:
    """Who has one as the run counted them."""
    return sorted((*key, patient) for key, sets in rolls.read(run).items() for patient in sets["open"])


class Nights(Charts, CastTestCase):
    """The second night and those after it."""

    def setUp(self):
        self.other = self.make_patient("Bo", "Other")
        self.add(visit(THIS_YEAR), procedure("44388", "2012-05-03", CPT))
        self.add(visit(THIS_YEAR), patient=self.other)
        self.first = find_gaps()

    def night(self, day: date = TODAY, **how) -> GapRun:
        """Runs, and holds it against a look at everybody."""
        with override_settings(NOW=NOON + (day - TODAY)):
            run = find_gaps(**how)
            before, tasks, mine = stored(), Task.objects.open().count(), (counted(run), on_rolls(run))
            with everybody_after_all() as full:
                assert full.full and full.written == 0, full.summary
                assert (stored(), Task.objects.open().count()) == (before, tasks)
                assert (counted(full), on_rolls(full)) == mine
        return run

    def test_the_first_looks_at_everybody(self):
        assert self.first.full and self.first.note == "Looked at everybody: it is the first run."
        assert self.first.looked_at == Patient.objects.count()

    def test_the_second_looks_at_nobody_when_nothing_changed(self):
        run = self.night()
        assert (run.full, run.looked_at, run.written, run.unchanged, run.note) == (
            False,
            0,
            0,
            self.first.opened,
            "",
        )

    def test_only_those_whose_record_changed(self):
        self.add(lab("12503-9", "2026-03-01"))
        run = self.night()
        assert (run.full, run.looked_at, run.closed) == (False, 1, 1)
        assert self.night().looked_at == 0  # they have been looked at

    def test_a_fact_removed_or_changed(self):
        Event.objects.filter(patient=self.other).delete()
        Event.objects.filter(patient=self.patient, kind=4).update(start_lo=clock.now().timestamp() - 9e6)
        assert self.night().looked_at == 2

    def test_a_fact_given_to_another_patient_changes_both(self):
        Event.objects.filter(patient=self.other).update(patient=self.patient)
        assert self.night().looked_at == 2

    def test_birth_dates_deaths_and_merges(self):
        for field, value in (
            ("birth_date", date(2001, 1, 1)), ("deceased", True), ("merged_into", self.other), ("active", False),
            ("gender", "male"),
        ):  # fmt: skip
            Patient.objects.filter(pk=self.patient.pk).update(**{field: value})
            assert self.night().looked_at == 1, field
        Patient.objects.filter(pk=self.patient.pk).update(given="Anna", clinic=self.other_clinic)
        assert self.night().looked_at == 0

    def test_what_staff_did(self):
        closure = self.close(self.gap())
        assert self.night().looked_at == 1
        actions.withdraw_closure(closure, self.coordinator)
        assert self.night().written == 0  # the record was asked at once
        actions.defer(self.gap(), TODAY + timedelta(days=2), "Asked to wait", self.nurse)
        assert self.night(TODAY + timedelta(days=1)).written == 0
        run = self.night(TODAY + timedelta(days=2))
        assert (self.gap().status, run.opened, run.full) == ("open", 1, False)

    def test_a_way_to_reach_a_patient(self):
        ContactPoint.objects.filter(patient=self.patient).delete()
        before = Task.objects.open().filter(reason="no_way_to_reach").count()
        assert self.night().looked_at == 1
        assert Task.objects.open().filter(reason="no_way_to_reach").count() == before + 1

    def test_who_is_counted_elsewhere_is_not_looked_at(self):
        doctor = Practitioner.objects.create(source="t", fhir_id="1", name="Dr. Woo")
        for change in (
            {"language": "es"}, {"pcp": doctor}, {"clinic": self.other_clinic}, {"clinic": None, "pcp": None},
            {"clinic": self.clinic, "language": "en"},
        ):  # fmt: skip
            Patient.objects.filter(pk=self.patient.pk).update(**change)
            assert self.night().looked_at == 0, change
        Patient.objects.filter(pk=self.patient.pk).update(language="vi", deceased=True)
        assert self.night().looked_at == 1

    def test_a_birthday_between_two_nights(self):
        for n, born in enumerate((date(1976, 3, 5), date(1966, 3, 6), date(1956, 3, 8), date(2008, 3, 4))):
            self.add(visit(THIS_YEAR), patient=self.make_patient(f"N{n}", "Born", birth_date=born))
        self.night()
        for days in (1, 2, 4):
            assert self.night(TODAY + timedelta(days=days)).looked_at == 0

    def test_only_what_differs_is_kept_anew(self):
        kept = set(CountedTogether.objects.values_list("pk", flat=True))
        self.night()
        assert set(CountedTogether.objects.values_list("pk", flat=True)) == kept
        Patient.objects.filter(pk=self.other.pk).update(language="es")
        self.night()
        assert len(kept - set(CountedTogether.objects.values_list("pk", flat=True))) == 1

    # --- time itself ---------------------------------------------------------------------------------------
    def test_a_fact_dated_ahead_counts_from_its_day(self):
        self.add(procedure("44388", "2026-03-06", CPT))
        assert self.night().looked_at == 1 and self.gap().status == "open"
        assert self.night(TODAY + timedelta(days=1)).looked_at == 0
        run = self.night(TODAY + timedelta(days=3))  # a night was missed
        assert (run.full, run.looked_at, self.gap().status) == (False, 1, "closed")

    def test_a_visit_leaves_the_last_24_months(self):
        self.add(visit("2024-03-06T15:00:00-05:00"), patient=self.make_patient("Eva", "Rare"))
        assert self.night().opened == 2
        assert self.night(date(2026, 3, 6)).looked_at == 0
        run = self.night(date(2026, 3, 7))
        assert (run.full, run.looked_at, run.closed) == (False, 1, 2)

    def test_a_stay_counts_when_it_has_ended(self):
        eva = self.make_patient("Eva", "Stay")
        self.add(visit("2025-12-20T10:00:00Z", "2026-03-06T10:00:00Z"), patient=eva)
        assert self.night().opened == 0
        run = self.night(date(2026, 3, 6))
        assert (run.full, run.looked_at, run.opened) == (False, 1, 2)

    def test_no_other_window_slides_with_the_day(self):
        """What moved_by_time relies on."""
        for measure in MEASURES.values():
            for rules in measure.rule_sets.values():
                for closer in measure.closers:
                    assert not (closer.branch.when and closer.branch.when.window.months_to_as_of)
                text = repr(rules.groups)
                assert "months_to_as_of=2" not in text, measure.id

    # --- when it must be everybody ---------------------------------------------------------------------------
    def test_why_everybody(self):
        def why(day: date = TODAY, **how) -> str:
            return self.night(day, **how).note.removeprefix("Looked at everybody: ")

        assert why(full=True) == "it was asked for."
        ValueSet.objects.filter(oid="2.16.840.1.113883.3.464.1003.108.12.1020").update(digest="another")
        assert why() == "the rules or the value sets have changed."
        with mock.patch.object(basis, "program", lambda: b"a new release"):
            assert why() == "the rules or the value sets have changed."
            assert why(TODAY + timedelta(days=7)) == "everybody's turn comes once a week."
        find_gaps(full=True)
        assert why(TODAY - timedelta(days=1)) == "the day is before that of the last run."
        with mock.patch.object(rolls, "write", side_effect=OSError), pytest.raises(OSError):
            find_gaps()
        assert why() == "the run before was not a complete one."
        find_gaps(measures=["CMS130"])
        assert why() == "the run before was not a complete one."
        Change.objects.all().delete()
        assert why() == "nobody noted what changed."
        assert why(date(2027, 1, 2), accept=True) == "a new year has begun."

    def test_triggers_that_are_gone_come_back(self):
        name, sql = next(iter(changes.triggers().items()))
        table = sql.split(" ON ")[1].split()[0] if connection.vendor == "postgresql" else ""
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER {name} {'ON ' + table if table else ''}")
        self.add(lab("12503-9", "2026-03-01"))  # nobody notes it
        assert self.night().note == "Looked at everybody: nobody noted what changed."
        assert name in changes.there() and self.gap().status == "closed"

    def test_when_much_has_changed(self):
        with mock.patch.multiple(basis, FEW=0, MOST=0):
            self.add(lab("12503-9", "2026-03-01"))
            assert self.night().note == "Looked at everybody: much has changed (1 patients)."

    # --- changes that come at a bad moment ---------------------------------------------------------------------
    def test_what_changes_during_a_run_is_the_next_ones(self):
        real = jobs.write_tallies

        def meanwhile(*args):
            self.add(lab("12503-9", "2026-03-01"))
            real(*args)

        with mock.patch.object(jobs, "write_tallies", meanwhile):
            find_gaps()
        assert self.gap().status == "open"
        assert self.night().looked_at == 1 and self.gap().status == "closed"

    def test_an_import_that_was_killed_leaves_nothing_to_look_at(self):
        with transaction.atomic():
            self.add(lab("12503-9", "2026-03-01"))
            transaction.set_rollback(True)
        assert self.night().looked_at == 0

    def test_a_stopped_night_forgets_nothing(self):
        people = [self.make_patient(f"N{n}", "Many", "+16175550142") for n in range(60)]
        find_gaps(full=True)
        with mock.patch.object(basis, "FEW", 10**6):
            for person in people:
                self.add(visit(THIS_YEAR), patient=person)
            assert find_gaps().state == "stopped"
            run = self.night(accept=True)
        assert (run.full, run.looked_at, run.opened) == (False, 60, 120)

    def test_nobody_is_noted_before_the_first_line(self):
        GapRun.objects.all().delete()
        Change.objects.all().delete()
        self.add(visit(THIS_YEAR))
        changes.note([self.patient.pk])
        assert not Change.objects.exists()


# --- Any changes, any nights ------------------------------------------------------------------------------------------
FACTS = {
    "visit": lambda day: visit(f"{day}T15:00:00-05:00"),
    "stay": lambda day: visit(f"{day}T15:00:00-05:00", f"{day + timedelta(days=40)}T09:00:00-05:00"),
    "visit without an end": lambda day: visit(f"{day}T15:00:00-05:00", None),
    "colonoscopy": lambda day: procedure("44388", day.isoformat(), CPT),
    "stool test": lambda day: lab("12503-9", day.isoformat()),
    "hypertension": lambda day: condition("I10", day.isoformat(), ICD10),
    "good pressure": lambda day: blood_pressure(f"{day}T10:00:00Z", 120, 70),
    "high pressure": lambda day: blood_pressure(f"{day}T11:00:00Z", 170, 99),
    "diabetes": lambda day: condition("E11.9", day.isoformat(), ICD10),
    "HbA1c": lambda day: lab(
        "4548-4", day.isoformat(), {"valueQuantity": {"value": 9.5, "unit": "%", "code": "%"}}
    ),
    "hospice": lambda day: procedure("170935008", day.isoformat()),
    "palliative care": lambda day: condition("305686008", day.isoformat()),
}
# Who is there at first: most of them change by themselves within days.
CHARTS = (
    (0, "visit", -728), (1, "visit", -90), (1, "colonoscopy", 2), (2, "stay", -38), (2, "diabetes", -300),
    (3, "visit", -20), (3, "hypertension", -900), (3, "high pressure", -15), (3, "good pressure", 3),
)  # fmt: skip
WHO = st.integers(0, 3)
# Days from today: most of them where a night or two makes a difference.
DAYS = st.one_of(st.sampled_from([-731, -730, -729, -40, -39, 1, 2, 3]), st.integers(-760, 30))
ACTS = st.one_of(
    st.tuples(st.just("add"), WHO, st.sampled_from(sorted(FACTS)), DAYS),
    st.tuples(st.just("move"), WHO, DAYS),
    st.tuples(st.just("remove"), WHO),
    st.tuples(st.just("born"), WHO, st.dates(date(1938, 1, 1), date(2012, 12, 31))),
    st.tuples(st.sampled_from(["die", "live", "leave", "merge", "part", "unreachable", "reachable"]), WHO),
    st.tuples(st.sampled_from(["close", "withdraw"]), WHO),
    st.tuples(st.just("put off"), WHO, st.integers(1, 40)),
    st.tuples(st.just("as of"), WHO, st.sampled_from([-400, -70, 70, 400])),
)
NIGHTS = st.lists(
    st.tuples(st.sampled_from([1, 1, 2, 3, 0, 6, 310]), st.lists(ACTS, max_size=6)), min_size=3, max_size=6
)


class AnyNights(Cast, HypothesisTestCase):
    """Random changes over some nights: after each the database is what a look at everybody makes of it."""

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.make_cast()
        valuesets.ensure()
        cls.people = [cls.make_patient(f"P{n}", "Person") for n in range(4)]
        for who, fact, ago in CHARTS:
            cls.add(TODAY, who, fact, ago)

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(NIGHTS)
    def test_few_or_all_it_is_the_same(self, nights):
        day = TODAY
        weekly = mock.patch.object(basis, "EVERYBODY_EVERY", timedelta(days=1000))
        with weekly, mock.patch.object(jobs, "NIGHTLY", tuple(MEASURES)):
            for days, acts in nights:
                day += timedelta(days=days)
                with override_settings(NOW=NOON + (day - TODAY)):
                    for act in acts:
                        with suppress(actions.GapError):  # a gap of last year, before the night moves it on
                            self.do(day, *act)
                    run = find_gaps(accept=True)
                    left, tasks = stored(), Task.objects.open().count()
                    mine = counted(run), on_rolls(run)
                    assert live() == on_the_list(run)
                    with everybody_after_all() as full:
                        assert full.written == 0, f"{run.note or run.looked_at}; {full.summary}"
                        assert (stored(), Task.objects.open().count()) == (left, tasks)
                        assert (counted(full), on_rolls(full)) == mine

    @classmethod
    def add(cls, day: date, who: int, fact: str, ago: int) -> None:
        subject = {"subject": {"reference": f"Patient/{cls.people[who].fhir_id}"}}
        name = {"id": f"e{Event.objects.count()}-{who}-{fact.replace(' ', '-')}"}
        import_resources([name | FACTS[fact](day + timedelta(days=ago)) | subject], source="test")

    def do(self, day: date, what: str, who: int, *more) -> None:
        person = Patient.objects.get(pk=self.people[who].pk)
        events = Event.objects.filter(patient=person)
        gap = CareGap.objects.filter(patient=person, status="open").order_by("pk").first()
        if what == "add":
            self.add(day, who, *more)
        elif what == "move" and (event := events.order_by("pk").first()):
            start = ((day + timedelta(days=more[0])).toordinal() - date(1970, 1, 1).toordinal()) * 86_400
            Event.objects.filter(pk=event.pk).update(
                start_lo=start, start_hi=start, end_lo=start, end_hi=start
            )
        elif what == "remove" and (event := events.order_by("-pk").first()):
            event.delete()
        elif what == "close" and gap and (closers := MEASURES[gap.measure].closers):
            actions.close_by_staff(
                gap, what=closers[0].slug, done_on=day, precision="day", place="", known_by="patient_says", note="",
                by=self.nurse,
            )  # fmt: skip
        elif what == "withdraw" and (
            closure := Closure.objects.filter(gap__patient=person, withdrawn_at=None).first()
        ):
            actions.withdraw_closure(closure, self.nurse)
        elif what == "put off" and gap:
            actions.defer(gap, day + timedelta(days=more[0]), "Later", self.nurse)
        elif what == "as of":
            find_gaps(as_of=day + timedelta(days=more[0]), accept=True)
        elif what == "unreachable":
            ContactPoint.objects.filter(patient=person).delete()
        elif what == "reachable":
            ContactPoint.objects.create(
                patient=person, system="phone", raw="x", value="+16175550177", sms_consent="granted"
            )
        else:
            other = self.people[(who + 1) % len(self.people)]
            changed = {
                "born": {"birth_date": more and more[0]}, "die": {"deceased": True}, "leave": {"active": False},
                "live": {"deceased": False, "active": True}, "merge": {"merged_into": other}, "part": {"merged_into": None},
            }.get(what)  # fmt: skip
            if changed:
                Patient.objects.filter(pk=person.pk).update(**changed)
