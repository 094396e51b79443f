"""MeasureReports of one measure on stdout, strict to the published logic."""

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engage.audit.models import record
from engage.caregaps.measures import MEASURES
from engage.caregaps.period import Period
from engage.caregaps.reports import Results, ndjson
from engage.caregaps.vocabulary import MissingValueSet
from engage.records import valuesets


class Command(BaseCommand):
    help = "Writes FHIR R4 MeasureReports as NDJSON: one summary, or with --subjects one for each patient."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--measure", required=True, metavar="ID", help="such as CMS130")
        parser.add_argument("--period-start", required=True, type=date.fromisoformat, metavar="DATE")
        parser.add_argument("--period-end", required=True, type=date.fromisoformat, metavar="DATE")
        parser.add_argument("--subjects", action="store_true", help="one report for each patient")
        parser.add_argument("--csv", action="store_true", help="a table for people instead of FHIR")

    def handle(self, *args: Any, **options: Any) -> None:
        measure = MEASURES.get(options["measure"])
        if measure is None:
            raise CommandError(f"There is no measure {options['measure']}; there are {', '.join(MEASURES)}.")
        period = Period(options["period_start"], options["period_end"])
        if period.end < period.start:
            raise CommandError("The period ends before it starts.")
        valuesets.ensure()
        try:
            results = Results.ask(measure, period)
        except MissingValueSet as missing:
            raise CommandError(f"{measure.id} cannot be counted: {missing}") from None
        subjects = options["subjects"]
        record("system:measure_report", "measure.report", measure=measure.id, subjects=subjects)
        if options["csv"]:
            lines = results.csv(subjects)
        else:
            lines = ndjson(results.individuals() if subjects else iter([results.summary()]))
        for text in lines:
            self.stdout.write(text)
