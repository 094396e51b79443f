"""An explanation names what decided: over random charts the facts it names suffice alone, and none can be spared."""

import random
from datetime import date

from django.db import transaction

from engage.caregaps.algebra import Question
from engage.caregaps.explain import explain
from engage.caregaps.jobs import find_gaps
from engage.caregaps.marks import Mark
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap
from engage.caregaps.period import Period
from engage.records.models import Event
from tests.base import CastTestCase
from tests.caregaps.charts import (
    CPT,
    ICD10,
    condition,
    device_order,
    lab,
    observation,
    prescription,
    procedure,
    survey,
    visit,
)
from tests.caregaps.test_find_gaps import TODAY, Charts

PATIENTS = 40
ASKED = ("CMS125", "CMS130", "CMS951", "CMS124", "CMS131")
NURSING_HOME, AT_HOME = "160734000", "264362003"


def day(chance: random.Random, first=2010) -> str:
    return f"{chance.randint(first, 2026)}-{chance.randint(1, 2):02}-{chance.randint(1, 28):02}"


def fact(chance: random.Random) -> dict:
    """One of the facts these measures read, on a day that may or may not count."""
    return chance.choice(
        [
            lambda: visit(f"{day(chance, 2023)}T10:00:00-05:00"),
            lambda: visit(f"{day(chance, 2025)}T10:00:00-05:00"),
            lambda: observation("24604-1", day(chance, 2021)),
            lambda: procedure("44388", day(chance), CPT),
            lambda: lab("12503-9", day(chance, 2024)),
            lambda: condition("E11.9", day(chance), ICD10),
            lambda: observation("48642-3", day(chance, 2025), {"valueString": "61"}),
            lambda: procedure("170935008", day(chance, 2024)),
            lambda: condition("305686008", day(chance, 2020)),
            lambda: condition("L89.000", day(chance, 2020), ICD10),
            lambda: device_order(day(chance, 2025)),
            lambda: condition("A81.00", day(chance, 2024), ICD10),
            lambda: prescription("1100184", day(chance, 2025), 30),
            lambda: survey("71802-3", day(chance, 2020), chance.choice((NURSING_HOME, AT_HOME))),
            lambda: condition("Z90.13", day(chance), ICD10),
            lambda: condition("Z90.11", day(chance), ICD10),
            lambda: condition("Z90.12", day(chance), ICD10),
        ]
    )()


class Agreement(Charts, CastTestCase):
    def setUp(self):
        chance = random.Random(20260304)
        self.patients = [
            self.make_patient(f"P{n}", "Chart", birth_date=date(chance.randint(1950, 1980), 5, 1))
            for n in range(PATIENTS)
        ]
        for patient in self.patients:
            self.add(*(fact(chance) for _ in range(chance.randint(2, 14))), patient=patient)

    def question(self, patients=None) -> Question:
        return Question.nightly(Period.of(TODAY), TODAY, patients)

    def expressions(self):
        for code in ASKED:
            for group in MEASURES[code].rules(TODAY.year).groups:
                yield f"{code} population", group.population
                yield f"{code} numerator", group.numerator
                yield from ((f"{code} {reason.slug}", reason.patients) for reason in group.exclusions)

    def test_the_facts_named_suffice_and_none_can_be_spared(self):
        everybody, checked = self.question(), set()
        for name, expression in self.expressions():
            inside = everybody.ask(expression)
            for patient in self.patients:
                one = self.question([patient.pk])
                assert bool(one.ask(expression)) == (patient.pk in inside), (name, patient)
                if patient.pk in inside:
                    named = {Mark.read(mark).event for mark, _ in expression.proof(one)}
                    assert self.holds(expression, patient, named), (name, patient, named)
                    for spared in named:
                        assert not self.holds(expression, patient, named - {spared}), (name, patient, spared)
                    checked.add(name)
        assert len(checked) > 15, checked  # the charts do reach what is tested

    def holds(self, expression, patient, events) -> bool:
        """Whether the patient is in the set with these facts on record and no others."""
        with transaction.atomic():
            Event.objects.filter(patient=patient).exclude(pk__in=events).delete()
            found = patient.pk in self.question([patient.pk]).ask(expression)
            transaction.set_rollback(True)
        return found

    def test_each_gap_tells_the_state_that_the_algebra_gives(self):
        find_gaps(measures=ASKED)
        told = {"open": 0, "excluded": 0}
        for gap in CareGap.objects.select_related("patient"):
            explanation = explain(gap)
            assert explanation.news == "" and explanation.why_in, gap
            told[gap.status] += 1
            one = self.question([gap.patient_id])
            group = MEASURES[gap.measure].rules(TODAY.year).groups[gap.group - 1]
            if gap.status == "excluded":
                reason = next(r for r in group.exclusions if one.ask(r.patients))
                events = [Mark.read(mark).event for mark, _ in reason.patients.proof(one)]
                assert gap.evidence["excluded"] == reason.slug and gap.evidence["fact"]["event"] in events
                assert reason.words.en in explanation.sentence
            else:
                assert explanation.closes and not one.ask(group.numerator)
        assert min(told.values()) > 5, told
