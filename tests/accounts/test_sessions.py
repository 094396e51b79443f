"""Signing in, the 15 idle minutes, and that polling does not extend them."""

import time
from unittest import mock

from engage.accounts.middleware import LAST_ACT
from tests.base import CastTestCase


class Sessions(CastTestCase):
    def sign_in(self, password="correct horse battery"):
        return self.client.post("/accounts/login/", {"username": "nurse", "password": password})

    def signed_in(self):
        return self.client.get("/").headers["Location"] == "/worklist/"

    def later(self, seconds):
        return mock.patch("engage.accounts.middleware.time.time", return_value=time.time() + seconds)

    def test_sign_in_and_out(self):
        assert self.sign_in().status_code == 302
        assert self.signed_in()
        self.client.post("/accounts/logout/")
        assert not self.signed_in()

    def test_a_wrong_password_is_told_without_saying_which_part(self):
        answer = self.sign_in("wrong")
        assert answer.status_code == 200
        assert b"correct username and password" in answer.content

    def test_fifteen_idle_minutes_sign_out(self):
        self.sign_in()
        assert self.signed_in()
        with self.later(15 * 60 + 5):
            assert not self.signed_in()

    def test_acting_keeps_the_session(self):
        self.sign_in()
        self.signed_in()
        for minutes in (10, 20, 30):
            with self.later(minutes * 60):
                assert self.signed_in()

    def test_polling_does_not_keep_the_session(self):
        self.sign_in()
        self.signed_in()
        for minutes in (5, 10, 14):
            with self.later(minutes * 60):
                assert self.client.get("/poll/counts/").status_code == 200
        with self.later(15 * 60 + 5):
            assert not self.signed_in()

    def test_the_last_act_is_not_written_at_every_request(self):
        self.sign_in()
        self.signed_in()
        first = self.client.session[LAST_ACT]
        with self.later(5):
            self.signed_in()
        assert self.client.session[LAST_ACT] == first

    def test_guessing_is_locked_out(self):
        for _ in range(8):
            self.sign_in("wrong")
        assert self.sign_in().status_code == 429

    def test_cookies_are_closed_to_scripts_and_other_sites(self):
        cookie = self.sign_in().cookies["sessionid"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"

    def test_a_strict_policy_is_on_every_page(self):
        policy = self.client.get("/accounts/login/").headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
