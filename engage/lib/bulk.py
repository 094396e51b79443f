"""Many rows at once, the same on SQLite (executemany) and PostgreSQL (COPY, then one merge). Knows tables, not models."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from django.db import connection

Row = Sequence[Any]


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def among(column: str) -> str:
    """The condition that a text column is one of a list; its parameter comes from `listed`."""
    if connection.vendor == "postgresql":
        return f"{column} = ANY(%s)"
    return f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608


def listed(values: Iterable[Any]) -> Any:
    """A list as the one parameter that `among` takes, however long."""
    found = list(values)
    return found if connection.vendor == "postgresql" else orjson.dumps(found).decode()


def select(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def write_many(sql: str, rows: Sequence[Row]) -> None:
    """One statement for each row."""
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(sql, rows)


def upsert(
    table: str, columns: Sequence[str], key: Sequence[str], rows: Sequence[Row], keep: Iterable[str] = ()
) -> None:
    """Inserts rows, or updates those with the same key; `keep` names columns that an update leaves alone.

    No two rows may have the same key. Values are as the database takes them.
    """
    if not rows:
        return
    kept = {*key, *keep}
    changes = ", ".join(f'"{c}" = excluded."{c}"' for c in columns if c not in kept)
    tail = f"ON CONFLICT ({quoted(key)}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING")
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(
                f'INSERT INTO "{table}" ({quoted(columns)}) VALUES ({marks}) {tail}',  # noqa: S608
                rows,
            )
            return
        names, merge = quoted(columns), f"merge_{table}"
        cursor.execute(
            f'CREATE TEMP TABLE IF NOT EXISTS "{merge}" ON COMMIT DELETE ROWS AS'  # noqa: S608
            f' SELECT {names} FROM "{table}" WITH NO DATA'
        )
        cursor.execute(f'DELETE FROM "{merge}"')  # noqa: S608
        with cursor.copy(f'COPY "{merge}" ({names}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(f'INSERT INTO "{table}" ({names}) SELECT {names} FROM "{merge}" {tail}')  # noqa: S608


def append(table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Inserts rows that are new; one that is there already fails them all."""
    names = quoted(columns)
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)  # noqa: S608
            return
        with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)


def moment(value: Any) -> Any:
    """An aware datetime as the database takes it."""
    return connection.ops.adapt_datetimefield_value(value)


def day(value: Any) -> Any:
    """A date as the database takes it."""
    return connection.ops.adapt_datefield_value(value)


def truth(value: bool) -> Any:
    """A boolean as the database takes it."""
    return bool(value)
