"""Which rows wait for their claim, read with all that the gate needs and no more.

Reading whole rows of seven tables through the ORM cost more than judging them; the objects made here are the same
models, with only these fields, and what many rows share (a clinic, a template) is made once.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models.base import ModelState

from engage.lib import clock
from engage.messaging.models import Lane, Message
from engage.messaging.rows import Statement, among, ask, ask_all, several, stored
from engage.messaging.stops import Stops

# What the gate reads; a field it asks for that is not here costs a query for each row.
READ = (
    *(
        "channel",
        "lane",
        "address",
        "body",
        "key",
        "about",
        "safety",
        "state",
        "withdrawn",
        "not_before",
        "expires_at",
    ),
    *(
        "attempts_made",
        "segments",
        "author_id",
        "stream_id",
        "clinic_id",
        "patient_id",
        "contact_point_id",
        "template_id",
        "reply_to_id",
    ),
    *(
        f"patient__{f}"
        for f in ("deceased", "active", "merged_into_id", "confidential", "state", "time_zone")
    ),
    *(f"contact_point__{f}" for f in ("patient_id", "value", "valid", "state", "state_reason")),
    *(f"contact_point__{f}" for f in ("sms_consent", "voice_consent", "email_consent")),
    *(
        "stream__state",
        "clinic__state",
        "clinic__time_zone",
        "clinic__sunday_sending",
        "clinic__sending_hours",
        "clinic__sending_paused",
    ),
    *("clinic__on_call_number", "clinic__backup_number"),
    *("template__purpose", "template__approved_at", "template__key"),
    *("template__language", "template__version", "reply_to__address", "reply_to__created_at"),
)


def due(lanes: Sequence[Lane], stops: Stops, limit: int) -> list[Message]:
    """Rows that may be claimed now, urgent ones first; locked against other senders where the database can."""
    ids: list[int] = []
    for rows in ask_all([_due_in(lane, stops, limit) for lane in lanes]):
        ids += [row[0] for row in rows]
    return picked(ids[:limit], alone=True) if ids else []


def _due_in(lane: Lane, stops: Stops, limit: int) -> Statement:
    """One seek in the index of waiting rows."""
    skip, excluded = _paused(lane, stops)
    locking = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    machine = stored(clock.machine_now())
    sql = (
        "SELECT id FROM messaging_message WHERE lane = %s AND state IN ('queued', 'held') AND not_before <= %s"  # noqa: S608
        " AND (undo_until IS NULL OR undo_until <= %s) AND (retry_at IS NULL OR retry_at <= %s)"
        f"{skip} ORDER BY not_before, id LIMIT %s {locking}"
    )
    return Statement(sql, [int(lane), stored(clock.now()), machine, machine, *excluded, limit])


def _paused(lane: Lane, stops: Stops) -> tuple[str, list[Any]]:
    """What waits for a person or for its turn: rows of paused streams and of those at their rate, and a stopped clinic's
    automatic ones. Cancelled ones are let through, for the gate to end them."""
    sql, excluded = "", []
    if held := stops.paused_streams | stops.full_streams:
        sql += f" AND (stream_id IS NULL OR NOT stream_id {among()})"
        excluded.append(_ordered(held))
    if stops.paused_clinics and lane != Lane.URGENT:
        sql += f" AND (clinic_id IS NULL OR NOT clinic_id {among()} OR author_id IS NOT NULL OR safety)"
        excluded.append(_ordered(stops.paused_clinics))
    return sql, excluded


def _ordered(values: Collection[int]) -> Any:
    return several(sorted(values))


# Two senders must not claim two messages of one patient at once, or neither sees that the other uses up the day. On SQLite a
# claim is alone anyway.
ALONE = (
    "CASE WHEN messaging_message.lane = 2 AND messaging_message.patient_id IS NOT NULL"
    " THEN pg_try_advisory_xact_lock(72, (messaging_message.patient_id %% 2147483647)::int) ELSE TRUE END"
)


Converters = dict[
    int, tuple[list[Any], Any]
]  # column → how the database's value becomes Python's, as the ORM has it


class Part:
    """The columns of a row that make one object. They are converted when it is made, once for what many rows share."""

    def __init__(self, model: Any, names: Sequence[str], at: int, converters: Converters) -> None:
        self.model, self.names, self.columns = model, names, slice(at, at + len(names))
        found = ((name, converters.get(at + n)) for n, name in enumerate(names))
        self.converters = [(name, *converter) for name, converter in found if converter]

    def made(self, row: Sequence[Any], **more: Any) -> Any:
        """An object of a row that exists, as the ORM would make it with `only(…)`, without its ceremony."""
        fields = dict(zip(self.names, row[self.columns], strict=True), **more)
        for name, functions, expression in self.converters:
            for convert in functions:
                fields[name] = convert(fields[name], expression, connection)
        found = self.model.__new__(self.model)
        found.__dict__ = fields
        found._state = state = ModelState()
        state.adding, state.db = False, DEFAULT_DB_ALIAS
        return found


class Shape:
    """How a row of the statement becomes a message with its relations. `alone`: leaves out whose patient another claim
    has in hand."""

    def __init__(self, *, alone: bool) -> None:
        names = ("id", *READ)
        compiler = Message.objects.order_by().values_list(*names).query.get_compiler(connection=connection)
        self.sql = compiler.as_sql()[0] + f' WHERE "messaging_message"."id" {among()}'
        self.alone = alone and connection.vendor == "postgresql"
        if self.alone:
            self.sql = self.sql.replace(" FROM ", f", {ALONE} FROM ", 1)
        converters = compiler.get_converters([column for column, _, _ in compiler.select])
        own = [name for name in names if "__" not in name]
        self.own = Part(Message, own, 0, converters)
        self.related = [(name, *_relation(name, names, converters)) for name in _relations()]

    def read(self, ids: Sequence[int]) -> list[Message]:
        rows: Any = ask(self.sql, [several(ids)])
        if self.alone:
            rows = [row for row in rows if row[-1]]
        shared: dict[tuple[str, int], models.Model] = {}
        return [self._message(row, shared) for row in rows]

    def _message(self, row: Sequence[Any], shared: dict[tuple[str, int], models.Model]) -> Message:
        message: Message = self.own.made(row)
        cache = message._state.fields_cache
        for name, key_at, part in self.related:
            key = row[key_at]
            found = shared.get((name, key))
            if found is None and key is not None:
                found = shared[name, key] = part.made(row, id=key)
            cache[name] = found
        return message


def _relations() -> list[str]:
    return list(dict.fromkeys(name.partition("__")[0] for name in READ if "__" in name))


def _relation(name: str, names: Sequence[str], converters: Converters) -> tuple[int, Part]:
    """Where its key is, and its part of a row."""
    fields = [n.partition("__")[2] for n in names if n.startswith(f"{name}__")]
    model = Message._meta.get_field(name).related_model
    return names.index(f"{name}_id"), Part(model, fields, names.index(f"{name}__{fields[0]}"), converters)


@cache
def _shape(vendor: str, *, alone: bool) -> Shape:
    return Shape(alone=alone)


def picked(ids: Sequence[int], *, alone: bool = False) -> list[Message]:
    """Rows in the order of the ids given."""
    rows = {m.id: m for m in _shape(connection.vendor, alone=alone).read(ids)}
    return [rows[pk] for pk in ids if pk in rows]
