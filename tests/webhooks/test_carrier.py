"""The provider's calls: forged, doubled, oversized, broken, and what is kept of them."""

import json
from unittest import mock
from urllib.parse import urlencode

from django.db import DatabaseError, connection
from django.test import Client, override_settings
from twilio.request_validator import RequestValidator

from engage.inbox.models import Conversation
from engage.inbox.triage import pipeline
from engage.lib import clock, signing
from engage.messaging import actions
from engage.messaging.models import Attempt, Message
from engage.messaging.status import TOKEN
from engage.patients.models import Consent
from engage.webhooks import line
from tests.base import CastTestCase

ACCOUNT = "AC" + "0" * 32
BASE = "https://engage.example.org"
MESSAGE = "/webhooks/twilio/message"


@override_settings(
    PUBLIC_BASE_URL=BASE,
    TWILIO_AUTH_TOKENS=["newer", "older"],
    TWILIO_ACCOUNT_SID=ACCOUNT,
    CARRIER="simulator",
)
class WebhookTestCase(CastTestCase):
    def setUp(self):
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)

    def inbound(self, body="Hello", sid="SM" + "a" * 32, **more):
        return {
            "MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "AccountSid": ACCOUNT, "From": "+16175550142",
            "To": "+15550100000", "Body": body, "NumMedia": "0", "ToCity": "", "FromCity": "", "FromZip": "",
            **more,
        }  # fmt: skip

    def post(self, path, params, token="newer", signature=None, url="", **extra):
        signature = signature or RequestValidator(token).compute_signature(url or BASE + path, params)
        headers = {} if signature == "none" else {"X-Twilio-Signature": signature}
        return self.client.post(
            path, urlencode(params), content_type="application/x-www-form-urlencoded", headers=headers | extra
        )


class Proof(WebhookTestCase):
    def test_signed_by_either_token_blanks_included(self):
        assert self.post(MESSAGE, self.inbound()).status_code == 200
        assert self.post(MESSAGE, self.inbound(sid="SM" + "b" * 32), token="older").status_code == 200
        assert Message.objects.heard().count() == 2

    def test_forged_leaves_no_row(self):
        for case in (
            {"token": "somebody else's"},
            {"signature": "none"},
            {"signature": "nonsense"},
            {"signature": "ünïcode"},
            {"url": "http://engage.example.org" + MESSAGE},
            {"url": "https://evil.example.org" + MESSAGE},
            {"url": BASE + MESSAGE + "/"},
        ):
            answer = self.post(MESSAGE, self.inbound(), **case)
            assert answer.status_code == 403, case
        assert not Message.objects.exists()

    def test_the_configured_address_counts_not_the_proxys(self):
        headers = {"Host": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example.org"}
        assert self.post(MESSAGE, self.inbound(), **headers).status_code == 200

    def test_a_changed_parameter_breaks_the_signature(self):
        params = self.inbound()
        signature = RequestValidator("newer").compute_signature(BASE + MESSAGE, params)
        assert self.post(MESSAGE, params | {"Body": "STOP"}, signature=signature).status_code == 403

    def test_another_account_is_refused(self):
        assert self.post(MESSAGE, self.inbound(AccountSid="AC" + "9" * 32)).status_code == 403

    def test_too_large(self):
        assert self.post(MESSAGE, self.inbound("x" * 70_000)).status_code == 413
        assert not Message.objects.exists()

    def test_ten_megabytes_are_refused_before_they_are_read(self):
        body = "Body=" + "x" * (10 * 1024 * 1024)
        for path in (MESSAGE, "/webhooks/twilio/status/abc"):
            answer = self.client.post(path, body, content_type="application/x-www-form-urlencoded")
            assert answer.status_code == 413, path
        lying = {"CONTENT_LENGTH": "-1"}
        assert self.client.post(path, b"x", content_type="text/plain", **lying).status_code in (400, 403, 413)
        assert not Message.objects.exists()

    def test_the_query_is_signed_too(self):
        params = self.inbound()
        assert self.post(MESSAGE + "?bodySHA256=1", params).status_code == 200
        assert self.post(MESSAGE + "?x=1", params, url=BASE + MESSAGE).status_code == 403

    def test_a_signed_json_body_is_checked(self):
        body = json.dumps({"MessageSid": "SM1"})
        import hashlib

        path = f"{MESSAGE}?bodySHA256={hashlib.sha256(body.encode()).hexdigest()}"
        signature = RequestValidator("newer").compute_signature(BASE + path, {})
        answer = self.client.post(
            path, body, content_type="application/json", headers={"X-Twilio-Signature": signature}
        )
        assert answer.status_code == 403  # proven, but it names no account
        assert b"Not our account" in answer.content
        forged = self.client.post(
            path, body + " ", content_type="application/json", headers={"X-Twilio-Signature": signature}
        )
        assert b"signature" in forged.content

    def test_a_json_body_that_nothing_vouches_for_is_forged(self):
        for body in (b"{}", b"[]", b"\xff\xfe", b""):
            answer = self.client.post(
                MESSAGE, body, content_type="application/json", headers={"X-Twilio-Signature": "forged"}
            )
            assert answer.status_code == 403, body

    def test_only_post(self):
        assert self.client.get(MESSAGE).status_code == 405


class Replies(WebhookTestCase):
    def test_kept_once_however_often_it_comes(self):
        for _ in range(3):
            answer = self.post(MESSAGE, self.inbound("I have a question"))
            assert (answer.status_code, answer.content) == (200, b"<Response/>")
            assert answer["Content-Type"] == "text/xml"
        message = Message.objects.heard().get()
        assert (message.patient, message.body) == (self.patient, "I have a question")
        assert Conversation.objects.get().patient == self.patient

    def test_where_webhooks_stand_in_line_it_is_read_before(self):
        actions.queue(body="Hello", key="k", patient=self.patient)
        Message.objects.update(state="delivered")
        read_in_line = []

        def attempt(*args, **facts):
            read_in_line.append(line.LINE.led)
            return pipeline.attempt(*args, **facts)

        with mock.patch("engage.inbox.arrival.triage.attempt", attempt):
            self.post(MESSAGE, self.inbound("I have a question"))
        assert read_in_line == [False]
        assert Message.objects.heard().get().reading.complete

    def test_an_opt_out_takes_effect_in_the_same_transaction(self):
        waiting = actions.queue(body="Hello", key="k", patient=self.patient)
        self.post(MESSAGE, self.inbound("STOP"))
        waiting.refresh_from_db()
        assert waiting.state == "suppressed"
        assert Consent.objects.filter(decision="revoked", channel="sms").count() == 1
        for _ in range(5):
            self.post(MESSAGE, self.inbound("STOP"))
        assert Consent.objects.filter(decision="revoked", channel="sms").count() == 1

    def test_without_a_body_emoji_long_and_nul(self):
        bodies = {"c": None, "d": "👍🏽", "e": "é" * 1600, "f": "a\x00b"}
        for letter, body in bodies.items():
            params = self.inbound(body or "", "SM" + letter * 32)
            if body is None:
                del params["Body"]
            assert self.post(MESSAGE, params).status_code == 200, letter
        found = {m.provider_sid[2]: m.body for m in Message.objects.heard()}
        assert found == {"c": "", "d": "👍🏽", "e": "é" * 1600, "f": "ab"}

    def test_what_could_not_be_kept_is_called_again_for(self):
        def full(execute, sql, params, many, context):
            if sql.startswith("INSERT INTO") and "messaging_message" in sql:
                raise DatabaseError("disk full")
            return execute(sql, params, many, context)

        with self.assertLogs("engage.webhooks", "ERROR") as logged, connection.execute_wrapper(full):
            answer = self.post(MESSAGE, self.inbound("my secret words"))
        assert answer.status_code == 503
        assert "my secret words" not in "".join(logged.output)
        assert not Message.objects.exists()
        assert self.post(MESSAGE, self.inbound("my secret words")).status_code == 200

    def test_signed_but_without_an_id_or_a_sender(self):
        params = self.inbound()
        del params["MessageSid"]
        assert self.post(MESSAGE, params).status_code == 400
        # A blank sender would be everybody whose number could not be read.
        assert self.post(MESSAGE, self.inbound(From="  ")).status_code == 400

    def test_an_odd_count_of_attachments_loses_no_reply(self):
        for letter, count in {"a": "²", "b": "9" * 40, "c": "-1", "d": "٣"}.items():
            params = self.inbound("Look", "SM" + letter * 32, NumMedia=count, MediaContentType0="x" * 400)
            assert self.post(MESSAGE, params).status_code == 200, count
        assert Message.objects.heard().count() == 4

    def test_writing_to_us_makes_a_number_trusted_again(self):
        self.patient.contact_points.update(state="suspect", suspect_count=2)
        self.post(MESSAGE, self.inbound())
        point = self.patient.contact_points.get()
        assert (point.state, point.suspect_count) == ("active", 0)

    def test_urgent_words_bring_the_crisis_reply_and_the_alert(self):
        self.post(MESSAGE, self.inbound("I have chest pain"))
        sent = {m.template.key: m for m in Message.objects.filter(direction="out").select_related("template")}
        assert set(sent) == {"crisis", "on-call"}
        assert {m.state for m in sent.values()} == {"queued"}
        assert sent["on-call"].address == self.clinic.on_call_number


class Reports(WebhookTestCase):
    def test_a_report_moves_the_message(self):
        message = actions.queue(body="Hello", key="k", patient=self.patient)
        Message.objects.update(state="sending", attempts_made=1)
        Attempt.objects.create(
            message=message, number=1, token_digest=signing.digest("tok", TOKEN), deadline=clock.machine_now()
        )
        params = {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": "delivered"}
        path = "/webhooks/twilio/status/tok"
        assert self.post(path, params, token="wrong").status_code == 403
        message.refresh_from_db()
        assert message.state == "sending"
        assert self.post(path, params).status_code == 204
        message.refresh_from_db()
        assert message.state == "delivered"

    def test_about_nobody_is_answered_well(self):
        params = {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": "delivered"}
        assert self.post("/webhooks/twilio/status/nobody", params).status_code == 204
