"""Who and where in the record: practitioners, places and patients of one source, by FHIR id and by identifier."""

from collections.abc import Iterable
from datetime import date

from engage.fhir.elements import Reference
from engage.lib import bulk
from engage.patients.models import Patient, Practitioner
from engage.records.models import Place, Source

CACHE_LIMIT = 100_000


class Patients:
    """Patient ids by FHIR id, remembered within limits."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.known: dict[str, int] = {}

    def learn(self, references: Iterable[Reference]) -> None:
        """Looks up all that are not known yet, in one query."""
        if len(self.known) > CACHE_LIMIT:
            self.known.clear()
        ids = {r.id for r in references if r.id and r.id not in self.known}
        if ids:
            sql = f"SELECT fhir_id, id FROM patients_patient WHERE source = %s AND {bulk.among('fhir_id')}"  # noqa: S608
            self.known.update(bulk.select(sql, [self.source.name, bulk.listed(ids)]))

    def id_of(self, reference: Reference) -> int | None:
        """The patient's id; None when the record has nobody like that."""
        if reference.id:
            return self.known.get(reference.id)
        return self._by_identifier(reference.identifier)

    def _by_identifier(self, identifier: str) -> int | None:
        """Another system's number is another person's, though it be the same; one without a system may be anybody's."""
        system, bar, value = identifier.partition("|")
        people = Patient.objects.filter(source=self.source.name, mrn=value if bar else identifier)
        if bar and system:
            people = people.filter(mrn_system=system)
        found = people.values_list("pk", flat=True)[:2]
        return found[0] if len(found) == 1 else None  # two people with one number: guess neither

    def birth_date(self, reference: Reference) -> tuple[bool, date | None]:
        """Whether the patient is known, and the birth date."""
        self.learn([reference])
        pk = self.id_of(reference)
        if pk is None:
            return False, None
        return True, Patient.objects.values_list("birth_date", flat=True).get(pk=pk)


class Places:
    """Organizations and locations. One that is only named so far gets a row, so that order does not matter."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.ids: dict[tuple[str, str], int] = {}
        self.identifiers: dict[tuple[str, str], int] = {}
        self.refresh()

    def refresh(self) -> None:
        rows = Place.objects.filter(source=self.source).values_list("pk", "kind", "fhir_id", "identifiers")
        for pk, kind, fhir_id, identifiers in rows.iterator(chunk_size=5000):
            self.ids[kind, fhir_id] = pk
            for identifier in identifiers:
                self.identifiers[kind, identifier] = pk

    def learn(self, references: Iterable[Reference]) -> None:
        """Makes rows for those only named, with the name the reference shows."""
        new = {
            (r.type, r.id): r.display
            for r in references
            if r.id and r.type in ("Organization", "Location") and (r.type, r.id) not in self.ids
        }
        if not new:
            return
        rows = [
            (self.source.pk, kind, fhir_id[:64], name, "[]", "", 0) for (kind, fhir_id), name in new.items()
        ]
        columns = ("source_id", "kind", "fhir_id", "name", "identifiers", "part_of", "digest")
        bulk.upsert("records_place", columns, ("source_id", "kind", "fhir_id"), rows, keep=columns)
        self.refresh()

    def id_of(self, reference: Reference) -> int | None:
        if reference.id:
            return self.ids.get((reference.type, reference.id))
        return self.identifiers.get((reference.type, reference.identifier)) if reference.identifier else None


class Practitioners:
    """Practitioner ids by FHIR id and identifier."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.ids: dict[str, int] = {}
        self.identifiers: dict[str, int] = {}
        self.refresh()

    def refresh(self) -> None:
        rows = Practitioner.objects.filter(source=self.source.name)
        for pk, fhir_id, identifiers in rows.values_list("pk", "fhir_id", "identifiers").iterator(
            chunk_size=5000
        ):
            self.ids[fhir_id] = pk
            for identifier in identifiers:
                self.identifiers[identifier] = pk

    def id_of(self, reference: Reference) -> int | None:
        if reference.id:
            return self.ids.get(reference.id)
        return self.identifiers.get(reference.identifier)
