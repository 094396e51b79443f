"""Each scripted fault does what it says; the log says what was really accepted."""

import time

import pytest
import requests

from .harness import Carrier
from .test_api import TO, listing, post


def sids(carrier):
    return [line["sid"] for line in carrier.accepted()]


def test_accept_and_drop(carrier, client):
    carrier.script(times=1, drop=True)
    with pytest.raises(requests.ConnectionError):
        post(carrier)
    (accepted,) = carrier.accepted()
    assert accepted["answer"] == "dropped"
    assert [m.sid for m in client.messages.list(to=TO)] == [accepted["sid"]]
    assert post(carrier).status_code == 201


def test_drop_without_accepting(carrier):
    carrier.script(times=1, drop=True, accept=False)
    with pytest.raises(requests.ConnectionError):
        post(carrier)
    assert carrier.accepted() == [] and [line["answer"] for line in carrier.rejected()] == ["dropped"]


def test_an_answer_after_the_clients_patience(carrier):
    carrier.script(times=1, delay=1.0)
    url = f"{carrier.base_url}/2010-04-01/Accounts/{carrier.account}/Messages.json"
    form = {"To": TO, "From": carrier.number, "Body": "late"}
    with pytest.raises(requests.ReadTimeout):
        requests.post(url, data=form, auth=(carrier.account, carrier.token), timeout=0.3)
    assert [line["body"] for line in carrier.accepted()] == ["late"]


def test_an_acceptance_after_the_clients_patience(carrier):
    carrier.script(times=1, hold=0.6)
    url = f"{carrier.base_url}/2010-04-01/Accounts/{carrier.account}/Messages.json"
    form = {"To": TO, "From": carrier.number, "Body": "late"}
    with pytest.raises(requests.ReadTimeout):
        requests.post(url, data=form, auth=(carrier.account, carrier.token), timeout=0.2)
    assert carrier.accepted() == []
    carrier.wait(carrier.accepted, 2)


def test_503_without_and_with_acceptance(carrier):
    carrier.script(times=2, status=503)
    carrier.script(times=1, status=503, accept=True)
    assert [post(carrier, Body=str(n)).status_code for n in range(4)] == [503, 503, 503, 201]
    assert [(line["body"], line["answer"]) for line in carrier.accepted()] == [("2", "503"), ("3", "201")]


def test_429_says_when_to_come_again(carrier):
    carrier.script(seconds=0.3, status=429, retry_after=2)
    answer = post(carrier)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, 20429, "2")
    time.sleep(0.35)
    assert post(carrier).status_code == 201


def test_a_rate(carrier):
    carrier.settings(rate=3)
    answers = [post(carrier) for _ in range(5)]
    assert [a.status_code for a in answers] == [201, 201, 201, 429, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    time.sleep(1.05)
    assert post(carrier).status_code == 201
    assert len(carrier.accepted()) == 4


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        ({"status": 401}, 401, 20003),
        ({"status": 403}, 403, 20005),
        ({"status": 500}, 500, 20500),
        ({"code": 21408}, 400, 21408),
        ({"code": 21610}, 400, 21610),
        ({"status": 400, "code": 30022, "message": "too fast"}, 400, 30022),
    ],
)
def test_any_error(carrier, rule, status, code):
    carrier.script(**rule)
    answer = post(carrier)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert carrier.accepted() == []


def test_only_one_number_or_its_ending_or_a_word(carrier):
    carrier.script(to="+15552220009", code=21211)
    carrier.script(to="*0008", code=21614)
    carrier.script(body="poison", code=21602)
    codes = [post(carrier, To=f"+1555222000{n}").json().get("code") for n in (7, 8, 9)]
    assert codes == [None, 21614, 21211]
    assert post(carrier, Body="a poison pill").json()["code"] == 21602


def test_after_some_and_for_some(carrier):
    carrier.script(after=2, times=1, status=500)
    assert [post(carrier).status_code for _ in range(4)] == [201, 201, 500, 201]


def test_chances_come_from_the_seed(receiver):
    def run():
        with Carrier(seed=11) as carrier:
            carrier.script(probability=0.5, status=500)
            return [post(carrier).status_code for _ in range(20)], sids(carrier)

    first = run()
    assert first == run()
    assert {201, 500} == set(first[0])


def test_refused_connections_and_the_way_back(carrier):
    session = requests.Session()  # a kept-alive connection is cut too
    session.get(f"{carrier.base_url}/")
    carrier.refuse(0.5)
    with pytest.raises(requests.ConnectionError):
        session.get(f"{carrier.base_url}/", timeout=0.3)
    with pytest.raises(requests.ConnectionError):
        post(carrier)
    time.sleep(0.6)
    assert post(carrier).status_code == 201


def test_a_listing_that_lags(carrier, client):
    carrier.settings(list_lag=0.5)
    sid = post(carrier).json()["sid"]
    assert listing(carrier, To=TO).json()["messages"] == []
    carrier.wait(lambda: [m["sid"] for m in listing(carrier, To=TO).json()["messages"]] == [sid], 2)


def test_a_listing_that_breaks(carrier):
    post(carrier)
    carrier.script(on="list", times=2, status=500)
    assert [listing(carrier).status_code for _ in range(3)] == [500, 500, 200]
    assert post(carrier).status_code == 201, "only the listing is broken"


def test_a_slow_listing_that_drops(carrier):
    carrier.script(on="list", times=1, drop=True)
    with pytest.raises(requests.ConnectionError):
        listing(carrier)


def test_latency(carrier):
    carrier.settings(latency=0.2)
    began = time.monotonic()
    post(carrier)
    assert time.monotonic() - began >= 0.2


def test_a_misspelt_script_is_refused(carrier):
    with pytest.raises(ValueError, match="has no statsu"):
        carrier.script(statsu=500)
    with pytest.raises(ValueError, match="no fate 'ghost'"):
        carrier.numbers(**{TO: "ghost"})
    with pytest.raises(ValueError, match="Settings has no lag"):
        carrier.settings(lag=1)
    with pytest.raises(ValueError, match="not a phone number"):
        carrier.say("nobody", "hi")


def test_rules_go_and_settings_stay(carrier):
    carrier.script(status=500)
    carrier.settings(latency=0.01)
    carrier.clear()
    assert post(carrier).status_code == 201
    assert carrier.control("settings", {})["latency"] == 0.01


def test_reset_forgets_everything_but_the_log(carrier):
    carrier.script(status=500)
    carrier.say(TO, "STOP")
    carrier.reset()
    assert post(carrier).status_code == 201
    assert len(carrier.accepted()) == 1 and carrier.events("inbound") == []
    assert any(line["event"] == "inbound" for line in carrier.lines())


def test_a_browser_page_elsewhere_cannot_script_it(carrier):
    answer = requests.post(
        f"{carrier.base_url}/_control/reset", data="{}", headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 415


def test_a_rule_gives_a_message_its_fate(carrier):
    carrier.script(times=1, fate="not_mobile")
    carrier.script(times=1, fate="landline")
    assert post(carrier).json()["code"] == 21614
    post(carrier)
    carrier.wait(lambda: [m["error_code"] for m in carrier.messages()] == [30006])


def test_a_slow_phone(carrier):
    carrier.settings(slow=0.5)
    carrier.numbers(**{TO: "slow"})
    post(carrier)
    post(carrier, To="+15552220002")
    carrier.wait(lambda: [m["status"] for m in carrier.messages()] == ["queued", "delivered"])
    carrier.wait(lambda: [m["status"] for m in carrier.messages()] == ["delivered", "delivered"], 2)
    carrier.numbers(**{TO: ""})
    post(carrier)
    carrier.wait(lambda: [m["status"] for m in carrier.messages()] == ["delivered"] * 3, 0.4)


def test_nothing_of_before_a_reset_is_told_after_it(carrier, receiver):
    receiver.answers = [(200, "", 0.4)]
    post(carrier, StatusCallback=receiver.url("/status/old"))
    carrier.wait(lambda: receiver.statuses("/status/old") == ["sent"])
    carrier.reset()
    time.sleep(0.7)
    assert receiver.statuses("/status/old") == ["sent"] and carrier.events() == []
