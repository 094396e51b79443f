"""Web, sender and carrier as the processes they are: a text out, its reports, a reply, an opt-out."""

import json

import pytest

from tests.stack import Stack, wait_for

pytestmark = pytest.mark.slow
NOON = "2026-03-04T12:00:00-05:00"
PERSON = """
from engage.accounts.models import Clinic
from engage.patients.models import ContactPoint, Patient
clinic = Clinic.objects.create(name="Harbor Clinic", slug="harbor", state="MA", phone="+16175550100",
                               on_call_number="+16175550199")
p = Patient.objects.create(source="t", fhir_id="ana", clinic=clinic, given="Ana", family="Rivera", state="MA",
                           time_zone="America/New_York")
ContactPoint.objects.create(patient=p, system="phone", raw="x", value="+16175550142", sms_consent="granted")
"""
STATES = "dict(Message.objects.filter(direction='out').values_list('key', 'state'))"


def test_a_text_its_reports_an_urgent_reply_and_an_opt_out(tmp_path):
    with Stack(tmp_path, now=NOON) as stack:
        stack.manage("shell", "-v0", "-c", PERSON)
        stack.start()
        lines = tmp_path / "messages.jsonl"
        lines.write_text(json.dumps({"patient": "ana", "body": "Your form is ready.", "key": "1"}) + "\n")
        assert json.loads(stack.manage("queue_messages", str(lines)).splitlines()[-1])["queued"] == 1
        wait_for(lambda: stack.accepted("+16175550142"), 30, "the text")
        wait_for(lambda: stack.query(STATES)["file:1"] == "delivered", 30, "the carrier's reports")

        stack.say("+16175550142", "tengo dolor de pecho")
        wait_for(lambda: len(stack.accepted("+16175550142")) == 2, 10, "the crisis reply")
        assert "988" in stack.accepted("+16175550142")[1]["body"]
        wait_for(lambda: stack.accepted("+16175550199"), 10, "the alert to the clinician on call")
        assert "Ana" not in stack.accepted("+16175550199")[0]["body"]

        stack.say("+16175550142", "STOP")
        lines.write_text(
            json.dumps({"patient": "ana", "body": "Another.", "key": "2", "lane": "staff"}) + "\n"
        )
        summary = json.loads(stack.manage("queue_messages", str(lines)).splitlines()[-1])
        assert summary["refused"] == {"The patient opted out.": 1}
        stack.manage("deliver", "--drain")
        assert len(stack.accepted("+16175550142")) == 2

        stack.stop("web")  # what is said meanwhile is not lost
        stack.say("+16175550142", "Are you there?")
        assert stack.query("Message.objects.filter(direction='in').count()") == 2
        stack.manage(
            "shell", "-v0", "-c", "from engage.webhooks.jobs import recover_inbound; recover_inbound()"
        )
        assert stack.query("Message.objects.filter(direction='in').count()") == 3
