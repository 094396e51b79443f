"""A gap explains itself in words, from the expressions and the record."""

from datetime import UTC, date, datetime, timedelta

from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from engage.caregaps import actions
from engage.caregaps.explain import explain, sentence
from engage.caregaps.jobs import find_gaps
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap
from engage.caregaps.words import Words, day_text, listed
from engage.patients.models import Patient
from engage.records.models import Event, ValueSet
from tests.base import CastTestCase
from tests.caregaps.charts import CPT, ICD10, blood_pressure, condition, observation, procedure, visit
from tests.caregaps.test_find_gaps import THIS_YEAR, TODAY, Charts


class Explaining(Charts, CastTestCase):
    def test_the_last_fact_and_since_when(self):
        self.add(visit(THIS_YEAR), observation("24604-1", "2023-02-03", category="imaging"))
        find_gaps()
        told = explain(self.gap("CMS125"))
        assert told.sentence == "Last mammogram 3 Feb 2023; due since 1 Jan 2025."
        assert told.why_in == "66 years old at the end of 2026, woman and office visit on 2 Feb 2026"
        assert told.looked_for == "Mammogram from 1 Oct 2024 to 31 Dec 2026"
        assert told.last_fact == "Mammogram on 3 Feb 2023 (source: test)"
        assert told.due_since == date(2025, 1, 1)
        assert told.closes == ["Mammogram from 1 Oct 2024 to 31 Dec 2026"]

    def test_in_spanish(self):
        self.add(visit(THIS_YEAR), observation("24604-1", "2023-02-03", category="imaging"))
        find_gaps()
        told = explain(self.gap("CMS125"), "es")
        assert told.sentence == "Último registro: mamografía, 3 feb 2023; pendiente desde el 1 ene 2025."
        assert told.why_in.startswith(
            "66 años al final de 2026, mujer y consulta en el consultorio el 2 feb 2026"
        )

    def test_nothing_on_record_and_a_visit_of_two_years(self):
        self.add(visit("2025-01-07T10:00:00-05:00"))
        find_gaps()
        told = explain(self.gap())
        assert told.sentence == (
            "No stool blood test, stool DNA test, sigmoidoscopy, CT colonography or colonoscopy on record;"
            " due since 1 Jan 2026."
        )
        assert told.why_in.endswith("office visit on 7 Jan 2025 (by a visit of the last 24 months)")
        assert len(told.closes) == 5 and told.closes[-1] == "Colonoscopy from 1 Jan 2017 to 31 Dec 2026"

    def test_a_reading_is_told_with_its_value(self):
        self.add(visit(THIS_YEAR), condition("I10", "2019-05-05", ICD10), blood_pressure(THIS_YEAR, 152, 95))
        find_gaps()
        told = explain(self.gap("CMS165"))
        assert told.sentence == "Last blood pressure 152/95 mm Hg, 2 Feb 2026; due since 1 Jan 2026."
        assert told.last_fact == "Blood pressure on 2 Feb 2026: 152/95 mm Hg (source: test)"
        assert "high blood pressure since 5 May 2019" in told.why_in

    def test_an_exclusion_names_its_fact(self):
        self.add(visit(THIS_YEAR), procedure("170935008", "2026-02-03"))
        find_gaps()
        assert sentence(self.gap()) == "Does not apply: hospice care on 3 Feb 2026."
        assert sentence(self.gap(), "es") == "No corresponde: atención de hospicio el 3 feb 2026."

    def test_how_it_was_closed(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        closure = self.close(self.gap())
        assert sentence(self.gap()) == "Recorded by staff: colonoscopy, Mar 2020 (the patient says so)."
        actions.withdraw_closure(closure, self.coordinator)
        assert sentence(self.gap()).startswith("No stool blood test")
        self.add(procedure("44388", "2026-02-03", CPT))
        find_gaps()
        assert sentence(self.gap()) == "The record shows colonoscopy on 3 Feb 2026."

    def test_put_off_and_left(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        actions.defer(self.gap(), TODAY + timedelta(days=2), "", self.nurse)
        assert sentence(self.gap()).startswith("Put off until 6 Mar 2026; No stool")
        self.patient.deceased = True
        self.patient.save()
        find_gaps()
        assert sentence(self.gap()) == "The measure no longer includes this patient: the patient has died."

    def test_a_closure_withdrawn_the_record_speaks_again(self):
        self.add(visit(THIS_YEAR), procedure("44388", "2012-05-03", CPT))
        find_gaps()
        before = explain(self.gap())
        closure = self.close(self.gap())
        actions.withdraw_closure(closure, self.coordinator)
        assert explain(self.gap()) == before and before.sentence.startswith("Last colonoscopy 3 May 2012;")
        assert find_gaps().written == 0

    def test_a_closure_withdrawn_of_one_who_has_it_or_has_died(self):
        self.add(visit(THIS_YEAR), procedure("44388", "2012-05-03", CPT))
        find_gaps()
        died = "The measure no longer includes this patient: the patient has died."
        for what, told in (
            (lambda: self.add(procedure("44388", "2024-05-03", CPT)), "The record shows colonoscopy on 3 May 2024."),
            (lambda: Patient.objects.update(deceased=True), died),
        ):  # fmt: skip
            CareGap.objects.update(status="open", closed_by="")
            closure = self.close(self.gap())
            what()
            find_gaps()
            actions.withdraw_closure(closure, self.coordinator)
            assert (self.gap().status, self.gap().closed_on, sentence(self.gap())) == ("closed", TODAY, told)
            assert find_gaps().written == 0

    def test_a_closure_of_last_year_withdrawn_is_of_this_year(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        closure = self.close(self.gap())
        with override_settings(NOW=datetime(2027, 1, 20, 17, tzinfo=UTC)):
            find_gaps(measures=["CMS130"])
            assert self.gap().period_start == date(2026, 1, 1)
            actions.withdraw_closure(closure, self.coordinator)
            assert (self.gap().period_start, self.gap().status) == (date(2027, 1, 1), "open")
            assert find_gaps(measures=["CMS130"]).written == 0

    def test_a_closure_withdrawn_without_its_value_set_is_open(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        closure = self.close(self.gap())
        ValueSet.objects.filter(oid="2.16.840.1.113883.3.464.1003.108.12.1020").delete()
        actions.withdraw_closure(closure, self.coordinator)
        assert self.gap().status == "open"

    def test_back_with_the_test_done_it_says_so(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        Patient.objects.filter(pk=self.patient.pk).update(active=False)
        find_gaps()
        Patient.objects.filter(pk=self.patient.pk).update(active=True)
        self.add(procedure("44388", "2024-05-03", CPT))
        find_gaps()
        assert sentence(self.gap()) == "The record shows colonoscopy on 3 May 2024."
        assert find_gaps(full=True).written == 0

    def test_a_fact_taken_back_of_one_who_left_is_told_no_more(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        self.add(procedure("44388", "2024-05-03", CPT))
        find_gaps()
        Patient.objects.filter(pk=self.patient.pk).update(deceased=True)
        assert find_gaps().closed == 1  # of the mammogram
        assert sentence(self.gap()) == "The record shows colonoscopy on 3 May 2024."  # it still does
        Event.objects.filter(concept__codings__code="44388").delete()
        find_gaps()
        assert sentence(self.gap()) == "The measure no longer includes this patient: the patient has died."
        assert (self.gap().closed_on, find_gaps(full=True).written) == (TODAY, 0)

    def test_explaining_one_patient_asks_little(self):
        """Its milliseconds are measured by tests.benchmarks.explain."""
        self.add(
            visit(THIS_YEAR),
            *[blood_pressure(f"2025-{m:02}-0{d}", 120, 80) for m in range(1, 13) for d in (1, 2)],
        )
        find_gaps()
        gap = self.gap()
        with CaptureQueriesContext(connection) as queries:
            explain(gap)
        assert len(queries) < 25


class News(Charts, CastTestCase):
    """What the record has had since the last run: nobody calls about what was done this morning."""

    def setUp(self):
        self.add(visit(THIS_YEAR))
        find_gaps(measures=["CMS130"])

    def news(self):
        return explain(self.gap()).news

    def test_nothing_new(self):
        assert self.news() == ""

    def test_done_since(self):
        self.add(procedure("44388", "2026-03-03", CPT))
        assert self.news() == (
            "New since the last run: the record shows colonoscopy on 3 Mar 2026. The next run closes this gap."
        )
        assert explain(self.gap(), "es").news.startswith(
            "Nuevo desde la última revisión: el expediente muestra colonoscopia"
        )
        find_gaps(measures=["CMS130"])
        assert self.news() == ""

    def test_left_out_since(self):
        self.add(procedure("170935008", "2026-03-03"))
        assert (
            self.news()
            == "New since the last run: hospice care on 3 Mar 2026. The next run takes this gap off."
        )

    def test_closed_by_staff_is_no_news_and_its_withdrawal_neither(self):
        closure = self.close(self.gap())
        assert self.news() == ""
        actions.withdraw_closure(closure, self.coordinator)
        assert self.news() == ""

    def test_a_record_taken_back_makes_it_due_again(self):
        self.add(procedure("44388", "2026-03-03", CPT), prefix="x")
        find_gaps(measures=["CMS130"])
        assert self.gap().status == "closed"
        Event.objects.filter(fhir_id__startswith="x").delete()
        assert self.news().startswith("Since the last run this is due: stool blood test")

    def test_too_old_now_says_what_the_measure_asks(self):
        self.patient.birth_date = date(1949, 5, 1)
        self.patient.save()
        find_gaps(measures=["CMS130"])
        assert sentence(self.gap()) == (
            "The measure no longer includes this patient: it asks for aged 46-75 (77 years old at the end of 2026)."
        )


class Several(Charts, CastTestCase):
    """Measures that ask for more than one thing, and reasons of more than one fact."""

    def told(self, measure, *facts, **patient):
        for name, value in patient.items():
            setattr(self.patient, name, value)
        self.patient.save()
        self.add(visit(THIS_YEAR), *facts)
        find_gaps(measures=[measure])
        return explain(self.gap(measure))

    def test_only_what_is_missing_closes(self):
        egfr = observation("48642-3", "2026-02-02", {"valueQuantity": {"value": 61, "unit": "mL/min"}})
        told = self.told("CMS951", condition("E11.9", "2019-05-05", ICD10), egfr)
        assert told.sentence == "Missing: kidney urine test (uACR); due since 1 Jan 2026."
        assert told.closes == ["Kidney urine test (uACR) from 1 Jan 2026 to 31 Dec 2026"]

    def test_a_reason_of_two_facts_names_both(self):
        told = self.told(
            "CMS130",
            condition("L89.000", "2025-03-01", ICD10),
            condition("A81.00", "2025-04-01", ICD10),
            birth_date=date(1955, 5, 1),
        )
        assert told.sentence == (
            "Does not apply: frailty with advanced illness (frailty diagnosis since 1 Mar 2025"
            " and advanced illness since 1 Apr 2025)."
        )
        ((_, why_in), (label, reason), *_) = told.lines
        assert label == "Why it does not apply" and len(reason) == 3
        assert reason[1] == "Frailty diagnosis since 1 Mar 2025 (source: test)"

    def test_the_fact_that_decided_and_not_a_later_one(self):
        both, right = condition("Z90.13", "2010-01-01", ICD10), condition("Z90.11", "2020-01-01", ICD10)
        assert self.told("CMS125", both, right).sentence == (
            "Does not apply: removal of both breasts (history of removal of both breasts since 1 Jan 2010)."
        )
        assert self.gap("CMS125").evidence["fact"]["day"] == "2010-01-01"

    def test_the_lowest_of_the_day_decides(self):
        told = self.told(
            "CMS165",
            condition("I10", "2019-05-05", ICD10),
            blood_pressure("2026-02-02T09:00:00-05:00", 152, 85),
            blood_pressure("2026-02-02T10:00:00-05:00", 144, 95),
        )
        assert told.sentence.startswith(
            "Last blood pressure 144/85 mm Hg (lowest of 2 that day), 2 Feb 2026;"
        )

    def test_a_card_of_vaccines_says_how_many_doses(self):
        doses = [
            {"resourceType": "Immunization", "status": "completed", "occurrenceDateTime": day,
             "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "20"}]},
             "patient": {"reference": f"Patient/{self.patient.fhir_id}"}}
            for day in ("2024-06-01", "2024-08-01", "2024-08-01")
        ]  # fmt: skip
        told = self.told("CMS117", *doses, birth_date=date(2024, 3, 1))
        assert "4 doses of DTaP vaccine (2 on record)" in told.sentence
        assert "1 Aug 2024" in told.sentence and len(told.closes) == 10


def test_every_measure_speaks_both_languages():
    for measure in MEASURES.values():
        assert measure.title.en and measure.title.es and measure.title.en != measure.title.es
        assert measure.patient_title.es and (measure.closers or measure.id in ("CMS117", "CMS2"))
        for closer in measure.closers:
            assert closer.title.en != "" and closer.title.es != "" and closer.slug == closer.branch.tag
        for rules in measure.rule_sets.values():
            for group in rules.groups:
                for reason in (*group.exclusions, *group.exceptions):
                    assert reason.words.en != reason.words.es
                for leaf in group.numerator.facts():
                    assert leaf.name("en") and leaf.name("es")


def test_words():
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b or c" and listed([], "es") == ""
    assert listed(["a", "b"], "es", Words("and", "y")) == "a y b"
    assert (
        day_text(date(2023, 1, 9), "es") == "9 ene 2023" and day_text(date(2023, 1, 9), "vi") == "9 Jan 2023"
    )
    assert day_text(date(2023, 1, 9), precision="month") == "Jan 2023"
    assert day_text(date(2023, 1, 9), precision="year") == "2023"
