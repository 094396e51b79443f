"""Value sets: those shipped with the product, and those loaded from files. NOTICE names the owners of the codes."""

import gzip
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import orjson
from django.db import transaction

from engage.fhir import large, reading
from engage.fhir import valuesets as fhir
from engage.fhir.problems import MISSHAPEN, NOT_FHIR, BadResource
from engage.fhir.valuesets import Code, ValueSetRow
from engage.lib import bulk, clock
from engage.records.models import ValueSet, ValueSetCode

SHIPPED = Path(__file__).with_name("shipped.json.gz")
SHIPPED_ORIGIN = "shipped:"
BATCH = 20_000


class Loaded(NamedTuple):
    """What loading did: outcomes by value set, and problems with where they were."""

    created: int
    updated: int
    unchanged: int
    codes: int
    problems: list[str]


@lru_cache(maxsize=1)
def shipped_origin() -> str:
    """Where the shipped sets say they come from: it changes with the file."""
    return SHIPPED_ORIGIN + blake2b(SHIPPED.read_bytes(), digest_size=8).hexdigest()


def shipped() -> list[ValueSetRow]:
    """The value sets of the product's measures."""
    with gzip.open(SHIPPED) as file:
        content = orjson.loads(file.read())
    return [
        ValueSetRow(
            oid,
            one["name"],
            content["version"],
            frozenset((s, c) for s, found in one["codes"].items() for c in found),
        )
        for oid, one in content["valuesets"].items()
    ]


def ensure() -> None:
    """Loads the shipped sets unless they are there; one that was loaded from a file is left as it is."""
    have = dict(ValueSet.objects.values_list("oid", "origin"))
    if not _missing(have):
        return
    rows = [r for r in shipped() if have.get(r.oid, SHIPPED_ORIGIN).startswith(SHIPPED_ORIGIN)]
    with transaction.atomic():
        for row in rows:
            store(row, shipped_origin())


@lru_cache(maxsize=1)
def _shipped_oids() -> frozenset[str]:
    return frozenset(row.oid for row in shipped())


def _missing(have: dict[str, str]) -> bool:
    """Whether a shipped set is absent, or there from an older version of the product."""
    return any(
        oid not in have or (have[oid].startswith(SHIPPED_ORIGIN) and have[oid] != shipped_origin())
        for oid in _shipped_oids()
    )


def load(paths: Iterable[Path], progress: Callable[[int], None] | None = None) -> Loaded:
    """Loads ValueSets and Bundles of them from files. One that makes no sense is a problem; the others go on. So is a second
    version of one set, of which the newer is kept.

    Raises FileNotFoundError with the path that does not exist.
    """
    counts = {"created": 0, "updated": 0, "unchanged": 0}
    problems, codes = [], 0
    versions: dict[str, str] = {}
    for file in reading.find_files(paths):
        for item in large.read(file) if large.is_large(file) else reading.read(file, reading.MAX_BUNDLE):
            where = f"{item.file}:{item.line}"
            if item.resource is None or item.resource["resourceType"] != "ValueSet":
                if not item.passed_over:
                    problems.append(f"{where}: {item.problem or 'This is no ValueSet.'}")
                continue
            try:
                row = fhir.value_set(item.resource)
            except BadResource as error:
                problems.append(f"{where}: {error}")
                continue
            except MISSHAPEN:
                problems.append(f"{where}: {NOT_FHIR}")
                continue
            kept = max(versions.get(row.oid, row.version), row.version, key=_age)
            if row.oid in versions and not _is_stored(row):
                problems.append(f'{where}: {row.oid} came twice; version "{kept}" was kept.')
                if _age(row.version) < _age(kept):
                    continue
            versions[row.oid] = row.version
            counts[store(row, str(file))] += 1
            codes += len(row.codes)
            if progress:
                progress(codes)
    return Loaded(**counts, codes=codes, problems=problems)


def _age(version: str) -> list[int]:
    """What sorts versions: numbers count as such, four digits and more as the start of a date (2026 is after 20250101)."""
    return [int(n.ljust(8, "0") if len(n) > 3 else n) for n in re.findall(r"\d+", version)]


def _is_stored(row: ValueSetRow) -> bool:
    return ValueSet.objects.filter(oid=row.oid, digest=digest_of(row)).exists()


def store(row: ValueSetRow, origin: str) -> str:
    """Writes one value set when its codes, name or version changed; gives the outcome."""
    digest = digest_of(row)
    found = ValueSet.objects.filter(oid=row.oid).first()
    if found and found.digest == digest:
        if found.origin != origin:
            ValueSet.objects.filter(pk=found.pk).update(origin=origin[:200])
        return "unchanged"
    with transaction.atomic():
        stored, created = ValueSet.objects.update_or_create(
            oid=row.oid,
            defaults={
                "name": row.name,
                "version": row.version,
                "origin": origin[:200],
                "digest": digest,
                "loaded_at": clock.machine_now(),
            },
        )
        _replace_codes(stored, row.codes)
    return "created" if created else "updated"


def _replace_codes(stored: ValueSet, codes: frozenset[Code]) -> None:
    ValueSetCode.objects.filter(value_set=stored).delete()
    columns = ("value_set_id", "system", "code")
    ordered = sorted(codes)
    for start in range(0, len(ordered), BATCH):
        rows = [(stored.pk, system, code) for system, code in ordered[start : start + BATCH]]
        bulk.upsert("records_valuesetcode", columns, columns, rows)


def digest_of(row: ValueSetRow) -> str:
    """32 hexadecimal characters over all that is stored."""
    found = blake2b(f"{row.oid}\n{row.name}\n{row.version}\n".encode(), digest_size=16)
    for system, code in sorted(row.codes):
        found.update(f"{system}|{code}\n".encode())
    return found.hexdigest()
