"""MeasureReports or gaps in care of some measures on stdout, strict to the published logic."""

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engage.audit.models import record
from engage.caregaps.algebra import Question
from engage.caregaps.gaps_in_care import GapsInCare
from engage.caregaps.measures import MEASURES
from engage.caregaps.period import Period
from engage.caregaps.reports import Results, ndjson
from engage.caregaps.vocabulary import MissingValueSet
from engage.records import valuesets

# What a conformance run may set; every one is off, so that a report is strict to the published logic.
SWITCHES = {
    "by-reference": "by_reference",
    "negation-by-profile": "negation_by_profile",
    "gender-for-sex": "gender_for_sex",
}


class Command(BaseCommand):
    help = (
        "Writes FHIR R4 as NDJSON: one summary MeasureReport, with --subjects one for each patient, with --gaps a"
        " gaps-in-care Bundle (Da Vinci DEQM) for each patient; or a table for people with --csv."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--measure", required=True, action="append", metavar="ID", help="such as CMS130; may be repeated"
        )
        parser.add_argument("--period-start", required=True, metavar="DATE", help="such as 2026-01-01")
        parser.add_argument("--period-end", required=True, metavar="DATE", help="the last day, included")
        parser.add_argument("--subjects", action="store_true", help="one report for each patient")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--csv", action="store_true", help="a table for people instead of FHIR")
        kind.add_argument("--gaps", action="store_true", help="a gaps-in-care Bundle for each patient")
        parser.add_argument(
            "--gaps-through",
            metavar="DATE",
            help="with --gaps: a gap closed now that will be due again in the year of this day is prospective",
        )
        parser.add_argument(
            "--switch",
            action="append",
            choices=SWITCHES,
            default=[],
            help="one departure from the strict reading (docs/measures.md); may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        measures = list(dict.fromkeys(options["measure"]))
        if unknown := [name for name in measures if name not in MEASURES]:
            raise CommandError(f"There is no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}.")
        period = period_of(options["period_start"], options["period_end"])
        through = day(options["gaps_through"], "--gaps-through") if options["gaps_through"] else None
        if through and not options["gaps"]:
            raise CommandError("--gaps-through goes with --gaps.")
        if through and through <= period.end:
            raise CommandError(f"--gaps-through must lie after the period's end, {period.end}.")
        valuesets.ensure()
        switches = sorted(set(options["switch"]))
        results = [ask(name, period, switches) for name in measures]
        what = "gaps" if options["gaps"] else "subjects" if options["subjects"] else "summary"
        for name in measures:
            record("system:measure_report", "measure.report", measure=name, what=what, switches=switches)
        if options["gaps"]:
            lines = ndjson(GapsInCare(results, through).bundles())
        else:
            lines = reports(results, subjects=options["subjects"], csv=options["csv"])
        for text in lines:
            self.stdout.write(text)


def day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{option} is a day such as 2026-12-31, not “{text}”.") from None


def period_of(start: str, end: str) -> Period:
    """CommandError with a sentence for what is no period."""
    period = Period(day(start, "--period-start"), day(end, "--period-end"))
    if period.end < period.start:
        raise CommandError(f"The period ends before it starts: {period.start} to {period.end}.")
    if not 1920 <= period.start.year <= period.end.year <= 2200:
        raise CommandError(f"The period {period.start} to {period.end} lies outside the years 1920 to 2200.")
    return period


def ask(name: str, period: Period, switches: list[str]) -> Results:
    question = Question(period)
    for switch in switches:
        setattr(question, SWITCHES[switch], True)
    try:
        return Results.ask(MEASURES[name], period, question)
    except MissingValueSet as missing:
        raise CommandError(f"{name} cannot be counted: {missing}") from None


def reports(results: list[Results], *, subjects: bool, csv: bool) -> Iterator[str]:
    """A header stands once on top of a table, whatever the number of measures."""
    for place, one in enumerate(results):
        if csv:
            lines = one.csv(subjects)
            yield from lines if place == 0 else list(lines)[1:]
        else:
            yield from ndjson(one.individuals() if subjects else iter([one.summary()]))
