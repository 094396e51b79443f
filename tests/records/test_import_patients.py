"""Patients as the record has them: numbers, consent, clinics, deaths, and what survives the next import."""

from importlib import import_module
from unittest import mock

from django.apps import apps
from django.test import TestCase

from engage.accounts.models import Clinic
from engage.patients import actions, contacts
from engage.patients.models import Consent, ContactPoint, Patient, Practitioner
from engage.records.actions import import_resources
from engage.records.importing import Importer
from engage.records.models import ImportRun, Place, Unattributed

POSSIBLE = "555-532-1156"  # as the synthetic records have them: possible, never given out
VALID = "617-252-1234"


def patient(id="p", *phones, **more):
    telecom = [p if isinstance(p, dict) else {"system": "phone", "value": p, "use": "home"} for p in phones]
    return {"resourceType": "Patient", "id": id, "telecom": telecom, **more}


REPLACED = {"type": "replaced-by", "other": {"reference": "Patient/new"}}


def points():
    return {p.raw: p for p in ContactPoint.objects.all()}


class ContactPointTests(TestCase):
    def test_a_possible_number_nobody_gave_out_stays_active_but_not_valid_and_says_why(self):
        import_resources([patient("p", POSSIBLE)])
        point = ContactPoint.objects.get()
        self.assertEqual((point.raw, point.value), (POSSIBLE, "+15555321156"))
        self.assertEqual((point.state, point.valid), ("active", False))
        self.assertEqual(point.state_reason, "No phone company has given out this number.")

    def test_what_is_no_number_is_invalid_and_kept_as_written(self):
        import_resources([patient("p", "call my son", "12")])
        found = points()
        self.assertEqual({p.state for p in found.values()}, {"invalid"})
        self.assertEqual(found["call my son"].value, "")
        self.assertEqual(found["call my son"].state_reason, "This is not a phone number.")
        self.assertFalse(Consent.objects.exists())

    def test_old_numbers_are_old(self):
        import_resources([patient("p", {"system": "phone", "value": VALID, "use": "old"})])
        self.assertEqual(ContactPoint.objects.get().state, "old")
        self.assertFalse(Consent.objects.exists())

    def test_email_is_no_consent(self):
        import_resources(
            [patient("p", {"system": "email", "value": "Ana@Example.org"}, {"system": "email", "value": "x"})]
        )
        good, bad = points()["Ana@Example.org"], points()["x"]
        self.assertEqual((good.value, good.email_consent), ("ana@example.org", "none"))
        self.assertEqual((bad.state, bad.state_reason), ("invalid", "This is not an e-mail address."))
        self.assertFalse(Consent.objects.exists())

    def test_ranks_count_within_a_system_and_follow_the_record(self):
        mobile = {"system": "phone", "value": "617-252-9999", "use": "mobile"}
        import_resources([patient("p", VALID, mobile, VALID)])
        self.assertEqual(
            [(p.raw, p.rank) for p in ContactPoint.objects.order_by("rank")],
            [("617-252-9999", 1), (VALID, 2)],
        )
        import_resources([patient("p", {"system": "phone", "value": VALID, "rank": 1}, mobile)])
        self.assertEqual([p.raw for p in ContactPoint.objects.order_by("rank")], [VALID, "617-252-9999"])

    def test_a_number_that_leaves_the_record_is_old_and_comes_back(self):
        import_resources([patient("p", VALID, POSSIBLE)])
        import_resources([patient("p", VALID)])
        self.assertEqual((points()[POSSIBLE].state, points()[VALID].state), ("old", "active"))
        self.assertEqual(points()[POSSIBLE].state_reason, "This is no longer in the record.")
        import_resources([patient("p", VALID, POSSIBLE)])
        self.assertEqual(points()[POSSIBLE].state, "active")
        self.assertEqual(ContactPoint.objects.count(), 2)

    def test_what_staff_and_carriers_found_out_survives(self):
        import_resources([patient("p", VALID, POSSIBLE)])
        who = Patient.objects.get()
        actions.mark_contact_point(points()[VALID], "wrong_person", "Told by phone.", by="carrier")
        actions.mark_contact_point(points()[POSSIBLE], "old", "The patient says so.", by="carrier")
        ContactPoint.objects.create(
            patient=who, system="phone", raw="staff", value="+16172520000", source="staff"
        )
        import_resources([patient("p", VALID, POSSIBLE, "617-252-0000", gender="female")])
        found = points()
        self.assertEqual((found[VALID].state, found[VALID].state_reason), ("wrong_person", "Told by phone."))
        self.assertEqual(found[POSSIBLE].state, "old")
        self.assertEqual(found["staff"].state, "active")
        self.assertNotIn("617-252-0000", found)  # staff wrote it down before
        import_resources([patient("p")])
        self.assertEqual(points()[VALID].state, "wrong_person")
        self.assertEqual(points()["staff"].state, "active")

    def test_a_number_written_otherwise_is_the_same_number(self):
        import_resources([patient("p", VALID)])
        actions.mark_contact_point(points()[VALID], "wrong_person", "Told by phone.", by="carrier")
        import_resources([patient("p", "(617) 252-1234")])
        point = ContactPoint.objects.get()
        self.assertEqual((point.raw, point.state), ("(617) 252-1234", "wrong_person"))
        import_resources([patient("p", "617.252.1234", "+1 617 252 1234")])
        self.assertEqual(ContactPoint.objects.get().raw, "617.252.1234")
        for state in ("invalid", "blocked", "opted_out", "sms_incapable"):
            ContactPoint.objects.update(state=state, state_reason="Found out.")
            import_resources([patient("p", VALID, gender="female")])
            import_resources([patient("p", "(617) 252-1234")])
            self.assertEqual(ContactPoint.objects.get().state, state)

    def test_of_a_number_written_twice_the_one_still_in_use_counts(self):
        former = {"system": "phone", "value": "(617) 252-1234", "use": "old"}
        import_resources([patient("p", former, VALID)])
        self.assertEqual(ContactPoint.objects.get().state, "active")

    def test_a_number_that_is_there_twice_keeps_what_is_known_of_it(self):
        import_resources([patient("p", VALID)])
        actions.mark_contact_point(points()[VALID], "wrong_person", "Told by phone.", by="carrier")
        double = ContactPoint.objects.get()
        double.pk, double.raw, double.state, double.state_reason = None, "(617) 252-1234", "active", ""
        double.save()
        import_resources([patient("p", double.raw, gender="female")])
        self.assertEqual({p.state for p in ContactPoint.objects.all()}, {"wrong_person", "old"})

    def test_what_was_revived_before_is_set_aside_again(self):
        import_resources([patient("p", VALID), patient("q", POSSIBLE), patient("r", VALID)])
        for who, state in (("p", "wrong_person"), ("q", "opted_out")):
            double = ContactPoint.objects.get(patient__fhir_id=who)
            actions.mark_contact_point(double, state, f"Because {state}.", by="patient")
            double.pk, double.state, double.state_reason = None, "active", ""
            double.save()
        import_module("engage.patients.migrations.0005_same_number").carry_over(apps, None)
        found = ContactPoint.objects.values_list("patient__fhir_id", "state", "state_reason")
        self.assertEqual(
            set(found),
            {("p", "wrong_person", "Because wrong_person."), ("q", "opted_out", "Because opted_out."), ("r", "active", "")},
        )  # fmt: skip

    def test_whoever_is_new_on_a_number_in_doubt_waits_for_the_answer_too(self):
        import_resources([patient("p", VALID)])
        actions.mark_contact_point(points()[VALID], "opted_out", ContactPoint.DOUBT, by="patient")
        import_resources([patient("q", "(617) 252-1234"), patient("r", "617-252-9999")])
        sister, other = (ContactPoint.objects.get(patient__fhir_id=who) for who in ("q", "r"))
        self.assertTrue(sister.in_doubt)
        self.assertEqual((sister.sms_consent, other.state), ("granted", "active"))
        import_resources([patient("r", VALID)])
        ContactPoint.objects.filter(patient__fhir_id="r", value=sister.value).update(
            state="old", state_reason=contacts.GONE
        )
        import_resources([patient("r", VALID, gender="female")])
        self.assertTrue(ContactPoint.objects.get(patient__fhir_id="r", raw=VALID).in_doubt)


class ConsentTests(TestCase):
    def test_a_phone_in_the_record_is_consent_with_the_import_as_evidence(self):
        import_resources([patient("p", VALID)])
        run = ImportRun.objects.get()
        found = Consent.objects.values_list(
            "channel", "decision", "source", "evidence", "address", "patient__fhir_id"
        )
        evidence = f"import:{run.pk}/Patient/p"
        self.assertEqual(
            set(found),
            {(c, "granted", "ehr", evidence, "+16172521234", "p") for c in ("sms", "voice")},
        )
        point = ContactPoint.objects.get()
        self.assertEqual(
            (point.sms_consent, point.voice_consent, point.email_consent), ("granted", "granted", "none")
        )

    def test_unless_the_clinic_says_that_it_is_none(self):
        strict = Clinic.objects.create(name="S", slug="s", ehr_phone_is_consent=False)
        import_resources([patient("p", VALID)], clinic=strict)
        self.assertFalse(Consent.objects.exists())
        self.assertEqual(ContactPoint.objects.get().sms_consent, "none")

    def test_an_import_never_overwrites_a_revocation(self):
        import_resources([patient("p", VALID)])
        actions.record_consent(
            address="+16172521234", channel="sms", decision="revoked", source="patient_text"
        )
        import_resources([patient("p", VALID, gender="female")])
        import_resources([patient("p")])
        import_resources([patient("p", VALID)])
        self.assertEqual(ContactPoint.objects.get().sms_consent, "revoked")
        self.assertEqual(Consent.objects.filter(channel="sms").order_by("id").last().decision, "revoked")

    def test_a_new_patient_on_an_opted_out_number_finds_it_closed(self):
        actions.record_consent(
            address="+16172521234", channel="sms", decision="revoked", source="patient_text"
        )
        import_resources([patient("p", VALID)])
        point = ContactPoint.objects.get()
        self.assertEqual((point.sms_consent, point.voice_consent), ("revoked", "granted"))
        self.assertFalse(Consent.objects.filter(channel="sms", decision="granted").exists())

    def test_a_number_opted_back_in_is_open_again(self):
        for decision in ("revoked", "granted"):
            actions.record_consent(
                address="+16172521234", channel="sms", decision=decision, source="patient_text"
            )
        import_resources([patient("p", VALID)])
        self.assertEqual(ContactPoint.objects.get().sms_consent, "granted")


class PatientTests(TestCase):
    def test_a_patient_in_full(self):
        import_resources(
            [
                patient(
                    name=[{"use": "official", "family": "Rivéra", "given": ["Ana"]}, {"use": "maiden", "family": "Soto"}],
                    birthDate="1960",
                    gender="female",
                    communication=[{"language": {"coding": [{"code": "es-US"}]}}],
                    address=[{"line": ["1 Main"], "city": "Boston", "state": "Massachusetts", "postalCode": "02118"}],
                )
            ]
        )  # fmt: skip
        p = Patient.objects.get()
        self.assertEqual((p.family, p.given, p.search_name), ("Rivéra", "Ana", "rivera ana"))
        self.assertEqual((p.birth_precision, p.language, p.state), ("year", "es", "MA"))
        self.assertEqual((p.time_zone, p.city), ("America/New_York", "Boston"))

    def test_nobody_comes_back_to_life_by_an_import(self):
        import_resources([patient(deceasedDateTime="2020-01-02")])
        self.assertEqual(str(Patient.objects.get().deceased_on), "2020-01-02")
        summary = import_resources([patient(gender="male")])
        self.assertTrue(Patient.objects.get().deceased)
        self.assertIn("A death is on record", summary.rejects[0]["reason"])
        self.assertEqual(summary.rejected, 0)

    def test_the_day_of_a_death_stays_known(self):
        import_resources([patient(deceasedDateTime="2020-01-02")])
        import_resources([patient(deceasedBoolean=True)])
        import_resources([patient(gender="male")])
        self.assertEqual(str(Patient.objects.get().deceased_on), "2020-01-02")

    def test_a_patient_the_record_has_deleted_is_inactive_until_it_has_them_again(self):
        entry = {"request": {"method": "DELETE", "url": "Patient/p"}}
        gone = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        import_resources([patient("p"), patient("q")])
        summary = import_resources([patient("p", gender="male"), gone])
        self.assertEqual(summary.counts["Patient"]["deleted"], 1)
        self.assertEqual(list(Patient.objects.filter(active=True).values_list("fhir_id", flat=True)), ["q"])
        import_resources([gone, patient("p", gender="male")])
        self.assertTrue(Patient.objects.get(fhir_id="p").active)

    def test_an_end_told_in_a_resource_that_cannot_be_stored_counts(self):
        import_resources([patient("dead"), patient("gone"), patient("p")])
        bad = {"birthDate": "15/06/1965"}
        summary = import_resources(
            [
                patient("dead", deceasedBoolean=True, **bad),
                patient("gone", active=False, **bad),
                patient("p", **bad),
            ]
        )
        self.assertEqual(summary.rejected, 3)
        found = Patient.objects.values_list("fhir_id", "deceased", "active").order_by("fhir_id")
        self.assertEqual(list(found), [("dead", True, True), ("gone", False, False), ("p", False, True)])
        import_resources([patient("gone")])
        self.assertTrue(Patient.objects.get(fhir_id="gone").active)

    def test_a_death_not_quite_well_formed_is_a_death_and_is_noted(self):
        import_resources([patient()])
        summary = import_resources([patient(deceasedDateTime="unknown")])
        self.assertTrue(Patient.objects.get().deceased)
        self.assertIn("The death was kept", summary.rejects[0]["reason"])
        self.assertEqual(summary.rejected, 0)

    def test_merged_and_inactive_records(self):
        link = [{"type": "replaced-by", "other": {"reference": "Patient/new"}}]
        import_resources([patient("old", link=link, active=False), patient("new")])
        old = Patient.objects.get(fhir_id="old")
        self.assertEqual((old.merged_into.fhir_id, old.active), ("new", False))

    def merged_into(self, id="old"):
        survivor = Patient.objects.get(fhir_id=id).merged_into
        return survivor.fhir_id if survivor else None

    def test_the_survivor_may_come_in_another_night(self):
        import_resources([patient("old", link=[REPLACED])])
        self.assertIsNone(self.merged_into())
        import_resources([patient("new")])
        self.assertEqual(self.merged_into(), "new")

    def test_the_survivor_may_be_the_one_who_says_so(self):
        link = [{"type": "replaces", "other": {"reference": "Patient/old"}}]
        import_resources([patient("new", link=link), patient("old")])
        self.assertEqual(self.merged_into(), "new")
        import_resources([patient("old", gender="female")])
        self.assertEqual(self.merged_into(), "new")
        import_resources([patient("new")])
        self.assertIsNone(self.merged_into())

    def test_a_merge_taken_back_by_the_record_is_taken_back_here(self):
        import_resources([patient("new"), patient("old", link=[REPLACED])])
        import_resources([patient("old", gender="female", link=[REPLACED])])
        self.assertEqual(self.merged_into(), "new")
        import_resources([patient("old", link=[{"type": "replaced-by", "other": {"display": "someone"}}])])
        self.assertEqual(self.merged_into(), "new")  # it still says that it was replaced
        import_resources([patient("old")])
        self.assertIsNone(self.merged_into())

    def test_two_patients_with_one_number_are_both_reached_by_it(self):
        import_resources([patient("a", VALID), patient("b", VALID)])
        self.assertEqual(ContactPoint.objects.filter(value="+16172521234").count(), 2)
        self.assertEqual(Consent.objects.count(), 4)


class ClinicTests(TestCase):
    def setUp(self):
        self.harbor = Clinic.objects.create(name="H", slug="harbor", identifiers=["ehr|Organization/h"])
        self.mesa = Clinic.objects.create(
            name="M", slug="mesa", identifiers=["ehr|Location/m", "other|Organization/h"]
        )

    def load(self, *resources, **more):
        return import_resources(resources, **more)

    def clinic_of(self, id="p"):
        clinic = Patient.objects.get(fhir_id=id).clinic
        return clinic.slug if clinic else None

    def visit(self, id, day, place):
        return {
            "resourceType": "Encounter",
            "id": id,
            "subject": {"reference": "Patient/p"},
            "period": {"start": day},
            "serviceProvider": {"reference": place},
        }

    def test_the_clinic_given_counts_for_everybody(self):
        self.load(patient("p"), patient("q"))
        self.load(
            patient("p"), patient("q", managingOrganization={"reference": "Organization/h"}), clinic=self.mesa
        )
        self.assertEqual((self.clinic_of("p"), self.clinic_of("q")), ("mesa", "mesa"))

    def test_the_managing_organization_even_when_it_comes_last_or_is_part_of_ours(self):
        self.load(
            patient(managingOrganization={"reference": "Organization/ward"}),
            {"resourceType": "Organization", "id": "ward", "partOf": {"reference": "Organization/h"}},
        )
        self.assertEqual(self.clinic_of(), "harbor")
        self.assertEqual(Place.objects.get().clinic, self.harbor)

    def test_then_where_the_doctor_works_by_conditional_references(self):
        npi = "http://hl7.org/fhir/sid/us-npi"
        doctor = {
            "resourceType": "Practitioner", "id": "d", "name": [{"family": "Ito", "prefix": ["Dr."]}],
            "identifier": [{"system": npi, "value": "99"}],
        }  # fmt: skip
        role = {
            "resourceType": "PractitionerRole", "id": "r",
            "practitioner": {"identifier": {"system": npi, "value": "99"}},
            "organization": {"reference": "Organization/h"},
        }  # fmt: skip
        who = patient(generalPractitioner=[{"reference": f"Practitioner?identifier={npi}|99"}])
        self.load(role, who, self.visit("e", "2024-01-01", "Location/m"), doctor)
        self.assertEqual(self.clinic_of(), "harbor")
        self.assertEqual(Patient.objects.get().pcp.name, "Dr. Ito")
        self.assertEqual(Practitioner.objects.get().clinic, self.harbor)

    def test_then_the_latest_visit(self):
        self.load(
            self.visit("a", "2024-01-01", "Organization/h"),
            self.visit("b", "2024-06-01", "Location/m"),
            self.visit("c", "2025-01-01", "Organization/unknown"),
            patient(),
        )
        self.assertEqual(self.clinic_of(), "mesa")

    def test_the_doctor_may_come_in_another_night(self):
        doctor = {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Ito"}]}
        ours = {"managingOrganization": {"reference": "Organization/h"}}
        self.load(patient(generalPractitioner=[{"reference": "Practitioner/d"}], **ours))
        self.load(doctor)
        self.assertEqual(Patient.objects.get().pcp.name, "Ito")
        self.assertFalse(Unattributed.objects.exists())

    def test_a_role_finds_its_doctor_when_it_comes_again(self):
        role = {
            "resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/d"},
            "organization": {"reference": "Organization/h"},
        }  # fmt: skip
        who = patient(generalPractitioner=[{"reference": "Practitioner/d"}])
        self.load(role, who)
        self.load(role, {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Ito"}]})
        self.assertEqual(self.clinic_of(), "harbor")

    def test_who_waits_for_a_doctor_stays_in_the_clinic_decided_on(self):
        gone = [{"reference": "Practitioner/gone"}]
        who = patient(managingOrganization={"reference": "Organization/h"}, generalPractitioner=gone)
        self.load(who, clinic=self.mesa)
        self.load(patient("q"))
        self.assertEqual(self.clinic_of(), "mesa")

    def test_a_killed_import_is_made_good_by_the_next(self):
        ours = {"managingOrganization": {"reference": "Organization/h"}}
        theirs = {"managingOrganization": {"reference": "Location/m"}}
        self.load(patient("old", **ours), patient("new", **ours))
        changed = [
            patient("old", link=[REPLACED], generalPractitioner=[{"reference": "Practitioner/d"}], **theirs),
            {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Ito"}]},
        ]
        killed = mock.patch.object(Importer, "_attribute", side_effect=KeyboardInterrupt)
        with killed, self.assertRaises(KeyboardInterrupt):
            self.load(*changed)
        summary = self.load(*changed)
        self.assertEqual(summary.counts["Patient"]["unchanged"], 1)
        old = Patient.objects.get(fhir_id="old")
        self.assertEqual(
            (old.merged_into.fhir_id, old.pcp.name, self.clinic_of("old")), ("new", "Ito", "mesa")
        )

    def test_else_nobody_and_a_clinic_claimed_later_takes_them_over(self):
        self.load(patient(), self.visit("a", "2024-01-01", "Organization/new"))
        self.assertIsNone(self.clinic_of())
        self.harbor.identifiers = ["ehr|Organization/new"]
        self.harbor.save()
        self.load(patient())
        self.assertEqual(self.clinic_of(), "harbor")
