"""export_receipts: what was sent and what was not, and why, for an auditor."""

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from engage.accounts.models import Clinic
from engage.audit.models import record
from engage.lib import clock
from engage.messaging import receipts
from engage.messaging.models import Message


class Command(BaseCommand):
    help = "Writes the receipt of every message to a patient, sent or not, as JSON Lines or CSV."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", metavar="DATE", help="first day (default: 30 days ago)")
        parser.add_argument("--until", metavar="DATE", help="last day (default: today)")
        parser.add_argument(
            "--clinic", metavar="SLUG", help="only this clinic's; its days are meant (default: UTC)"
        )
        parser.add_argument("--format", choices=receipts.FORMATS, default="jsonl")
        parser.add_argument("--output", metavar="FILE", default="-", help="default: stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        clinic = self.clinic(options["clinic"])
        messages = self.messages(options, clinic)
        count = messages.count()
        record(
            "system:operator", "receipts.export", clinic, clinic_id=clinic.pk if clinic else None,
            messages=count, since=options["since"], until=options["until"], format=options["format"],
        )  # fmt: skip
        self.write(options["output"], receipts.lines(messages, options["format"]))
        self.stderr.write(f"{count:,} messages written.")

    def clinic(self, slug: str | None) -> Clinic | None:
        if not slug:
            return None
        found = Clinic.objects.filter(slug=slug).first()
        if found is None:
            known = ", ".join(Clinic.objects.values_list("slug", flat=True))
            raise CommandError(f"There is no clinic “{slug}”; there are {known}.")
        return found

    def messages(self, options: dict[str, Any], clinic: Clinic | None) -> QuerySet[Message]:
        zone = ZoneInfo(clinic.time_zone if clinic else "UTC")
        today = clock.today(zone)
        since = day(options["since"], today - timedelta(days=30))
        until = day(options["until"], today)
        if until < since:
            raise CommandError("--until lies before --since.")
        found = receipts.between(
            datetime.combine(since, time.min, zone),
            datetime.combine(until + timedelta(days=1), time.min, zone),
        )
        return found.filter(clinic=clinic) if clinic else found

    def write(self, name: str, lines: Iterator[str]) -> None:
        if name == "-":
            for line in lines:
                self.stdout.write(line, ending="")
            return
        try:
            with Path(name).open("w", encoding="utf-8", newline="") as file:
                file.writelines(lines)
        except OSError as error:
            raise CommandError(f"{name} cannot be written: {error.strerror}.") from error


def day(text: str | None, default: date) -> date:
    try:
        return date.fromisoformat(text) if text else default
    except ValueError:
        raise CommandError(f"“{text}” is no date; write it as 2026-03-04.") from None
