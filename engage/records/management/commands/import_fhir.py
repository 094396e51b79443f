"""import_fhir PATH… — reads FHIR R4 resources into the record."""

import re
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from engage.accounts.models import Clinic
from engage.lib import clock
from engage.records import actions, valuesets
from engage.records.tally import on_terminal


class Command(BaseCommand):
    help = "Import FHIR R4 NDJSON (plain or .gz), Bundles, or folders of them; safe to repeat and to kill."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument(
            "--source", default="ehr", help="name of the record they come from (default: ehr)"
        )
        parser.add_argument(
            "--rejects", type=Path, help="where refused resources go, with line and reason (NDJSON)"
        )
        parser.add_argument("--strict", action="store_true", help="exit 1 when anything was refused")
        parser.add_argument("--clinic", metavar="SLUG", help="attribute every patient to this clinic")

    def handle(self, *args: Any, **options: Any) -> None:
        if not re.fullmatch(r"[\w.:-]{1,60}", options["source"]):
            raise CommandError("--source takes up to 60 letters, digits, dots, colons and hyphens.")
        valuesets.ensure()
        rejects = options["rejects"] or self._default_rejects()
        try:
            summary = actions.import_paths(
                options["paths"],
                source=options["source"],
                rejects=rejects,
                clinic=self._clinic(options["clinic"]),
                progress=on_terminal(),
            )
        except FileNotFoundError as error:
            raise CommandError(f"There is no file or folder {error}.") from None
        except OSError as error:
            raise CommandError(str(error)) from None
        if sys.stderr.isatty():
            self.stderr.write("")
        for line in summary.lines():
            self.stdout.write(line)
        if rejects.exists() and summary.rejects:
            self.stderr.write(f"What was refused, or odd, is in {rejects}.")
        if options["strict"] and summary.rejected:
            raise SystemExit(1)

    def _clinic(self, slug: str | None) -> Clinic | None:
        if not slug:
            return None
        found = Clinic.objects.filter(slug=slug).first()
        if found is None:
            known = ", ".join(Clinic.objects.values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no clinic {slug!r}; there are: {known}.")
        return found

    def _default_rejects(self) -> Path:
        return Path(settings.VAR_DIR) / "rejects" / f"{clock.machine_now():%Y%m%dT%H%M%S%f}.ndjson"
