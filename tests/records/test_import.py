"""import_fhir: any order, repeatable, and clear about what it refuses."""

import gzip
import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from engage.audit.models import AuditEvent
from engage.patients.models import Patient
from engage.records import actions, concepts, importing
from engage.records.models import (
    Appointment,
    Concept,
    Event,
    ImportRun,
    Kind,
    Medication,
    Place,
    Status,
    Trait,
)

pytestmark = pytest.mark.django_db
EXCERPTS = Path(__file__).parents[1] / "data" / "fhir"
LOINC = "http://loinc.org"


def patient(id="p", **more):
    return {"resourceType": "Patient", "id": id, "birthDate": "1960-05-01", **more}


def about(kind, id, who="p", **more):
    return {"resourceType": kind, "id": id, "subject": {"reference": f"Patient/{who}"}, **more}


def colonoscopy(id="x", who="p", when="2024-03-01", **more):
    code = {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "45378"}]}
    return about("Procedure", id, who, status="completed", code=code, performedDateTime=when, **more)


def load(*resources, **more):
    return actions.import_resources(resources, **more)


def file_of(path, *lines):
    path.write_bytes(b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines) + b"\n")
    return path


def run(*arguments, **options):
    out, err = io.StringIO(), io.StringIO()
    call_command("import_fhir", *map(str, arguments), stdout=out, stderr=err, **options)
    return out.getvalue().splitlines()


def counts(summary, kind):
    return {k: v for k, v in summary.counts[kind].items() if v}


def rows(source):
    """All that an import of a source leaves, but for ids and times of writing."""
    fields = [f.name for f in Event._meta.fields if f.name not in ("id", "source", "patient", "place")]
    mine = {"source__name": source}
    events = Event.objects.filter(**mine).order_by("kind", "fhir_id")
    patients = Patient.objects.filter(source=source).order_by("fhir_id")
    places = Place.objects.filter(**mine).order_by("fhir_id")
    return (
        list(events.values_list(*fields, "patient__fhir_id", "place__fhir_id")),
        list(
            patients.values_list(
                "fhir_id", "search_name", "clinic_id", "digest", "contact_points__sms_consent"
            )
        ),
        list(places.values_list("fhir_id", "name", "digest")),
    )


def test_a_fact_in_full():
    load(
        patient(),
        about(
            "Observation",
            "o",
            status="final",
            category=[
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                            "code": "laboratory",
                        }
                    ]
                }
            ],
            code={"coding": [{"system": LOINC, "code": "4548-4", "display": "HbA1c"}], "text": "A1c"},
            effectiveDateTime="2025-12-31T23:30:00-05:00",
            valueQuantity={
                "value": 9.1,
                "unit": "percent",
                "code": "%",
                "system": "http://unitsofmeasure.org",
            },
            encounter={"reference": "Encounter/e"},
        ),
    )
    event = Event.objects.get()
    assert (event.kind, event.status) == (Kind.OBSERVATION, Status.FINAL)
    assert event.traits == Trait.LABORATORY | Trait.HAS_VALUE | Trait.QUANTITY
    assert (event.value, event.unit, event.encounter) == (9.1, "%", "e")
    assert event.start_lo == event.start_hi == event.end_hi == 1767223800
    assert event.start_offset == -300
    assert event.concept.display == "A1c"
    assert concepts.matching(LOINC, "4548-4") == {event.concept_id}


def test_facts_may_come_before_everybody_they_refer_to(tmp_path):
    file = file_of(
        tmp_path / "all.ndjson",
        about("Encounter", "e", status="finished", serviceProvider={"reference": "Organization/o"}),
        colonoscopy(),
        about(
            "Condition",
            "c",
            clinicalStatus={"coding": [{"code": "active"}]},
            onsetAge={"value": 50, "code": "a"},
        ),
        {"resourceType": "Organization", "id": "o", "name": "Harbor"},
        patient(),
    )
    summary = actions.import_paths([file])
    assert summary.rejected == 0
    assert Event.objects.filter(patient__fhir_id="p").count() == 3
    assert Event.objects.get(kind=Kind.ENCOUNTER).place.name == "Harbor"
    assert Event.objects.get(kind=Kind.CONDITION).start_lo == 1272672000  # 1 May 2010, the fiftieth birthday


@pytest.mark.parametrize("batch", [1, 2, 3000])
def test_the_end_is_the_same_however_the_lines_are_ordered_and_batched(monkeypatch, tmp_path, batch):
    lines = [json.loads(line) for name in ("bulk", "sample") for line in (EXCERPTS / f"{name}.ndjson").open()]
    load(*lines, source="forward")
    monkeypatch.setattr(importing, "BATCH", batch)
    backward = load(*reversed(lines), source="backward")
    assert backward.rejected == 0
    assert rows("backward") == rows("forward")


def test_an_unchanged_second_import_changes_nothing():
    lines = [json.loads(line) for name in ("bulk", "sample") for line in (EXCERPTS / f"{name}.ndjson").open()]
    first, second = load(*lines), load(*lines)
    assert {c["updated"] + c["rejected"] for c in second.counts.values()} == {0}
    assert {k: c["created"] for k, c in first.counts.items()} == {
        k: c["unchanged"] for k, c in second.counts.items()
    }


def test_a_changed_resource_is_updated_in_place():
    load(patient(), colonoscopy(), colonoscopy("y"))
    key = Event.objects.get(fhir_id="x").pk
    summary = load(colonoscopy(when="2024-04-01"), colonoscopy("y"))
    assert counts(summary, "Procedure") == {"updated": 1, "unchanged": 1}
    assert Event.objects.get(fhir_id="x").pk == key
    assert Event.objects.get(fhir_id="x").start_lo == 1711929600


def test_sources_do_not_see_each_other():
    load(patient(), colonoscopy(), source="a")
    summary = load(colonoscopy(), source="b")
    assert counts(summary, "Procedure") == {"rejected": 1}
    load(patient(), colonoscopy(), source="b")
    assert Event.objects.count() == 2


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ({"identifier": {"system": "http://harbor/mrn", "value": "123"}}, "p"),
        ({"reference": "Patient?identifier=http://harbor/mrn|123"}, "p"),
        ({"identifier": {"value": "123"}}, "p"),
        ({"reference": "Patient?identifier=123"}, "p"),
        ({"identifier": {"system": "http://payer/member", "value": "123"}}, None),
        ({"reference": "Patient?identifier=http://payer/member|123"}, None),
    ],
)
def test_a_number_is_somebodys_in_its_own_system_only(subject, wanted):
    mrn = {"type": {"coding": [{"code": "MR"}]}, "system": "http://harbor/mrn", "value": "123"}
    summary = load(patient(identifier=[mrn]), colonoscopy() | {"subject": subject})
    assert list(Event.objects.values_list("patient__fhir_id", flat=True)) == [wanted] * bool(wanted)
    assert summary.rejected == (wanted is None)
    assert all("http://payer/member|123, who is not in the record." in r["reason"] for r in summary.rejects)


def test_a_prescription_that_loses_its_supply_loses_that_row():
    supply = {"expectedSupplyDuration": {"value": 30, "code": "d"}}
    bounds = [{"timing": {"repeat": {"boundsPeriod": {"start": year}}}} for year in ("2020", "2024")]
    order = about("MedicationRequest", "m", status="active", intent="order", authoredOn="2025-01-01")
    load(patient(), {**order, "dispenseRequest": supply, "dosageInstruction": bounds})
    assert sorted(Event.objects.values_list("kind", "fhir_id")) == [
        (7, "m"),
        (8, "m"),
        (15, "m"),
        (15, "m#2"),
    ]
    summary = load(order)
    assert counts(summary, "MedicationRequest") == {"updated": 1}
    assert list(Event.objects.values_list("kind", "fhir_id")) == [(7, "m")]


def deletion(*names):
    entries = [{"request": {"method": "DELETE", "url": name}} for name in names]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def test_what_the_record_deletes_is_deleted_with_all_its_rows():
    bounds = [{"timing": {"repeat": {"boundsPeriod": {"start": year}}}} for year in ("2020", "2024")]
    order = about("MedicationRequest", "m", status="active", intent="order", authoredOn="2025-01-01")
    load(patient(), colonoscopy(), colonoscopy("y"), {**order, "dosageInstruction": bounds})
    summary = load(deletion("Procedure/x", "http://h/fhir/MedicationRequest/m", "Procedure/never"))
    assert list(Event.objects.values_list("fhir_id", flat=True)) == ["y"]
    assert counts(summary, "Procedure") == {"deleted": 1, "unchanged": 1}
    assert "MedicationRequest created=0 updated=0 unchanged=0 rejected=0 deleted=1" in summary.lines()


@pytest.mark.parametrize("batch", [1, 3000])
def test_a_deletion_counts_from_where_it_stands(monkeypatch, batch):
    monkeypatch.setattr(importing, "BATCH", batch)
    gone = deletion("Procedure/x")
    load(patient(), colonoscopy(), gone)
    assert not Event.objects.exists()
    load(patient(), gone, colonoscopy())
    assert Event.objects.exists()
    load(colonoscopy("w", who="q"), deletion("Procedure/w"), patient("q"))
    assert not Event.objects.filter(fhir_id="w").exists()


def test_a_deletion_of_anything_else_is_passed_over_and_noted():
    summary = load({"resourceType": "Organization", "id": "o"}, deletion("Organization/o"))
    assert counts(summary, "Organization") == {"created": 1, "passed_over": 1}
    assert summary.rejects[0]["kept"] is True


@pytest.mark.parametrize("batch", [1, 2, 3000])
def test_a_later_version_waits_behind_an_earlier_one(monkeypatch, batch):
    monkeypatch.setattr(importing, "BATCH", batch)
    versions = [{**colonoscopy(), "status": status} for status in ("completed", "entered-in-error")]
    load(versions[0], patient(), versions[1])
    assert Event.objects.get().status == Status.ENTERED_IN_ERROR


def test_an_error_told_in_a_resource_that_cannot_be_read_stops_counting():
    error = {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}}
    active = {"coding": [{"code": "active"}]}
    sick = about("Condition", "c", onsetDateTime="2020", clinicalStatus=active)
    load(patient(), colonoscopy(), colonoscopy("y"), sick)
    summary = load(
        {**colonoscopy(when="bad"), "status": "entered-in-error"},
        colonoscopy("y", when="bad"),  # what was known is likelier than nothing
        {**sick, **error, "onsetDateTime": "bad"},
    )
    assert list(Event.objects.values_list("fhir_id", flat=True)) == ["y"]
    assert (counts(summary, "Procedure"), counts(summary, "Condition")) == ({"rejected": 2}, {"rejected": 1})


def test_a_fact_that_moves_to_somebody_unknown_leaves_who_had_it():
    load(patient(), colonoscopy(), colonoscopy("y"))
    by_number = {**colonoscopy("y"), "subject": {"identifier": {"system": "s", "value": "1"}}}
    summary = load(colonoscopy(who="nobody"), by_number)
    assert list(Event.objects.values_list("fhir_id", flat=True)) == ["y"]
    assert counts(summary, "Procedure") == {"rejected": 2}


def test_a_medication_may_come_after_the_prescription_that_names_it_even_another_day():
    drug = {"coding": [{"system": "rx", "code": "314076"}]}
    load(
        patient(),
        about("MedicationRequest", "m", status="active", medicationReference={"reference": "Medication/d"}),
    )
    assert concepts.matching("rx", "314076") == set()
    summary = load({"resourceType": "Medication", "id": "d", "code": drug})
    assert counts(summary, "Medication") == {"created": 1}
    event = Event.objects.get(kind=Kind.MEDICATION_REQUEST)
    assert concepts.matching("rx", "314076") == {event.concept_id}
    assert event.traits & Trait.MEDICATION_BY_REFERENCE
    again = load({"resourceType": "Medication", "id": "d", "code": drug})
    assert counts(again, "Medication") == {"unchanged": 1}
    assert Medication.objects.count() == 1


def test_an_appointment_finds_its_patient_and_changes():
    def visit(status):
        return {
            "resourceType": "Appointment",
            "id": "a",
            "status": status,
            "start": "2026-03-04T09:00:00-05:00",
            "participant": [{"actor": {"reference": "Patient/p"}}],
        }

    assert counts(load(visit("booked"), patient()), "Appointment") == {"created": 1}
    assert counts(load(visit("booked")), "Appointment") == {"unchanged": 1}
    assert counts(load(visit("cancelled")), "Appointment") == {"updated": 1}
    assert Appointment.objects.get().status == "cancelled"
    lost = {**visit("booked"), "id": "b", "participant": [{"actor": {"reference": "Patient/nobody"}}]}
    assert counts(load(lost), "Appointment") == {"rejected": 1}


class TestBadInput:
    """Each kind of bad input: a clear message, and no loss of the rest."""

    def refused(self, tmp_path, *lines):
        rejects = tmp_path / "rejects.ndjson"
        file = file_of(tmp_path / "in.ndjson", patient(), *lines, colonoscopy("last"))
        summary = actions.import_paths([file], rejects=rejects)
        assert Event.objects.filter(fhir_id="last").exists()
        return summary, [json.loads(line) for line in rejects.read_text().splitlines()]

    def test_a_broken_line(self, tmp_path):
        summary, found = self.refused(tmp_path, b'{"resourceType": "Procedure", "id": "x"')
        assert [(r["line"], r["file"]) for r in found] == [(2, str(tmp_path / "in.ndjson"))]
        assert found[0]["reason"].startswith("The line is not JSON")
        assert summary.lines()[-1] == "unreadable created=0 updated=0 unchanged=0 rejected=1"

    def test_a_reference_to_nobody(self, tmp_path):
        lost = colonoscopy(who="nobody")
        summary, found = self.refused(tmp_path, lost)
        assert found == [
            {
                "file": str(tmp_path / "in.ndjson"),
                "line": 2,
                "reason": "It is about Patient/nobody, who is not in the record.",
                "resource": lost,
            }
        ]
        assert counts(summary, "Procedure") == {"created": 1, "rejected": 1}

    @pytest.mark.parametrize(
        ("resource", "reason"),
        [
            (colonoscopy(when="0000"), 'The date "0000" does not exist.'),
            (colonoscopy(when=2024), "The date (int) is not a FHIR date."),
            (patient("q", birthDate="0000"), 'The birth date "0000" does not exist.'),
            (about("Procedure", "", status="completed"), "The resource has no id."),
            (
                {"resourceType": "Procedure", "id": "x"},
                "The resource does not say which patient it is about.",
            ),
            (
                about("Observation", "o", valueQuantity={"value": "high"}),
                "The value should be a number and is text.",
            ),
            (
                about("Condition", "c", clinicalStatus={"coding": [{"code": "active"}]}, onsetRange="long"),
                "An element has another shape than FHIR gives it.",
            ),
            (
                patient("q", name={"given": {"a": 1}}, communication=[{"language": 5}]),
                "An element has another shape",
            ),
        ],
    )
    def test_a_resource_that_makes_no_sense(self, tmp_path, resource, reason):
        summary, found = self.refused(tmp_path, resource)
        assert len(found) == 1
        assert found[0]["reason"].startswith(reason)
        assert found[0]["resource"] == resource
        assert summary.rejected == 1

    def test_a_period_that_ends_before_it_starts_is_kept_and_noted(self, tmp_path):
        odd = about("Procedure", "x", performedPeriod={"start": "2024-05-02", "end": "2024-05-01"})
        summary, found = self.refused(tmp_path, odd)
        assert summary.rejected == 0
        assert found[0]["kept"] is True
        event = Event.objects.get(fhir_id="x")
        assert event.start_lo > event.end_hi  # matches no window

    @pytest.mark.parametrize("batch", [1, 3000])
    def test_a_duplicate_id(self, tmp_path, monkeypatch, batch):
        monkeypatch.setattr(importing, "BATCH", batch)
        summary, found = self.refused(tmp_path, colonoscopy(), colonoscopy(), colonoscopy(when="2025-01-01"))
        assert Event.objects.filter(fhir_id="x").count() == 1
        assert Event.objects.get(fhir_id="x").start_lo == 1735689600
        assert counts(summary, "Procedure") == {"created": 2, "unchanged": 1, "updated": 1}
        assert [(r["line"], r["kept"]) for r in found] == [(4, True)]
        assert "Procedure/x came before with other content" in found[0]["reason"]

    def test_a_duplicate_patient(self, tmp_path):
        summary, found = self.refused(tmp_path, patient(gender="female"))
        assert Patient.objects.get().gender == "female"
        assert "Patient/p came before with other content" in found[0]["reason"]

    def test_nul_in_a_name(self, tmp_path):
        load(patient("q", name=[{"family": "Ri\0vera", "given": ["An\0a"]}]))
        assert (Patient.objects.get().family, Patient.objects.get().given) == ("Rivera", "Ana")

    def test_nul_in_a_code_or_text_is_no_code(self):
        code = {"coding": [{"system": "s\0", "code": "a"}, {"system": "s", "code": "b"}], "text": "wo\0rds"}
        load(patient(), about("Procedure", "x", code=code))
        concept = Event.objects.get().concept
        assert concept.display == "words"
        assert list(concept.codings.values_list("system", "code")) == [("s", "b")]

    def test_elements_300_deep(self, tmp_path):
        deep = json.loads('{"a":' * 300 + "1" + "}" * 300)
        summary, found = self.refused(tmp_path, colonoscopy(who="nobody", x=deep), patient("", x=deep))
        assert [r["reason"] for r in found] == [
            "The resource has no id.",
            "Its elements lie too deep in one another.",
        ]
        assert summary.rejected == 2

    def test_a_line_of_50_megabytes(self, tmp_path):
        huge = b'{"resourceType":"Procedure","id":"' + b"x" * (50 * 1024 * 1024) + b'"}'
        summary, found = self.refused(tmp_path, huge)
        assert [(r["line"], r["reason"]) for r in found] == [
            (2, "The line is longer than 16 MB; it was skipped.")
        ]
        assert summary.rejected == 1


def test_the_command_prints_one_line_a_type_and_leaves_a_run_and_an_audit_row(tmp_path):
    rejects = tmp_path / "r.ndjson"
    packed = tmp_path / "in.ndjson.gz"
    lines = [
        patient(),
        colonoscopy(),
        colonoscopy("y", who="nobody"),
        {"resourceType": "CarePlan", "id": "c"},
    ]
    packed.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    assert run(packed, source="north", rejects=rejects) == [
        "CarePlan passed_over=1",
        "Patient created=1 updated=0 unchanged=0 rejected=0",
        "Procedure created=1 updated=0 unchanged=0 rejected=1",
    ]
    found = ImportRun.objects.get()
    assert (found.source.name, found.state) == ("north", "done")
    assert found.counts["Procedure"]["rejected"] == 1
    event = AuditEvent.objects.get(action="records.import")
    assert event.actor == "system:import"
    assert "nobody" not in json.dumps(event.detail)


def test_strict_exits_1_only_when_something_was_refused(tmp_path):
    good, bad = file_of(tmp_path / "g.ndjson", patient()), file_of(tmp_path / "b.ndjson", b"{")
    rejects = tmp_path / "r.ndjson"
    run(good, strict=True, rejects=rejects)
    assert not rejects.exists()
    run(bad, rejects=rejects)
    with pytest.raises(SystemExit) as ended:
        run(bad, strict=True, rejects=rejects)
    assert ended.value.code == 1


def test_odd_arguments_say_what_is_wrong(tmp_path):
    with pytest.raises(CommandError, match="no file or folder .*nowhere"):
        run(tmp_path / "nowhere")
    with pytest.raises(CommandError, match="no clinic 'x'"):
        run(tmp_path, clinic="x")
    with pytest.raises(CommandError, match="--source takes"):
        run(tmp_path, source="a|b")


def test_a_failing_import_is_a_failed_run_and_repeats_to_the_same_end(monkeypatch):
    lines = [json.loads(line) for line in (EXCERPTS / "bulk.ndjson").open()]
    monkeypatch.setattr(importing, "BATCH", 10)
    real, calls = importing.Facts.load, []

    def killed(self, items, last=False):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, items, last)

    monkeypatch.setattr(importing.Facts, "load", killed)
    with pytest.raises(KeyboardInterrupt):
        load(*lines)
    assert ImportRun.objects.get().state == "failed"
    assert 0 < Event.objects.count() < 40
    monkeypatch.setattr(importing.Facts, "load", real)
    load(*lines)
    load(*lines, source="whole")
    assert rows("ehr") == rows("whole")


def test_concepts_are_stored_once():
    load(patient(), colonoscopy("a"), colonoscopy("b"), source="one")
    load(patient(), colonoscopy("c"), source="two")
    assert Concept.objects.filter(event__isnull=False).distinct().count() == 1
