"""resume_sending: an operator has looked at a restored database; sending may go on, carefully."""

from typing import Any

from django.core.management.base import BaseCommand

from engage.audit.models import record
from engage.messaging import generation


class Command(BaseCommand):
    help = (
        "After a restored backup: puts all that was waiting through reconciliation, then lets sending go on."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not generation.restored():
            self.stdout.write("Sending is not paused for a restored backup; nothing to do.")
            return
        count = generation.accept()
        record("system:operator", "sending.resume", messages=count)
        self.stdout.write(f"Sending goes on. {count} waiting messages are first looked up with the carrier.")
