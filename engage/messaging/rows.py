"""The statements of the hot path: many rows at once, each with values of its own, the same on SQLite and PostgreSQL.

The ORM would write them too, but compiling a query anew for each micro-batch costs more than running it.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from django.db import connection, models

from engage.lib.statements import Row, Statement, ask, ask_all, moment, stored

__all__ = [
    "Row",
    "Statement",
    "among",
    "ask",
    "ask_all",
    "insert_rows",
    "moment",
    "several",
    "stored",
    "update_rows",
]


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
    sets = ", ".join(
        [f"{n} = %s::{_type(model, n)}" for n in same] + [f"{n} = v.{n}::{_type(model, n)}" for n in own]
    )
    sql = (
        f"WITH changed AS (UPDATE {table} AS t SET {sets} FROM {_given(model, ('id', *own))}"  # noqa: S608
        f" WHERE t.id = v.id{tail} RETURNING 1) SELECT count(*) FROM changed"
    )
    return Statement(sql, [*fixed, _packed(("id", *own), rows)])


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
    values = ", ".join([f"v.{n}" for n in own] + [f"%s::{_type(model, n)}" for n in same])
    sql = f"{into} SELECT {values} FROM {_given(model, own)} {back}"  # noqa: S608
    return Statement(sql, [*fixed, _packed(own, rows)])


def _given(model: type[models.Model], names: Sequence[str]) -> str:
    """Rows of values as a table, from one parameter: a list for each column would be written by Python, value by value."""
    columns = ", ".join(f"{n} {_type(model, n).replace('jsonb', 'text')}" for n in names)
    return f"json_to_recordset(%s::json) AS v({columns})"


def _packed(names: Sequence[str], rows: Sequence[Row]) -> str:
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in rows]).decode()


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
