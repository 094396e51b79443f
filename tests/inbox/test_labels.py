"""Decisions of people as labelled data: each reply once, without what names the patient."""

import io
import json
from datetime import date

import pytest
from django.core.management import CommandError, call_command

from engage.audit.models import AuditEvent
from engage.inbox import actions, sampling
from engage.inbox.labels import lines
from engage.inbox.models import Flag, Sample, SampleItem
from engage.inbox.triage.stream import lines as triaged
from engage.messaging.models import Message
from tests.inbox.base import InboxTestCase

IDENTIFIERS = "call Ana Rivera at 617-555-0142, ana.r@example.org, born 3/14/1957, MRN 00482913, 12 Elm Street Apt 4, https://x.example/r?p=7"
IDENTIFYING = ("Ana", "Rivera", "0142", "example.org", "1957", "00482913", "Elm", "x.example")


class Labels(InboxTestCase):
    def dismissed(self):
        self.said()
        message = self.hear(f"This wait gives me chest pain, {IDENTIFIERS}. bp 128/76 at 10:30")
        actions.dismiss(Flag.objects.get(label="emergency"), by=self.nurse)
        return message

    def test_a_dismissed_flag_and_one_that_was_added(self):
        message = self.dismissed()
        actions.add_flag(message, "complaint", by=self.nurse)
        (line,) = lines()
        assert "complaint" in line["labels"] and "emergency" not in line["labels"]
        assert (line["level"], line["by"]) == ("significant", "flags")

    def test_nothing_names_the_patient(self):
        self.dismissed()
        (line,) = lines()
        left = [part for part in IDENTIFYING if part in line["text"]]
        assert not left and "128/76 at 10:30" in line["text"]

    def test_an_unmatched_reply_names_nobody_on_the_number_either(self):
        message = self.dismissed()
        Message.objects.filter(pk=message.pk).update(patient=None)
        (line,) = lines()
        assert "Rivera" not in line["text"] and "[name]" in line["text"]

    def test_the_samples_verdict_goes_first_and_keeps_its_weight(self):
        message = self.dismissed()
        sample = Sample.objects.create(clinic=self.clinic, week=date(2026, 2, 23), replies=9)
        item = SampleItem.objects.create(sample=sample, message=message, position=1, said=3, weight=9)
        sampling.decide(item, 0, label="emergency", by=self.nurse)
        (line,) = lines()
        assert (line["labels"], line["level"], line["weight"]) == (["emergency"], "urgent", 9)

    def test_undecided_replies_are_not_in_it(self):
        self.hear("I have chest pain")
        assert list(lines()) == []

    def test_the_command_writes_what_triage_reads_and_leaves_a_trace(self):
        self.dismissed()
        out = io.StringIO()
        call_command("export_labels", since="2026-03-01", stdout=out, stderr=io.StringIO())
        (answer,) = triaged(out.getvalue().splitlines())
        assert json.loads(answer)["id"] == json.loads(out.getvalue())["id"]
        assert AuditEvent.objects.get(action="labels.export").detail == {"replies": 1, "since": "2026-03-01"}
        with pytest.raises(CommandError, match="2026-03-04"):
            call_command("export_labels", since="yesterday")

    def test_undo_of_not_significant_opens_the_urgent_task_again(self):
        self.hear("I have chest pain")
        flag = Flag.objects.get(label="emergency")
        actions.dismiss(flag, by=self.nurse)
        actions.restore(flag, by=self.nurse)
        flag.refresh_from_db()
        assert (flag.state, flag.decided_by) == ("proposed", None)
        assert self.conversation().level == 0 and actions.urgent_open(self.conversation())
        assert AuditEvent.objects.filter(action="flag.restore", patient_id=self.patient.pk).exists()
