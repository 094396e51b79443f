"""load_valuesets [PATH…] — loads FHIR ValueSets; without a path, those shipped with the product."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engage.records import valuesets
from engage.records.models import ValueSet
from engage.records.tally import on_terminal


class Command(BaseCommand):
    help = "Load FHIR ValueSets (expansions, listed codes, Bundles, NDJSON, .gz); without a path, the shipped ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="*", type=Path, metavar="PATH")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["paths"]:
            valuesets.ensure()
            self.stdout.write(f"ValueSet loaded={ValueSet.objects.count()}")
            return
        try:
            loaded = valuesets.load(options["paths"], on_terminal("codes"))
        except FileNotFoundError as error:
            raise CommandError(f"There is no file or folder {error}.") from None
        for problem in loaded.problems:
            self.stderr.write(problem)
        self.stdout.write(
            f"ValueSet created={loaded.created} updated={loaded.updated} unchanged={loaded.unchanged}"
            f" rejected={len(loaded.problems)} codes={loaded.codes}"
        )
        if loaded.problems:
            raise SystemExit(1)
