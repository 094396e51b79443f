"""Every measure at night: the ten of a default run, and the four that are asked by name."""

import pytest
from django.test import override_settings

from engage.caregaps.explain import explain
from engage.caregaps.jobs import UnknownMeasure, find_gaps
from engage.caregaps.measures import MEASURES, NIGHTLY
from engage.caregaps.models import CareGap
from engage.caregaps.sorting import LEAF_BITS
from tests.base import CastTestCase
from tests.caregaps.charts import (
    ICD10,
    condition,
    lab,
    prescription,
    problem,
    procedure,
    quantity,
    survey,
    visit,
)
from tests.caregaps.test_cms347 import allergy
from tests.caregaps.test_find_gaps import THIS_YEAR, Charts

FOUR = ("CMS2", "CMS138", "CMS347", "CMS349")


class EveryMeasure(Charts, CastTestCase):
    def gap_of(self, measure, group=1) -> CareGap:
        return CareGap.objects.get(measure=measure, group=group, patient=self.patient)

    def statuses(self) -> dict[tuple[str, int], str]:
        rows = CareGap.objects.filter(patient=self.patient).values_list("measure", "group", "status")
        return {(measure, group): status for measure, group, status in rows}

    def told(self, measure, group=1, language="en") -> str:
        return explain(self.gap_of(measure, group), language).sentence

    @override_settings(NIGHTLY_MEASURES=())
    def test_a_default_run_asks_ten(self):
        run = find_gaps()
        assert len(NIGHTLY) == 10 and set(NIGHTLY) == set(MEASURES) - set(FOUR)
        assert set(run.tallies.values_list("measure", flat=True)) <= set(NIGHTLY)
        self.add(visit(THIS_YEAR), condition("E11.9", "2015", ICD10))
        find_gaps()
        assert {"CMS122", "CMS131", "CMS951", "CMS125", "CMS130", "CMS139"} == set(self.gaps())

    @override_settings(NIGHTLY_MEASURES=("CMS139", "CMS1"))
    def test_a_setting_that_names_no_measure_is_refused(self):
        with pytest.raises(UnknownMeasure, match="no measure CMS1;"):
            find_gaps()

    @override_settings(NIGHTLY_MEASURES=("CMS139",))
    def test_a_clinic_may_choose_fewer(self):
        self.add(visit(THIS_YEAR))
        find_gaps()
        assert set(self.gaps()) == {"CMS139"}

    def test_every_gap_tells_itself_in_both_languages_and_a_second_night_writes_nothing(self):
        self.add(
            visit(THIS_YEAR),
            visit("2026-02-03T15:00:00-05:00", code="97161"),
            condition("I10", "2019-05-05", ICD10),
            condition("E11.9", "2015", ICD10),
            problem("I21.01", "2019"),
            survey("39240-7", "2026-02-02", "110483000"),
        )
        find_gaps(measures=list(MEASURES))
        assert set(self.statuses()) == {
            *((m, 1) for m in ("CMS125", "CMS130", "CMS165", "CMS122", "CMS131", "CMS951", "CMS139")),
            ("CMS2", 1), ("CMS138", 2), ("CMS347", 1), ("CMS349", 1),
        }  # fmt: skip
        for gap in CareGap.objects.filter(patient=self.patient):
            english, spanish = explain(gap), explain(gap, "es")
            for told in (english, spanish):
                assert told.sentence.endswith(".") and told.why_in and told.looked_for, gap.measure
            assert english.sentence != spanish.sentence, gap.measure
        run = find_gaps(measures=list(MEASURES))
        assert (run.written, run.opened, run.closed) == (0, 0, 0)

    def test_an_inverse_measure_opens_without_a_value_and_closes_with_a_good_one(self):
        self.add(visit(THIS_YEAR), condition("E11.9", "2015", ICD10))
        find_gaps(measures=["CMS122"])
        assert self.gap_of("CMS122").status == "open" and "HbA1c" in self.told("CMS122")
        self.add(lab("4548-4", "2026-02-10", quantity(9.4)))
        find_gaps(measures=["CMS122"])
        assert self.gap_of("CMS122").status == "open" and "9.4 %" in self.told("CMS122")
        self.add(lab("4548-4", "2026-02-20", quantity(7.1)))
        find_gaps(measures=["CMS122"])
        assert self.gap_of("CMS122").status == "closed"

    def test_an_exception_excludes_with_its_reason_in_words(self):
        self.add(visit(THIS_YEAR), problem("I21.01", "2019"), allergy("2026-02-02"))
        find_gaps(measures=["CMS347"])
        assert self.gap_of("CMS347").status == "excluded"
        assert "statin allergy" in self.told("CMS347") and "alergia" in self.told("CMS347", language="es")
        self.add(prescription("1422096", "2026-02-10"))
        find_gaps(measures=["CMS347"])
        assert self.gap_of("CMS347").status == "closed"

    def test_tobacco_opens_one_gap_at_a_time_and_each_closes_in_its_own_group(self):
        self.add(visit(THIS_YEAR, code="99396"))
        find_gaps(measures=["CMS138"])
        assert self.statuses() == {("CMS138", 1): "open"}
        self.add(survey("39240-7", "2026-02-02", "110483000"))
        find_gaps(measures=["CMS138"])
        assert self.statuses() == {("CMS138", 1): "closed", ("CMS138", 2): "open"}
        measure, done_on = MEASURES["CMS138"], THIS_YEAR[:10]
        assert [c.slug for c in measure.closers_of(1)] == ["tobacco_screening"]
        assert len(measure.closers_of(2)) == 2 and measure.closer("tobacco_screening", 2) is None
        self.add(procedure("99406", done_on, "http://www.ama-assn.org/go/cpt"))
        find_gaps(measures=["CMS138"])
        assert self.statuses() == {("CMS138", 1): "closed", ("CMS138", 2): "closed"}

    def test_depression_by_its_answer_and_not_by_a_date(self):
        self.add(visit(THIS_YEAR, code="97161"))
        find_gaps(measures=["CMS2"])
        assert self.statuses() == {("CMS2", 1): "open"} and not MEASURES["CMS2"].closers
        self.add(survey("73832-8", "2026-02-01", "428171000124102"))
        find_gaps(measures=["CMS2"])
        assert self.statuses() == {("CMS2", 1): "closed"}

    def test_hiv_once_in_a_lifetime(self):
        young = self.make_patient("Eva", "Young", birth_date=self.patient.birth_date.replace(year=1990))
        self.add(visit(THIS_YEAR), patient=young)
        find_gaps(measures=["CMS349"])
        assert CareGap.objects.get(patient=young).status == "open"
        self.add(lab("10901-7", "2012-02-02"), patient=young)
        find_gaps(measures=["CMS349"])
        assert CareGap.objects.get(patient=young).status == "closed"


def test_the_evidence_has_room_for_every_leaf():
    for measure in MEASURES.values():
        for rules in measure.rule_sets.values():
            for group in rules.groups:
                assert len(list(group.numerator.facts())) < 1 << LEAF_BITS, measure.id


def test_a_reason_is_named_once_in_a_group():
    for measure in MEASURES.values():
        for rules in measure.rule_sets.values():
            for number, group in enumerate(rules.groups, 1):
                slugs = [reason.slug for reason in (*group.exclusions, *group.exceptions)]
                assert len(slugs) == len(set(slugs)) and group.number == number
