"""The pages where somebody is the patient."""

import os
import re
from pathlib import Path

import pytest
import requests

from .harness import Carrier
from .test_api import post

PHONE = "+15552220001"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


def get(carrier, path, **more):
    return requests.get(carrier.base_url + path, timeout=10, **more)


def page(carrier, phone=PHONE):
    return get(carrier, f"/phones/{phone}/").text


def delivered(carrier, **form):
    post(carrier, **form)
    carrier.wait(lambda: all(m["status"] in ("delivered", "undelivered") for m in carrier.messages()))


def test_no_phone_yet(carrier):
    assert "nothing has been sent" in get(carrier, "/").text
    assert "no real message leaves this machine" in get(carrier, "/").text


def test_lists_the_phones_it_has_seen_newest_first(carrier):
    delivered(carrier, To=PHONE, Body="first")
    delivered(carrier, To="+15552220002", Body="second")
    text = get(carrier, "/").text
    assert text.index("+1 555 222 0002") < text.index("+1 555 222 0001")  # the heard of last comes first
    assert "2 phones" in text and "first" in text


def test_finds_by_digits_and_opens_a_new_number(carrier):
    delivered(carrier, To=PHONE)
    delivered(carrier, To="+15553330001")
    assert "1 phone<" in get(carrier, "/?number=333").text
    opened = get(carrier, "/?number=%2B1+555+777+0001")
    assert opened.url.endswith("/phones/+15557770001/") and "You may write first" in opened.text


@pytest.mark.parametrize("path", ["/phones/%2B15552220001/", "/phones/+15552220001/", "/phones/15552220001/"])
def test_a_phone_has_one_page_however_it_is_written(carrier, path):
    delivered(carrier, Body="Hello there")
    assert "Hello there" in get(carrier, path).text


def test_what_is_no_number_is_not_found(carrier):
    assert get(carrier, "/phones/nobody/").status_code == 404


def test_texts_are_shown_and_never_run(carrier):
    delivered(carrier, Body='<script>alert(1)</script> https://clinic.example/s/a?x=1&y="<b>. Bye')
    text = page(carrier)
    assert "<script>alert" not in text and "&lt;script&gt;" in text
    assert '<a href="https://clinic.example/s/a?x=1&amp;y=" rel="noreferrer">' in text


def test_what_did_not_arrive_is_told_as_such(carrier):
    delivered(carrier, To="+15005550306", Body="never seen")
    text = page(carrier, "+15005550306")
    assert "30006" in text and "never seen" not in text


def test_answering_reaches_the_clinic(carrier, receiver):
    delivered(carrier)
    answer = requests.post(
        f"{carrier.base_url}/phones/{PHONE}/", data={"body": "I had it\r\nin March"}, timeout=10
    )
    assert answer.status_code == 200 and answer.history[0].status_code == 303
    assert receiver.at("/message")[0].form["Body"] == "I had it\nin March"
    assert "I had it" in answer.text and "Not delivered" not in answer.text


def test_every_quick_answer_is_sent_as_it_reads(carrier, receiver):
    quick = re.findall(r'name="quick" value="([^"]+)"', page(carrier))
    assert {"Yes", "STOP", "I already had it in March", "tengo dolor de pecho"} <= set(quick)
    for text in quick:
        requests.post(f"{carrier.base_url}/phones/{PHONE}/", data={"quick": text, "body": ""}, timeout=10)
    assert [one.form["Body"] for one in receiver.at("/message")] == quick


def test_a_clinic_that_does_not_take_it_is_shown_and_tried_again(carrier, receiver):
    receiver.answers = [(500, "", 0), (200, "", 0)]
    answer = requests.post(f"{carrier.base_url}/phones/{PHONE}/", data={"body": "help me"}, timeout=10)
    assert "Not delivered to the clinic" in answer.text and "HTTP 500" in answer.text
    assert "The clinic was not told" in get(carrier, "/").text
    sid = re.search(r'name="again" value="(\w+)"', answer.text)[1]
    answer = requests.post(f"{carrier.base_url}/phones/{PHONE}/", data={"again": sid}, timeout=10)
    assert "Not delivered" not in answer.text and answer.text.count("help me") == 1
    assert {one.form["MessageSid"] for one in receiver.at("/message")} == {sid}


def test_a_clinic_that_is_down_is_shown():
    with Carrier(inbound_url="http://127.0.0.1:9/message") as carrier:
        answer = requests.post(f"{carrier.base_url}/phones/{PHONE}/", data={"body": "hello?"}, timeout=10)
        assert "Nothing answers at http://127.0.0.1:9/message" in answer.text


@pytest.mark.parametrize(("body", "why"), [("  ", "Write something first"), ("x" * 1601, "at most 1,600")])
def test_nothing_and_too_much_are_not_sent(carrier, receiver, body, why):
    answer = requests.post(f"{carrier.base_url}/phones/{PHONE}/", data={"body": body}, timeout=10)
    assert answer.status_code == 422 and why in answer.text
    assert receiver.told == []


def test_an_opted_out_phone_says_so(carrier):
    carrier.say(PHONE, "STOP")
    assert "has opted out" in page(carrier) and "Opted out" in get(carrier, "/").text
    carrier.say(PHONE, "START")
    assert "has opted out" not in page(carrier)


def test_a_form_of_another_site_is_refused(carrier, receiver):
    headers = {"Origin": "https://evil.example"}
    answer = requests.post(
        f"{carrier.base_url}/phones/{PHONE}/", data={"body": "x"}, headers=headers, timeout=10
    )
    assert answer.status_code == 403 and receiver.told == []


def test_a_long_conversation_is_cut(carrier):
    for n in range(105):
        carrier.say(PHONE, f"text number {n}")
    text = page(carrier)
    assert "The last 100 of 105 texts" in text and "text number 104" in text and "text number 4<" not in text


def test_strict_policy_and_no_inline_anything(carrier):
    delivered(carrier)
    for path in ("/", f"/phones/{PHONE}/"):
        answer = get(carrier, path)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=\"/)", answer.text)
    for file, kind in (("handset.css", "text/css"), ("handset.js", "text/javascript")):
        assert get(carrier, f"/{file}").headers["Content-Type"].startswith(kind)


@pytest.mark.browser
def test_in_a_browser(carrier, receiver):
    playwright = pytest.importorskip("playwright.sync_api")
    from axe_playwright_python.sync_playwright import Axe

    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    delivered(carrier, Body="Hello from the clinic. Reply STOP to end.")
    carrier.say("+15552220002", "STOP")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        try:
            for width, scheme in ((390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")):
                context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
                tab = context.new_page()
                troubles: list[str] = []
                tab.on(
                    "console", lambda said, t=troubles: t.append(said.text) if said.type == "error" else None
                )
                for path in ("/", f"/phones/{PHONE}/", "/phones/+15552220002/", "/phones/+15559990000/"):
                    tab.goto(carrier.base_url + path)
                    found = Axe().run(tab).response["violations"]
                    assert not found, (width, scheme, path, found)
                    assert tab.evaluate("document.documentElement.scrollWidth") <= width
                assert troubles == []
                context.close()
            tab = browser.new_page()
            tab.goto(f"{carrier.base_url}/phones/{PHONE}/")
            tab.get_by_label("Answer as the patient").fill("being typed")
            post(carrier, Body="A second text")
            tab.get_by_text("A second text").wait_for(timeout=5000)
            assert tab.get_by_label("Answer as the patient").input_value() == "being typed"
            tab.get_by_role("button", name="Send", exact=True).press("Enter")
            tab.locator(".mine .bubble").get_by_text("being typed").wait_for(timeout=5000)
            assert receiver.at("/message")[-1].form["Body"] == "being typed"
        finally:
            browser.close()
