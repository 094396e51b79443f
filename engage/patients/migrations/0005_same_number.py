"""A number that came back in another spelling was taken for a new one: what was known of it holds for both."""

from django.db import migrations
from django.db.models import Exists, OuterRef, Subquery


def carry_over(apps, schema_editor):
    ContactPoint = apps.get_model("patients", "ContactPoint")
    known = ContactPoint.objects.filter(
        patient=OuterRef("patient"), system=OuterRef("system"), value=OuterRef("value"),
        state__in=("wrong_person", "opted_out"),
    ).order_by("-state", "pk")  # of the two, somebody else's number first
    revived = ContactPoint.objects.filter(Exists(known), source="ehr", state__in=("active", "suspect"))
    revived.exclude(value="").update(
        state=Subquery(known.values("state")[:1]), state_reason=Subquery(known.values("state_reason")[:1])
    )


class Migration(migrations.Migration):
    dependencies = [("patients", "0004_covering_index")]

    operations = [migrations.RunPython(carry_over, migrations.RunPython.noop)]
