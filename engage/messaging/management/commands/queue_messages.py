"""queue_messages: one-off messages from another system."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engage.messaging.intake import Outcome, take_in


class Command(BaseCommand):
    help = (
        "Queues messages from a file of JSON Lines ('-' for stdin): patient (FHIR id) or to, channel, body, key, "
        "and optionally not_before, expires_at, lane, source. The last line printed is JSON."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument(
            "--source", default="file", help="keys are unique within a source (default: file)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = self.read(options["file"], options["source"])
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
        for reason, count in outcome.refused.most_common():
            self.stdout.write(f"Refused {count}, first in line {outcome.first[reason]}: {reason}")
        self.stdout.write(json.dumps(outcome.summary(), ensure_ascii=False))

    def read(self, name: str, source: str) -> Outcome:
        if name == "-":
            return take_in(sys.stdin.buffer, source, self.progress)
        with Path(name).open("rb") as lines:
            return take_in(lines, source, self.progress)

    def progress(self, lines: int) -> None:
        if sys.stderr.isatty():
            self.stderr.write(f"\r{lines:,} lines", ending="")
