"""The demonstration: believable, repeatable, safe to run again, and nobody real."""

import re
from datetime import date
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import TestCase, override_settings

from engage.accounts.models import User
from engage.campaigns.models import Campaign
from engage.caregaps.models import CareGap
from engage.demo.people import CAST, set_passwords
from engage.demo.population import CODES, Population, make_clinics
from engage.inbox import editing
from engage.inbox.models import Conversation, Level, Reading, Sample, SampleItem, WordList
from engage.messaging.models import Message
from engage.patients.models import ContactPoint, Patient
from engage.records.concepts import members
from engage.records.models import Event
from engage.records.valuesets import ensure
from engage.worklist.models import Task
from tests.base import NOON

# Value sets whose members the invented histories must hit, or the demonstration would show nothing due and nothing done.
MEANT = {
    "visit": "2.16.840.1.113883.3.464.1003.101.12.1001",
    "checkup": "2.16.840.1.113883.3.464.1003.101.12.1025",
    "mammogram": "2.16.840.1.113883.3.464.1003.108.12.1018",
    "colonoscopy": "2.16.840.1.113883.3.464.1003.108.12.1020",
    "fit": "2.16.840.1.113883.3.464.1003.198.12.1011",
    "stool_dna": "2.16.840.1.113883.3.464.1003.108.12.1039",
    "hypertension": "2.16.840.1.113883.3.464.1003.104.12.1011",
    "mastectomy": "2.16.840.1.113883.3.464.1003.198.12.1005",
    "colectomy": "2.16.840.1.113883.3.464.1003.198.12.1019",
    "hospice": "2.16.840.1.113883.3.526.3.1584",
}


@override_settings(NOW=NOON, DEMO_PASSWORD="a demonstration password")
class Seeded(TestCase):
    @classmethod
    def setUpTestData(cls):
        call_command("seed_demo", patients=250, seed=3, stdout=StringIO())

    def test_every_page_has_something_to_show(self):
        assert Patient.objects.count() == 250
        assert Event.objects.count() > 10 * 250
        assert CareGap.objects.open().count() > 20
        assert {"running", "paused", "stopped", "draft"} <= set(
            Campaign.objects.values_list("state", flat=True)
        )
        assert {"done", "open"} <= set(Task.objects.values_list("state", flat=True))
        assert {"open", "closed"} <= set(Conversation.objects.values_list("state", flat=True))
        assert Conversation.objects.filter(level=Level.URGENT, state="open").exists()
        assert Message.objects.filter(direction="in").count() > 15

    def test_the_sorting_has_been_judged(self):
        assert Sample.objects.filter(done_at=None).exists()
        assert (
            SampleItem.objects.exclude(verdict=None).exists()
            and SampleItem.objects.filter(verdict=None).exists()
        )
        live, draft = WordList.objects.get(state="live"), WordList.objects.get(state="draft")
        assert live.published_by.username == "oncall" and editing.tried(draft)
        assert Reading.objects.filter(version__contains="+1/").exists()

    def test_every_sent_message_went_through_the_gate(self):
        sent = Message.objects.filter(direction="out", state="delivered")
        assert sent.exists()
        assert all(m.verdict for m in sent)
        assert not sent.filter(patient__deceased=True).exists()

    def test_the_seven_can_sign_in(self):
        for name, *_ in CAST:
            data = {"username": name, "password": "a demonstration password"}
            assert self.client.post("/accounts/login/", data).status_code == 302, name
            self.client.logout()

    def test_again_it_refuses_and_if_empty_it_leaves_all_as_it_is(self):
        before = Patient.objects.count(), Message.objects.count(), Task.objects.count()
        with pytest.raises(CommandError, match="patients already"):
            call_command("seed_demo")
        call_command("seed_demo", if_empty=True, stdout=StringIO())
        assert (Patient.objects.count(), Message.objects.count(), Task.objects.count()) == before

    def test_a_new_demo_password_counts_at_the_next_start(self):
        with override_settings(DEMO_PASSWORD="another demonstration"):
            assert set_passwords() == "another demonstration"
        assert User.objects.get(username="nurse").check_password("another demonstration")

    def test_no_number_can_be_anybodys(self):
        for value in (
            ContactPoint.objects.filter(system="phone").exclude(value="").values_list("value", flat=True)
        ):
            assert re.match(r"\+1\d{3}555\d{4}$", value), value


class Populations(TestCase):
    def people(self, seed, first):
        Population(seed, make_clinics(), date(2026, 3, 4)).write(60, first_number=first)
        rows = Patient.objects.order_by("-pk").values_list("family", "given", "birth_date", "language")
        return list(rows[:60])

    def test_the_same_seed_makes_the_same_people_and_another_others(self):
        first, again, other = self.people(1, 1), self.people(1, 101), self.people(2, 201)
        assert first == again
        assert first != other

    def test_codes_are_members_of_the_value_sets_they_are_meant_for(self):
        ensure()
        people = Population(1, make_clinics(), date(2026, 3, 4))
        for name, oid in MEANT.items():
            assert people.concepts[name] in members(oid), f"{CODES[name]} is not in {oid}"

    def test_a_million_numbers_are_all_different(self):
        people = Population(1, make_clinics(), date(2026, 3, 4))
        numbers = {people.number("harbor", n) for n in range(0, 1_000_000, 7)}
        assert len(numbers) == len(range(0, 1_000_000, 7))
