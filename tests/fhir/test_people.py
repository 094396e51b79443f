from datetime import UTC, date, datetime

import pytest

from engage.fhir import people
from engage.fhir.elements import NOBODY, Reference
from engage.fhir.problems import BadResource


def read(**more):
    return people.patient({"resourceType": "Patient", "id": "p", **more})


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([{"use": "official", "family": "Rivera", "given": ["Ana", "M"]}, {"use": "maiden", "family": "Soto"}], "Rivera"),
        ([{"use": "maiden", "family": "Soto"}, {"use": "official", "family": "Rivera"}], "Rivera"),
        ([{"use": "nickname", "given": ["A"]}, {"family": "Rivera"}], "Rivera"),
        ([{"use": "official", "family": "Soto", "period": {"end": "2001"}}, {"use": "usual", "family": "Rivera"}], "Rivera"),
        ([{"text": "Ana Maria Rivera"}], "Rivera"),
        ([{"family": "Riv\0era"}], "Rivera"),
        ([], ""),
    ],
)  # fmt: skip
def test_the_name_in_use(names, wanted):
    assert read(name=names).family == wanted


@pytest.mark.parametrize(
    ("written", "day", "precision"),
    [
        ("1960-05-01", date(1960, 5, 1), "day"),
        ("1960-05", date(1960, 5, 1), "month"),
        ("1960", date(1960, 1, 1), "year"),
        (None, None, ""),
    ],
)
def test_birth_dates_of_any_precision(written, day, precision):
    found = read(birthDate=written)
    assert (found.birth_date, found.birth_precision) == (day, precision)


@pytest.mark.parametrize("written", ["0000", "0000-00-00", "1960-02-30", 1960])
def test_a_birth_date_that_is_none_is_refused_with_a_sentence(written):
    with pytest.raises(BadResource, match="birth date"):
        read(birthDate=written)


def test_death_merging_and_inactive_records():
    assert (read(deceasedBoolean=True).deceased, read(deceasedBoolean=False).deceased) == (True, False)
    assert read(deceasedDateTime="1951-02-20T08:15:54-05:00").deceased_on == date(1951, 2, 20)
    assert read(active=False).active is False
    assert read(deceasedBoolean=True, active=False).notes == ()
    merged = read(link=[{"type": "seealso", "other": {"reference": "Patient/1"}}])
    assert merged.replaced_by == NOBODY
    merged = read(link=[{"type": "replaced-by", "other": {"reference": "Patient/2"}}])
    assert merged.replaced_by == Reference("Patient", "2")


@pytest.mark.parametrize(
    ("written", "dead", "active", "notes"),
    [
        (
            {"deceasedDateTime": "unknown"},
            True,
            True,
            ["is not a FHIR date. The death was kept, without a day."],
        ),
        ({"deceasedDateTime": True}, True, True, ["is not a FHIR date"]),
        ({"deceasedDateTime": "2020-02-30"}, True, True, ["does not exist"]),
        ({"deceasedDateTime": ""}, False, True, []),
        (
            {"deceasedBoolean": "true"},
            True,
            True,
            ["deceasedBoolean is neither true nor false; it was taken as true."],
        ),
        ({"deceasedBoolean": 1}, True, True, ["taken as true"]),
        ({"deceasedBoolean": "False"}, False, True, ["taken as false"]),
        ({"deceasedBoolean": {}}, False, True, ["passed over"]),
        ({"active": "false"}, False, False, ["active is neither true nor false; it was taken as false."]),
        ({"active": 0}, False, False, ["taken as false"]),
        ({"active": "maybe"}, False, True, ["passed over"]),
    ],
)
def test_a_death_or_activity_not_quite_well_formed_counts_and_is_noted(written, dead, active, notes):
    found = read(**written)
    assert (found.deceased, found.deceased_on, found.active) == (dead, None, active)
    assert len(found.notes) == len(notes)
    assert all(part in note for part, note in zip(notes, found.notes, strict=True))


def test_addresses():
    home = {
        "use": "home",
        "line": ["1 Main St", "Apt 2"],
        "city": "Boston",
        "state": "Massachusetts",
        "postalCode": "02118",
    }
    found = read(address=[{"use": "old", "city": "Salem"}, {"use": "work", "city": "Lynn"}, home])  # fmt: skip
    assert (found.line, found.city, found.state, found.postal_code) == (
        "1 Main St, Apt 2",
        "Boston",
        "Massachusetts",
        "02118",
    )
    assert read(address=[{"postalCode": "00000", "state": "KS"}]).postal_code == ""
    assert read(address=[{"state": "KS"}]).postal_code == ""


@pytest.mark.parametrize(
    ("communication", "wanted"),
    [
        (["es"], "es"),
        (["en-US"], "en"),
        (["en-US", "!es-MX"], "es"),
        ([], "en"),
        (["12"], "en"),
    ],
)
def test_the_preferred_language(communication, wanted):
    spoken = [
        {"language": {"coding": [{"code": c.lstrip("!")}]}, "preferred": c.startswith("!")}
        for c in communication
    ]
    assert read(communication=spoken).language == wanted


def test_phones_in_the_order_to_try_them(settings):
    settings.NOW = datetime(2026, 3, 4, tzinfo=UTC)
    found = read(
        telecom=[
            {"system": "phone", "value": "work", "use": "work"},
            {"system": "phone", "value": "home", "use": "home"},
            {"system": "phone", "value": "mobile", "use": "mobile"},
            {"system": "phone", "value": "first", "use": "home", "rank": 1},
            {"system": "phone", "value": "past", "use": "home", "period": {"end": "2020-01-01"}},
            {"system": "phone", "value": "later", "use": "home", "period": {"end": "2030-01-01"}},
            {"system": "phone", "value": "old", "use": "old"},
            {"system": "sms", "value": "sms"},
            {"system": "email", "value": "a@example.org"},
            {"system": "fax", "value": "fax"},
            {"system": "phone"},
        ]
    ).telecoms
    assert [t.value for t in found if t.system == "phone"] == [
        "first", "mobile", "sms", "home", "past", "later", "work", "old",
    ]  # fmt: skip
    assert {t.value for t in found if t.old} == {"past", "old"}
    assert [t.value for t in found if t.system == "email"] == ["a@example.org"]


def test_the_record_number_is_the_one_typed_so():
    other = {"system": "x", "value": "1"}
    mrn = {"type": {"coding": [{"system": people.MRN_SYSTEM, "code": "MR"}]}, "value": "M-7"}
    assert read(identifier=[other, mrn]).mrn == "M-7"
    assert read(identifier=[other]).mrn == "1"
    assert (read(identifier=[other]).mrn_system, read(identifier=[mrn]).mrn_system) == ("x", "")


def test_an_appointment_names_its_patient_doctor_and_place():
    who = [{"actor": {"reference": r}} for r in ("Location/l", "Practitioner/d", "Patient/p")]
    found = people.appointment(
        {"id": "a", "status": "booked", "start": "2026-03-04T09:00:00-05:00", "participant": who}
    )
    assert (found.patient.id, found.practitioner.id, found.places[0].id) == ("p", "d", "l")
    assert found.starts_at == datetime(2026, 3, 4, 14, tzinfo=UTC)
    with pytest.raises(BadResource, match="which patient"):
        people.appointment({"id": "a", "participant": who[:2]})
