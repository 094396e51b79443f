"""The traps of opting out that bite real clinics: judged by what the gate lets through afterwards, on every path."""

import io
import json
import tempfile

from django.core.management import call_command
from django.test import override_settings

from engage.messaging import actions, policy, safety
from engage.messaging.models import Lane, Message, Template
from engage.patients.actions import record_consent
from engage.patients.models import Consent
from engage.worklist.models import Task
from tests.inbox.base import ANA, InboxTestCase

STOPS = (
    "STOP", "stop", " Stop. ", "STOP!!!", "STOP 🛑", "s t o p", "“STOP”", "Stop please", "stopp", "STOPALL", "UNSUBSCRIBE",
    "END", "QUIT", "REVOKE", "OPTOUT", "opt out", "OPT-OUT", "Cancel", "remove me", "take me off your list",
    "do not text me", "leave me alone", "please stop texting me", "cease and desist", "ALTO", "PARE por favor", "baja",
    "CANCELAR", "no más", "no más mensajes", "ya no me escriban", "ARRÊT", "стоп", "停止", "توقف", "sair",
)  # fmt: skip
NOT_STOPS = (
    "we have got to STOP this pain in my knee", "Should I stop taking my metformin?", "I can't stop coughing",
    "I quit smoking", "the end", "bus stop", "Can you cancel my appointment on Friday?", "no", "para", "2",
)  # fmt: skip


class EveryPath(InboxTestCase):
    """After an opt-out nothing goes to the number, whoever asks and however."""

    def refused(self, message):
        return message.state in ("suppressed", "expired") and message.verdict["code"] == "opted_out"

    def test_there_is_no_path_around_it(self):
        sister = self.make_patient("Eva", "Rivera", ANA)
        doubtful = self.said(state="needs_review", contact_point=self.patient.contact_points.get())
        heard = self.hear("STOP")
        for who in (self.patient, sister):
            for lane in Lane:
                for author in (None, self.nurse, self.supervisor):
                    key = f"{who.pk}{lane}{author}"
                    message = actions.queue(
                        body="Hello", key=key, patient=who, lane=lane, author=author, reply_to=heard
                    )
                    assert self.refused(message), key
        assert self.refused(safety.help_reply(heard))
        assert self.refused(actions.review(doubtful, "resend", by=self.supervisor))
        assert policy.consider(sister, automated=False, author=self.nurse).code in ("opted_out",)
        line = json.dumps(
            {
                "to": ANA,
                "patient": sister.fhir_id,
                "channel": "sms",
                "body": "x",
                "key": "k",
                "lane": "urgent",
            }
        )
        out = io.StringIO()
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write(line)
            file.flush()
            call_command("queue_messages", file.name, stdout=out)
        assert json.loads(out.getvalue().splitlines()[-1])["queued"] == 0

    def test_a_claim_made_before_it_is_stopped_too(self):
        waiting = self.queued()
        self.hear("ALTO")
        waiting.refresh_from_db()
        assert waiting.state == "suppressed"

    def test_a_record_imported_later_does_not_bring_it_back(self):
        self.hear("STOP")
        record_consent(address=ANA, channel="sms", decision="granted", source="ehr", patient=self.patient)
        assert policy.consider(self.patient).code == "opted_out"


class Words(InboxTestCase):
    def out(self, text):
        Consent.objects.all().delete()
        self.patient.contact_points.update(state="active", sms_consent="granted")
        self.hear(text)
        return policy.consider(self.patient).code == "opted_out"

    def test_every_reasonable_wording_in_several_languages(self):
        assert [text for text in STOPS if not self.out(text)] == []

    def test_a_sentence_with_the_word_in_it_is_no_opt_out(self):
        for text in NOT_STOPS:
            with self.subTest(text):
                self.out(text)
                assert not Consent.objects.filter(decision="revoked").exists()

    def test_what_only_may_be_one_stops_sending_until_a_person_has_decided(self):
        assert self.out("stop it with these already ugh")
        assert not Consent.objects.filter(decision="revoked").exists()
        assert Task.objects.filter(reason="opt_out_doubt").count() == 1


class Confirmation(InboxTestCase):
    def confirmations(self):
        rows = Message.objects.filter(template__purpose=Template.Purpose.STOPPED)
        return [(m.state, m.language) for m in rows.order_by("pk")]

    def test_the_carrier_confirms_its_own_words_and_only_those(self):
        self.hear("STOP")
        self.hear("stop please")
        assert self.confirmations() == []  # it was out already when we heard a phrase of our own
        self.hear("START")
        self.hear("no más mensajes")
        assert self.confirmations() == [("queued", "es")]

    @override_settings(OPT_OUT_CONFIRMATION="ours")
    def test_ours_goes_once_however_often_they_write(self):
        for text in ("STOP", "STOP", "stop please", "UNSUBSCRIBE", "ALTO"):
            self.hear(text)
        assert self.confirmations() == [("queued", "en")]
        confirmation = Message.objects.get(template__purpose=Template.Purpose.STOPPED)
        assert (confirmation.expires_at - confirmation.reply_to.created_at).total_seconds() == 300
        assert confirmation.segments == 1

    @override_settings(OPT_OUT_CONFIRMATION="ours")
    def test_a_machine_is_not_answered(self):
        self.hear("I am out of the office and will reply when I return. STOP")
        assert self.confirmations() == []


class Carry(InboxTestCase):
    def test_an_opt_out_is_shown_on_everyone_who_shares_the_number(self):
        sister = self.make_patient("Eva", "Rivera", ANA)
        self.hear("STOP")
        self.client.force_login(self.coordinator)
        for who in (self.patient, sister):
            page = self.client.get(f"/patients/{who.pk}/").content.decode()
            assert "permission ended" in page, who

    def test_wrong_number_is_for_nobody_on_it_any_more(self):
        self.hear("wrong number")
        assert policy.consider(self.patient, automated=False, author=self.nurse).code in (
            "opted_out",
            "number_unusable",
        )
