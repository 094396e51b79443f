"""The official SDK works against it, and it refuses what the provider refuses."""

import gzip
import json
import re
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from .conftest import client_of
from .harness import Carrier

TO = "+15552220001"
SERVICE = "MG" + "a" * 32


def post(carrier, /, auth=None, **form):
    form = {"To": TO, "From": carrier.number, "Body": "Hello"} | form
    form = {name: value for name, value in form.items() if value is not None}
    url = f"{carrier.base_url}/2010-04-01/Accounts/{carrier.account}/Messages.json"
    return requests.post(url, data=form, auth=auth or (carrier.account, carrier.token), timeout=10)


def listing(carrier, **query):
    url = f"{carrier.base_url}/2010-04-01/Accounts/{carrier.account}/Messages.json"
    return requests.get(url, params=query, auth=(carrier.account, carrier.token), timeout=10)


class TestTheOfficialSdk:
    def test_creates(self, client, carrier):
        made = client.messages.create(
            to=TO, from_=carrier.number, body="Está lista su cita", validity_period=600
        )
        assert re.fullmatch(r"SM[0-9a-f]{32}", made.sid)
        assert (made.status, made.to, made.from_, made.body) == (
            "queued",
            TO,
            carrier.number,
            "Está lista su cita",
        )
        assert made.num_segments == "1" and made.direction == "outbound-api" and made.error_code is None
        assert abs(made.date_created - datetime.now(UTC)) < timedelta(seconds=5)
        assert made.date_sent is None

    def test_fetches_what_became_of_it(self, client, carrier):
        made = client.messages.create(to=TO, from_=carrier.number, body="Hello")
        carrier.wait(lambda: client.messages(made.sid).fetch().status == "delivered")
        found = client.messages(made.sid).fetch()
        assert found.date_sent is not None and found.date_updated >= found.date_created

    def test_lists_newest_first_through_every_page(self, client, carrier):
        sids = [client.messages.create(to=TO, from_=carrier.number, body=str(n)).sid for n in range(7)]
        client.messages.create(to="+15552220002", from_=carrier.number, body="other")
        found = client.messages.list(to=TO, page_size=3)
        assert [m.sid for m in found] == sids[::-1]

    def test_pages_do_not_move_when_a_message_comes_in_between(self, client, carrier):
        sids = [client.messages.create(to=TO, from_=carrier.number, body=str(n)).sid for n in range(4)]
        first = client.messages.page(to=TO, page_size=2)
        seen = [m.sid for m in first]
        client.messages.create(to=TO, from_=carrier.number, body="late")
        seen += [m.sid for m in first.next_page()]
        assert seen == sids[::-1]

    def test_a_service_sends(self, client, carrier):
        made = client.messages.create(to=TO, messaging_service_sid=SERVICE, body="Hello")
        assert (made.status, made.from_, made.num_segments) == ("accepted", None, "0")
        carrier.wait(lambda: client.messages(made.sid).fetch().status == "delivered")
        assert client.messages(made.sid).fetch().from_ == carrier.number

    def test_redacts_and_deletes_only_what_has_ended(self, client, carrier):
        carrier.numbers(**{TO: "stuck"})
        stuck = client.messages.create(to=TO, from_=carrier.number, body="secret")
        with pytest.raises(TwilioRestException) as refused:
            stuck.update(body="")
        assert (refused.value.code, refused.value.status) == (20009, 409)
        sent = client.messages.create(to="+15552220002", from_=carrier.number, body="secret")
        carrier.wait(lambda: client.messages(sent.sid).fetch().status == "delivered")
        assert sent.update(body="").body == ""
        assert client.messages(sent.sid).fetch().body == ""
        assert sent.delete()
        assert sent.sid not in [m.sid for m in client.messages.list()]

    def test_cancels_what_is_scheduled(self, client, carrier, receiver):
        made = client.messages.create(
            to=TO,
            messaging_service_sid=SERVICE,
            body="later",
            schedule_type="fixed",
            send_at=datetime.now(UTC) + timedelta(hours=1),
            status_callback=receiver.url("/status/a"),
        )
        assert made.status == "scheduled"
        assert made.update(status="canceled").status == "canceled"
        carrier.wait(lambda: receiver.statuses("/status/a") == ["canceled"])
        with pytest.raises(TwilioRestException) as refused:
            made.update(status="canceled")
        assert refused.value.code == 30409

    def test_a_wrong_token_is_refused(self, carrier):
        with pytest.raises(TwilioRestException) as refused:
            client_of(carrier, "wrong").messages.create(to=TO, from_=carrier.number, body="Hello")
        assert (refused.value.status, refused.value.code) == (401, 20003)
        assert carrier.accepted() == []

    def test_every_token_of_a_rotation_signs_in(self):
        with Carrier(token="new,old") as carrier:
            for token in ("new", "old"):
                client_of(carrier, token).messages.create(to=TO, from_=carrier.number, body=token)
            assert len(carrier.accepted()) == 2

    def test_fetches_the_account(self, client, carrier):
        assert client.api.accounts(carrier.account).fetch().status == "active"


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("form", "code"),
        [
            ({"To": "12"}, 21211),
            ({"To": "+1555222"}, 21211),
            ({"To": "not a number"}, 21211),
            ({"To": None}, 21604),
            ({"Body": None}, 21602),
            ({"Body": ""}, 21602),
            ({"Body": "x" * 1601}, 21617),
            ({"From": None}, 21603),
            ({"From": "clinic"}, 21212),
            ({"From": "+15559999999"}, 21659),
            ({"To": "+15550100000"}, 21266),
            ({"StatusCallback": "http://our_host.example/x"}, 21609),
            ({"StatusCallback": "ftp://host.example/x"}, 21609),
            ({"StatusCallback": "nonsense"}, 21609),
            ({"ValidityPeriod": "soon"}, 21624),
            ({"ValidityPeriod": "0"}, 21625),
            ({"ValidityPeriod": "36001"}, 21625),
            ({"MessagingServiceSid": "MG1", "From": None}, 21705),
            ({"To": "+15005550001"}, 21211),
            ({"To": "+15005550009"}, 21614),
            ({"Body": "a\x00b"}, 20001),
        ],
    )
    def test_in_the_providers_shape(self, carrier, form, code):
        answer = post(carrier, **form)
        body = answer.json()
        assert set(body) == {"code", "message", "more_info", "status"}
        assert (answer.status_code, body["code"], body["status"]) == (400, code, 400)
        assert body["more_info"].endswith(f"/{code}")
        assert carrier.accepted() == []
        assert [line["code"] for line in carrier.rejected()] == [code]

    @pytest.mark.parametrize(
        "form", [{"Body": "x" * 1600}, {"ValidityPeriod": "36000"}, {"ValidityPeriod": "1"}]
    )
    def test_not_at_the_edge(self, carrier, form):
        assert post(carrier, **form).status_code == 201

    @pytest.mark.parametrize("to", ["(555) 222-0001", "15552220001", "555.222.0001"])
    def test_not_for_punctuation(self, carrier, to):
        assert post(carrier, To=to).json()["to"] == TO

    def test_without_signing_in(self, carrier):
        for auth in (("AC" + "1" * 32, carrier.token), (carrier.account, "")):
            answer = post(carrier, auth=auth)
            assert (answer.status_code, answer.json()["code"]) == (401, 20003)
            assert answer.headers["WWW-Authenticate"].startswith("Basic")

    def test_another_accounts_resources(self, carrier):
        url = f"{carrier.base_url}/2010-04-01/Accounts/AC{'1' * 32}/Messages.json"
        answer = requests.get(url, auth=(carrier.account, carrier.token), timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (404, 20404)

    def test_a_sid_of_nobody(self, carrier):
        url = f"{carrier.base_url}/2010-04-01/Accounts/{carrier.account}/Messages/SM{'1' * 32}.json"
        answer = requests.get(url, auth=(carrier.account, carrier.token), timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (404, 20404)


class TestListing:
    def test_filters_by_sender_and_day(self, client, carrier):
        client.messages.create(to=TO, from_=carrier.number, body="out")
        carrier.wait(lambda: [m["status"] for m in carrier.messages()] == ["delivered"])
        carrier.say(TO, "in")
        assert [m.body for m in client.messages.list(from_=TO)] == ["in"]
        assert [m.body for m in client.messages.list(to=carrier.number)] == ["in"]
        today = datetime.now(UTC).date()
        assert [m.body for m in client.messages.list(to=TO, date_sent=today)] == ["out"]
        assert client.messages.list(to=TO, date_sent=date(2020, 1, 1)) == []
        assert client.messages.list(to=TO, date_sent_before=datetime(2020, 1, 1, tzinfo=UTC)) == []
        assert len(client.messages.list(to=TO, date_sent_after=datetime(2020, 1, 1, tzinfo=UTC))) == 1

    def test_a_number_of_nobody_finds_nothing(self, carrier):
        post(carrier)
        post(carrier, From=None, MessagingServiceSid=SERVICE)
        carrier.wait(lambda: {m["status"] for m in carrier.messages()} == {"delivered"})
        for query in ({"To": "+15559990000"}, {"From": "+15559990000"}, {"To": "nonsense"}):
            assert listing(carrier, **query).json()["messages"] == []
        assert len(listing(carrier, To=TO, From=carrier.number).json()["messages"]) == 2
        assert len(listing(carrier, From=carrier.number).json()["messages"]) == 2

    def test_the_numbers_of_a_service(self, client, carrier):
        service = client.messaging.v1.services(SERVICE)
        assert [row.phone_number for row in service.phone_numbers.list()] == [carrier.number]
        assert service.short_codes.list() == []

    def test_what_has_not_been_sent_has_no_day(self, client, carrier):
        carrier.numbers(**{TO: "stuck"})
        client.messages.create(to=TO, from_=carrier.number, body="stuck")
        assert client.messages.list(to=TO, date_sent=datetime.now(UTC).date()) == []
        assert len(client.messages.list(to=TO)) == 1

    def test_the_pages_shape(self, carrier):
        for n in range(3):
            post(carrier, Body=str(n))
        page = listing(carrier, To=TO, PageSize=2).json()
        assert (page["page"], page["page_size"], page["start"], page["end"]) == (0, 2, 0, 1)
        assert page["next_page_uri"].startswith("/2010-04-01/Accounts/") and "To=%2B" in page["next_page_uri"]
        rest = requests.get(
            carrier.base_url + page["next_page_uri"], auth=(carrier.account, carrier.token), timeout=10
        ).json()
        assert [m["body"] for m in page["messages"] + rest["messages"]] == ["2", "1", "0"]
        assert rest["next_page_uri"] is None

    @pytest.mark.parametrize("query", [{"PageSize": "x"}, {"DateSent": "yesterday"}, {"PageToken": "PAzz"}])
    def test_odd_questions_are_refused(self, carrier, query):
        assert listing(carrier, **query).status_code == 400


@pytest.mark.data
def test_resources_have_the_published_properties(data, carrier):
    with gzip.open(data / "twilio" / "twilio_api_v2010.patched.json.gz") as file:
        schemas = json.load(file)["components"]["schemas"]
    message = post(carrier).json()
    assert set(message) == set(schemas["api.v2010.account.message"]["properties"])
    assert message["status"] in schemas["message_enum_status"]["enum"]
    assert parsedate_to_datetime(message["date_created"]).tzinfo is not None
    url = f"{carrier.base_url}/2010-04-01/Accounts/{carrier.account}/Calls.json"
    form = {"To": TO, "From": carrier.number, "Twiml": "<Response/>"}
    call = requests.post(url, data=form, auth=(carrier.account, carrier.token), timeout=10).json()
    assert set(schemas["api.v2010.account.call"]["properties"]) <= set(call)
