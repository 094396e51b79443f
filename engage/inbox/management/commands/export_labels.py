"""What people decided about replies, as JSON Lines on stdout. Patients' words: they stay in the clinic."""

import json
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engage.audit.models import record
from engage.inbox.labels import lines


class Command(BaseCommand):
    help = "Replies that people judged, as JSON Lines: identifiers taken out, but still patients' words."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", default="", help="only replies since a day, as 2026-03-04")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            since = date.fromisoformat(options["since"]) if options["since"] else None
        except ValueError as error:
            raise CommandError(f"--since takes a day as 2026-03-04, not {options['since']!r}.") from error
        count = 0
        for line in lines(since):
            self.stdout.write(json.dumps(line, ensure_ascii=False))
            count += 1
        record("system:export_labels", "labels.export", replies=count, since=options["since"])
        self.stderr.write(f"{count} judged replies. They are patients' words: keep them in the clinic.")
