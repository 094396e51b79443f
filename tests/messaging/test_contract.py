"""The provider's contract: its official SDK is the judge of our requests, its API description (served by Prism) of both.

What the description lets through but the provider refuses is refused by us first, with a sentence.
"""

import gzip
import os
import shutil
import socket
import subprocess
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qsl

import pytest
from django.conf import settings
from django.test import override_settings

from engage.messaging import actions, twilio
from engage.messaging.models import Message
from engage.messaging.transports import Accepted, NotAccepted, Parcel, Refused
from tests.base import CastTestCase
from tests.conftest import STRICT
from tests.messaging.test_twilio import with_provider

ACCOUNT = "AC" + "0" * 32
BODIES = ("Hello", "día ¿qué? 👍🏽", "a&b=c+d %20 #", "two\nlines", "'quotes' \"too\" ~*", "é" * 1600)
PRISM = os.environ.get("PRISM") or shutil.which("prism")


def parcel(body="Hello", to="+16175550142", validity=600):
    return Parcel(1, 1, "sms", to, body, "t-o_ken", validity, float("inf"), 2, True)


def pointed_at(url, **more):
    return override_settings(
        **{
            "TWILIO_API_BASE_URL": url, "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKENS": ["secret"],
            "TWILIO_FROM": "+15550100000", "TWILIO_MESSAGING_SERVICE_SID": "", "HTTP_TIMEOUT": 5,
            "PUBLIC_BASE_URL": "https://engage.example.org",
        }
        | more
    )  # fmt: skip


async def by_sdk(provider, one):
    """The same text through the SDK."""
    service = settings.TWILIO_MESSAGING_SERVICE_SID
    return await provider.client.messages.create_async(
        to=one.to, body=one.body, status_callback=twilio.callback_url(one.token), validity_period=one.validity,
        **({"messaging_service_sid": service} if service else {"from_": settings.TWILIO_FROM}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def recorder():
    """A server that answers every POST as the provider would, and keeps the requests."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, dict(self.headers.items()), body))
            answer = b'{"sid": "SM00000000000000000000000000000001", "status": "queued"}'
            self.send_response(201)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("service", ["", "MG" + "1" * 32])
@pytest.mark.parametrize("body", BODIES)
def test_our_request_is_the_sdks_byte_for_byte(recorder, body, service):
    url, requests = recorder
    requests.clear()
    with pointed_at(url, TWILIO_MESSAGING_SERVICE_SID=service):
        for send in (lambda p: p.text(parcel(body)), lambda p: by_sdk(p, parcel(body))):
            with_provider(send)
    (path, headers, form), (sdk_path, sdk_headers, sdk_form) = requests
    assert path == sdk_path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert form == sdk_form
    assert headers == {name: sdk_headers.get(name) for name in headers}
    assert set(sdk_headers) - set(headers) <= {
        "Accept-Encoding"
    }  # compressed answers are the library's own wish
    assert dict(parse_qsl(form.decode()))["Body"] == body


@pytest.fixture(scope="module")
def prism(data, tmp_path_factory):
    """Prism with the provider's description, on a free port; absent, skipped aloud or, where nothing may be, failed."""
    if not PRISM:
        (pytest.fail if STRICT else pytest.skip)(
            "Prism is not here: `npm ci` in a copy of tests/prism, then PRISM=…/node_modules/.bin/prism"
        )
    description = tmp_path_factory.mktemp("prism") / "api.json"
    packed = data / "twilio" / "twilio_api_v2010.patched.json.gz"
    description.write_bytes(gzip.decompress(packed.read_bytes()))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [PRISM, "mock", "--errors", "-h", "127.0.0.1", "-p", str(port), str(description)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(20)


@pytest.mark.parametrize("service", ["", "MG" + "1" * 32])
def test_the_description_takes_the_sdks_text_and_ours(prism, service):
    with pointed_at(prism, TWILIO_MESSAGING_SERVICE_SID=service, HTTP_TIMEOUT=20):
        assert with_provider(lambda p: by_sdk(p, parcel())).sid.startswith("SM")
        for body in BODIES:
            assert isinstance(with_provider(lambda p, b=body: p.text(parcel(b))), Accepted)


def test_the_description_would_have_refused_a_wrong_one(prism):
    with pointed_at(prism, HTTP_TIMEOUT=20):
        wrong = with_provider(lambda p: p.text(parcel(validity="soon")))
        assert isinstance(wrong, Refused) and wrong.code == "20001"
    with pointed_at(prism, HTTP_TIMEOUT=20, TWILIO_ACCOUNT_SID="AC1"):
        assert not isinstance(with_provider(lambda p: p.text(parcel())), Accepted)


def test_the_description_answers_our_listings(prism):
    with pointed_at(prism, HTTP_TIMEOUT=20):
        for to in ("+16175550142", ""):
            rows = with_provider(lambda p, to=to: first_page(p, to))
            assert rows and all(row.sid.startswith(("SM", "MM")) for row in rows)


async def first_page(provider, to):
    """One page as `listed` asks for it; the description's example always names a next one."""
    page = await provider.client.messages.page_async(page_size=twilio.PAGE, **({"to": to} if to else {}))
    return [twilio.listed(row) for row in page]


def test_an_answer_without_rights_is_no_failure_of_the_text(prism):
    """Prism wants a signed-in account, as the provider does."""
    with pointed_at(prism, HTTP_TIMEOUT=20):

        async def without(provider):
            provider.wire.head = provider.wire.head.replace("Authorization", "X-Nothing")
            return await provider.text(parcel())

        answer = with_provider(without)
        assert isinstance(answer, NotAccepted) and answer.lock


class RefusedByUsFirst(CastTestCase):
    """The description takes these; the provider does not, so they never leave us."""

    CASES = {
        "empty": ({"body": " \n "}, "There is nothing to send"),
        "1,601 characters": ({"body": "x" * 1601}, "1600 is the most"),
        "no phone number": ({"address": "+1"}, "The record has no number"),
        "another country's": ({"address": "+442079460000"}, "The record has no number"),
    }

    def test_each_with_a_sentence(self):
        for name, (fault, sentence) in self.CASES.items():
            with self.subTest(name):
                message = actions.queue(key=name, patient=self.patient, **({"body": "Hello"} | fault))
                assert message.state in (Message.State.FAILED, Message.State.SUPPRESSED)
                assert sentence in message.state_reason

    def test_half_a_character_is_not_even_encoded(self):
        with pointed_at("http://127.0.0.1:9"):
            answer = with_provider(lambda p: p.text(parcel("\ud83d")))
        assert isinstance(answer, Refused) and "half a character" in answer.why

    def test_the_time_left_is_never_below_what_the_provider_takes(self):
        for closes_in in (-100.0, 0.0, 59.0, 14_400.0, 1e9, None):
            assert 1 <= twilio.validity(closes_in) <= 14_400


@pytest.mark.parametrize("body", [" ", "x" * 1601])
def test_the_description_alone_would_have_let_them_through(prism, body):
    with pointed_at(prism, HTTP_TIMEOUT=20):
        assert isinstance(with_provider(lambda p: p.text(parcel(body))), Accepted)
