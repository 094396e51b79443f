"""The provider's client: what a request looks like, and what each kind of failure proves."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from engage.messaging import twilio
from engage.messaging.models import Message
from engage.messaging.transports import Accepted, Doubt, NotAccepted, Parcel, Refused
from engage.messaging.wire import Broken, Reply, Unreachable
from tests.simulator.harness import Carrier


def rest(status, code, **headers):
    """An answer with the provider's error as its body; without a code, a page of somebody else's."""
    body = (
        b"<html>" if code is None else json.dumps({"code": code, "message": "no", "status": status}).encode()
    )
    return twilio.answered(Reply(status, headers, body))


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (rest(400, 21211), Refused, "21211"),
        (rest(400, 21610), Refused, "21610"),
        (rest(400, 30007), Refused, "30007"),
        (rest(401, 20003), NotAccepted, "20003"),
        (rest(403, 20005), NotAccepted, "20005"),
        (rest(400, 21659), NotAccepted, "21659"),
        (rest(404, None), NotAccepted, "404"),
        (rest(429, 20429), NotAccepted, "20429"),
        (twilio.classified(Unreachable()), NotAccepted, ""),
        (rest(500, 20500), Doubt, None),
        (rest(503, None), Doubt, None),
        (rest(302, None), Doubt, None),
        (rest(408, 408), Doubt, None),
        (rest(200, None), Doubt, None),
        (rest(201, 1), Doubt, None),
        (twilio.answered(Reply(201, {}, b"[]")), Doubt, None),
        (twilio.answered(Reply(201, {}, b'{"sid": ""}')), Doubt, None),
        (twilio.answered(Reply(201, {}, b'{"sid": "SM1"}')), Accepted, None),
        (twilio.classified(Broken("lost")), Doubt, None),
        (twilio.classified(TimeoutError()), Doubt, None),
        (twilio.classified(OSError()), Doubt, None),
    ],
)
def test_only_what_is_proven_may_be_tried_again(answer, kind, code):
    assert isinstance(answer, kind), answer
    if code is not None:
        assert answer.code == code


def test_faults_of_our_own_lock_the_sender_and_others_do_not():
    assert rest(401, 20003).lock
    assert rest(400, 21606).lock
    assert rest(404, None).lock
    assert not rest(429, 20429).lock
    assert rest(429, 20429, **{"retry-after": "7"}).retry_after == 7
    assert isinstance(rest(400, 21408), Refused)  # one foreign number stops nobody else


def test_the_time_a_carrier_may_keep_trying():
    assert twilio.validity(None) == 4 * 3600
    assert twilio.validity(10 * 3600) == 4 * 3600
    assert twilio.validity(600) == 540
    assert twilio.validity(30) == 5


def test_the_providers_words_become_ours():
    report = twilio.read_report({"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30003"})
    assert (report.state, report.error) == (Message.State.UNDELIVERED, "30003")
    assert twilio.read_report({"SmsSid": "SM1", "SmsStatus": "sent"}).state == Message.State.SENT
    assert twilio.read_report({"MessageSid": "SM1", "MessageStatus": "brand new"}).state is None
    assert twilio.read_report({}).sid == ""


def parcel(to="+16175550142", body="Hello"):
    return Parcel(1, 1, "sms", to, body, "token", 600, float("inf"), 2, True)


@pytest.fixture(scope="module")
def carrier():
    with Carrier() as carrier:
        carrier.settings(callbacks={"off": True})
        yield carrier


@pytest.fixture
def provider_settings(carrier):
    carrier.reset()
    with override_settings(
        TWILIO_API_BASE_URL=carrier.base_url, TWILIO_ACCOUNT_SID=carrier.account, TWILIO_AUTH_TOKENS=[carrier.token],
        TWILIO_FROM=carrier.number, HTTP_TIMEOUT=1,
    ):  # fmt: skip
        yield


def with_provider(act):
    async def run():
        provider = twilio.Provider()
        try:
            return await act(provider)
        finally:
            await provider.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("base", "asked"),
    [
        ("https://api.twilio.com", "https://messaging.twilio.com/v1/Services/MG1/PhoneNumbers"),
        (
            "https://api.dublin.ie1.twilio.com",
            "https://messaging.dublin.ie1.twilio.com/v1/Services/MG1/PhoneNumbers",
        ),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001/v1/Services/MG1/PhoneNumbers"),
    ],
)
def test_the_second_host_follows_the_first(base, asked):
    with override_settings(TWILIO_API_BASE_URL=base):
        assert twilio.where("https://messaging.twilio.com/v1/Services/MG1/PhoneNumbers") == asked
        assert (
            twilio.where("https://api.twilio.com/2010-04-01/Accounts.json")
            == f"{base}/2010-04-01/Accounts.json"
        )


def test_one_post_is_made_once(carrier, provider_settings):
    carrier.script(drop=True)
    assert isinstance(with_provider(lambda p: p.text(parcel())), Doubt)
    assert len(carrier.accepted()) == 1


def test_a_connection_the_carrier_has_closed_is_not_posted_to_twice(carrier, provider_settings):
    async def two(provider):
        first = await provider.text(parcel(body="one"))
        carrier.script(times=1, drop=True)
        second = await provider.text(parcel(body="two"))
        return first, second

    first, second = with_provider(two)
    assert isinstance(first, Accepted) and isinstance(second, Doubt)
    assert [m["body"] for m in carrier.accepted()] == ["one", "two"]


def test_texts_arrive_as_they_are(carrier, provider_settings):
    for body in ("día ¿qué? 👍🏽", "a&b=c+d %20 #", "line\nbreak", "é" * 1600):
        assert isinstance(with_provider(lambda p, b=body: p.text(parcel(body=b))), Accepted)
    assert [m["body"] for m in carrier.accepted()][:3] == ["día ¿qué? 👍🏽", "a&b=c+d %20 #", "line\nbreak"]


def test_proxies_of_the_environment_are_not_used(carrier, provider_settings, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert isinstance(with_provider(lambda p: p.text(parcel())), Accepted)


def test_the_list_is_read_whole_and_by_its_time(carrier, provider_settings):
    for n in range(8):
        with_provider(lambda p, n=n: p.text(parcel(body=f"text {n}")))
    with_provider(lambda p: p.text(parcel(to="+16175550177")))
    since = datetime.now(UTC) - timedelta(minutes=1)
    rows = with_provider(lambda p: p.listed(to="+16175550142", since=since, page_size=3))
    assert {r.body for r in rows} == {f"text {n}" for n in range(8)}
    assert {r.sid for r in rows} <= {m["sid"] for m in carrier.accepted()}
    assert (
        with_provider(lambda p: p.listed(to="+16175550142", since=datetime.now(UTC) + timedelta(hours=1)))
        == []
    )
    carrier.script(on="list", status=500)
    with pytest.raises(twilio.ListingError):
        with_provider(lambda p: p.listed(to="+16175550142", since=since))
