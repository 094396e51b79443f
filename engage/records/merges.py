"""Two records of one person: which replaces which, as either says, whichever night the other comes in."""

from collections.abc import Iterator, Mapping

from django.db.models import Exists, OuterRef

from engage.fhir.elements import NOBODY
from engage.fhir.people import PatientRow
from engage.lib import bulk
from engage.patients.models import Patient
from engage.records.models import Merge, Source


def remember(source: Source, told: Mapping[int, PatientRow]) -> None:
    """Takes down what these patients say now. Who was merged, and whom nobody says so of any more, stands alone again."""
    before = Merge.objects.filter(told_by__in=told)
    gone = [*before.values_list("old", flat=True), *(row.id for row in told.values())]
    before.delete()
    rows = [(source.pk, pk, old[:64], new[:64]) for pk, row in told.items() for old, new in _said(row)]
    bulk.append("records_merge", ("source_id", "told_by_id", "old", "new"), rows)
    said = Merge.objects.filter(source=source, old=OuterRef("fhir_id"))
    merged = Patient.objects.filter(source=source.name, fhir_id__in=gone, merged_into__isnull=False)
    merged.filter(~Exists(said)).update(merged_into=None)


def _said(row: PatientRow) -> Iterator[tuple[str, str]]:
    """The FHIR ids of the record that is replaced and of the one that replaces it."""
    if row.replaced_by != NOBODY:
        yield row.id, row.replaced_by.id
    for other in row.replaces:
        yield other.id, row.id


def apply(source: Source) -> None:
    """Merges whoever is said to be and is not, as soon as both are here. Of two survivors the newer record counts."""
    sql = """
        SELECT MAX(kept.id), gone.id FROM records_merge said
        JOIN patients_patient gone ON gone.source = %s AND gone.fhir_id = said.old
        JOIN patients_patient kept ON kept.source = gone.source AND kept.fhir_id = said.new
        WHERE said.source_id = %s AND kept.id <> gone.id
        GROUP BY gone.id, gone.merged_into_id HAVING COALESCE(gone.merged_into_id, 0) <> MAX(kept.id)
    """
    rows = bulk.select(sql, [source.name, source.pk])
    bulk.write_many("UPDATE patients_patient SET merged_into_id = %s WHERE id = %s", rows)
