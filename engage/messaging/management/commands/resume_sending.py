"""resume_sending: an operator has looked at a restored database; sending may go on, carefully."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engage.messaging import generation, switch


class Command(BaseCommand):
    help = "After a restored backup: looks up all that waits with the carrier, then lets it go."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--unready",
            action="store_true",
            help="though the jobs have not read the lost replies (opt-outs!) and queued what was due",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not generation.restored():
            self.stdout.write("Sending is not paused for a restored backup; nothing to do.")
            return
        try:
            count = switch.release("system:operator", unready=options["unready"])
        except switch.SwitchError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Sending goes on. {count} waiting messages are first looked up with the carrier.")
