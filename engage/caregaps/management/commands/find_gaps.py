"""The nightly care-gap job by hand."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engage.caregaps.jobs import AlreadyRunning, UnknownMeasure, find_gaps
from engage.caregaps.models import GapRun


class Command(BaseCommand):
    help = "Opens, keeps and closes care gaps as of a day. Safe to repeat and to kill. Exit 3: too much would change."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--as-of", type=date.fromisoformat, metavar="DATE", help="the day (default: today)"
        )
        parser.add_argument(
            "--measure", action="append", metavar="ID", help="only this measure; may be repeated"
        )
        parser.add_argument(
            "--full",
            action="store_true",
            help="look at every patient, not only at those for whom something changed",
        )
        parser.add_argument("--accept", action="store_true", help="go on although much would change")

    def handle(self, *args: Any, **options: Any) -> None:
        progress = self.stderr.write if self.stderr.isatty() else None
        try:
            run = find_gaps(
                options["as_of"],
                options["measure"],
                full=options["full"],
                accept=options["accept"],
                progress=progress,
            )
        except (AlreadyRunning, UnknownMeasure) as refusal:
            raise CommandError(str(refusal)) from None
        if run.state == GapRun.State.STOPPED:
            raise CommandError(run.note, returncode=3)
        if run.state == GapRun.State.FAILED:
            raise CommandError(run.note)
        self.stdout.write(run.summary)
        if run.note:
            self.stderr.write(run.note)
