"""The patient list and page: what they show, to whom, and what staff may change there."""

from datetime import date, timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext

from engage.audit.models import AuditEvent
from engage.caregaps.models import CareGap
from engage.console.timeline import timeline, value_text
from engage.lib import clock
from engage.messaging.models import Message
from engage.patients.models import Consent, ContactPoint, Patient
from engage.records.models import Event, Kind
from engage.worklist.models import Task
from tests.base import CastTestCase


class PatientList(CastTestCase):
    def search(self, text, user=None):
        self.client.force_login(user or self.coordinator)
        return self.client.get("/patients/", {"q": text}).content.decode()

    def test_by_name_birth_date_and_phone(self):
        for text in ("rivera", "Rivera, Ana", "1960-05-01", "617-555-0142"):
            assert "Rivera, Ana" in self.search(text), text

    def test_nothing_is_listed_unasked_and_nothing_recorded(self):
        assert "Rivera" not in self.search("")
        assert not AuditEvent.objects.filter(action="patient.list").exists()

    def test_whoever_is_listed_is_recorded(self):
        self.search("rivera")
        row = AuditEvent.objects.get(action="patient.list")
        assert (row.patient_id, row.actor) == (self.patient.pk, "coordinator")

    def test_another_clinic_finds_nobody(self):
        assert "Rivera, Ana" not in self.search("rivera", self.stranger)

    def test_no_match_says_what_to_try(self):
        assert "Try the family name" in self.search("zzz")


class PatientPage(CastTestCase):
    def setUp(self):
        self.client.force_login(self.coordinator)
        self.url = f"/patients/{self.patient.pk}/"
        self.point = self.patient.contact_points.get()

    def post(self, part, **data):
        return self.client.post(f"{self.url}{part}/", data)

    def test_it_shows_who_this_is_and_is_recorded(self):
        page = self.client.get(self.url).content.decode()
        assert "Rivera, Ana" in page
        assert "1 May 1960" in page
        assert AuditEvent.objects.filter(action="patient.view", patient_id=self.patient.pk).count() == 1

    def test_a_constant_number_of_queries(self):
        few = self.count()
        for n in range(30):
            Message.objects.create(
                direction="in", state="received", patient=self.patient, clinic=self.clinic, address="+16175550142",
                body="hello", key=f"in:{n}",
            )  # fmt: skip
            Task.objects.create(
                clinic=self.clinic, patient=self.patient, reason="reply", summary="Asks.", about=f"q:{n}",
                due_at=clock.now(),
            )  # fmt: skip
        assert self.count() <= few + 1

    def count(self):
        with CaptureQueriesContext(connection) as caught:
            assert self.client.get(self.url).status_code == 200
        return len(caught)

    def test_an_opt_out_told_to_staff_covers_everyone_on_the_number_and_stops_what_waits(self):
        other = self.make_patient("Luis", "Rivera", "+16175550142")
        waiting = Message.objects.create(
            patient=other,
            clinic=self.clinic,
            address="+16175550142",
            body="hi",
            key="w",
            contact_point=other.contact_points.get(),
        )
        answer = self.post(
            "consent", point=self.point.pk, channel="sms", decision="revoked", note="told me by phone"
        )
        assert answer.status_code == 302
        assert set(
            ContactPoint.objects.filter(value="+16175550142").values_list("sms_consent", flat=True)
        ) == {"revoked"}
        waiting.refresh_from_db()
        assert waiting.state == "suppressed"
        consent = Consent.objects.get(decision="revoked")
        assert (consent.source, consent.recorded_by, consent.evidence) == (
            "staff",
            self.coordinator,
            "told me by phone",
        )

    def test_consent_needs_how_you_know(self):
        answer = self.post("consent", point=self.point.pk, channel="sms", decision="revoked", note="")
        assert answer.status_code == 422
        assert "Say how you know" in answer.content.decode()
        assert not Consent.objects.exists()

    def test_a_new_number_with_consent(self):
        self.post("contact", system="phone", value="617 555 0188", use="mobile", agreed="on")
        point = ContactPoint.objects.get(value="+16175550188")
        assert (point.source, point.sms_consent) == ("staff", "granted")

    def test_a_number_that_is_none_is_refused_with_a_sentence(self):
        answer = self.post("contact", system="phone", value="12", use="mobile")
        assert answer.status_code == 422
        assert "Write it as 617-555-0123" in answer.content.decode()

    def test_a_number_that_is_someone_elses(self):
        self.post("point", point=self.point.pk, state="wrong_person")
        self.point.refresh_from_db()
        assert self.point.state == "wrong_person"
        assert self.point.state_reason

    def test_preferences_save_only_what_changed(self):
        Patient.objects.filter(pk=self.patient.pk).update(mrn="changed meanwhile")
        self.post("preferences", language="es", preferred_channel="sms", detail_level="0", do_not_call="on")
        self.patient.refresh_from_db()
        assert (self.patient.language, self.patient.do_not_call, self.patient.mrn) == (
            "es",
            True,
            "changed meanwhile",
        )

    def test_a_point_of_another_patient_cannot_be_changed_from_here(self):
        other = self.make_patient("Eva", "Stone", "+16175550190")
        answer = self.post("point", point=other.contact_points.get().pk, state="old")
        assert answer.status_code == 404

    def test_an_auditor_reads_but_changes_nothing(self):
        self.client.force_login(self.auditor)
        page = self.client.get(self.url).content.decode()
        assert "Add a number" not in page
        assert self.post("point", point=self.point.pk, state="old").status_code == 403


class Timeline(CastTestCase):
    def say(self, n, **more):
        fields = {
            "patient": self.patient, "clinic": self.clinic, "address": "+16175550142", "body": f"text {n}",
            "key": f"t{n}", "state": "delivered", "created_at": clock.now() - timedelta(days=30 - n),
        } | more  # fmt: skip
        return Message.objects.create(**fields)

    def test_newest_first_with_automatic_texts_folded(self):
        for n in range(3):
            self.say(n)
        self.say(5, direction="in", state="received", body="yes please")
        entries = timeline(self.patient)
        assert [e.kind for e in entries[:2]] == ["heard", "step"]
        assert entries[1].title == "3 automatic texts, none answered"
        assert [e.text for e in entries[1].folded] == ["text 2", "text 1", "text 0"]

    def test_staff_messages_stand_by_themselves(self):
        self.say(1)
        self.say(2, author=self.nurse)
        assert [e.title for e in timeline(self.patient)] == ["Nurse", "Automatic text"]

    def test_why_a_message_was_not_sent_is_told(self):
        self.say(1, state="suppressed", state_reason="The patient opted out.", author=self.nurse)
        assert timeline(self.patient)[0].note == "Not sent: The patient opted out."

    def test_how_staff_knew_of_a_permission_is_told(self):
        Consent.objects.create(
            patient=self.patient, address="+16175550142", channel="sms", decision="revoked", source="staff",
            evidence="said so at the desk",
        )  # fmt: skip
        assert timeline(self.patient)[0].note == "Told to staff: said so at the desk"

    def test_units_are_written_for_people(self):
        result = Event(value=144, value2=90, unit="mm[Hg]", kind=Kind.OBSERVATION)
        assert value_text(result) == "144/90 mm Hg"

    def test_gaps_and_tasks_are_on_it(self):
        CareGap.objects.create(
            patient=self.patient, measure="CMS130", period_start=date(2026, 1, 1), rules="2025.1", status="closed",
            opened_on=date(2026, 1, 10), closed_on=date(2026, 2, 1), closed_by="record",
        )  # fmt: skip
        titles = [e.title for e in timeline(self.patient)]
        assert titles == [
            "Care gap closed by the record: Colorectal cancer screening",
            "Care gap opened: Colorectal cancer screening",
        ]


class AuditPage(CastTestCase):
    def page(self, user, **query):
        self.client.force_login(user)
        return self.client.get("/audit/", query).content.decode()

    def test_it_shows_views_of_patients_and_is_itself_recorded(self):
        self.client.force_login(self.nurse)
        self.client.get(f"/patients/{self.patient.pk}/")
        page = self.page(self.auditor, action="patient.view")
        assert "<td>patient.view<" in page
        assert f"/patients/{self.patient.pk}/" in page
        assert "Rivera" not in page  # a name would be a view of the patient
        assert AuditEvent.objects.filter(action="audit.view", actor="auditor").count() == 1

    def test_filters(self):
        self.client.force_login(self.nurse)
        self.client.get(f"/patients/{self.patient.pk}/")
        seen = "<td>patient.view<"
        assert seen in self.page(self.auditor, actor="nurse", patient=str(self.patient.pk))
        assert seen not in self.page(self.auditor, actor="oncall")
        assert seen not in self.page(self.auditor, day="2001-01-01")

    def test_another_clinics_auditor_sees_none_of_it(self):
        self.client.force_login(self.nurse)
        self.client.get(f"/patients/{self.patient.pk}/")
        theirs = self.user("auditor2", "auditor", self.other_clinic)
        page = self.page(theirs)
        assert "<td>patient.view<" not in page
        assert "Rivera" not in page

    def test_a_coordinator_may_not(self):
        self.client.force_login(self.coordinator)
        assert self.client.get("/audit/").status_code == 403


class SetupPage(CastTestCase):
    def hours(self, user, clinic=None, **fields):
        clinic = clinic or self.clinic
        self.client.force_login(user)
        given = {
            "weekdays_from": "10:00",
            "weekdays_to": "17:00",
            "saturday_from": "09:00",
            "saturday_to": "20:00",
        }
        data = {f"h{clinic.pk}-{k}": v for k, v in (given | fields).items()}
        answer = self.client.post(f"/setup/clinics/{clinic.pk}/hours/", data)
        clinic.refresh_from_db()
        return answer

    def test_an_administrator_narrows_the_hours(self):
        answer = self.hours(self.administrator, sunday="on", sunday_from="13:00", sunday_to="18:00")
        assert answer.status_code == 302
        assert self.clinic.sending_hours == {
            "weekdays": ["10:00", "17:00"], "saturday": None, "sunday": ["13:00", "18:00"],
        }  # fmt: skip
        assert self.clinic.sunday_sending
        event = AuditEvent.objects.get(action="clinic.hours")
        assert event.clinic_id == self.clinic.pk and event.detail["hours"] == self.clinic.sending_hours
        page = self.client.get("/setup/").content.decode()
        assert 'value="13:00"' in page
        assert (
            self.hours(
                self.administrator, weekdays_from="09:00", weekdays_to="20:00", saturday="on"
            ).status_code
            == 302
        )
        assert (self.clinic.sending_hours, self.clinic.sunday_sending) == (
            {},
            False,
        )  # nothing narrower is kept

    def test_nobody_widens_them(self):
        answer = self.hours(self.supervisor, weekdays_from="07:00")
        assert answer.status_code == 422
        assert "permit 09:00 to 20:00; a clinic may only narrow that." in answer.content.decode()
        assert "The end must be after" in self.hours(self.supervisor, weekdays_to="10:00").content.decode()
        assert self.hours(self.supervisor, weekdays_to="25:99").status_code == 422
        self.clinic.state = "KY"
        self.clinic.save()
        assert "permit 10:00 to 20:00" in self.hours(self.supervisor, weekdays_from="09:00").content.decode()
        assert self.clinic.sending_hours == {}

    def test_a_state_without_sundays_offers_none(self):
        self.clinic.state = "LA"
        self.clinic.save()
        answer = self.hours(self.supervisor, sunday="on", saturday="on")
        assert answer.status_code == 302 and not self.clinic.sunday_sending
        assert "No Sundays: the law of LA." in self.client.get("/setup/").content.decode()

    def test_another_clinics_are_not_found(self):
        assert self.hours(self.administrator, self.other_clinic).status_code == 404

    def test_a_supervisor_changes_the_on_call_number(self):
        self.client.force_login(self.supervisor)
        prefix = f"c{self.clinic.pk}"
        data = {
            f"{prefix}-name": "Harbor Clinic",
            f"{prefix}-phone": "+16175550100",
            f"{prefix}-on_call_number": "617 555 0123",
            f"{prefix}-backup_number": "617 555 0124",
        }
        assert self.client.post(f"/setup/clinics/{self.clinic.pk}/", data).status_code == 302
        self.clinic.refresh_from_db()
        assert self.clinic.on_call_number == "+16175550123"
        assert self.clinic.backup_number == "+16175550124"
        assert AuditEvent.objects.filter(action="clinic.change", clinic_id=self.clinic.pk).exists()

    def test_a_clinic_without_an_on_call_number_is_warned(self):
        self.client.force_login(self.supervisor)
        assert "No on-call number" not in self.client.get("/setup/").content.decode()
        self.clinic.on_call_number = ""
        self.clinic.save()
        answer = self.client.get("/setup/").content.decode()
        assert "No on-call number" in answer and "Nobody is told" in answer

    def test_a_number_that_is_none_is_refused(self):
        self.client.force_login(self.supervisor)
        prefix = f"c{self.clinic.pk}"
        data = {f"{prefix}-name": "Harbor Clinic", f"{prefix}-phone": "12"}
        answer = self.client.post(f"/setup/clinics/{self.clinic.pk}/", data)
        assert answer.status_code == 422
        assert "Write it as 617-555-0123" in answer.content.decode()
