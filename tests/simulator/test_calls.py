"""Calls are placed, answered by whom the script says and ended."""

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

TO = "+15552220001"
EVENTS = ["initiated", "ringing", "answered", "completed"]


def call(client, carrier, receiver, **more):
    words = {"url": receiver.url("/voice"), "status_callback": receiver.url("/progress")}
    words |= {"status_callback_event": EVENTS} | more
    return client.calls.create(to=TO, from_=carrier.number, **words)


def statuses(receiver):
    told = sorted(receiver.at("/progress"), key=lambda one: int(one.form["SequenceNumber"]))
    return [one.form["CallStatus"] for one in told]


def test_answered_by_a_person(client, carrier, receiver):
    made = call(client, carrier, receiver, machine_detection="Enable")
    assert made.status == "queued" and made.sid.startswith("CA")
    carrier.wait(lambda: statuses(receiver) == ["initiated", "ringing", "in-progress", "completed"])
    (asked,) = receiver.at("/voice")
    assert (asked.form["CallStatus"], asked.form["AnsweredBy"]) == ("in-progress", "human")
    signature = asked.headers["X-Twilio-Signature"]
    assert RequestValidator(carrier.token).validate(receiver.url("/voice"), asked.form, signature)
    last = [one for one in receiver.at("/progress") if one.form["CallStatus"] == "completed"][0]
    assert {"CallDuration", "Duration", "Timestamp"} <= set(last.form)
    assert client.calls(made.sid).fetch().status == "completed"


@pytest.mark.parametrize("who", ["machine_start", "fax", "unknown"])
def test_answered_by_the_script(client, carrier, receiver, who):
    carrier.script(on="call", answered_by=who)
    call(client, carrier, receiver, machine_detection="Enable")
    carrier.wait(lambda: receiver.at("/voice"))
    assert receiver.at("/voice")[0].form["AnsweredBy"] == who


@pytest.mark.parametrize("end", ["busy", "no-answer", "failed"])
def test_answered_by_nobody(client, carrier, receiver, end):
    carrier.script(on="call", answered_by=end)
    call(client, carrier, receiver)
    carrier.wait(lambda: statuses(receiver) == ["initiated", "ringing", end])
    assert receiver.at("/voice") == []


def test_only_the_events_asked_for(client, carrier, receiver):
    call(client, carrier, receiver, status_callback_event=["completed"])
    carrier.wait(lambda: statuses(receiver) == ["completed"])


def test_ended_on_request(client, carrier, receiver):
    carrier.settings(sent_after=1)
    made = call(client, carrier, receiver)
    assert made.update(status="canceled").status == "canceled"


def test_refused(client, carrier):
    with pytest.raises(TwilioRestException) as refused:
        client.calls.create(to="12", from_=carrier.number, twiml="<Response/>")
    assert refused.value.code == 21211
    carrier.script(on="call", status=503)
    with pytest.raises(TwilioRestException) as refused:
        client.calls.create(to=TO, from_=carrier.number, twiml="<Response/>")
    assert refused.value.status == 503
    assert carrier.events("called") == []
