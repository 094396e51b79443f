"""Status callbacks: signed, in order unless told otherwise, repeated as the provider repeats them."""

import itertools

import pytest
from twilio.request_validator import RequestValidator

from .conftest import client_of
from .harness import Carrier

TO = "+15552220001"


def send(client, carrier, receiver, path="/status/t", to=TO, **more):
    return client.messages.create(
        to=to, from_=carrier.number, body="Hello", status_callback=receiver.url(path), **more
    )


def test_each_step_is_told_and_signed(client, carrier, receiver):
    made = send(client, carrier, receiver, "/status/t?a=1&b=%20x")
    told = carrier.wait(lambda: len(found := receiver.at("/status/t?a=1&b=%20x")) == 2 and found)
    assert [one.form["MessageStatus"] for one in told] == ["sent", "delivered"]
    for one in told:
        validator = RequestValidator(carrier.token)
        url = receiver.url("/status/t?a=1&b=%20x")
        assert validator.validate(url, one.form, one.headers["X-Twilio-Signature"])
        assert not validator.validate(
            url, one.form | {"MessageStatus": "read"}, one.headers["X-Twilio-Signature"]
        )
        assert one.form["MessageSid"] == one.form["SmsSid"] == made.sid
        assert one.form["SmsStatus"] == one.form["MessageStatus"]
        assert one.form["AccountSid"] == carrier.account
        assert "Body" not in one.form and "ErrorCode" not in one.form
    assert "RawDlrDoneDate" in told[-1].form


def test_a_service_tells_of_queued_too(client, carrier, receiver):
    client.messages.create(
        to=TO, messaging_service_sid="MG" + "b" * 32, body="Hello", status_callback=receiver.url("/status/s")
    )
    carrier.wait(lambda: receiver.statuses("/status/s") == ["queued", "sent", "delivered"])
    assert {one.form["MessagingServiceSid"] for one in receiver.at("/status/s")} == {"MG" + "b" * 32}
    assert {one.form["From"] for one in receiver.at("/status/s")} == {carrier.number}


@pytest.mark.parametrize(
    ("fate", "status", "code"),
    [
        ("unreachable", "undelivered", "30003"),
        ("blocked", "undelivered", "30004"),
        ("unknown", "undelivered", "30005"),
        ("landline", "undelivered", "30006"),
        ("filtered", "undelivered", "30007"),
        ("failed", "failed", "30008"),
    ],
)
def test_fates_end_with_their_codes(client, carrier, receiver, fate, status, code):
    carrier.numbers(**{"*0001": fate})
    made = send(client, carrier, receiver)
    carrier.wait(lambda: receiver.statuses("/status/t")[-1:] == [status])
    assert receiver.at("/status/t")[-1].form["ErrorCode"] == code
    found = client.messages(made.sid).fetch()
    assert (found.status, str(found.error_code)) == (status, code)
    assert not carrier.messages()[0]["arrived"]


def test_other_numbers_are_delivered(client, carrier, receiver):
    carrier.numbers(**{"*0001": "landline"})
    send(client, carrier, receiver, to="+15552220002")
    carrier.wait(lambda: receiver.statuses("/status/t")[-1:] == ["delivered"])


def test_a_validity_that_runs_out(client, carrier, receiver):
    carrier.settings(sent_after=1.3, delivered_after=1.5)
    send(client, carrier, receiver, validity_period=1)
    carrier.wait(lambda: receiver.statuses("/status/t") == ["failed"])
    assert receiver.at("/status/t")[0].form["ErrorCode"] == "30036"


def test_every_permutation_comes_in_its_order(client, carrier, receiver):
    orders = list(itertools.permutations(["queued", "sending", "sent", "delivered"]))
    for n, order in enumerate(orders):
        carrier.settings(callbacks={"sequence": list(order), "duplicates": 1})
        send(client, carrier, receiver, f"/status/{n}", to=f"+1555333{n:04d}")
    for n, order in enumerate(orders):
        twice = [status for status in order for _ in range(2)]
        carrier.wait(lambda n=n, twice=twice: receiver.statuses(f"/status/{n}") == twice)


def test_shuffled_by_the_seed(receiver):
    def orders():
        receiver.reset()
        with Carrier(seed=3, sent_after=0.01, delivered_after=0.02) as carrier:
            carrier.settings(callbacks={"shuffle": True, "duplicates": 2})
            made = [send(client_of(carrier), carrier, receiver, f"/status/{n}").sid for n in range(4)]
            carrier.wait(lambda: len(receiver.told) == 24)
            return made, [receiver.statuses(f"/status/{n}") for n in range(4)]

    first = orders()
    assert first == orders()
    assert any(statuses != sorted(statuses, key=["sent", "delivered"].index) for statuses in first[1])


def test_contradictory(client, carrier, receiver):
    carrier.settings(callbacks={"contradict": True})
    send(client, carrier, receiver)
    carrier.wait(lambda: receiver.statuses("/status/t") == ["sent", "delivered", "failed"])


def test_off_and_on_demand(client, carrier, receiver):
    carrier.settings(callbacks={"off": True})
    made = send(client, carrier, receiver)
    carrier.wait(lambda: carrier.messages()[0]["status"] == "delivered")
    assert receiver.told == []
    assert carrier.callback(made.sid, "undelivered", 30003) == 200
    assert receiver.at("/status/t")[0].form["ErrorCode"] == "30003"


def test_delayed(client, carrier, receiver):
    carrier.settings(callbacks={"delay": 0.4})
    send(client, carrier, receiver)
    carrier.wait(lambda: carrier.messages()[0]["status"] == "delivered")
    assert receiver.told == []
    carrier.wait(lambda: receiver.statuses("/status/t") == ["sent", "delivered"])


def test_an_error_is_not_retried_unless_the_url_says_so(client, carrier, receiver):
    receiver.answers = [(500, "", 0), (500, "", 0), (200, "", 0)]
    carrier.settings(callbacks={"sequence": ["sent"]})
    send(client, carrier, receiver, "/status/a")
    carrier.wait(lambda: carrier.events("callback"))
    assert len(receiver.at("/status/a")) == 1 and carrier.events("callback")[0]["answer"] == 500

    receiver.answers = [(500, "", 0), (503, "", 0), (200, "", 0)]
    send(client, carrier, receiver, "/status/b#rc=5&rp=all")
    carrier.wait(lambda: len(carrier.events("callback")) == 2)
    told = receiver.at("/status/b")
    assert len(told) == 3, "the fragment asks for retries and is not sent"
    assert len({one.headers["I-Twilio-Idempotency-Token"] for one in told}) == 1
    validator = RequestValidator(carrier.token)
    assert validator.validate(receiver.url("/status/b"), told[0].form, told[0].headers["X-Twilio-Signature"])
    assert carrier.events("callback")[1] | {"at": 0} == {
        "event": "callback",
        "at": 0,
        "sid": told[0].form["MessageSid"],
        "status": "sent",
        "code": 0,
        "url": receiver.url("/status/b#rc=5&rp=all"),
        "answer": 200,
        "error": "",
        "tries": 3,
    }


def test_nobody_listening_is_tried_twice(client, carrier):
    carrier.settings(callbacks={"sequence": ["sent"]})
    client.messages.create(
        to=TO, from_=carrier.number, body="x", status_callback="http://127.0.0.1:9/status/x"
    )
    carrier.wait(lambda: carrier.events("callback"))
    assert (carrier.events("callback")[0]["answer"], carrier.events("callback")[0]["tries"]) == (0, 2)


def test_a_slow_webhook_does_not_hold_up_the_others(client, carrier, receiver):
    receiver.answers = [(200, "", 1.0), (200, "", 0.0)]
    carrier.settings(callbacks={"sequence": ["sent"]})
    send(client, carrier, receiver, "/status/slow")
    carrier.wait(lambda: receiver.at("/status/slow"))
    send(client, carrier, receiver, "/status/quick")
    carrier.wait(lambda: receiver.at("/status/quick"), 0.8)


def test_a_public_host_is_reached_through_its_door(receiver):
    door = f"https://clinic.example={receiver.url('')}"
    with Carrier(public_callback_host=door, sent_after=0.01, delivered_after=0.02) as carrier:
        public = "https://clinic.example/status/p?x=1"
        client_of(carrier).messages.create(to=TO, from_=carrier.number, body="x", status_callback=public)
        carrier.wait(lambda: len(receiver.at("/status/p?x=1")) == 2)
        told = receiver.at("/status/p?x=1")[0]
        assert told.headers["Host"] == "clinic.example"
        assert RequestValidator(carrier.token).validate(public, told.form, told.headers["X-Twilio-Signature"])


def test_only_the_first_token_signs(receiver):
    with Carrier(token="new,old", sent_after=0.01, delivered_after=0.02) as carrier:
        send(client_of(carrier, "old"), carrier, receiver)
        told = carrier.wait(lambda: receiver.at("/status/t"))[0]
        signature = told.headers["X-Twilio-Signature"]
        assert RequestValidator("new").validate(receiver.url("/status/t"), told.form, signature)
        assert not RequestValidator("old").validate(receiver.url("/status/t"), told.form, signature)
