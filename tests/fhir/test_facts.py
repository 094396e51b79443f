"""What measures.md §0 says of each type, read from resources."""

from datetime import date

import pytest

from engage.fhir import dates, facts
from engage.fhir.elements import Reference
from engage.fhir.medications import medication_request
from engage.fhir.observations import observation
from engage.fhir.problems import BadResource
from engage.fhir.traits import Trait

SUBJECT = {"reference": "Patient/p"}
VER = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
LOINC = "http://loinc.org"


def born(reference):
    return date(1960, 5, 1)


def lo(text):
    return dates.moment(text).lo


def hi(text):
    return dates.moment(text).hi


def condition(status="active", **more):
    coded = {"clinicalStatus": {"coding": [{"system": "x", "code": status}]}} if status else {}
    return facts.condition(
        {"resourceType": "Condition", "id": "c", "subject": SUBJECT, **coded, **more}, born
    )[0]


class TestPrevalence:
    def test_active_without_an_end_runs_for_ever(self):
        span = condition(onsetDateTime="2020-03-01").span
        assert (span.start_lo, span.end_hi) == (lo("2020-03-01"), dates.NEVER_ENDS)

    @pytest.mark.parametrize("status", ["inactive", "remission", "resolved", None])
    def test_no_longer_active_without_an_end_has_no_period_at_all(self, status):
        assert condition(status, onsetDateTime="2025-03-01").span == dates.UNKNOWN

    @pytest.mark.parametrize("status", ["active", "recurrence", "relapse", "resolved", None])
    def test_with_an_end_the_status_does_not_matter(self, status):
        span = condition(status, onsetDateTime="2025-03-01", abatementDateTime="2025-04-01").span
        assert (span.start_lo, span.end_hi) == (lo("2025-03-01"), hi("2025-04-01"))

    def test_an_end_without_a_start_began_long_ago_and_passes_starts_tests(self):
        fact = condition("resolved", abatementDateTime="2025-04-01")
        assert fact.span.start_hi == dates.NEVER_BEGAN
        assert not fact.traits & Trait.NO_START

    def test_active_with_neither_overlaps_everything_but_starts_nowhere(self):
        fact = condition("active")
        assert (fact.span.start_lo, fact.span.end_hi) == (dates.NEVER_BEGAN, dates.NEVER_ENDS)
        assert fact.traits & Trait.NO_START

    def test_the_recorded_date_is_never_an_onset(self):
        assert condition("active", recordedDate="2025-01-01").span.start_lo == dates.NEVER_BEGAN

    def test_onset_age_starts_on_the_birthday(self):
        span = condition(onsetAge={"value": 50, "code": "a"}).span
        assert (span.start_lo, span.start_hi) == (lo("2010-05-01"), hi("2010-05-01"))

    def test_abatement_age_ends_the_day_before_the_next_birthday(self):
        span = condition("resolved", onsetDateTime="2000", abatementAge={"value": 50, "code": "a"}).span
        assert span.end_hi == hi("2011-04-30")

    def test_an_abatement_period_is_half_open_and_needs_an_end(self):
        assert condition("resolved", abatementPeriod={"start": "2024"}).span == dates.UNKNOWN
        closed = condition("resolved", onsetDateTime="2020", abatementPeriod={"end": "2025-01-01"}).span
        assert closed.end_hi == hi("2024-12-31")

    def test_text_is_no_abatement(self):
        assert (
            condition("active", onsetDateTime="2020", abatementString="long ago").span.end_lo
            == dates.NEVER_ENDS
        )

    def test_an_end_before_the_beginning_is_noted(self):
        fact = condition("resolved", onsetDateTime="2020-05-02", abatementDateTime="2020-05-01")
        assert fact.span == dates.UNKNOWN
        assert "ends before it begins" in fact.note


@pytest.mark.parametrize(
    ("code", "bits"),
    [
        (None, Trait.VERIFIED),
        ("confirmed", Trait.VERIFIED),
        ("refuted", Trait.REFUTED),
        ("entered-in-error", 0),
    ],
)
def test_verification(code, bits):
    more = {"verificationStatus": {"coding": [{"system": VER, "code": code}]}} if code else {}
    assert condition(**more).traits & (Trait.VERIFIED | Trait.REFUTED) == bits


def test_a_category_counts_only_in_its_own_code_system():
    def bits(system, code):
        return condition(category=[{"coding": [{"system": system, "code": code}]}]).traits

    hl7 = "http://terminology.hl7.org/CodeSystem/condition-category"
    us_core = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
    assert bits(hl7, "problem-list-item") & Trait.PROBLEM_LIST
    assert bits(us_core, "health-concern") & Trait.HEALTH_CONCERN
    assert not bits(hl7, "health-concern") & Trait.HEALTH_CONCERN
    assert bits(hl7, "encounter-diagnosis") & Trait.ENCOUNTER_DIAGNOSIS


def test_an_encounter_has_all_its_types_its_class_its_disposition_and_its_place():
    fact = facts.encounter(
        {
            "id": "e",
            "status": "finished",
            "class": {"code": "IMP"},
            "subject": SUBJECT,
            "type": [{"coding": [{"system": "s", "code": "b"}]}, {"coding": [{"system": "s", "code": "a"}]}],
            "period": {"start": "2025-01-01T02:00:00+09:00", "end": "2025-01-01T03:00:00+09:00"},
            "hospitalization": {"dischargeDisposition": {"coding": [{"system": "s", "code": "home"}]}},
            "serviceProvider": {"reference": "Organization/o"},
        },
        born,
    )[0]
    assert fact.concept.codings == (("s", "a"), ("s", "b"))
    assert fact.traits == Trait.CLASS_IMP
    assert fact.value_concept.codings == (("s", "home"),)
    assert (fact.span.start_lo, fact.span.start_offset) == (lo("2025-01-01T02:00:00Z"), 540)
    assert fact.place == Reference("Organization", "o")


@pytest.mark.parametrize("subject", [None, {}, {"reference": "Group/1"}, {"display": "Ana"}, "Patient/1"])
def test_a_fact_about_nobody_is_refused(subject):
    with pytest.raises(BadResource, match="which patient"):
        facts.procedure({"id": "x", "status": "completed", "subject": subject}, born)


@pytest.mark.parametrize(
    ("more", "negated"),
    [
        ({"doNotPerform": True}, True),
        ({"doNotPerform": False}, False),
        ({"modifierExtension": [{"url": "http://x/qicore-doNotPerform", "valueBoolean": True}]}, True),
        ({"modifierExtension": [{"url": "http://x/qicore-doNotPeform", "valueBoolean": True}]}, True),
        ({"modifierExtension": [{"url": "http://x/qicore-doNotPerform", "valueBoolean": False}]}, False),
        ({"modifierExtension": [{"url": "http://x/other", "valueBoolean": True}]}, False),
    ],
)
def test_what_was_not_to_be_done(more, negated):
    read = facts.order("DeviceRequest", "codeCodeableConcept")
    found = read({"id": "d", "status": "active", "intent": "order", "subject": SUBJECT, **more}, born)[0]
    assert bool(found.traits & Trait.NOT_DONE) is negated
    assert found.traits & Trait.INTENT_ORDER


def test_a_request_without_a_date_matches_no_window():
    read = facts.order("ServiceRequest", "code")
    assert (
        read({"id": "s", "subject": SUBJECT, "status": "active", "intent": "plan"}, born)[0].span
        == dates.UNKNOWN
    )


def test_an_allergy_by_age_lasts_that_year_of_life():
    found = facts.allergy({"id": "a", "patient": SUBJECT, "onsetAge": {"value": 40, "code": "a"}}, born)[0]
    assert (found.span.start_lo, found.span.end_hi) == (lo("2000-05-01"), hi("2001-04-30"))
    assert facts.allergy({"id": "a", "patient": SUBJECT}, born)[0].span == dates.UNKNOWN


class TestObservations:
    def read(self, **more):
        return observation({"id": "o", "status": "final", "subject": SUBJECT, **more}, born)

    def panel(self, *components):
        parts = [
            {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": quantity}
            for code, quantity in components
        ]
        return self.read(
            code={"coding": [{"system": LOINC, "code": "85354-9"}]},
            effectiveDateTime="2025-03-01T10:00:00-05:00",
            component=parts,
        )[0]

    def test_a_blood_pressure_is_one_row_with_two_numbers(self):
        fact = self.panel(
            ("8462-4", {"value": 80, "code": "mm[Hg]"}), ("8480-6", {"value": 135, "code": "mm[Hg]"})
        )
        assert (fact.value, fact.value2, fact.unit) == (135, 80, "mm[Hg]")
        assert fact.traits & Trait.BP_PANEL
        assert not fact.traits & Trait.VALUE_UNIT_ODD

    def test_a_missing_component_is_null_and_another_unit_is_odd(self):
        fact = self.panel(("8480-6", {"value": 18, "unit": "kPa"}))
        assert (fact.value, fact.value2) == (18, None)
        assert fact.traits & Trait.VALUE_UNIT_ODD

    def test_text_where_a_number_belongs_is_refused(self):
        with pytest.raises(BadResource, match="should be a number and is text"):
            self.read(valueQuantity={"value": "7.2", "unit": "%"})

    @pytest.mark.parametrize(
        ("more", "number", "bits"),
        [
            ({"valueQuantity": {"value": 9.1, "code": "%"}}, 9.1, Trait.HAS_VALUE | Trait.QUANTITY),
            (
                {"valueQuantity": {"value": 5, "comparator": "<"}},
                5,
                Trait.HAS_VALUE | Trait.QUANTITY | Trait.COMPARATOR,
            ),
            ({"valueQuantity": {"unit": "%"}}, None, Trait.HAS_VALUE),
            ({"valueInteger": 3}, 3, Trait.HAS_VALUE),
            ({"valueBoolean": False}, None, Trait.HAS_VALUE),
            ({"valueString": "positive"}, None, Trait.HAS_VALUE),
            ({"dataAbsentReason": {"text": "unknown"}}, None, 0),
            ({}, None, 0),
        ],
    )
    def test_values_of_every_kind(self, more, number, bits):
        fact = self.read(**more)[0]
        assert fact.value == number
        assert fact.traits & (Trait.HAS_VALUE | Trait.QUANTITY | Trait.COMPARATOR) == bits

    def test_a_reason_for_not_doing_it_is_a_row_of_its_own_at_the_time_it_was_issued(self):
        found = self.read(
            status="cancelled",
            issued="2025-05-01T10:00:00Z",
            effectiveDateTime="2025-04-01",
            extension=[
                {
                    "url": "http://hl7.org/fhir/us/qicore/StructureDefinition/qicore-notDoneReason",
                    "valueCodeableConcept": {"coding": [{"system": "s", "code": "720834000"}]},
                }
            ],
        )
        assert [f.kind for f in found] == ["Observation", "ObservationNotDone"]
        assert found[1].value_concept.codings == (("s", "720834000"),)
        assert found[1].span.start_lo == lo("2025-05-01T10:00:00Z")


class TestMedications:
    def read(self, **more):
        drug = {} if "medicationReference" in more else {"medicationCodeableConcept": {"text": "a drug"}}
        request = {"id": "m", "status": "active", "intent": "order", "subject": SUBJECT, **drug, **more}
        return {f.kind: f for f in medication_request(request, born)}

    def days(self, fact):
        return dates.day_of(fact.span.start_lo), dates.day_of(fact.span.end_hi)

    def test_the_supply_runs_from_the_day_of_the_order(self):
        found = self.read(
            authoredOn="2025-01-10T23:30:00-05:00",
            dispenseRequest={
                "expectedSupplyDuration": {"value": 30, "code": "d"},
                "numberOfRepeatsAllowed": 2,
            },
        )
        assert self.days(found["MedicationPeriod"]) == (date(2025, 1, 10), date(2025, 4, 9))

    def test_the_supply_is_computed_from_quantity_dose_and_frequency(self):
        dosage = {
            "timing": {"repeat": {"frequency": 1, "frequencyMax": 2, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseQuantity": {"value": 1}}],
        }
        found = self.read(
            authoredOn="2025-01-01", dosageInstruction=[dosage], dispenseRequest={"quantity": {"value": 60}}
        )
        assert self.days(found["MedicationPeriod"]) == (date(2025, 1, 1), date(2025, 1, 30))

    def test_bounds_give_start_and_when_nothing_else_does_the_end(self):
        bounds = {"timing": {"repeat": {"boundsPeriod": {"start": "2024-05-01", "end": "2025-03-01"}}}}
        found = self.read(authoredOn="2024-01-01", dosageInstruction=[bounds])
        assert self.days(found["MedicationPeriod"]) == (date(2024, 5, 1), date(2025, 3, 1))
        assert self.days(found["MedicationBounds"]) == (date(2024, 5, 1), date(2025, 3, 1))

    def test_without_any_of_it_there_is_no_period(self):
        assert set(self.read(authoredOn="2024-01-01")) == {"MedicationRequest"}

    def test_every_dosage_with_bounds_has_its_row(self):
        def bounds(year):
            return {"timing": {"repeat": {"boundsPeriod": {"start": year}}}}

        rows = medication_request(
            {"id": "m", "subject": SUBJECT, "dosageInstruction": [bounds("2020"), bounds("2024"), {}]}, born
        )
        assert [(r.kind, r.id) for r in rows if r.kind == "MedicationBounds"] == [
            ("MedicationBounds", "m"),
            ("MedicationBounds", "m#2"),
        ]

    def test_a_drug_by_reference_is_marked_and_one_inside_is_read(self):
        outside = self.read(medicationReference={"reference": "Medication/x"})["MedicationRequest"]
        assert outside.traits & Trait.MEDICATION_BY_REFERENCE
        assert outside.medication.id == "x"
        inside = self.read(
            medicationReference={"reference": "#x"},
            contained=[{"id": "x", "code": {"coding": [{"system": "s", "code": "1"}]}}],
        )["MedicationRequest"]
        assert inside.concept.codings == (("s", "1"),)
        assert inside.traits & Trait.MEDICATION_BY_REFERENCE

    def test_not_requested_by_profile_and_by_element_can_be_told_apart(self):
        renamed = self.read(meta={"profile": ["http://x/qicore-medicationnotrequested"]})["MedicationRequest"]
        assert renamed.traits & Trait.NOT_DONE_BY_PROFILE
        by_profile = self.read(meta={"profile": ["http://x/qicore-mednotrequested"]})[
            "MedicationRequest"
        ].traits
        by_element = self.read(doNotPerform=True)["MedicationRequest"].traits
        both = Trait.NOT_DONE | Trait.NOT_DONE_BY_PROFILE
        assert by_profile & both == both
        assert by_element & both == Trait.NOT_DONE

    def test_reasons_are_kept(self):
        reasons = [{"coding": [{"system": "s", "code": "1"}]}, {"coding": [{"system": "s", "code": "2"}]}]
        assert len(self.read(reasonCode=reasons)["MedicationRequest"].value_concept.codings) == 2
