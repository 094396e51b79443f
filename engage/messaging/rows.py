"""The statements of the hot path: many rows at once, each with values of its own, the same on SQLite and PostgreSQL.

The ORM would write them too, but compiling a query anew for each micro-batch costs more than running it. Here the text
of a statement is always the same, so PostgreSQL plans it once for a connection and SQLite prepares it once.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from django.db import connection, models

Row = tuple[Any, ...]


def ask(sql: str, parameters: Sequence[Any]) -> list[Row]:
    """The rows of a statement whose text never changes. `%s` stands for a value, as everywhere in Django."""
    if connection.queries_logged:  # whoever counts queries must see this one
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()
    connection.ensure_connection()
    raw: Any = connection.connection
    with connection.wrap_database_errors:
        if connection.vendor == "sqlite":
            return raw.execute(_for_sqlite(sql), _plain(parameters)).fetchall()
        with _prepared_cursor()(raw) as cursor:
            return cursor.execute(sql, parameters, prepare=True).fetchall()


@cache
def _prepared_cursor() -> Any:
    """Django's own cursor puts values into the text, and PostgreSQL plans each text anew."""
    import psycopg

    return psycopg.Cursor


@cache
def _for_sqlite(sql: str) -> str:
    return sql.replace("%s", "?").replace("%%", "%")


def _plain(parameters: Iterable[Any]) -> list[Any]:
    return [stored(p) if isinstance(p, datetime) else p for p in parameters]


def stored(moment: datetime) -> Any:
    """A moment as this database keeps it."""
    return connection.ops.adapt_datetimefield_value(moment)


def moment(value: datetime | None) -> datetime | None:
    """A moment as this database gives it back in a statement of our own: SQLite's has no zone."""
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def among(kind: str = "bigint") -> str:
    """`column {among()} …` with one parameter, `several(values)`."""
    if connection.vendor == "postgresql":
        return f"= ANY(%s::{kind}[])"
    return "IN (SELECT value FROM json_each(%s))"


def several(values: Iterable[Any]) -> Any:
    found = list(values)
    return found if connection.vendor == "postgresql" else orjson.dumps(found).decode()


def update_rows(
    model: type[models.Model],
    same: Mapping[str, Any],
    own: Sequence[str],
    rows: Sequence[Row],
    where: str = "",
) -> int:
    """Changes rows by their primary keys: `same` for all, `own` names the columns that differ.

    Each of `rows` is (primary key, *own values); json comes as text. `where` is a condition in SQL on `t`. Gives the
    number of rows changed.
    """
    if not rows:
        return 0
    table, tail = model._meta.db_table, f" AND {where}" if where else ""
    fixed = [_value(model, name, value) for name, value in same.items()]
    if connection.vendor == "sqlite":
        sets = ", ".join(f"{name} = %s" for name in (*same, *own))
        sql = f"UPDATE {table} AS t SET {sets} WHERE t.id = %s{tail}"  # noqa: S608
        return _each(sql, [(*fixed, *row[1:], row[0]) for row in rows])
    sets = ", ".join([f"{n} = %s::{_type(model, n)}" for n in same] + [f"{n} = v.{n}" for n in own])
    names = ("id", *own)
    arrays = ", ".join(f"%s::{_type(model, n)}[]" for n in names)
    sql = (
        f"WITH changed AS (UPDATE {table} AS t SET {sets} FROM unnest({arrays}) AS v({', '.join(names)})"  # noqa: S608
        f" WHERE t.id = v.id{tail} RETURNING 1) SELECT count(*) FROM changed"
    )
    return int(ask(sql, [*fixed, *(list(column) for column in zip(*rows, strict=True))])[0][0])


def insert_rows(
    model: type[models.Model], same: Mapping[str, Any], own: Sequence[str], rows: Sequence[Row]
) -> list[int]:
    """New rows, their primary keys in the order given; what is not named takes the model's default.

    The first of `own` must tell the rows apart.
    """
    same = {**_defaults(model, {*same, *own}), **same}
    fixed = [_value(model, name, value) for name, value in same.items()]
    into = f"INSERT INTO {model._meta.db_table} ({', '.join((*own, *same))})"
    back = f"RETURNING {own[0]}, id"
    if connection.vendor == "sqlite":
        marks = f"({', '.join(['%s'] * (len(own) + len(same)))})"
        sql = f"{into} VALUES {', '.join([marks] * len(rows))} {back}"
        made = ask(sql, [value for row in rows for value in (*row, *fixed)])
    else:
        arrays = ", ".join(f"%s::{_type(model, n)}[]" for n in own)
        values = ", ".join([f"v.{n}" for n in own] + [f"%s::{_type(model, n)}" for n in same])
        sql = f"{into} SELECT {values} FROM unnest({arrays}) AS v({', '.join(own)}) {back}"  # noqa: S608
        made = ask(sql, [*fixed, *(list(column) for column in zip(*rows, strict=True))])
    ids: dict[Any, int] = dict(made)
    return [ids[row[0]] for row in rows]


def _each(sql: str, rows: Sequence[Row]) -> int:
    """SQLite changes fifty rows by their keys faster one after the other than joined to a list."""
    with connection.cursor() as cursor:
        cursor.executemany(sql, rows)
        return max(cursor.rowcount, 0)


def _defaults(model: type[models.Model], given: set[str]) -> dict[str, Any]:
    fields = (f for f in model._meta.concrete_fields if not f.primary_key and f.column not in given)
    return {str(f.column): f.get_default() for f in fields}


@cache
def _type(model: type[models.Model], column: str) -> str:
    return str(_field(model, column).db_type(connection))


@cache
def _field(model: type[models.Model], column: str) -> Any:
    if column == "id":
        return models.BigIntegerField()
    return next(f for f in model._meta.concrete_fields if f.column == column)


def _value(model: type[models.Model], column: str, value: Any) -> Any:
    """A value as this database stores it."""
    return _field(model, column).get_db_prep_save(value, connection)
