"""Many rows in one statement, each with values of its own: the same on SQLite (3.33+) and PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, models

CASTS = {"json": "jsonb", "text": "text", "int": "integer", "time": "timestamptz"}


def update_rows(
    model: type[models.Model],
    same: Mapping[str, Any],
    own: Mapping[str, str],
    rows: Sequence[tuple[Any, ...]],
    where: str = "",
) -> int:
    """UPDATE … FROM VALUES: `same` for every row, `own` names columns and their kinds (json, text, int, time).

    Each of `rows` is (primary key, *own values); json comes as text. `where` is a condition in SQL on `t`. Gives the
    number of rows changed.
    """
    if not rows:
        return 0
    table, columns = model._meta.db_table, list(own)
    values = ", ".join(f"({', '.join(['%s'] * (len(columns) + 1))})" for _ in rows)
    names = ", ".join(["id", *columns])
    sets = [f"{name} = %s" for name in same] + [f"{c} = {_cast(f'v.{c}', own[c])}" for c in columns]
    sql = (
        f"WITH v({names}) AS (VALUES {values}) UPDATE {table} AS t SET {', '.join(sets)} "  # noqa: S608
        f"FROM v WHERE t.id = {_cast('v.id', 'int8')}" + (f" AND {where}" if where else "")
    )
    parameters = [value for row in rows for value in row] + [_stored(model, k, v) for k, v in same.items()]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return max(cursor.rowcount, 0)


def _cast(expression: str, kind: str) -> str:
    if connection.vendor != "postgresql":
        return expression
    return f"CAST({expression} AS {CASTS.get(kind, 'bigint')})"


def _stored(model: type[models.Model], name: str, value: Any) -> Any:
    """A value as this database stores it."""
    field = model._meta.get_field(name)
    return field.get_db_prep_save(value, connection)  # type: ignore[union-attr]
