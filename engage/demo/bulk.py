"""Many rows at once: executemany on SQLite, COPY on PostgreSQL. Rows carry their own ids, so others can name them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from django.db import connection, models

BATCH = 20_000


def batches(rows: Iterable[Sequence[Any]], count: int = BATCH) -> Iterator[list[Sequence[Any]]]:
    stream = iter(rows)
    while batch := list(islice(stream, count)):
        yield batch


def columns_of(model: type[models.Model], fields: Sequence[str]) -> list[str]:
    return [str(model._meta.get_field(name).column) for name in fields]  # type: ignore[union-attr]


def insert(model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Writes rows (tuples in the order of `fields`, values as the database takes them); gives their number."""
    meta = model._meta
    prepare = [meta.get_field(name).get_db_prep_save for name in fields]  # type: ignore[union-attr]
    total = 0
    for batch in batches(rows):
        ready = [tuple(p(v, connection) for p, v in zip(prepare, row, strict=True)) for row in batch]
        _write(meta.db_table, columns_of(model, fields), ready)
        total += len(ready)
    return total


def insert_plain(model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """As `insert`, for numbers and text only: no conversion, several times faster."""
    total = 0
    for batch in batches(rows):
        _write(model._meta.db_table, columns_of(model, fields), batch)
        total += len(batch)
    return total


def _write(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    quoted = ", ".join(f'"{c}"' for c in columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f'COPY "{table}" ({quoted}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join(["%s"] * len(columns))
        cursor.executemany(f'INSERT INTO "{table}" ({quoted}) VALUES ({marks})', rows)  # noqa: S608


def next_id(model: type[models.Model]) -> int:
    """The first id that is free after all rows."""
    return int(model._default_manager.aggregate(top=models.Max("pk"))["top"] or 0) + 1


def settle_sequences(*tables: type[models.Model]) -> None:
    """After rows with ids of their own, PostgreSQL must count on from the last."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        for model in tables:
            table = model._meta.db_table
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), (SELECT MAX(id) FROM \"{table}\"))"  # noqa: S608
            )
