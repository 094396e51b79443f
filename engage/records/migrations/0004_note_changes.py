"""The triggers that note whose record has changed (records.changes)."""

from django.db import migrations

from engage.records import changes


def forwards(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(changes.FUNCTIONS, params=None)
    for statement in changes.triggers().values():
        schema_editor.execute(statement, params=None)


def backwards(apps, schema_editor):
    postgresql = schema_editor.connection.vendor == "postgresql"
    for name, statement in changes.triggers().items():
        table = statement.split(" ON ")[1].split()[0]
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if postgresql else ""), params=None)


class Migration(migrations.Migration):
    dependencies = [("records", "0003_changes"), ("patients", "0004_covering_index")]
    operations = [migrations.RunPython(forwards, backwards)]
