"""The delivery page: what waits, the switch, messages to decide on, receipts to take away."""

import json
import tempfile
from datetime import timedelta
from pathlib import Path

from django.test import override_settings

from engage.audit.models import AuditEvent
from engage.lib import clock
from engage.messaging import actions, breaker, generation, health, switch, twilio
from engage.messaging.models import Attempt, Breaker, Heartbeat, Lane, Message, ProviderEvent, SendingStop
from engage.patients.actions import record_consent
from engage.worklist.models import Task
from tests.base import CastTestCase, with_a_folder_of_its_own


class Delivery(CastTestCase):
    def queue(self, key="k", patient=None, **more):
        return actions.queue(
            **({"body": f"Hello {key}", "key": key, "patient": patient or self.patient} | more)
        )

    def doubtful(self, key="k", patient=None):
        message = self.queue(key, patient)
        message.state, message.state_reason = "needs_review", "The carrier's list could not be read."
        message.save()
        return message

    def see(self, user, url="/delivery/"):
        self.client.force_login(user)
        answer = self.client.get(url)
        return (
            answer.content.decode() if not answer.streaming else b"".join(answer.streaming_content).decode()
        )


class Page(Delivery):
    def test_an_operator_sees_what_waits_and_what_is_wrong(self):
        self.queue("a")
        self.queue("b", self.make_patient("Luz", "Ortiz", "+16175550177"), lane=Lane.STAFF, author=self.nurse)
        breaker.change(twilio.sender(), Breaker.State.OPEN, "The carrier does not answer.")
        ProviderEvent.objects.create(provider_sid="SM1", status="sent")
        health.beat("deliver")
        page = self.see(self.administrator)
        for words in (
            "Bulk",
            "Staff",
            "Urgent",
            "Waiting after failures",
            "The carrier does not answer.",
            "No limit set",
        ):
            assert words in page, words
        assert "Last report of the carrier" in page and "less than a minute ago" in page
        assert "Rivera" not in page  # a campaign administrator acts for no patient here

    def test_the_moving_part_carries_counts_only(self):
        self.doubtful()
        page = self.see(self.supervisor, "/delivery/now/")
        assert "need a person" in page
        assert "Rivera" not in page and "Hello" not in page

    @override_settings(SENDER_RATE=4, SENDER_DAILY=2000, SENDER_RESERVE=10)
    def test_what_the_carriers_allow(self):
        page = self.see(self.supervisor)
        assert "4 segments a second" in page
        assert "0 of 2,000 segments" in page and "1,800 of them for campaigns" in page

    def test_an_auditor_looks_and_changes_nothing(self):
        page = self.see(self.auditor)
        assert "Stop all sending" not in page and "Download CSV" in page
        assert self.client.post("/delivery/stop/", {"why": "x"}).status_code == 403

    def test_those_who_only_care_for_patients_do_not_see_it(self):
        self.client.force_login(self.coordinator)
        assert self.client.get("/delivery/").status_code == 403


class Switch(Delivery):
    def test_stop_asks_why_and_tells_everybody(self):
        self.client.force_login(self.administrator)
        assert "no crisis reply" in self.client.get("/delivery/stop/").content.decode()
        answer = self.client.post("/delivery/stop/", {"why": " "})
        assert answer.status_code == 422 and "Say why" in answer.content.decode()
        assert not SendingStop.objects.exists()
        assert self.client.post("/delivery/stop/", {"why": "Wrong wording"}).status_code == 302
        assert AuditEvent.objects.get(action="sending.stop").actor == "campaigns"
        assert "Wrong wording" in self.see(self.supervisor)
        assert "Wrong wording" in self.see(self.coordinator, "/poll/counts/")  # the banner of every page
        self.client.force_login(self.administrator)
        assert "already" in self.client.post("/delivery/stop/", {"why": "Again"}).content.decode()

    def test_going_on_asks_too(self):
        switch.stop(self.administrator, "Wrong wording")
        self.queue()
        self.client.force_login(self.supervisor)
        assert "Wrong wording" in self.client.get("/delivery/go-on/").content.decode()
        assert switch.current() is not None
        assert self.client.post("/delivery/go-on/").status_code == 302
        assert switch.current() is None
        assert AuditEvent.objects.filter(action="sending.go_on").exists()
        page = self.client.post("/delivery/go-on/", follow=True).content.decode()
        assert "Sending is not stopped." in page

    def test_a_locked_sender_is_tried_again_once_it_is_mended(self):
        breaker.lock(twilio.sender(), "The carrier does not accept our credentials.")
        health.beat("deliver")
        assert "do not accept" in self.see(self.supervisor).replace("does not accept", "do not accept")
        assert self.client.post("/delivery/try-again/").status_code == 302
        assert Breaker.objects.get().state == "open"
        assert AuditEvent.objects.filter(action="sending.try_again").exists()


class Release(Delivery):
    """A backup was put back; the page says so, and releases it once what was lost has been mended."""

    def setUp(self):
        super().setUp()
        with_a_folder_of_its_own(self)
        for _ in range(3):
            generation.advance()
        saved = clock.machine_now() - timedelta(hours=2)
        Heartbeat.objects.filter(name__startswith="generation:").update(detail={"number": 1}, at=saved)
        generation.advance()  # the sender finds out

    def mend(self):
        since = min(gone.since for gone in generation.forgotten())
        health.beat(generation.REPLIES_READ, since=since.isoformat())
        health.beat(generation.TOUCHES_MADE)

    def test_replies_read_only_from_later_on_are_not_enough(self):
        self.mend()
        later = clock.machine_now() - timedelta(hours=1)  # the backup is two hours old
        for detail in ({"since": later.isoformat()}, {}):
            health.beat(generation.REPLIES_READ, **detail)
            assert generation.still_missing(generation.forgotten()) == [generation.REPLIES_READ]
        with self.assertRaises(switch.SwitchError):
            switch.release(self.administrator)

    def test_an_operator_reads_what_happened_and_releases_it(self):
        message = self.queue()
        self.client.force_login(self.supervisor)
        assert "Release the restored database" in self.client.get("/delivery/").content.decode()
        page = self.client.get("/delivery/release/").content.decode()
        assert "A backup was put back" in page and page.count("Not yet") == 2 and ">Release<" not in page
        assert "Not yet" in self.client.post("/delivery/release/", follow=True).content.decode()
        assert generation.restored()
        self.mend()
        page = self.client.get("/delivery/release/").content.decode()
        assert "1 message waits" in page and page.count("Done") == 2 and ">Release<" in page
        assert self.client.post("/delivery/release/").url == "/delivery/"
        assert not generation.restored() and generation.advance()
        message.refresh_from_db()
        assert message.state == "in_doubt"
        assert message.attempts.get().started_at < clock.machine_now() - timedelta(hours=2)
        event = AuditEvent.objects.get(action="sending.resume")
        assert (event.actor, event.detail["messages"]) == ("supervisor", 1)
        assert "nothing to release" in self.client.post("/delivery/release/", follow=True).content.decode()

    def test_another_host_learns_of_it_from_the_database(self):
        """The console's host need not be the one that sends."""
        with tempfile.TemporaryDirectory() as elsewhere, override_settings(VAR_DIR=Path(elsewhere)):
            assert generation.restored()
            self.mend()
            switch.release(self.administrator)
            assert not generation.restored()
        assert generation.advance()

    def test_others_may_not(self):
        self.mend()
        for user in (self.coordinator, self.nurse, self.auditor, self.stranger):
            self.client.force_login(user)
            assert self.client.get("/delivery/release/").status_code == 403, user
            assert self.client.post("/delivery/release/").status_code == 403, user
        assert generation.restored() and not AuditEvent.objects.filter(action="sending.resume").exists()


class Deciding(Delivery):
    def decide(self, user, message, decision, **more):
        self.client.force_login(user)
        return self.client.post(f"/messages/{message.pk}/review/", {"decision": decision} | more)

    def test_a_supervisor_sees_them_and_each_view_is_recorded(self):
        self.doubtful()
        page = self.see(self.supervisor)
        assert "Rivera, Ana" in page and "1 May 1960" in page and "Send again" in page
        assert AuditEvent.objects.filter(action="delivery.review", patient_id=self.patient.pk).exists()

    def test_ask_then_drop(self):
        message = self.doubtful()
        assert self.decide(self.coordinator, message, "ask", back="/delivery/").url == "/delivery/"
        task = Task.objects.get(reason="call")
        page = self.see(self.coordinator, f"/worklist/{task.pk}/")
        assert f"/messages/{message.pk}/" in page
        message.refresh_from_db()
        assert message.state == "needs_review"
        self.decide(self.coordinator, message, "drop")
        message.refresh_from_db()
        assert (message.state, Task.objects.open().count()) == ("suppressed", 0)

    def test_send_again_goes_through_the_gate(self):
        message = self.doubtful()
        self.decide(self.nurse, message, "resend")
        again = Message.objects.get(key__startswith="resent:")
        assert (again.state, again.author) == ("queued", self.nurse)
        gone = self.doubtful("gone", self.make_patient("Luz", "Ortiz", "+16175550177"))
        record_consent(address="+16175550177", channel="sms", decision="revoked", source="patient_text")
        self.decide(self.nurse, gone, "resend")
        assert Message.objects.get(key__startswith=f"resent:{gone.pk}:").state == "suppressed"

    def test_settled_or_odd_ones_say_so(self):
        message = self.doubtful()
        self.decide(self.nurse, message, "drop")
        self.decide(self.nurse, message, "resend")
        assert "settled this message already" in self.see(self.nurse, f"/messages/{message.pk}/")
        assert Message.objects.filter(key__startswith="resent:").count() == 0
        self.decide(self.nurse, self.doubtful("other"), "perhaps")
        assert "Choose: send again" in self.see(self.nurse, f"/messages/{message.pk}/")

    def test_another_clinic_cannot(self):
        message = self.doubtful()
        assert self.decide(self.stranger, message, "drop").status_code == 404
        assert self.client.get(f"/messages/{message.pk}/").status_code == 404
        assert self.decide(self.auditor, message, "drop").status_code == 403


class Receipts(Delivery):
    def sent(self):
        message = self.queue("sent")
        Attempt.objects.create(
            message=message, number=1, token_digest="x", deadline=clock.machine_now(), outcome="accepted",
            http_status=201,
        )  # fmt: skip
        ProviderEvent.objects.create(
            provider_sid="SM1", status="undelivered", error_code="30006", message=message, applied=True
        )
        message.state, message.provider_sid, message.accepted_at = "undelivered", "SM1", clock.now()
        message.save()
        return message

    def test_the_page_says_why_and_what_became_of_it(self):
        record_consent(
            address="+16175550142",
            channel="sms",
            decision="granted",
            source="staff",
            evidence="By phone",
            by=self.nurse,
        )
        page = self.see(self.coordinator, f"/messages/{self.sent().pk}/")
        for words in (
            "Consent is on record.", "Given on 4 Mar 2026: told to staff (By phone), by Nurse", "permitted until",
            "Fewer than one automatic message", "Try 1", "Accepted (201)", "takes no texts. [30006]", "Not delivered",
            "Written by hand, or by another system", "1 segment", "$0.01",
        ):  # fmt: skip
            assert words in page or words.capitalize() in page, words
        assert AuditEvent.objects.filter(action="message.receipt", patient_id=self.patient.pk).exists()

    def test_what_was_not_sent_has_one_too(self):
        record_consent(address="+16175550142", channel="sms", decision="revoked", source="patient_text")
        message = self.queue()
        page = self.see(self.auditor, f"/messages/{message.pk}/")
        assert "The patient opted out." in page and "It was never handed to the carrier." in page
        assert "What the gate found" in page
        assert f"/messages/{message.pk}/" in self.see(self.coordinator, f"/patients/{self.patient.pk}/")

    def test_a_file_for_the_auditor_is_recorded_and_of_their_clinics_only(self):
        self.sent()
        elsewhere = self.make_patient("Rosa", "Diaz", "+16025550133", clinic=self.other_clinic)
        self.queue("elsewhere", elsewhere)
        lines = self.see(self.auditor, "/delivery/receipts/?format=jsonl").splitlines()
        assert len(lines) == 1
        row = json.loads(lines[0])
        assert (
            row["number"] == "+16175550142"
            and row["state"] == "Not delivered"
            and row["patient"] == self.patient.pk
        )
        assert any("Consent is on record." in c for c in row["checks"])
        assert row["dollars"] == 0.01
        assert "Hello" not in lines[0]
        event = AuditEvent.objects.get(action="receipts.export")
        assert (event.actor, event.detail["messages"]) == ("auditor", 1)

    def test_a_spreadsheet_takes_no_formulas(self):
        message = self.sent()
        message.state_reason = "=1+1"
        message.save()
        heading, line = self.see(
            self.supervisor, "/delivery/receipts/?format=csv&since=2026-03-04&until=2026-03-04"
        ).splitlines()
        assert heading.startswith("message,created,clinic")
        assert "'=1+1" in line and "(617) 555-0142" in line

    def test_days_that_make_no_sense(self):
        for query in ("since=soon", "since=2026-03-04&until=2026-03-01", "since=0001-01-01"):
            self.client.force_login(self.auditor)
            answer = self.client.get(f"/delivery/receipts/?{query}")
            assert answer.status_code == 422, query
        assert not AuditEvent.objects.filter(action="receipts.export").exists()
        assert (
            self.see(self.auditor, "/delivery/receipts/?since=2025-01-01&until=2025-01-02").count("\n") == 1
        )

    def test_who_may_not_audit_takes_nothing_away(self):
        for user in (self.administrator, self.coordinator):
            self.client.force_login(user)
            assert self.client.get("/delivery/receipts/").status_code == 403
