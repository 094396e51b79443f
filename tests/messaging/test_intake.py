"""queue_messages: what is queued, repeated and refused, and why."""

import io
import json
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from engage.lib import clock
from engage.messaging.models import Lane, Message
from tests.base import CastTestCase


class Intake(CastTestCase):
    def run_on(self, *rows, **options):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "messages.jsonl"
            path.write_bytes(
                b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows) + b"\n"
            )
            out = io.StringIO()
            call_command("queue_messages", str(path), stdout=out, **options)
        lines = out.getvalue().strip().splitlines()
        return json.loads(lines[-1]), lines[:-1]

    def row(self, key="k1", **more):
        return {"patient": "ana-rivera", "body": "Your form is ready.", "key": key} | more

    def test_by_patient_and_by_number(self):
        other = self.make_patient("Luz", "Ortiz", "+16175550177")
        summary, _ = self.run_on(
            self.row(),
            {"to": "(617) 555-0177", "body": "Hello", "key": "k2", "channel": "sms", "lane": "staff"},
        )
        assert summary == {"queued": 2, "repeated": 0, "refused": {}}
        assert Message.objects.get(key="file:k2").patient == other
        assert Message.objects.get(key="file:k2").lane == Lane.STAFF

    def test_a_repeated_key_queues_nothing_within_its_source(self):
        self.run_on(self.row())
        summary, _ = self.run_on(self.row(body="Another"), self.row())
        assert summary == {"queued": 0, "repeated": 2, "refused": {}}
        summary, _ = self.run_on(self.row(), source="billing")
        assert summary["queued"] == 1
        assert Message.objects.count() == 2

    def test_windows_hold_and_never_refuse(self):
        with override_settings(NOW=clock.now() + timedelta(hours=12)):  # midnight in New York
            summary, _ = self.run_on(self.row(), self.row("k2", lane="urgent"))
        assert summary["queued"] == 2
        assert set(Message.objects.values_list("state", flat=True)) == {"held"}
        for message in Message.objects.all():  # an urgent one is of use for an hour: from the morning on
            assert message.expires_at > message.not_before

    def test_consent_as_recorded(self):
        self.patient.contact_points.update(sms_consent="revoked")
        summary, said = self.run_on(self.row())
        assert summary == {"queued": 0, "repeated": 0, "refused": {"The patient opted out.": 1}}
        assert said == ["Refused 1, first in line 1: The patient opted out."]

    def test_urgent_and_staff_know_no_frequency(self):
        sent = {"state": "delivered", "accepted_at": clock.now() - timedelta(hours=1)}
        for n in range(3):
            self.run_on(self.row(f"old{n}", lane="staff"))
        Message.objects.update(**sent)
        self.run_on(self.row("a", lane="urgent"), self.row("b", lane="staff"), self.row("c"))
        states = dict(Message.objects.filter(state__in=Message.UNSENT).values_list("key", "state"))
        assert states == {"file:a": "queued", "file:b": "queued", "file:c": "held"}

    def test_every_bad_line_is_refused_alone_with_its_reason(self):
        shared = self.make_patient("Other", "Person", "+16175550188")
        self.make_patient("Third", "Person", "+16175550188")
        bad = [
            b"not json", b"[1]", b"\xff\xfe", b'{"key":"x"}', self.row(""), self.row("k" * 100),
            self.row("a", patient="nobody"),
            self.row("b", patient=None, to="+12125550000"), self.row("c", channel="pigeon"),
            self.row("d", lane="fast"), self.row("e", not_before="tomorrow"), self.row("f", expires_at="2026-03-05T10:00"),
            self.row("g", body=""), self.row("h", body="x" * 1601), self.row("i", colour="red"), self.row("j", body=5),
            self.row("k", patient=None, to=shared.contact_points.get().value), self.row("l", to="+12125550000"),
            self.row("m", channel="voice"), self.row("n", expires_at="2026-03-01T10:00:00+00:00"), b"x" * 70_000,
        ]  # fmt: skip
        summary, _ = self.run_on(*bad, self.row("good"), b"", self.row("emoji", body="\x00👍"))
        assert summary["queued"] == 2
        assert sum(summary["refused"].values()) == len(bad)
        assert "Several patients share the number; name the patient." in summary["refused"]
        assert Message.objects.get(key="file:emoji").body == "👍"

    def test_a_line_that_breaks_undoes_none_beside_it(self):
        odd = [
            self.row("a", not_before="9999-12-31T23:59:59+00:00"), self.row("b", not_before="9999-12-31T23:59:59-14:00"),
            self.row("c", expires_at="9999-12-31T23:59:59-14:00"),
        ]  # fmt: skip
        broken = [
            self.row("e\ud800"), self.row("f", patient="x\0y"), self.row("g", source="a\0b"), self.row("h", to="\0"),
            self.row("i", source="s" * 500), self.row("j", source="in:SM1"),
            self.row("d", not_before="0001-01-01T00:00:00+14:00"),  # an age ago: too old to be of use
        ]  # fmt: skip
        summary, _ = self.run_on(*odd, *broken, self.row("good", body="\ud800 lone"))
        assert (summary["queued"], sum(summary["refused"].values())) == (len(odd) + 1, len(broken))
        assert Message.objects.get(key="file:good").body == "? lone"

    def test_a_source_cannot_take_the_place_of_the_products_own_keys(self):
        self.run_on(
            self.row("57", source="crisis"), self.row("SM1", source="in"), self.row("SM1", source="in")
        )
        assert set(Message.objects.values_list("key", flat=True)) == {"other-crisis:57", "other-in:SM1"}

    def test_not_before_and_expiry_are_kept(self):
        at = clock.now() + timedelta(days=1)
        self.run_on(self.row(not_before=at.isoformat(), expires_at=(at + timedelta(hours=5)).isoformat()))
        message = Message.objects.get()
        assert (message.state, message.not_before) == ("held", at)

    def test_a_file_that_is_not_there(self):
        with pytest.raises(CommandError, match="cannot be read"):
            call_command("queue_messages", "/nowhere/at-all.jsonl")
