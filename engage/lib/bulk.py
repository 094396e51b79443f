"""Many rows at once, the same on SQLite (executemany) and PostgreSQL (COPY, then one merge). Knows tables, not models."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
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


def by_place(table: str, condition: str) -> str:
    """The condition for many rows found by an index, read in the order in which they lie, as PostgreSQL does by itself."""
    if connection.vendor == "postgresql":
        return condition
    return f"id IN (SELECT id FROM {table} WHERE {condition})"  # noqa: S608


def select(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def numbers(sql: str) -> list[int]:
    """The one column of a query without parameters, whole numbers: read as one text, in half the time of a row for each."""
    text = "string_agg(CAST(n AS text), ',')" if connection.vendor == "postgresql" else "group_concat(n)"
    with connection.cursor() as cursor:
        cursor.execute(f"WITH found(n) AS ({sql}) SELECT {text} FROM found")  # noqa: S608
        found: list[int] = orjson.loads(f"[{cursor.fetchone()[0] or ''}]")
    return found


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


MAPPED = 256 * 1024 * 1024  # bytes
AT_ONCE = 100  # rows of a statement: each statement costs SQLite's driver as much as two rows


def append(
    table: str, columns: Sequence[str], rows: Sequence[Row], same: Mapping[str, Any] | None = None
) -> None:
    """Inserts rows that are new; one that is there already fails them all. `same` are columns alike in all rows."""
    same = same or {}
    names, fixed = quoted((*same, *columns)), tuple(same.values())
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row((*fixed, *row))
            return
        whole = len(rows) // AT_ONCE * AT_ONCE
        for step, part in ((AT_ONCE, rows[:whole]), (1, rows[whole:])):
            sql = f'INSERT INTO "{table}" ({names}) {values(len(fixed), len(columns), step)}'
            places = range(0, len(part), step)
            cursor.executemany(sql, [(*fixed, *chain.from_iterable(part[n : n + step])) for n in places])


def values(fixed: int, columns: int, rows: int) -> str:
    """SQL: so many rows of parameters, each after the same ones."""
    row = f"({', '.join(['%s'] * columns)})"
    found = f"VALUES {', '.join([row] * rows)}"
    if not fixed:
        return found
    return f"WITH same AS (SELECT {', '.join(['%s'] * fixed)}), rest AS ({found}) SELECT same.*, rest.* FROM same, rest"  # noqa: S608


@contextmanager
def reading_many() -> Iterator[None]:
    """For a job that reads whole tables: PostgreSQL has room to sort, and no query is worth compiling; SQLite maps less of
    the file into memory, for what is mapped counts as the process's own."""
    if connection.vendor == "postgresql":
        with setting("SET work_mem = '64MB'; SET jit = off", "RESET work_mem; RESET jit"):
            yield
        return
    mapped = [
        f"PRAGMA mmap_size = {size}" for (size,) in select("PRAGMA mmap_size", ())
    ]  # none of one in memory
    with setting(f"PRAGMA mmap_size = {MAPPED}", *mapped):
        yield


@contextmanager
def reading_here_and_there() -> Iterator[None]:
    """For a job that looks up a few of many rows: PostgreSQL's planner takes a page for as near as the next one, as it is in
    memory and on a disk without a head to move. It read every row of the big tables for one patient in a hundred."""
    postgresql = connection.vendor == "postgresql"
    with setting("SET random_page_cost = 1.1", *["RESET random_page_cost"] * postgresql):
        yield


@contextmanager
def setting(begin: str, end: str = "") -> Iterator[None]:
    """Runs the one, and the other at the end; nothing without an end."""
    if not end:
        yield
        return
    run(begin)
    try:
        yield
    finally:
        if not connection.needs_rollback:
            run(end)


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def analyze(table: str) -> None:
    """Has the planner count a table's rows anew."""
    run(f'ANALYZE "{table}"')


def moment(value: Any) -> Any:
    """An aware datetime as the database takes it."""
    return connection.ops.adapt_datetimefield_value(value)


def day(value: Any) -> Any:
    """A date as the database takes it."""
    return connection.ops.adapt_datefield_value(value)


def truth(value: bool) -> Any:
    """A boolean as the database takes it."""
    return bool(value)
