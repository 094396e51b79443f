"""Some patients, and a copy of their facts: a question about them reads the copy and not the facts of everybody."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from pyroaring import BitMap

from engage.lib import bulk

PATIENTS, EVENTS = "asked_patient", "asked_event"
COLUMNS = (
    "id", "source_id", "kind", "patient_id", "concept_id", "status", "traits", "start_lo", "start_hi", "end_lo", "end_hi",
    "start_offset", "end_offset", "value", "value2", "unit", "value_concept_id", "encounter",
)  # fmt: skip
AMONG = f"SELECT patient_id FROM {PATIENTS}"  # noqa: S608


@contextmanager
def copied(patients: BitMap) -> Iterator[None]:
    """The tables PATIENTS and EVENTS of this connection, until the end."""
    with connection.cursor() as cursor:
        drop()
        cursor.execute(f"CREATE TEMP TABLE {PATIENTS} (patient_id bigint PRIMARY KEY)")
        bulk.append(PATIENTS, ("patient_id",), [(pk,) for pk in patients])
        cursor.execute(f"ANALYZE {PATIENTS}")
        names = bulk.quoted(COLUMNS)
        cursor.execute(
            f"CREATE TEMP TABLE {EVENTS} AS SELECT {names} FROM records_event WHERE patient_id IN ({AMONG})"  # noqa: S608
        )
        cursor.execute(f"CREATE INDEX {EVENTS}_by_concept ON {EVENTS} (concept_id, kind, patient_id)")
        cursor.execute(f"CREATE INDEX {EVENTS}_by_patient ON {EVENTS} (patient_id)")
        cursor.execute(f"ANALYZE {EVENTS}")
    try:
        yield
    finally:
        drop()


def drop() -> None:
    with connection.cursor() as cursor:
        for table in (EVENTS, PATIENTS):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
