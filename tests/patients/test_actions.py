from datetime import date

from django.test import override_settings

from engage.audit.models import AuditEvent
from engage.patients import actions
from engage.patients.models import Consent, ContactPoint, Patient
from tests.base import CastTestCase

NUMBER = "+16175550142"


class RecordConsentTests(CastTestCase):
    def revoke(self, **more):
        fields = {"address": NUMBER, "channel": "sms", "decision": "revoked", "source": "patient_text"}
        return actions.record_consent(**fields | more)

    def setUp(self):
        self.other = self.make_patient("Luis", "Rivera", NUMBER)

    def consents(self, field="sms_consent"):
        return set(ContactPoint.objects.filter(value=NUMBER).values_list("patient__given", field))

    def test_without_a_patient_it_covers_everyone_on_the_number(self):
        row = self.revoke(evidence="message:812")
        self.assertEqual(self.consents(), {("Ana", "revoked"), ("Luis", "revoked")})
        self.assertEqual(self.consents("voice_consent"), {("Ana", "granted"), ("Luis", "granted")})
        self.assertEqual((row.patient, row.evidence, row.recorded_by), (None, "message:812", None))

    def test_with_a_patient_it_is_that_patients_only(self):
        self.revoke(patient=self.other, by=self.nurse, source="staff")
        self.assertEqual(self.consents(), {("Ana", "granted"), ("Luis", "revoked")})
        self.assertEqual(Consent.objects.get().recorded_by, self.nurse)

    def test_rows_are_added_never_changed(self):
        self.revoke()
        self.revoke(decision="granted")
        self.assertEqual(
            list(Consent.objects.order_by("id").values_list("decision", flat=True)), ["revoked", "granted"]
        )
        self.assertEqual(self.consents(), {("Ana", "granted"), ("Luis", "granted")})

    def test_one_topic_does_not_end_the_others(self):
        self.revoke(topic="appointments")
        self.assertEqual(self.consents(), {("Ana", "granted"), ("Luis", "granted")})

    def test_the_act_is_audited_without_the_number(self):
        self.revoke(patient=self.patient, by=self.nurse)
        event = AuditEvent.objects.get(action="consent.record")
        self.assertEqual(
            (event.actor, event.patient_id, event.clinic_id), ("nurse", self.patient.pk, self.clinic.pk)
        )
        self.assertNotIn("6175550142", str(event.detail))
        self.revoke()
        self.assertEqual(AuditEvent.objects.last().actor, "patient")


class ContactPointTests(CastTestCase):
    def test_marking_says_why_and_is_audited_once(self):
        point = self.patient.contact_points.get()
        for _ in range(2):
            actions.mark_contact_point(point, "voice_only", "A landline.", by=self.nurse)
        point.refresh_from_db()
        self.assertEqual((point.state, point.state_reason), ("voice_only", "A landline."))
        event = AuditEvent.objects.get(action="contact_point.mark")
        self.assertEqual((event.patient_id, event.clinic_id), (self.patient.pk, self.clinic.pk))

    def test_marking_leaves_what_a_colleague_changed_meanwhile(self):
        point = self.patient.contact_points.get()
        ContactPoint.objects.filter(pk=point.pk).update(sms_consent="revoked")
        actions.mark_contact_point(point, "suspect", "Two failures.", by="carrier")
        point.refresh_from_db()
        self.assertEqual(point.sms_consent, "revoked")

    def test_death(self):
        actions.record_death(self.patient, date(2026, 3, 1), by=self.nurse)
        self.patient.refresh_from_db()
        self.assertEqual((self.patient.deceased, self.patient.deceased_on), (True, date(2026, 3, 1)))
        self.assertEqual(AuditEvent.objects.get(action="patient.death").patient_id, self.patient.pk)


class ReachTests(CastTestCase):
    def add(self, value="+16172521234", **more):
        fields = {
            "system": "phone",
            "raw": value,
            "value": value,
            "sms_consent": "granted",
            "voice_consent": "granted",
        }
        return ContactPoint.objects.create(patient=self.lonely, **fields | more)

    def setUp(self):
        self.lonely = self.make_patient("Eva", "Stone")

    def unreachable(self):
        return self.lonely in actions.unreachable()

    def test_nobody_without_a_phone(self):
        self.assertTrue(self.unreachable())
        self.assertEqual(
            actions.why_unreachable(self.lonely), "The record has no phone number or e-mail address."
        )
        self.assertNotIn(self.patient, actions.unreachable())
        self.assertEqual(actions.why_unreachable(self.patient), "")

    def test_every_state_of_a_number(self):
        point = self.add()
        for state, reachable, textable in [
            ("active", True, True),
            ("suspect", True, True),
            ("sms_incapable", True, False),
            ("voice_only", True, False),
            ("opted_out", True, False),
            ("blocked", True, False),
            ("invalid", False, False),
            ("wrong_person", False, False),
            ("old", False, False),
        ]:
            with self.subTest(state):
                actions.mark_contact_point(point, state, f"Because {state}.", by="carrier")
                self.assertEqual(not self.unreachable(), reachable)
                self.assertEqual(bool(actions.usable_text_points(self.lonely)), textable)
                self.assertEqual(
                    actions.why_unreachable(self.lonely), "" if reachable else f"Because {state}."
                )

    def test_an_opt_out_leaves_the_call_by_a_person(self):
        point = self.add(sms_consent="revoked")
        self.assertFalse(self.unreachable())
        self.assertEqual(actions.usable_text_points(self.lonely), [])
        Patient.objects.filter(pk=self.lonely.pk).update(do_not_call=True)
        self.lonely.refresh_from_db()
        self.assertTrue(self.unreachable())
        self.assertIn("asked not to be called", actions.why_unreachable(self.lonely))
        self.assertEqual(point.patient, self.lonely)

    def test_a_number_nobody_gave_out_depends_on_the_carrier_and_the_allow_list(self):
        why = "No phone company has given out this number."
        self.add("+15555321156", valid=False, state_reason=why)
        with override_settings(CARRIER="simulator", SEND_ALLOWLIST=[]):
            self.assertFalse(self.unreachable())
        with override_settings(CARRIER="twilio", SEND_ALLOWLIST=[]):
            self.assertTrue(self.unreachable())
            self.assertEqual(actions.why_unreachable(self.lonely), why)
        with override_settings(CARRIER="twilio", SEND_ALLOWLIST=["+1555"]):
            self.assertFalse(self.unreachable())
        with override_settings(CARRIER="simulator", SEND_ALLOWLIST=["+1617252"]):
            self.assertTrue(self.unreachable())

    def test_email_counts_with_consent_only(self):
        self.add("a@example.org", system="email", sms_consent="none", voice_consent="none")
        self.assertTrue(self.unreachable())
        self.assertIn("only an e-mail address", actions.why_unreachable(self.lonely))
        ContactPoint.objects.filter(patient=self.lonely).update(email_consent="granted")
        self.assertFalse(self.unreachable())

    def test_the_deceased_and_inactive_are_nobodys_task(self):
        for field in ("deceased", "active"):
            Patient.objects.filter(pk=self.lonely.pk).update(**{field: field == "deceased"})
            self.assertFalse(self.unreachable())
            Patient.objects.filter(pk=self.lonely.pk).update(**{field: field != "deceased"})
        self.assertTrue(self.unreachable())
        Patient.objects.filter(pk=self.lonely.pk).update(merged_into=self.patient)
        self.assertFalse(self.unreachable())

    def test_the_set_may_be_narrowed_and_takes_one_query(self):
        others = Patient.objects.filter(pk=self.patient.pk)
        with self.assertNumQueries(1):
            self.assertEqual(list(actions.unreachable(others)), [])

    def test_texts_go_to_the_first_number_that_takes_them(self):
        second, first = self.add("+16172520002", rank=2), self.add("+16172520001", rank=1)
        self.add("+16172520000", rank=0, sms_consent="none")
        self.assertEqual(actions.usable_text_points(self.lonely), [first, second])
        self.lonely.deceased = True
        self.assertEqual(actions.usable_text_points(self.lonely), [])
