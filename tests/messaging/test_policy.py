"""The gate, check by check: what is refused, what is held and until when, and what may go."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from engage.lib import clock
from engage.messaging import actions, policy, safety
from engage.messaging.checks import ANSWER_WITHIN, zones_of
from engage.messaging.models import Lane, Message, Stream, Template
from engage.messaging.policy import Allowed, Held, Refused
from engage.messaging.waiting import picked
from engage.patients.actions import record_consent
from engage.patients.models import ContactPoint, Patient
from tests.base import NOON, CastTestCase

NUMBER = "+16175550142"


def at(*parts):
    """A moment in UTC in March 2026 (New York: UTC-5 until the 8th, then UTC-4)."""
    return datetime(2026, 3, *parts, tzinfo=UTC)


class Gate(CastTestCase):
    def message(self, patient=None, **more):
        patient = patient or self.patient
        point = patient.contact_points.first()
        fields = {
            "patient": patient, "contact_point": point, "address": point.value if point else "", "body": "Hello",
            "clinic": self.clinic, "created_at": clock.now(),
        } | more  # fmt: skip
        return Message(**fields)

    def verdict(self, now=None, patient=None, **more):
        return policy.decide(self.message(patient, **more), now)

    def sent(self, hours=1, patient=None, key="", **more):
        fields = {
            "key": key or f"sent{Message.objects.count()}", "state": "delivered",
            "accepted_at": clock.now() - timedelta(hours=hours),
        } | more  # fmt: skip
        message = self.message(patient, **fields)
        message.save()
        return message

    def heard(self, hours=1.0, now=None, address=NUMBER, patient=None):
        return Message.objects.create(
            direction="in", state="received", patient=patient or self.patient, address=address, clinic=self.clinic,
            body="Hi", key=f"in:{Message.objects.count()}", created_at=(now or clock.now()) - timedelta(hours=hours),
        )  # fmt: skip

    def assert_refused(self, verdict, code):
        assert isinstance(verdict, Refused), verdict
        assert verdict.code == code
        assert verdict.why.endswith(".")
        assert verdict.checks[-1]["ok"] is False


class WhoAndWhere(Gate):
    def test_all_is_well(self):
        verdict = self.verdict()
        assert isinstance(verdict, Allowed)
        assert verdict.closes_at == at(5, 1)  # 20:00 in New York
        names = [c["check"] for c in verdict.checks]
        assert names == ["patient", "number", "consent", "frequency", "hours"]
        assert all(c["ok"] for c in verdict.checks)

    def test_what_is_stored_can_be_read(self):
        message = actions.queue(body="Hello", key="k", patient=self.patient)
        message.refresh_from_db()
        assert message.verdict["code"] == "allowed"
        assert {"check": "consent", "ok": True, "found": "Consent is on record."} in message.verdict["checks"]

    def test_patients_who_must_not_be_texted(self):
        for fields, code in (
            ({"deceased": True}, "deceased"),
            ({"active": False}, "inactive"),
            ({"confidential": True}, "confidential"),
        ):
            patient = self.make_patient(code, "X", f"+1617555{len(code):04d}", **fields)
            self.assert_refused(self.verdict(patient=patient), code)
        merged = self.make_patient("Old", "Record", "+16175550150", merged_into=self.patient)
        self.assert_refused(self.verdict(patient=merged), "merged")

    def test_a_confidential_patient_is_answered_where_they_wrote(self):
        self.patient.confidential = True
        heard = self.heard()
        staff = {"author": self.nurse, "lane": Lane.STAFF}
        assert self.verdict(reply_to=heard, **staff).allowed
        Message.objects.all().delete()
        self.assert_refused(self.verdict(**staff), "confidential")

    def test_numbers(self):
        point = self.patient.contact_points.get()
        for state in ("sms_incapable", "voice_only", "invalid", "blocked", "wrong_person", "old"):
            ContactPoint.objects.update(state=state, state_reason="Said so.")
            self.assert_refused(self.verdict(), "number_unusable")
        ContactPoint.objects.update(state="opted_out")
        self.assert_refused(self.verdict(), "opted_out")
        ContactPoint.objects.update(state="suspect")
        assert self.verdict().allowed
        self.assert_refused(self.verdict(address="+16175550199"), "number_changed")
        self.assert_refused(self.verdict(contact_point=None), "no_number")
        other = self.make_patient("Luz", "Ortiz", "+16175550177").contact_points.get()
        self.assert_refused(self.verdict(contact_point=other, address=other.value), "number_changed")
        point.delete()
        self.assert_refused(self.verdict(), "no_number")

    def test_a_number_nobody_has_given_out(self):
        ContactPoint.objects.update(valid=False)
        assert self.verdict().allowed  # the simulator takes it
        with override_settings(CARRIER="twilio"):
            self.assert_refused(self.verdict(), "number_invalid")
            with override_settings(SEND_ALLOWLIST=["+1617555"]):
                assert self.verdict().allowed

    @override_settings(SEND_ALLOWLIST=["+1212", "+16175550177"])
    def test_the_allow_list_lets_nothing_else_through(self):
        verdict = self.verdict()
        self.assert_refused(verdict, "not_on_allow_list")
        assert verdict.why == "The number is not on the allow-list."
        assert self.verdict(patient=self.make_patient("Luz", "Ortiz", "+16175550177")).allowed

    def test_only_the_on_call_number_has_no_patient(self):
        staff = {"contact_point": None, "lane": Lane.URGENT, "clinic": self.clinic, "body": "Alert"}
        message = Message(**{**staff, "address": self.clinic.on_call_number})
        assert policy.decide(message, at(4, 8)).allowed  # three in the morning
        self.assert_refused(policy.decide(Message(**{**staff, "address": "+16175550111"})), "unknown_number")
        bulk = {**staff, "lane": Lane.BULK, "address": self.clinic.on_call_number}
        self.assert_refused(policy.decide(Message(**bulk)), "unknown_number")

    def test_wording(self):
        self.assert_refused(self.verdict(body="  "), "empty")
        self.assert_refused(self.verdict(body="x" * 1601), "too_long")
        draft = Template.objects.create(key="x", name="x", body="x")
        self.assert_refused(self.verdict(template=draft), "not_approved")
        self.assert_refused(self.verdict(channel="voice"), "no_transport")

    def test_what_it_belongs_to(self):
        stream = Stream(name="Spring", state="cancelled")
        self.assert_refused(self.verdict(stream=stream), "stream_cancelled")
        stream.state = "paused"
        verdict = self.verdict(stream=stream)
        assert isinstance(verdict, Held) and verdict.until is None and verdict.code == "stream_paused"
        self.clinic.sending_paused = True
        assert self.verdict().code == "clinic_paused"
        assert self.verdict(author=self.nurse, lane=Lane.STAFF).allowed

    def test_age(self):
        self.assert_refused(self.verdict(expires_at=clock.now()), "expired")
        assert self.verdict(expires_at=clock.now() + timedelta(seconds=1)).allowed
        later = clock.now() + timedelta(hours=1)
        verdict = self.verdict(not_before=later)
        assert (verdict.code, verdict.until) == ("not_before", later)

    def test_a_row_that_cannot_be_judged_is_refused_alone(self):
        self.patient.time_zone = "Nowhere/Land"
        other = self.make_patient("Luz", "Ortiz", "+16175550177")
        bad, good = policy.decide_many([self.message(), self.message(other)])
        assert (bad.code, good.code) == ("gate_failed", "allowed")


class Consents(Gate):
    def test_never_given(self):
        ContactPoint.objects.update(sms_consent="none")
        self.assert_refused(self.verdict(), "no_consent")
        self.assert_refused(self.verdict(author=self.nurse, lane=Lane.STAFF), "no_consent")
        self.heard()
        assert self.verdict(author=self.nurse, lane=Lane.STAFF).allowed
        self.assert_refused(self.verdict(), "no_consent")

    def test_ended_binds_staff_too(self):
        ContactPoint.objects.update(sms_consent="revoked")
        self.heard()
        for more in ({}, {"author": self.nurse, "lane": Lane.STAFF}, {"lane": Lane.URGENT}):
            self.assert_refused(self.verdict(**more), "opted_out")

    def test_the_opt_out_is_the_numbers_whatever_a_later_import_says(self):
        record_consent(address=NUMBER, channel="sms", decision="revoked", source="patient_text")
        other = self.make_patient("Juan", "Rivera", NUMBER)  # its own column says "granted"
        self.assert_refused(self.verdict(patient=other), "opted_out")
        record_consent(address=NUMBER, channel="sms", decision="granted", source="ehr", patient=other)
        self.assert_refused(self.verdict(patient=other), "opted_out")
        record_consent(address=NUMBER, channel="sms", decision="granted", source="patient_text")
        assert self.verdict(patient=other).allowed

    def test_a_stop_on_one_number_is_none_for_programs_to_take_to_another(self):
        second = ContactPoint.objects.create(
            patient=self.patient, system="phone", rank=2, raw="2", value="+16175550143", sms_consent="granted"
        )
        to_second = {"contact_point": second, "address": second.value}
        for source, evidence in (
            ("patient_text", "message:1"), ("provider", "message:1"), ("staff", "conversation:1"),
        ):  # fmt: skip
            with self.subTest(source):
                record_consent(
                    address=NUMBER, channel="sms", decision="revoked", source=source, evidence=evidence
                )
                self.assert_refused(self.verdict(**to_second), "opted_out")
                assert self.verdict(author=self.nurse, lane=Lane.STAFF, **to_second).allowed
                record_consent(
                    address=second.value, channel="sms", decision="granted", source="staff", patient=self.patient
                )  # fmt: skip
                assert self.verdict(**to_second).allowed  # a person has decided

    def test_a_stop_on_a_number_that_is_not_theirs_or_told_of_that_number_alone_leaves_the_other(self):
        second = ContactPoint.objects.create(
            patient=self.patient, system="phone", rank=2, raw="2", value="+16175550143", sms_consent="granted"
        )
        to_second = {"contact_point": second, "address": second.value}
        record_consent(
            address=NUMBER, channel="sms", decision="revoked", source="staff", evidence="Not at work"
        )
        assert self.verdict(**to_second).allowed
        record_consent(address=NUMBER, channel="sms", decision="revoked", source="patient_text")
        for state in ("old", "wrong_person"):
            ContactPoint.objects.filter(value=NUMBER).update(state=state)
            assert self.verdict(**to_second).allowed, state
        ContactPoint.objects.filter(value=NUMBER).update(state="active")
        self.assert_refused(self.verdict(**to_second), "opted_out")
        record_consent(address=second.value, channel="sms", decision="granted", source="ehr")
        other = self.make_patient("Juan", "Rivera", second.value)
        record_consent(address=second.value, channel="sms", decision="granted", source="staff", patient=other)
        self.assert_refused(self.verdict(**to_second), "opted_out")
        record_consent(address=NUMBER, channel="sms", decision="granted", source="patient_text")
        assert self.verdict(**to_second).allowed

    def test_after_an_opt_out_one_confirmation_and_the_crisis_answer(self):
        record_consent(address=NUMBER, channel="sms", decision="revoked", source="patient_text")
        heard = self.heard(hours=0)
        assert safety.opt_out_confirmation(heard).state == "queued"
        assert safety.crisis_reply(heard).state == "queued"
        assert safety.help_reply(heard).verdict["code"] == "opted_out"
        Message.objects.filter(template__key="stopped").update(state="sent", accepted_at=clock.now())
        second = safety.opt_out_confirmation(self.heard(hours=0))
        assert second.verdict["code"] == "answered_already"

    def test_a_late_answer_is_none(self):
        late = ANSWER_WITHIN[Template.Purpose.STOPPED] + timedelta(seconds=1)
        message = safety.opt_out_confirmation(self.heard(hours=late.total_seconds() / 3600))
        assert (message.state, message.verdict["code"]) == ("expired", "expired")

    def test_a_safety_text_answers_somebody(self):
        template = Template.objects.get(key="crisis", language="en")
        self.assert_refused(self.verdict(safety=True, template=template), "answers_nobody")
        elsewhere = self.heard(address="+16175550111")
        self.assert_refused(
            self.verdict(safety=True, template=template, reply_to=elsewhere), "answers_nobody"
        )


class Hours(Gate):
    def until(self, now, **more):
        verdict = self.verdict(now, **more)
        assert isinstance(verdict, Held), verdict
        assert verdict.code == "quiet_hours"
        return verdict.until

    def test_the_edges_of_a_weekday(self):
        assert self.until(at(4, 13, 59, 59)) == at(4, 14)
        assert self.verdict(at(4, 14)).allowed
        assert self.verdict(at(5, 0, 58)).allowed  # 19:58
        assert self.until(at(5, 0, 59)) == at(5, 14)  # too close to 20:00 to arrive in time

    def test_sundays_only_where_the_clinic_says_so(self):
        assert self.until(at(8, 18)) == at(9, 13)
        self.clinic.sunday_sending = True
        verdict = self.verdict(at(8, 18))
        assert verdict.allowed and verdict.closes_at == at(8, 22)
        assert self.until(at(8, 15)) == at(8, 16)

    def test_federal_holidays(self):
        memorial_day = datetime(2026, 5, 25, 17, tzinfo=UTC)
        assert self.until(memorial_day) == datetime(2026, 5, 26, 13, tzinfo=UTC)
        observed = datetime(2026, 7, 3, 17, tzinfo=UTC)  # the 4th is a Saturday
        assert self.until(observed) == datetime(2026, 7, 6, 13, tzinfo=UTC)

    def test_states_that_are_stricter(self):
        for state, now, until in (
            ("KY", at(4, 14, 30), at(4, 15)),
            ("RI", at(4, 23, 30), at(5, 14)),
            ("RI", at(7, 14, 30), at(7, 15)),
        ):
            self.patient.state = state
            assert self.until(now) == until, state
        self.patient.state, self.clinic.sunday_sending = "LA", True
        assert self.until(at(8, 18)) == at(9, 13)

    def test_the_law_of_the_numbers_state_binds_too(self):
        nowhere = {"state": "", "time_zone": ""}
        island = self.make_patient("Rosa", "Diaz", "+14015550133", **nowhere)
        assert self.until(at(4, 23, 30), patient=island) == at(5, 14)  # 18:30: Rhode Island ends at 18:00
        self.clinic.sunday_sending = True
        south = self.make_patient("Luz", "Ortiz", "+12055550133", **nowhere)
        assert self.until(at(8, 18), patient=south) == at(9, 14)  # no Sundays in Alabama
        assert self.verdict(at(8, 18)).allowed
        moved = self.make_patient("Eva", "Diaz", "+14015550134")  # at home in Boston
        assert self.until(at(4, 23, 30), patient=moved) == at(5, 14)
        kept = self.make_patient("Ken", "Ito", "+16175550134", state="RI")  # and the other way round
        assert self.until(at(4, 23, 30), patient=kept) == at(5, 14)

    def test_a_clinic_narrows_the_hours_of_its_programs_and_never_widens_them(self):
        self.clinic.sending_hours = {"weekdays": ["10:30", "16:00"], "saturday": None}
        assert self.until(at(4, 15)) == at(4, 15, 30)
        verdict = self.verdict(at(4, 17))
        assert verdict.allowed and verdict.closes_at == at(4, 21)
        assert self.verdict(at(4, 15), author=self.nurse, lane=Lane.STAFF).allowed  # people keep the law's
        assert self.until(at(7, 17)) == at(9, 14, 30)  # Saturday: the next is Monday, 10:30 in summer time
        self.clinic.sending_hours = {"weekdays": ["00:00", "23:00"], "sunday": ["06:00", "23:00"]}
        assert self.until(at(4, 13, 59)) == at(4, 14)
        assert self.verdict(at(5, 0, 59)).code == "quiet_hours"
        assert self.until(at(8, 18)) == at(9, 13)
        self.patient.state = "KY"
        assert self.until(at(4, 14, 30)) == at(4, 15)  # the patient's own state is stricter than the clinic

    def test_hours_nobody_can_read_let_nothing_through(self):
        self.clinic.sending_hours = {"weekdays": ["late", "16:00"]}
        self.assert_gate_failed()
        self.clinic.sending_hours = {"weekdays": ["16:00"]}
        self.assert_gate_failed()

    def assert_gate_failed(self):
        assert self.verdict().code == "gate_failed"

    def test_the_night_the_clocks_go_forward_and_back(self):
        # 7 to 8 March 2026: 09:00 on Monday the 9th is 13:00 UTC, an hour earlier than on Saturday.
        assert self.until(at(8, 1, 30)) == at(9, 13)
        assert self.verdict(at(9, 13)).allowed
        assert not self.verdict(at(9, 12, 59)).allowed
        saturday = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)  # 19:59 in summer time
        assert self.until(saturday) == datetime(2026, 11, 2, 14, tzinfo=UTC)
        assert self.until(datetime(2026, 11, 2, 13, 30, tzinfo=UTC)) == datetime(2026, 11, 2, 14, tzinfo=UTC)

    def test_arizona_keeps_its_clock(self):
        phoenix = self.make_patient("Rosa", "Diaz", "+16025550133", state="AZ", time_zone="America/Phoenix")
        assert self.until(datetime(2026, 7, 1, 15, 30, tzinfo=UTC), patient=phoenix) == datetime(
            2026, 7, 1, 16, tzinfo=UTC
        )

    def test_both_zones_must_be_open_when_they_differ(self):
        moved = self.make_patient("Ken", "Ito", "+12135550133")  # at home in Boston with a Los Angeles number
        assert self.until(at(4, 15), patient=moved) == at(4, 17)
        verdict = self.verdict(at(4, 18), patient=moved)
        assert verdict.allowed and verdict.closes_at == at(5, 1)  # New York closes first
        assert self.until(at(5, 2), patient=moved) == at(5, 17)

    def test_an_area_code_in_two_zones_needs_both_unless_the_address_says_which(self):
        assert set(zones_of("", "+12085550100")) == {"America/Boise", "America/Los_Angeles"}
        assert zones_of("America/Boise", "+12085550100") == ("America/Boise",)

    def test_a_state_with_two_zones_needs_both_when_the_address_does_not_say_which(self):
        late = at(5, 3, 30)  # 22:30 in Florida, 19:30 where the number comes from
        for n, (state, postal_code) in enumerate((("FL", ""), ("TX", ""), ("KY", "42501"), ("TN", "37311"))):
            moved = self.make_patient(
                "Luz", state, f"+1310555010{n}", state=state, postal_code=postal_code, time_zone=""
            )
            self.until(late, patient=moved)
        florida = self.make_patient("Eva", "Ortiz", "+13055550101", state="FL", time_zone="")
        assert self.until(at(4, 14, 30), patient=florida) == at(4, 15)  # nine o'clock in Pensacola
        verdict = self.verdict(at(4, 18), patient=florida)
        assert verdict.allowed and verdict.closes_at == at(5, 1)  # Miami closes first
        assert zones_of("", "+18005550133", "AZ") == ("America/Phoenix", "America/Denver")

    def test_a_number_that_says_nothing_leaves_the_clinics_narrow_hours(self):
        nobody = self.make_patient("Toll", "Free", "+18005550133", time_zone="", state="")
        assert self.until(at(4, 15), patient=nobody) == at(4, 16)  # 11:00
        verdict = self.verdict(at(4, 17), patient=nobody)
        assert verdict.allowed and verdict.closes_at == at(4, 23)  # 18:00

    def test_urgent_lane_to_a_patient_is_held_like_any_other(self):
        assert self.until(at(4, 8), lane=Lane.URGENT) == at(4, 14)

    def test_a_persons_answer_to_somebody_who_wrote_at_night(self):
        night = at(4, 7)  # two in the morning
        staff = {"author": self.nurse, "lane": Lane.STAFF}
        assert self.until(night, **staff) == at(4, 14)
        self.heard(hours=1, now=night)
        assert self.verdict(night, **staff).allowed
        assert self.until(night) == at(4, 14)  # never for a program

    def test_who_wrote_by_day_is_answered_by_day(self):
        self.heard(hours=0, now=at(4, 23))  # 18:00
        assert self.until(at(5, 3), author=self.nurse, lane=Lane.STAFF) == at(5, 14)

    def test_safety_answers_know_no_night(self):
        with override_settings(NOW=at(4, 8)):
            assert safety.crisis_reply(self.heard(hours=0, now=at(4, 8))).state == "queued"


class Frequency(Gate):
    def test_one_a_day_across_campaigns(self):
        self.sent(hours=2)
        verdict = self.verdict()
        assert (verdict.code, verdict.until) == ("frequency", NOON + timedelta(hours=22))
        assert self.verdict(author=self.nurse, lane=Lane.STAFF).allowed
        assert self.verdict(lane=Lane.STAFF).allowed
        assert self.verdict(lane=Lane.URGENT).allowed
        assert self.verdict(NOON + timedelta(hours=22, seconds=1)).allowed

    def test_three_a_week(self):
        for days in (6, 4, 2):
            self.sent(hours=24 * days)
        verdict = self.verdict()
        # The first of them leaves the week at noon in a day, within permitted hours.
        assert (verdict.code, verdict.until) == ("frequency", NOON + timedelta(days=1))

    def test_what_a_person_wrote_or_the_patient_asked_for_does_not_count(self):
        self.sent(author=self.nurse, body="By hand")
        self.sent(safety=True, body="In answer")
        self.sent(state="suppressed", accepted_at=None)
        self.sent(patient=self.make_patient("Luz", "Ortiz", "+16175550177"))
        assert self.verdict().allowed

    def test_what_went_to_a_record_that_was_merged_into_this_one_counts(self):
        old = self.make_patient("Ana", "Rivera-Lopez", "+16175550177")
        self.sent(patient=old, hours=30, about="caregap:1")
        assert self.verdict(about="caregap:2").allowed
        Patient.objects.filter(pk=old.pk).update(merged_into=self.patient)
        assert self.verdict(about="caregap:2").code == "gap_pause"
        self.sent(patient=old, hours=2)
        assert self.verdict().code == "frequency"

    def test_what_a_person_sent_again_counts(self):
        stream = Stream.objects.create(name="Campaign")
        self.sent(author=self.supervisor, stream=stream)
        assert self.verdict().code == "frequency"
        Message.objects.all().delete()
        again, next_one = self.message(author=self.supervisor, stream=stream), self.message(body="Another")
        assert [v.code for v in policy.decide_many([again, next_one])] == ["allowed", "frequency"]

    def test_what_is_under_way_counts(self):
        self.sent(state="in_doubt", accepted_at=None)
        assert self.verdict().code == "frequency"

    def test_72_hours_between_messages_about_gaps(self):
        self.sent(hours=30, about="caregap:1")
        verdict = self.verdict(about="caregap:2")
        assert (verdict.code, verdict.until) == (
            "gap_pause",
            NOON + timedelta(hours=42 + 3),
        )  # 06:00 is quiet
        assert self.verdict(about="form:2").allowed

    def test_four_about_one_gap_in_ninety_days(self):
        for days in (80, 60, 40, 20):
            self.sent(hours=24 * days, about="caregap:1")
        self.assert_refused(self.verdict(about="caregap:1"), "gap_cap")
        assert self.verdict(about="caregap:2").allowed
        Message.objects.filter(key="sent0").update(accepted_at=NOON - timedelta(days=91))
        assert self.verdict(about="caregap:1").allowed

    def test_the_same_words_for_the_third_time(self):
        other = self.make_patient("Juan", "Rivera", NUMBER)
        third = self.make_patient("Eva", "Rivera", NUMBER)
        self.sent(hours=10)
        self.sent(hours=5, patient=other)
        verdict = self.verdict(patient=third)
        assert verdict.code == "repetition"
        assert verdict.until >= NOON + timedelta(hours=14)
        assert self.verdict(patient=third, body="Something else").allowed

    def test_two_in_one_batch_do_not_both_go(self):
        first, second = policy.decide_many([self.message(), self.message(body="Another")])
        assert (first.code, second.code) == ("allowed", "frequency")


class Batches(Gate):
    def test_fifty_cost_as_many_queries_as_one(self):
        people = [self.make_patient(f"P{n}", "Test", f"+1617555{1000 + n}") for n in range(50)]
        rows = [self.message(p, key=f"k{n}") for n, p in enumerate(people)]
        for row in rows:
            row.save()
        stream, template = Stream.objects.create(name="S"), Template.objects.get(key="help", language="en")
        heard = self.heard()
        Message.objects.filter(direction="out").update(
            stream=stream, template=template, reply_to=heard, lane=Lane.STAFF
        )
        for count in (1, 50):
            batch = picked([row.pk for row in rows][:count])
            with CaptureQueriesContext(connection) as asked:
                assert all(v.allowed for v in policy.decide_many(batch))
            assert len(asked) == 3, count


class Considering(Gate):
    def test_what_the_composer_says(self):
        assert policy.consider(self.patient).allowed
        with override_settings(NOW=at(5, 3)):
            verdict = policy.consider(self.patient, automated=False)
            assert (verdict.code, verdict.why) == ("quiet_hours", "Quiet hours: goes Thu 5 Mar, 09:00.")
        self.assert_refused(policy.consider(self.make_patient("No", "Phone")), "no_number")
        self.sent()
        assert policy.consider(self.patient).code == "frequency"
        assert policy.consider(self.patient, automated=False).allowed


@pytest.mark.parametrize(
    "zone", ["America/New_York", "America/Los_Angeles", "America/Phoenix", "Pacific/Honolulu"]
)
def test_every_hour_of_a_year_is_decided_within_the_law(zone):
    """Never outside 08:00 to 21:00 where the patient is, whatever the clock does; and never for ever."""
    from zoneinfo import ZoneInfo

    from engage.messaging.windows import Place, opening

    place = Place((zone, "America/New_York"), "MA", sunday=True)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    while moment.year == 2026:
        start, end = opening(place, moment)
        assert start >= moment and end > start
        for border in (start, end):
            for name in place.zones:
                local = border.astimezone(ZoneInfo(name))
                assert 9 <= local.hour + local.minute / 60 + local.second / 3600 <= 20.01, (moment, local)
        moment += timedelta(hours=7)
