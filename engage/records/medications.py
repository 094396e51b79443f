"""Medication resources. Each has a concept of its own, so a prescription may name one that arrives later, or changes."""

from collections.abc import Iterable

from engage.fhir import elements
from engage.fhir.elements import Reference
from engage.fhir.people import MedicationRow
from engage.records import concepts
from engage.records.models import Concept, Medication, Source


class Medications:
    """The concepts of one source's Medications, by FHIR id."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.known: dict[str, int] = {}

    def learn(self, references: Iterable[Reference]) -> None:
        """Makes sure that all of these have a concept, an empty one when the Medication is not here yet."""
        shown = {r.id: r.display for r in references if r.id not in self.known}
        if not shown:
            return
        rows = Medication.objects.filter(source=self.source, fhir_id__in=shown)
        self.known.update(rows.values_list("fhir_id", "concept_id"))
        for fhir_id, display in shown.items():
            if fhir_id not in self.known:
                self.known[fhir_id] = self.named(fhir_id, display).concept_id

    def named(self, fhir_id: str, display: str = "") -> Medication:
        """The row of a Medication, made when it is new."""
        key = concepts.digest(f"{self.source.name}/Medication/{fhir_id}")
        concept, _ = Concept.objects.get_or_create(key=key, defaults={"display": display or "Not coded"})
        return Medication.objects.get_or_create(
            source=self.source, fhir_id=fhir_id, defaults={"concept": concept}
        )[0]

    def concept_of(self, reference: Reference) -> int:
        return self.known[reference.id]

    def store(self, row: MedicationRow, digest: int) -> str:
        """Writes one Medication; gives the outcome."""
        found = self.named(row.id, row.concept.display)
        before = found.digest
        if before == digest:
            return "unchanged"
        concepts.set_codings(found.concept, elements.join(row.concept))
        Medication.objects.filter(pk=found.pk).update(digest=digest)
        return "updated" if before else "created"
