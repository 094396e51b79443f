"""What gunicorn serves: pages with all their middleware, webhooks with what a machine needs."""

from urllib.parse import urlencode

from django.core import signals
from django.db import close_old_connections
from django.test import RequestFactory
from twilio.request_validator import RequestValidator

from engage.messaging.models import Message
from engage.wsgi import application
from tests.webhooks.test_carrier import BASE, MESSAGE, WebhookTestCase


def served(request):
    """Status, headers and body."""
    said = []
    answer = application(request.environ, lambda status, headers: said.append((status, dict(headers))))
    body = b"".join(answer)
    return int(said[0][0][:3]), said[0][1], body


class Served(WebhookTestCase):
    def setUp(self):
        super().setUp()
        signals.request_started.disconnect(close_old_connections)  # the test's transaction is on it
        self.addCleanup(signals.request_started.connect, close_old_connections)

    def post(self, params, signature=""):
        signature = signature or RequestValidator("newer").compute_signature(BASE + MESSAGE, params)
        kind = "application/x-www-form-urlencoded"
        return RequestFactory().post(
            MESSAGE, urlencode(params), content_type=kind, headers={"X-Twilio-Signature": signature}
        )

    def test_a_webhook_is_proven_kept_and_answered(self):
        status, headers, body = served(self.post(self.inbound("I have a question")))
        assert (status, headers["Content-Type"], body) == (200, "text/xml", b"<Response/>")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert Message.objects.heard().get().patient == self.patient
        assert served(self.post(self.inbound(), "forged"))[0] == 403
        assert served(RequestFactory().get(MESSAGE))[0] == 405
        assert served(RequestFactory().get("/webhooks/nothing"))[0] == 404

    def test_pages_keep_their_own(self):
        status, headers, _ = served(RequestFactory().get("/accounts/login/"))
        assert status == 200
        assert {"Content-Security-Policy", "X-Frame-Options"} <= headers.keys()
