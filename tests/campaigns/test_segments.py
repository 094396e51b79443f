from datetime import date, timedelta

import pytest

from engage.campaigns.segments import Segment, SegmentError, years_before
from engage.caregaps.models import CareGap
from engage.patients.models import Practitioner
from tests.campaigns.base import CampaignCase


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"zip": "02139"}, "“zip” is not something a segment can choose by"),
        ({"min_age": "fifty"}, "whole number from 0 to 130"),
        ({"min_age": -1}, "whole number from 0 to 130"),
        ({"min_age": True}, "whole number"),
        ({"min_age": 70, "max_age": 60}, "nobody would be chosen"),
        ({"languages": "es"}, "list of language codes"),
        ({"languages": [5]}, "list of language codes"),
        ({"pcps": ["x"]}, "list of the clinicians' numbers"),
        ({"overdue_days": 99_999}, "from 0 to 36500"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(data, words):
    with pytest.raises(SegmentError, match=words):
        Segment.parse(data)


def test_what_is_stored_reads_back():
    data = {"min_age": 0, "max_age": 74, "languages": ["en", "es"], "pcps": [3], "overdue_days": 30}
    assert Segment.parse(data).stored() == data
    assert Segment.parse(None).stored() == {}
    assert (
        Segment.parse(data).sentence()
        == "aged 0 to 74, speaking en, es, of one clinician, due for at least 30 days"
    )


def test_years_before_a_leap_day():
    assert years_before(date(2028, 2, 29), 1) == date(2027, 2, 28)


class ChosenTests(CampaignCase):
    def chosen(self, **data):
        return set(CareGap.objects.filter(Segment.parse(data).chosen()))

    def test_ages_are_of_today(self):
        turning = self.make_gap(self.make_patient("Bo", "Lee", birth_date=date(1976, 3, 4)))  # 50 today
        tomorrow = self.make_gap(self.make_patient("Cy", "Lee", birth_date=date(1976, 3, 5)))  # still 49
        assert self.chosen(min_age=50) == {self.gap, turning}
        assert self.chosen(max_age=49) == {tomorrow}
        assert self.chosen(min_age=50, max_age=50) == {turning}

    def test_language_pcp_and_days_overdue(self):
        doctor = Practitioner.objects.create(source="t", fhir_id="1", name="Dr. Woo")
        spanish = self.make_gap(self.make_patient("Bo", "Lee", language="es", pcp=doctor))
        recent = self.make_gap(self.make_patient("Cy", "Lee"), due_since=date(2026, 3, 4) - timedelta(days=9))
        assert self.chosen(languages=["es"]) == {spanish}
        assert self.chosen(pcps=[doctor.pk]) == {spanish}
        assert self.chosen(overdue_days=10) == {self.gap, spanish}
        assert recent in self.chosen(overdue_days=9)
