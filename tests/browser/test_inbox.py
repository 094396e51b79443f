"""The inbox by keyboard alone, without JavaScript, and for people who do not see it."""

from datetime import timedelta

import pytest
from django.contrib.staticfiles.testing import StaticLiveServerTestCase
from django.db import connection

from engage.inbox.actions import receive
from engage.inbox.models import Conversation
from engage.messaging.models import Message
from tests.base import NOON, CastTransactionTestCase

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDTHS = ((1440, 900), (768, 1024), (390, 844))
SEEN = """node => { const { x, y, width, height } = node.getBoundingClientRect();
    return [y + 1, y + height - 1].every(row => node.contains(document.elementFromPoint(x + width / 2, row))); }"""


class Inbox(CastTransactionTestCase, StaticLiveServerTestCase):
    @pytest.fixture(autouse=True)
    def tools(self, browser, axe_violations):
        self.browser, self.axe = browser, axe_violations

    def setUp(self):
        super().setUp()
        self.make_patient("Eva", "Stone", "+16175550143")
        self.hear("What time do you open?", "+16175550142", "SM1")
        self.hear("I have chest pain", "+16175550143", "SM2")

    def hear(self, body, address, sid, **more):
        receive(sid=sid, address=address, to="+15550100000", body=body, raw={}, **more)

    def signed_in(self, **options):
        self.client.force_login(self.coordinator)
        context = self.browser.new_context(reduced_motion="reduce", **options)
        self.addCleanup(context.close)
        cookie = self.client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": self.live_server_url}])
        page = context.new_page()
        page.set_default_timeout(10_000)
        return page

    def ana(self):
        connection.close_if_unusable_or_obsolete()
        return Conversation.objects.get(patient=self.patient)

    def test_it_opens_at_what_the_patient_said(self):
        """Not at the automatic answers that followed, nor at a harmless reply after the urgent one."""
        self.hear("ok thanks", "+16175550143", "SM3")
        self.hear("I can't breathe", "+16175550142", "SM4", at=NOON + timedelta(minutes=1))
        eva = Conversation.objects.get(patient__given="Eva")
        for n in range(12):
            Message.objects.create(
                key=f"auto{n}", patient=eva.patient, clinic=self.clinic, address="+16175550143", state="delivered",
                body="If this is an emergency call 911. " * 4,
            )  # fmt: skip
        for width, height in WIDTHS:
            page = self.signed_in(viewport={"width": width, "height": height})
            page.goto(f"{self.live_server_url}{eva.link}")
            page.locator(".conversation mark").first.wait_for()
            page.locator("[data-urgent-banner]").wait_for()  # of Ana's: it takes room from the conversation
            said = page.locator(".bubble:has(mark)").first
            for part in (said.locator(".bubble-meta strong"), said.locator("mark").first):
                assert part.evaluate(SEEN), width

    def test_what_was_said_last_is_not_behind_the_composer(self):
        """On a phone the page scrolls, not the conversation: three texts of ours fill the screen before it."""
        eva = Conversation.objects.get(patient__given="Eva")
        for n in range(3):
            Message.objects.create(
                key=f"first{n}", patient=eva.patient, clinic=self.clinic, address="+16175550143", state="delivered",
                body="You are due for a health screening. Reply 1 and we call you to book. " * 2,
                created_at=NOON - timedelta(days=3 - n),
            )  # fmt: skip
        for width, height in WIDTHS:
            page = self.signed_in(viewport={"width": width, "height": height})
            page.goto(f"{self.live_server_url}{eva.link}")
            said = page.locator(".bubble:has(mark)").first
            for part in (said.locator(".bubble-meta strong"), said.locator("mark").first):
                part.wait_for()
                assert part.evaluate(SEEN), width

    def test_by_keyboard_alone(self):
        page = self.signed_in(viewport={"width": 1440, "height": 900})
        page.goto(f"{self.live_server_url}/inbox/")
        page.keyboard.press("j")
        assert "Stone" in page.evaluate("document.activeElement.innerText")  # the urgent one is on top
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Rivera, Ana").wait_for()
        assert page.locator(".inbox-row[class~=unread] a[aria-current=true]").count() == 0  # read by now
        page.keyboard.press("s")
        assert page.evaluate("document.activeElement.innerText") == "1 hour"  # the key leads into the menu
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        page.keyboard.type("We open at eight.")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Undo").wait_for()
        assert Message.objects.get(author=self.coordinator).body == "We open at eight."
        page.keyboard.press("e")
        page.wait_for_url(f"{self.live_server_url}/inbox/open/")
        assert self.ana().state == "closed"

    def test_without_javascript(self):
        page = self.signed_in(java_script_enabled=False, viewport={"width": 390, "height": 844})
        page.goto(f"{self.live_server_url}/inbox/")
        page.get_by_role("link", name="Rivera, Ana").click()
        page.get_by_label("Your answer").fill("We open at eight.")
        page.get_by_role("button", name="Send").click()
        page.get_by_role("button", name="Undo").click()
        assert page.get_by_label("Your answer").input_value() == "We open at eight."
        assert Message.objects.get(author=self.coordinator).state == "suppressed"
        page.locator("summary", has_text="Snooze").click()
        page.get_by_role("button", name="Tomorrow 9:00").click()
        assert (self.ana().state, self.ana().owner) == ("snoozed", self.coordinator)

    def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(self):
        wrong = []
        urgent = Conversation.objects.get(patient__family="Stone")
        for scheme in ("light", "dark"):
            page = self.signed_in(color_scheme=scheme)
            page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
            for path in ("/inbox/", "/inbox/closed/", urgent.link):
                for width, height in WIDTHS:
                    page.set_viewport_size({"width": width, "height": height})
                    page.goto(self.live_server_url + path)
                    wrong += [f"{path} {scheme} {width}: {v}" for v in self.axe(page)]
                    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                        wrong.append(f"{path} {width}: wider than the screen")
        assert not wrong
