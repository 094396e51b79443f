# ruff: noqa: S608 - names are constants of this file
"""Whose record has changed: a row for each patient, written by triggers in the transaction of the change itself.

So whatever changes a fact, a patient or a way to reach one is seen: an import, a page, a repair by hand; and a change that
was rolled back leaves nothing (docs/decisions/0009). A run draws a line, looks at those above it, and forgets them
at its end. The first run makes the triggers: nobody is noted before its line, and a first import costs nothing.

Whose clinic, clinician or language has changed is noted with the id below zero: no answer about them has, but with whom
they are counted.
"""

from collections.abc import Iterable

from django.db import connection, transaction
from pyroaring import BitMap

from engage.lib import bulk
from engage.records.models import Change

TABLE = "records_change"
ABOVE = f"FROM {TABLE} WHERE id < %s"


def draw_line() -> int:
    """Everything committed until now is above the line, whatever commits later is below; gives the line's id.

    PostgreSQL: the lock waits for whoever has changed something and not committed yet, whose ids are lower already.
    SQLite: there is one writer at a time.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        return Change.objects.create(patient_id=None).pk


def is_drawn(line: int | None) -> bool:
    """Whether that line is still there: changes have been noted without a gap since."""
    return line is not None and Change.objects.filter(pk=line, patient_id=None).exists()


def above(line: int) -> BitMap:
    """The patients changed before that line."""
    rows = bulk.select(f"SELECT DISTINCT patient_id {ABOVE} AND patient_id > 0", [line])
    return BitMap(pk for (pk,) in rows)


def counted_elsewhere(line: int) -> BitMap:
    """Those who came to another clinic, clinician or language before it."""
    rows = bulk.select(f"SELECT DISTINCT -patient_id {ABOVE} AND patient_id < 0", [line])
    return BitMap(pk for (pk,) in rows)


def forget(line: int) -> None:
    """They have been looked at."""
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE {ABOVE}", [line])


def note(patients: Iterable[int]) -> None:
    """For what no trigger sees. Call it in the transaction of the change."""
    if Change.objects.exists():
        bulk.append(TABLE, ("patient_id",), [(pk,) for pk in patients])


def note_all_with(concept: int) -> None:
    """A concept means something else now: whoever has it has changed."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (patient_id) SELECT DISTINCT patient_id FROM records_event WHERE concept_id = %s"
            f" AND EXISTS (SELECT 1 FROM {TABLE})",
            [concept],
        )


# --- The triggers -------------------------------------------------------------------------------------------------
WATCHED = (
    "birth_date",
    "birth_precision",
    "gender",
    "sex",
    "deceased",
    "active",
    "merged_into_id",
    "do_not_call",
)
COUNTED_BY = ("clinic_id", "pcp_id", "language")
OWNED = ("records_event", "patients_contactpoint")
PERSON = "patients_patient"


def watch() -> bool:
    """Makes the triggers that are missing; False if any was. All are before the first run, and a migration on SQLite that
    makes a table anew loses them."""
    wanted = triggers()
    missing = {name: sql for name, sql in wanted.items() if name not in there()}
    with connection.cursor() as cursor:
        if missing and connection.vendor == "postgresql":
            cursor.execute(FUNCTIONS)
        for sql in missing.values():
            cursor.execute(sql)
    return not missing


def there() -> set[str]:
    """The names of the triggers in this database."""
    sql = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if connection.vendor == "postgresql":
        sql = "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D' AND NOT tgisinternal"
    return {name for (name,) in bulk.select(sql, [])}


def triggers() -> dict[str, str]:
    return dict(postgresql_triggers() if connection.vendor == "postgresql" else sqlite_triggers())


def sqlite_triggers() -> Iterable[tuple[str, str]]:
    """One row for each changed row, unless the last one is of the same patient."""

    def trigger(table: str, event: str, patient: str, when: str = "1") -> tuple[str, str]:
        name = f"note_{table}_{event.split()[0].lower()}_{patient.partition('.')[0].replace('-', 'moved_').lower()}"
        last = f"(SELECT patient_id FROM {TABLE} ORDER BY id DESC LIMIT 1)"
        return name, (
            f"CREATE TRIGGER {name} AFTER {event} ON {table} WHEN ({when}) AND EXISTS (SELECT 1 FROM {TABLE})"
            f" AND {last} IS NOT {patient} BEGIN INSERT INTO {TABLE} (patient_id) VALUES ({patient}); END"
        )

    for table in OWNED:
        yield trigger(table, "INSERT", "NEW.patient_id")
        yield trigger(table, "DELETE", "OLD.patient_id")
        yield trigger(table, "UPDATE", "NEW.patient_id")
        yield trigger(table, "UPDATE", "OLD.patient_id", "OLD.patient_id <> NEW.patient_id")
    yield trigger(PERSON, "INSERT", "NEW.id")
    yield trigger(PERSON, "DELETE", "OLD.id")
    for columns, patient in ((WATCHED, "NEW.id"), (COUNTED_BY, "-NEW.id")):
        changed = " OR ".join(f"OLD.{c} IS NOT NEW.{c}" for c in columns)
        yield trigger(PERSON, f"UPDATE OF {', '.join(columns)}", patient, changed)


def postgresql_triggers() -> Iterable[tuple[str, str]]:
    """One row for each patient of a statement."""

    def trigger(table: str, event: str, tables: str, function: str) -> tuple[str, str]:
        moved = "_moved" if function == "records_note_moved_person" else ""
        name = f"note_{table}_{event.lower()}{moved}"
        return name, (
            f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {tables}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )

    for table in OWNED:
        yield trigger(table, "INSERT", "NEW TABLE AS changed", "records_note_owner")
        yield trigger(table, "DELETE", "OLD TABLE AS changed", "records_note_owner")
        yield trigger(table, "UPDATE", "OLD TABLE AS earlier NEW TABLE AS changed", "records_note_owners")
    yield trigger(PERSON, "INSERT", "NEW TABLE AS changed", "records_note_person")
    yield trigger(PERSON, "DELETE", "OLD TABLE AS changed", "records_note_person")
    both = "OLD TABLE AS earlier NEW TABLE AS changed"
    yield trigger(PERSON, "UPDATE", both, "records_note_changed_person")
    yield trigger(PERSON, "UPDATE", both, "records_note_moved_person")


def function(name: str, select: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF EXISTS (SELECT 1 FROM {TABLE}) THEN INSERT INTO {TABLE} (patient_id) {select}; END IF;"
        " RETURN NULL; END $$;"
    )


def of_people(patient: str, columns: Iterable[str]) -> str:
    """SQL: the people in whom one of these columns has changed."""
    now, then = (", ".join(f"{alias}.{column}" for column in columns) for alias in ("c", "e"))
    return f"SELECT {patient} FROM changed c JOIN earlier e ON e.id = c.id WHERE ({now}) IS DISTINCT FROM ({then})"


FUNCTIONS = "\n".join(
    (
        function("records_note_owner", "SELECT DISTINCT patient_id FROM changed"),
        function(
            "records_note_owners", "SELECT patient_id FROM changed UNION SELECT patient_id FROM earlier"
        ),
        function("records_note_person", "SELECT id FROM changed"),
        function("records_note_changed_person", of_people("c.id", WATCHED)),
        function("records_note_moved_person", of_people("-c.id", COUNTED_BY)),
    )
)
