"""Receipts as rows: the words for each answer, the queries, the command."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from engage.audit.models import AuditEvent
from engage.lib import clock
from engage.lib.tables import cell
from engage.messaging import actions, pace, receipts, switch, twilio
from engage.messaging.models import Attempt, Message, ProviderEvent, Stream, Template, Usage
from engage.patients.actions import record_consent
from tests.base import CastTestCase


class Receipts(CastTestCase):
    def people(self, count):
        for n in range(count):
            patient = self.make_patient(f"P{n}", "Test", f"+1617555{1000 + n}")
            message = actions.queue(body="Hello", key=f"k{n}", patient=patient)
            Attempt.objects.create(
                message=message, number=1, token_digest=f"t{n}", deadline=clock.machine_now()
            )

    def test_a_thousand_cost_few_queries(self):
        self.people(3)
        with CaptureQueriesContext(connection) as few:
            assert len(list(receipts.rows(Message.objects.all()))) == 3
        self.people_more = [self.make_patient(f"Q{n}", "Test", f"+1617555{2000 + n}") for n in range(20)]
        for n, patient in enumerate(self.people_more):
            actions.queue(body="Hello", key=f"q{n}", patient=patient)
        with CaptureQueriesContext(connection) as many:
            assert len(list(receipts.rows(Message.objects.all()))) == 23
        assert len(many) == len(few)

    def test_the_consent_of_that_moment_and_not_of_today(self):
        record_consent(
            address="+16175550142", channel="sms", decision="granted", source="staff", evidence="By phone"
        )
        message = actions.queue(body="Hello", key="k", patient=self.patient)
        message.accepted_at = clock.now()
        message.save()
        with override_settings(NOW=clock.now() + timedelta(days=1)):
            record_consent(address="+16175550142", channel="sms", decision="revoked", source="patient_text")
        row = next(receipts.rows(Message.objects.all()))
        assert row["consent"] == "Given on 4 Mar 2026: told to staff (By phone)"

    def test_words_for_what_the_carrier_said(self):
        attempt = Attempt(outcome="refused", http_status=400, error_code="21614")
        assert (
            receipts.attempt_words(attempt)
            == "Refused for good (400): The number cannot receive texts. [21614]"
        )
        assert receipts.attempt_words(Attempt()) == "Under way, or its end is not known"
        doubtful = Attempt(outcome="doubt", absent_listings=2)
        assert (
            receipts.attempt_words(doubtful)
            == "Unknown; looked up in the carrier's list 2 times, not there 2 times"
        )
        odd = ProviderEvent(status="teleported", applied=False)
        assert receipts.report_words(odd).startswith("Something we have no word for (changed nothing")

    def test_wording_names_version_and_who_approved_it(self):
        template = Template(
            name="Reminder", language="es", version=3, approved_by="maria", approved_at=clock.now(), body="x"
        )
        assert receipts.wording(template) == "Reminder, es, version 3, approved by maria on 4 Mar 2026"

    @override_settings(SENDER_DAILY=10, SENDER_RESERVE=10)
    def test_what_a_message_waits_for(self):
        stream = Stream.objects.create(name="Spring")
        message = actions.queue(body="Hello", key="k", patient=self.patient, stream=stream)
        assert receipts.waiting(message) == "For its turn."
        Usage.objects.create(
            name=pace.sender_name(twilio.sender()), used=9, day=pace.carrier_day(clock.machine_now())
        )
        assert "9 segments are used up" in receipts.waiting(message)
        self.clinic.sending_paused = True
        message.clinic = self.clinic
        assert "For the clinic" in receipts.waiting(message)
        switch.stop(self.supervisor, "Now.")
        assert receipts.waiting(message) == "For sending to go on: Supervisor stopped it."
        stream.state = "paused"
        assert "resume what it belongs to" in receipts.waiting(message)
        message.state, message.not_before = "held", clock.now()
        assert receipts.waiting(message) == "Until 4 Mar 2026, 17:00 UTC, when the gate looks again."


class Command(CastTestCase):
    def export(self, *words):
        out = io.StringIO()
        call_command("export_receipts", *words, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    def test_json_lines_and_csv(self):
        actions.queue(body="Hello", key="k", patient=self.patient)
        row = json.loads(self.export())
        assert set(row) == set(receipts.COLUMNS)
        assert row["state"] == "Waiting to go" and row["clinic"] == "Harbor Clinic"
        assert len(list(csv.DictReader(io.StringIO(self.export("--format", "csv"))))) == 1
        assert AuditEvent.objects.filter(action="receipts.export", actor="system:operator").count() == 2

    def test_one_clinics(self):
        actions.queue(body="Hello", key="k", patient=self.patient)
        assert self.export("--clinic", "mesa") == ""
        assert self.export("--clinic", "harbor", "--since", "2026-03-01", "--until", "2026-03-03") == ""

    def test_what_makes_no_sense_is_said(self):
        for words, says in (
            (("--clinic", "x"), "there are harbor, mesa"), (("--since", "soon"), "write it as"),
            (("--since", "2026-03-04", "--until", "2026-03-01"), "lies before"),
            (("--output", "/nowhere/x"), "cannot be written"),
        ):  # fmt: skip
            with pytest.raises(CommandError, match=says):
                self.export(*words)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", " =", "＝"])
def test_no_cell_is_a_formula(start):
    assert cell(f"{start}1").startswith("'")
    assert (cell(-1), cell(["a", "b"]), cell(None)) == ("-1", "a | b", "")
