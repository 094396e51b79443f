"""The real inputs, whole: quirks and all."""

import pytest

from engage.patients.models import Consent, ContactPoint, Patient
from engage.records import actions
from engage.records.models import Event, Kind, Trait

pytestmark = [pytest.mark.django_db, pytest.mark.data]
BULK = {
    "AllergyIntolerance": 38, "Condition": 639, "DiagnosticReport": 897, "Encounter": 3697, "Immunization": 1287,
    "MedicationRequest": 2386, "Observation": 16315, "Organization": 203, "Patient": 100, "Practitioner": 203,
    "Procedure": 2351,
}  # fmt: skip


def test_a_hundred_histories_are_read_whole_and_once(data, tmp_path):
    rejects = tmp_path / "rejects.ndjson"
    summary = actions.import_paths([data / "fhir" / "bulk100"], rejects=rejects)
    assert not rejects.exists()
    assert {k: c["created"] for k, c in summary.counts.items() if c["created"]} == BULK
    assert {k for k, c in summary.counts.items() if c["passed_over"]} == {
        "CarePlan", "CareTeam", "Device", "Group", "ImagingStudy",
    }  # fmt: skip
    assert Event.objects.filter(traits__lt=0).count() == 0
    assert Event.objects.filter(kind=Kind.ENCOUNTER, place=None).count() == 0
    panels = Event.objects.filter(kind=Kind.OBSERVATION, unit="mm[Hg]", value__gt=0, value2__gt=0)
    assert panels.count() == 983
    assert all(e.traits & Trait.BP_PANEL for e in panels[:50])
    people = Patient.objects.all()
    assert set(people.values_list("state", "time_zone")) == {("MA", "America/New_York")}
    assert people.filter(postal_code="").count() == 46
    assert people.exclude(family="").exclude(search_name="").count() == 100
    assert people.filter(language="es").count() == 3
    found = ContactPoint.objects.all()
    assert found.count() == 100
    assert set(found.values_list("state", "valid")) == {("active", False)}
    assert set(found.values_list("state_reason", flat=True)) == {
        "No phone company has given out this number."
    }
    assert Consent.objects.count() == 200


def test_the_samples_refer_by_identifier_and_hold_the_deceased(data):
    for name in ("sample-10-patients", "sample-100-patients"):
        summary = actions.import_paths([data / "fhir" / name], source=name)
        assert summary.rejected == 0
    ten = Event.objects.filter(source__name="sample-10-patients", kind=Kind.ENCOUNTER)
    assert ten.count() == 1215
    assert not ten.filter(place=None).exists()
    people = Patient.objects.all()
    assert people.filter(deceased=True, deceased_on__isnull=False).count() == 23
    assert set(people.values_list("state", flat=True)) == {"KS"}
    assert people.filter(postal_code="", time_zone="").count() == 7  # 00000, and Kansas has two zones
    assert people.filter(time_zone="America/Chicago").count() > 100
    assert people.filter(language="es").count() == 3
    again = actions.import_paths([data / "fhir" / "sample-10-patients"], source="sample-10-patients")
    assert {c["created"] + c["updated"] for c in again.counts.values()} == {0}
