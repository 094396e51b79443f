"""A phone writes: the carrier's own words, the webhook's parameters, and every way that can go wrong."""

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from .conftest import client_of
from .harness import Carrier

TO = "+15552220001"
SERVICE = "MG" + "c" * 32


def bodies(carrier, phone=TO):
    return [m["body"] for m in carrier.control("messages?all=1")["messages"] if phone in (m["to"], m["from"])]


def test_the_webhook_gets_every_parameter_signed(carrier, receiver):
    said = carrier.say(TO, "tengo dolor de pecho\n¿me llaman? 🙏")
    assert said["answers"] == [{"status": 200, "tries": 1}]
    (told,) = receiver.at("/message")
    form = told.form
    assert form["MessageSid"] == form["SmsSid"] == form["SmsMessageSid"] == said["sid"]
    assert form["Body"] == "tengo dolor de pecho\n¿me llaman? 🙏"
    assert (form["From"], form["To"], form["AccountSid"]) == (TO, carrier.number, carrier.account)
    assert (form["NumMedia"], form["NumSegments"], form["SmsStatus"]) == ("0", "1", "received")
    assert form["ApiVersion"] == "2010-04-01" and form["ToCity"] == "" and form["FromZip"] == ""
    assert "MessagingServiceSid" not in form and "OptOutType" not in form
    signature = told.headers["X-Twilio-Signature"]
    assert RequestValidator(carrier.token).validate(receiver.inbound, form, signature)
    without_blanks = {k: v for k, v in form.items() if v}
    assert not RequestValidator(carrier.token).validate(receiver.inbound, without_blanks, signature)
    assert [line["body"] for line in carrier.events("inbound")] == [form["Body"]]


@pytest.mark.parametrize(
    "word", ["STOP", "stop", " Unsubscribe ", "END", "QUIT", "STOPALL", "CANCEL", "revoke", "OptOut"]
)
def test_stop_words_block_the_sender(client, carrier, receiver, word):
    carrier.say(TO, word)
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to=TO, from_=carrier.number, body="Hello")
    assert refused.value.code == 21610
    assert receiver.at("/message")[0].form["Body"] == word, "the webhook is told all the same"
    assert len(carrier.events("reply")) == 1
    client.messages.create(to="+15552220002", from_=carrier.number, body="Hello")


@pytest.mark.parametrize("text", ["STOP please", "please stop", "opt out", "ALTO", "stopp", ""])
def test_longer_texts_block_nobody(client, carrier, text):
    carrier.say(TO, text)
    assert client.messages.create(to=TO, from_=carrier.number, body="Hello").sid
    assert carrier.events("reply") == []


@pytest.mark.parametrize("word", ["START", "yes", "UNSTOP"])
def test_start_words_end_a_block(client, carrier, word):
    carrier.say(TO, "STOP")
    carrier.say(TO, word)
    assert client.messages.create(to=TO, from_=carrier.number, body="Hello").sid
    assert len(carrier.events("reply")) == 2


def test_yes_without_a_block_is_only_a_reply(carrier):
    carrier.say(TO, "YES")
    assert carrier.events("reply") == []


def test_stop_twice_is_confirmed_once(carrier):
    carrier.say(TO, "STOP")
    carrier.say(TO, "STOP")
    assert len(carrier.events("reply")) == 1


def test_help_is_answered_unless_blocked(carrier):
    carrier.say(TO, "HELP")
    carrier.say(TO, "STOP")
    carrier.say(TO, "INFO")
    assert len(carrier.events("reply")) == 2


def test_the_carriers_replies_are_not_the_apis(client, carrier):
    carrier.say(TO, "STOP")
    assert carrier.accepted() == []
    assert [m.direction for m in client.messages.list(to=TO)] == ["outbound-reply"]


def test_a_block_of_a_service_covers_it(client, carrier, receiver):
    client.messages.create(to=TO, messaging_service_sid=SERVICE, body="Hello")
    carrier.wait(lambda: carrier.messages()[0]["status"] == "delivered")
    carrier.say(TO, "STOP")
    assert receiver.at("/message")[0].form["MessagingServiceSid"] == SERVICE
    for sender in ({"messaging_service_sid": SERVICE}, {"from_": carrier.number}):
        with pytest.raises(TwilioRestException) as refused:
            client.messages.create(to=TO, body="again", **sender)
        assert refused.value.code == 21610


def test_a_reply_goes_to_the_number_that_wrote_last(receiver):
    with Carrier(numbers="+15550100000,+15550100001", inbound_url=receiver.url("/message")) as carrier:
        client_of(carrier).messages.create(to=TO, from_="+15550100001", body="Hello")
        carrier.say(TO, "thanks")
        assert receiver.at("/message")[0].form["To"] == "+15550100001"
        carrier.say(TO, "STOP")
        client_of(carrier).messages.create(to=TO, from_="+15550100000", body="another sender is not blocked")


def test_advanced_opt_out_names_the_word(receiver):
    with Carrier(advanced_opt_out=True, inbound_url=receiver.url("/message")) as carrier:
        carrier.say(TO, "Stop")
        carrier.say(TO, "Stop please")
        first, second = receiver.at("/message")
        assert first.form["OptOutType"] == "STOP" and "OptOutType" not in second.form


def test_a_twiml_answer_arrives_on_the_phone(carrier, receiver):
    receiver.answers = [(200, "<Response><Message>We will &amp; call</Message></Response>", 0)]
    carrier.say(TO, "call me")
    assert bodies(carrier) == ["call me", "We will & call"]


@pytest.mark.parametrize("answer", ["", "<Response>", "<Message", "ok"])
def test_an_answer_that_is_no_twiml_breaks_nothing(carrier, receiver, answer):
    receiver.answers = [(200, answer, 0)]
    assert carrier.say(TO, "hi")["answers"][0]["status"] == 200
    assert bodies(carrier) == ["hi"]


def test_replayed_and_all_at_once(carrier, receiver):
    said = carrier.say(TO, "STOP", times=5)
    again = carrier.say(TO, "STOP", times=10, together=True, sid=said["sid"])
    assert len(receiver.at("/message")) == 15
    assert {one.form["MessageSid"] for one in receiver.at("/message")} == {said["sid"]} == {again["sid"]}
    assert len(carrier.events("reply")) == 1 and bodies(carrier).count("STOP") == 1


def test_forged(carrier, receiver):
    carrier.say(TO, "hi", signature="bad")
    carrier.say(TO, "hi", signature="none")
    carrier.say(TO, "hi", params={"AccountSid": "AC" + "9" * 32, "ToCity": None, "NumMedia": 1})
    bad, none, foreign = receiver.at("/message")
    validator = RequestValidator(carrier.token)
    assert not validator.validate(receiver.inbound, bad.form, bad.headers["X-Twilio-Signature"])
    assert "X-Twilio-Signature" not in none.headers
    assert foreign.form["AccountSid"] == "AC" + "9" * 32 and "ToCity" not in foreign.form
    assert validator.validate(receiver.inbound, foreign.form, foreign.headers["X-Twilio-Signature"])


def test_webhooks_switched_off_leave_the_text_in_the_listing(client, carrier, receiver):
    carrier.settings(inbound=False)
    assert carrier.say(TO, "anybody?")["answers"] == []
    assert receiver.told == []
    assert [m.body for m in client.messages.list(to=carrier.number)] == ["anybody?"]


def test_a_failing_webhook_and_its_fallback(receiver):
    receiver.answers = [(500, "", 0), (200, "", 0)]
    options = {"inbound_url": receiver.url("/message"), "inbound_fallback_url": receiver.url("/fallback")}
    with Carrier(**options) as carrier:
        assert carrier.say(TO, "hi")["answers"] == [{"status": 200, "tries": 1}]
        assert receiver.at("/fallback")[0].form["ErrorCode"] == "11200"


def test_it_answers_500_then_takes_the_retry(receiver):
    receiver.answers = [(500, "", 0), (200, "", 0)]
    with Carrier(inbound_url=receiver.url("/message#rc=5&rp=all")) as carrier:
        assert carrier.say(TO, "hi")["answers"] == [{"status": 200, "tries": 2}]
        first, second = receiver.at("/message")
        assert first.form == second.form
