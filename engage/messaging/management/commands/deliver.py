"""deliver: sends what is due, as a long-lived process or until nothing is."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from engage.messaging import health, outbox
from engage.messaging.sender import run


class Command(BaseCommand):
    help = "Sends messages. Without options it runs until it is told to end (SIGTERM drains for up to 30 seconds)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--drain", action="store_true", help="send until nothing is due now, then end")
        parser.add_argument(
            "--settle", action="store_true", help="with --drain: also wait until nothing is in doubt"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SENDING_ENABLED:
            self.stderr.write("SENDING_ENABLED is off: nothing is sent.")
        sender = run(drain=options["drain"] or options["settle"], settle=options["settle"])
        if options["drain"] or options["settle"]:
            left = ", ".join(f"{state} {n}" for state, n in outbox.counts().items() if n)
            self.stdout.write(f"Sent {sender.sent}. Left: {left or 'nothing'}.")
            sentence = health.sender_state()["sentence"]
            if sentence and sender.guard.state != "closed":
                self.stderr.write(sentence)
