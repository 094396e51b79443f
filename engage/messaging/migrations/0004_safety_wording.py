"""The safety texts, not yet approved: set-up shows them until somebody signs them off."""

from django.db import migrations


def install(apps, schema_editor):
    from engage.messaging.safety import WORDINGS

    Template = apps.get_model("messaging", "Template")
    for w in WORDINGS:
        Template.objects.get_or_create(
            key=w.key, language=w.language, version=1,
            defaults={"purpose": w.purpose, "name": w.name, "body": w.body},
        )


class Migration(migrations.Migration):
    dependencies = [("messaging", "0003_retry")]

    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
