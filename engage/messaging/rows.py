"""The statements of the hot path: many rows at once, each with values of its own, the same on SQLite and PostgreSQL.

The ORM would write them too, but compiling a query anew for each micro-batch costs more than running it. Here the text
of a statement is always the same, so PostgreSQL plans it once for a connection and SQLite prepares it once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from django.db import connection, models

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """Text that never changes, and its values; `each`: run once for each row of values, which gives no rows back."""

    sql: str
    values: Sequence[Any]
    each: bool = False


def ask(sql: str, values: Sequence[Any]) -> list[Row]:
    """The rows of one statement. `%s` stands for a value, as everywhere in Django."""
    return ask_all([Statement(sql, values)])[0]


def ask_all(statements: Sequence[Statement]) -> list[list[Row]]:
    """The rows of each, in their order. PostgreSQL is sent all at once and waited for once."""
    if connection.queries_logged or connection.vendor == "sqlite":  # whoever counts queries must see them
        return [_one(s) for s in statements]
    connection.ensure_connection()
    raw: Any = connection.connection
    with connection.wrap_database_errors:
        if len(statements) == 1:
            return [_prepared(raw, statements[0]).fetchall()]
        with raw.pipeline():
            cursors = [_prepared(raw, statement) for statement in statements]
            return [cursor.fetchall() for cursor in cursors]


def _one(statement: Statement) -> list[Row]:
    if statement.each:
        with connection.cursor() as cursor:
            cursor.executemany(statement.sql, statement.values)
            return [(max(cursor.rowcount, 0),)]
    if connection.queries_logged:
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, statement.values)
            return cursor.fetchall()
    connection.ensure_connection()
    raw: Any = connection.connection
    with connection.wrap_database_errors:
        return raw.execute(_for_sqlite(statement.sql), _plain(statement.values)).fetchall()


def _prepared(raw: Any, statement: Statement) -> Any:
    return _prepared_cursor()(raw).execute(statement.sql, statement.values, prepare=True)


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
) -> Statement:
    """Changes rows by their primary keys: `same` for all, `own` names the columns that differ.

    Each of `rows` is (primary key, *own values); json comes as text. `where` is a condition in SQL on `t`. Answers with
    the number of rows changed.
    """
    table, tail = model._meta.db_table, f" AND {where}" if where else ""
    fixed = [_value(model, name, value) for name, value in same.items()]
    if connection.vendor == "sqlite":
        # Fifty rows by their keys are changed faster one after the other than joined to a list.
        sets = ", ".join(f"{name} = %s" for name in (*same, *own))
        sql = f"UPDATE {table} AS t SET {sets} WHERE t.id = %s{tail}"  # noqa: S608
        return Statement(sql, [(*fixed, *row[1:], row[0]) for row in rows], each=True)
    sets = ", ".join([f"{n} = %s::{_type(model, n)}" for n in same] + [f"{n} = v.{n}" for n in own])
    names = ("id", *own)
    arrays = ", ".join(f"%s::{_type(model, n)}[]" for n in names)
    sql = (
        f"WITH changed AS (UPDATE {table} AS t SET {sets} FROM unnest({arrays}) AS v({', '.join(names)})"  # noqa: S608
        f" WHERE t.id = v.id{tail} RETURNING 1) SELECT count(*) FROM changed"
    )
    return Statement(sql, [*fixed, *(list(column) for column in zip(*rows, strict=True))])


def insert_rows(
    model: type[models.Model], same: Mapping[str, Any], own: Sequence[str], rows: Sequence[Row]
) -> Statement:
    """New rows; what is not named takes the model's default. Answers with (the first of `own`, primary key) of each."""
    same = {**_defaults(model, {*same, *own}), **same}
    fixed = [_value(model, name, value) for name, value in same.items()]
    into = f"INSERT INTO {model._meta.db_table} ({', '.join((*own, *same))})"
    back = f"RETURNING {own[0]}, id"
    if connection.vendor == "sqlite":
        marks = f"({', '.join(['%s'] * (len(own) + len(same)))})"
        sql = f"{into} VALUES {', '.join([marks] * len(rows))} {back}"
        return Statement(sql, [value for row in rows for value in (*row, *fixed)])
    arrays = ", ".join(f"%s::{_type(model, n)}[]" for n in own)
    values = ", ".join([f"v.{n}" for n in own] + [f"%s::{_type(model, n)}" for n in same])
    sql = f"{into} SELECT {values} FROM unnest({arrays}) AS v({', '.join(own)}) {back}"  # noqa: S608
    return Statement(sql, [*fixed, *(list(column) for column in zip(*rows, strict=True))])


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
