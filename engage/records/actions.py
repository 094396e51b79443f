"""Importing records, from files or from memory."""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import transaction

from engage.accounts.models import Clinic
from engage.audit import models as audit
from engage.fhir import reading
from engage.fhir.reading import Item
from engage.lib import clock
from engage.records.importing import Importer
from engage.records.models import ImportRun, Source
from engage.records.tally import Summary


def import_paths(
    paths: Iterable[Path],
    *,
    source: str = "ehr",
    rejects: Path | None = None,
    clinic: Clinic | None = None,
    progress: Callable[[int], None] | None = None,
    by: Any = "system:import",
) -> Summary:
    """Imports FHIR files and folders. Raises FileNotFoundError when a path is missing, FileExistsError when
    the rejects would overwrite what is to be read; before anything is read."""
    files = reading.find_files(paths)
    if rejects and rejects.exists():
        if any(rejects.samefile(f) for f in files):
            raise FileExistsError(f"{rejects} is to be read: the rejects need a file of their own.")
        rejects.unlink()  # those of an earlier run would pass for this one's
    return _import(
        (i for f in files for i in reading.read(f)), source, Summary(rejects, progress), clinic, by
    )


def import_resources(
    resources: Iterable[dict[str, Any]],
    *,
    source: str = "ehr",
    clinic: Clinic | None = None,
    by: Any = "system:import",
) -> Summary:
    """Imports resources (or Bundles) that are in memory; the line of a reject is its place, from 1."""
    items = (i for n, r in enumerate(resources, 1) for i in reading.of_value(r, "memory", n))
    return _import(items, source, Summary(), clinic, by)


def _import(items: Iterable[Item], source: str, summary: Summary, clinic: Clinic | None, by: Any) -> Summary:
    origin, _ = Source.objects.get_or_create(name=source)
    run = ImportRun.objects.create(source=origin, rejects_file=str(summary.rejects_file or "")[:250])
    try:
        with _rare_collections():
            importer = Importer(origin, summary, run.pk, clinic)
            importer.feed(items)
            importer.finish()
    except BaseException:
        _end(run, summary, "failed", by)
        raise
    _end(run, summary, "done", by)
    return summary


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Resources are trees, freed by count: looking for cycles among them takes a fifth of the time and finds none."""
    before = gc.get_threshold()
    gc.set_threshold(500_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _end(run: ImportRun, summary: Summary, state: str, by: Any) -> None:
    summary.close()
    run.state, run.finished_at, run.counts = state, clock.machine_now(), summary.as_dict()
    with transaction.atomic():
        run.save(update_fields=["state", "finished_at", "counts"])
        audit.record(by, "records.import", run, state=state, counts=run.counts)
