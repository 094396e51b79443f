"""seed_demo: synthetic clinics, people and three weeks of their conversations."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from engage.accounts.models import Clinic
from engage.campaigns.starters import ensure_templates
from engage.caregaps.jobs import find_gaps
from engage.demo.campaigns import make_campaigns
from engage.demo.people import make_users, set_passwords
from engage.demo.population import Population, make_clinics
from engage.demo.story import DAYS, Story
from engage.lib import clock
from engage.messaging.safety import ensure_safety_templates
from engage.patients.models import Patient
from engage.records.valuesets import ensure

LIVED = 1_200  # patients who live the three weeks; more join with their histories only, and are reached from now on
MOST = 1_000_000


class Command(BaseCommand):
    help = "Makes a demonstration: patients, histories, campaigns, conversations, tasks. In an empty database only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--patients", type=int, default=2_000, help="how many, 0 to 1,000,000")
        parser.add_argument("--seed", type=int, default=1, help="another number makes other people")
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing but set passwords when patients exist"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        count = options["patients"]
        if not 0 <= count <= MOST:
            raise CommandError(f"--patients takes a number from 0 to {MOST:,}.")
        if Patient.objects.exists():
            if not options["if_empty"]:
                raise CommandError(
                    "There are patients already. The demonstration is only made in an empty database."
                )
            self.passwords()
            return
        started = time.monotonic()
        # One transaction: killed anywhere, nothing is there, and the next run starts anew.
        with transaction.atomic():
            self.seed(count, options["seed"])
        self.passwords()
        self.say(f"Seeded {count:,} patients in {time.monotonic() - started:.0f} s.")

    def seed(self, count: int, seed: int) -> None:
        clinics = make_clinics()
        users = make_users(clinics)
        ensure()
        ensure_safety_templates(approved_by="demo")
        ensure_templates(approved_by="demo")
        if not count:
            return
        today = clock.today("America/New_York")
        people = Population(seed, clinics, today)
        self.say(f"Writing {count:,} patients with their histories…")
        people.write(min(count, LIVED))
        self.live(seed, users, clinics)
        if count > LIVED:
            people.write(count - LIVED, first_number=LIVED + 1)
            self.say("Finding care gaps of everybody…")
            find_gaps(accept=True)

    def live(self, seed: int, users: Any, clinics: list[Clinic]) -> None:
        self.say(f"Living {DAYS} days with them…")
        story = Story(seed, users, clinics)
        story.first_night()
        make_campaigns(users, clinics)
        story.live()

    def passwords(self) -> None:
        password = set_passwords()
        if password:
            self.say(f"The demo users' password is {password}")

    def say(self, text: str) -> None:
        self.stdout.write(text)
