"""Statements whose text never changes, the same on SQLite and PostgreSQL.

PostgreSQL plans each once for a connection, SQLite prepares it once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

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
    on: Any = connections[DEFAULT_DB_ALIAS]  # Django's `connection` looks it up for each attribute anew
    on.validate_no_broken_transaction()
    if _watched(on):
        return [_seen(on, s) for s in statements]
    on.ensure_connection()
    if on.vendor == "sqlite":
        return [_one(on, s) for s in statements]
    raw = on.connection
    with on.wrap_database_errors:
        if len(statements) == 1:
            return [_prepared(raw, statements[0]).fetchall()]
        with raw.pipeline():
            cursors = [_prepared(raw, statement) for statement in statements]
            return [cursor.fetchall() for cursor in cursors]


def _watched(on: Any) -> bool:
    """Whoever counts or intercepts statements must see these too."""
    return bool(on.queries_logged or on.execute_wrappers)


def _one(on: Any, statement: Statement) -> list[Row]:
    if statement.each:
        return _seen(on, statement)
    with on.wrap_database_errors:
        found: list[Row] = on.connection.execute(
            _for_sqlite(statement.sql), _plain(statement.values)
        ).fetchall()
        return found


def _seen(on: Any, statement: Statement) -> list[Row]:
    """Through Django's own cursor."""
    with on.cursor() as cursor:
        if statement.each:
            cursor.executemany(statement.sql, statement.values)
            return [(max(cursor.rowcount, 0),)]
        cursor.execute(statement.sql, _plain(statement.values))
        found: list[Row] = cursor.fetchall()
        return found


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
    return connections[DEFAULT_DB_ALIAS].ops.adapt_datetimefield_value(moment)


def moment(value: datetime | None) -> datetime | None:
    """A moment as this database gives it back in a statement of our own: SQLite's has no zone."""
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value
