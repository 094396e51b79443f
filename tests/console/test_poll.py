"""The poll: right counts, nobody's name, few queries, and no longer session for it."""

import re
import time
from datetime import timedelta

from django.core.cache import cache

from engage.accounts.middleware import LAST_ACT
from engage.inbox.models import Conversation
from engage.lib import clock
from engage.messaging.models import Heartbeat
from engage.worklist.models import Task
from tests.base import CastTestCase

URL = "/poll/counts/"


class Poll(CastTestCase):
    def setUp(self):
        self.client.force_login(self.coordinator)

    def counts(self, query=""):
        answer = self.client.get(URL + query)
        assert answer.status_code == 200
        return dict(re.findall(r'data-([a-z]+)="([^"]*)"', answer.content.decode()))

    def talk(self, minutes_ago=0, **more):
        at = clock.now() - timedelta(minutes=minutes_ago)
        fields = {
            "clinic": self.clinic, "address": f"+1617555{Conversation.objects.count():04}", "waiting_since": at,
            "last_heard_at": at, "last_message_at": at, "level": 2,
        } | more  # fmt: skip
        return Conversation.objects.create(**fields)

    def task(self, hours, **more):
        n = Task.objects.count()
        return Task.objects.create(
            clinic=self.clinic, reason="reply", summary="Asks.", about=f"x:{n}", due_at=clock.now() + timedelta(hours=hours),
            **more,
        )  # fmt: skip

    def test_counts_of_my_clinics_only(self):
        self.talk(level=0, patient=self.patient)
        self.talk(owner=self.nurse)
        self.talk(seen_at=clock.now())
        self.talk(state="closed")
        self.talk(clinic=self.other_clinic, level=0)
        self.task(-1), self.task(5, priority=0), self.task(5)
        found = self.counts()
        assert (found["urgent"], found["inbox"], found["unassigned"], found["worklist"]) == (
            "1",
            "2",
            "2",
            "2",
        )
        self.client.force_login(self.stranger)
        assert self.counts()["urgent"] == "1"

    def test_many_are_ninety_nine_and_more(self):
        for _ in range(101):
            self.talk()
        assert self.counts()["inbox"] == "99+"

    def test_the_newest_urgent_reply_has_an_address_and_an_age(self):
        self.talk(minutes_ago=9, level=0)
        last = self.talk(minutes_ago=2, level=0, patient=self.patient)
        found = self.counts()
        assert (found["href"], found["age"]) == (last.link, "120")
        before = found["newest"]
        Conversation.objects.filter(pk=last.pk).update(last_heard_at=clock.now())
        assert self.counts()["newest"] != before  # the same patient again is news again
        assert "Rivera" not in self.client.get(URL).content.decode()

    def test_what_is_new_since_the_page_was_drawn(self):
        first = self.task(1)
        self.talk(minutes_ago=30)
        self.task(1)
        self.talk(minutes_ago=1)
        since = (clock.now() - timedelta(minutes=10)).isoformat().replace("+", "%2B")
        found = self.counts(f"?task={first.pk}&heard={since}")
        assert (found["tasks"], found["replies"]) == ("1", "1")
        for nonsense in ("?task=x&heard=y", "?task=&heard=2020", f"?task={'9' * 40}"):
            assert self.counts(nonsense)["inbox"] == "2"

    def test_the_sender_that_does_not_run_is_said_once_a_second_at_most(self):
        assert "sender has not started" in self.counts()["sending"]
        Heartbeat.objects.create(name="deliver", at=clock.machine_now())
        cache.clear()
        assert self.counts()["sending"] == ""

    def test_those_who_do_not_care_for_patients_get_no_counts(self):
        self.talk(level=0)
        self.client.force_login(self.auditor)
        assert self.counts()["urgent"] == ""

    def test_few_queries(self):
        self.counts()
        with self.assertNumQueries(4):  # session, person, clinics, every count in one
            self.counts()

    def test_it_does_not_keep_a_session_alive(self):
        session = self.client.session
        long_ago = int(time.time()) - 14 * 60
        session[LAST_ACT] = long_ago
        session.save()
        self.counts()
        assert self.client.session[LAST_ACT] == long_ago
        session = self.client.session
        session[LAST_ACT] = int(time.time()) - 16 * 60
        session.save()
        answer = self.client.get(URL, headers={"HX-Request": "true"})
        assert answer["HX-Redirect"].startswith("/accounts/login/")
