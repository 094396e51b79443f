"""Some patients, copied with their facts: a question about them reads the copies and not the tables of everybody."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from pyroaring import BitMap

from engage.lib import bulk

PATIENTS, PEOPLE, EVENTS = "asked_patient", "asked_person", "asked_event"
COLUMNS = (
    "id", "source_id", "kind", "patient_id", "concept_id", "status", "traits", "start_lo", "start_hi", "end_lo", "end_hi",
    "start_offset", "end_offset", "value", "value2", "unit", "value_concept_id", "encounter",
)  # fmt: skip
OF_PEOPLE = ("id", "birth_date", "birth_precision", "gender", "sex", "deceased", "active", "merged_into_id")
AMONG = f"SELECT patient_id FROM {PATIENTS}"  # noqa: S608


@contextmanager
def copied(patients: BitMap) -> Iterator[None]:
    """The tables PATIENTS (their ids, also of who is gone), PEOPLE and EVENTS of this connection, until the end."""
    with bulk.reading_here_and_there():
        copy_all(patients)
        try:
            yield
        finally:
            drop()


def copy_all(patients: BitMap) -> None:
    with connection.cursor() as cursor:
        drop()
        cursor.execute(f"CREATE TEMP TABLE {PATIENTS} (patient_id bigint PRIMARY KEY)")
        bulk.append(PATIENTS, ("patient_id",), [(pk,) for pk in patients])
        cursor.execute(f"ANALYZE {PATIENTS}")
        for copy, names, table, patient in (
            (PEOPLE, OF_PEOPLE, "patients_patient", "id"),
            (EVENTS, COLUMNS, "records_event", "patient_id"),
        ):
            cursor.execute(
                f"CREATE TEMP TABLE {copy} AS SELECT {bulk.quoted(names)} FROM {table}"  # noqa: S608
                f" WHERE {bulk.by_place(table, f'{patient} IN ({AMONG})')}"
            )
        cursor.execute(f"CREATE UNIQUE INDEX {PEOPLE}_by_id ON {PEOPLE} (id)")
        cursor.execute(f"CREATE INDEX {EVENTS}_by_concept ON {EVENTS} (concept_id, kind, patient_id)")
        for copy in (PEOPLE, EVENTS):
            cursor.execute(f"ANALYZE {copy}")


def drop() -> None:
    with connection.cursor() as cursor:
        for table in (EVENTS, PEOPLE, PATIENTS):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
