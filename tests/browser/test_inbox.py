"""The inbox by keyboard alone, without JavaScript, and for people who do not see it."""

import pytest
from django.contrib.staticfiles.testing import StaticLiveServerTestCase
from django.db import connection

from engage.inbox.actions import receive
from engage.inbox.models import Conversation
from engage.messaging.models import Message
from tests.base import CastTransactionTestCase

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDTHS = ((1440, 900), (768, 1024), (390, 844))


class Inbox(CastTransactionTestCase, StaticLiveServerTestCase):
    @pytest.fixture(autouse=True)
    def tools(self, browser, axe_violations):
        self.browser, self.axe = browser, axe_violations

    def setUp(self):
        super().setUp()
        self.make_patient("Eva", "Stone", "+16175550143")
        self.hear("What time do you open?", "+16175550142", "SM1")
        self.hear("I have chest pain", "+16175550143", "SM2")

    def hear(self, body, address, sid):
        receive(sid=sid, address=address, to="+15550100000", body=body, raw={})

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
