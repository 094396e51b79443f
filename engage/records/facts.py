"""Writes clinical facts: a batch of resources in, one lookup and one upsert out."""

from collections.abc import Iterable
from datetime import date
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
from pyroaring import BitMap

from engage.fhir import facts as reading
from engage.fhir.elements import ID, Concept, Reference
from engage.fhir.facts import Fact
from engage.fhir.medications import medication_request
from engage.fhir.observations import observation
from engage.fhir.problems import MISSHAPEN, NOT_FHIR, BadResource, BirthDateNeeded
from engage.fhir.reading import Item
from engage.lib import bulk
from engage.records.concepts import Interner
from engage.records.medications import Medications
from engage.records.models import Event, Kind, Source, Status
from engage.records.registry import Patients, Places
from engage.records.tally import Summary

READERS = {
    "Encounter": reading.encounter,
    "Condition": reading.condition,
    "Observation": observation,
    "Procedure": reading.procedure,
    "DiagnosticReport": reading.diagnostic_report,
    "Immunization": reading.immunization,
    "MedicationRequest": medication_request,
    "ServiceRequest": reading.order("ServiceRequest", "code"),
    "DeviceRequest": reading.order("DeviceRequest", "codeCodeableConcept"),
    "AllergyIntolerance": reading.allergy,
    "AdverseEvent": reading.adverse_event,
}
KINDS = {
    "Encounter": Kind.ENCOUNTER,
    "Condition": Kind.CONDITION,
    "Observation": Kind.OBSERVATION,
    "ObservationNotDone": Kind.OBSERVATION_NOT_DONE,
    "Procedure": Kind.PROCEDURE,
    "DiagnosticReport": Kind.DIAGNOSTIC_REPORT,
    "Immunization": Kind.IMMUNIZATION,
    "MedicationRequest": Kind.MEDICATION_REQUEST,
    "MedicationPeriod": Kind.MEDICATION_PERIOD,
    "MedicationBounds": Kind.MEDICATION_BOUNDS,
    "ServiceRequest": Kind.SERVICE_REQUEST,
    "DeviceRequest": Kind.DEVICE_REQUEST,
    "AllergyIntolerance": Kind.ALLERGY,
    "AdverseEvent": Kind.ADVERSE_EVENT,
}
KIND_NUMBERS = {name: int(kind) for name, kind in KINDS.items()}
# The rows that stand beside the first of a resource.
BESIDE = {
    Kind.MEDICATION_REQUEST: (Kind.MEDICATION_PERIOD, Kind.MEDICATION_BOUNDS),
    Kind.OBSERVATION: (Kind.OBSERVATION_NOT_DONE,),
}
STATUSES = {status.name.lower().replace("_", "-"): int(status) for status in Status} | {
    "onleave": int(Status.ON_LEAVE)
}
COLUMNS = (
    "source_id", "kind", "fhir_id", "patient_id", "concept_id", "status", "traits", "start_lo", "start_hi", "end_lo",
    "end_hi", "start_offset", "end_offset", "value", "value2", "unit", "value_concept_id", "encounter", "place_id",
    "digest",
)  # fmt: skip


class Read(NamedTuple):
    """One resource as rows, the first of which stands for it; none when the record no longer says it of this patient."""

    item: Item
    kind: str
    id: str
    rows: list[Fact]
    digest: int = 0
    refused: bool = False  # it was counted as such


def digest_of(value: Any) -> int:
    """64 bits, signed, of what would be stored: equal digests mean that nothing is to be written."""
    return int.from_bytes(
        blake2b(orjson.dumps(value, default=tuple), digest_size=8).digest(), "big", signed=True
    )


class Facts:
    """Loads batches of facts of one source."""

    def __init__(self, source: Source, patients: Patients, places: Places, summary: Summary) -> None:
        self.source, self.patients, self.places, self.summary = source, patients, places, summary
        self.concepts, self.medications = Interner(), Medications(source)
        self.newest_before = bulk.select("SELECT COALESCE(MAX(id), 0) FROM records_event", [])[0][0]
        self.waiting = BitMap()  # 28 bits of each id that waits: a later version waits behind it

    def forget(self) -> None:
        """After a rollback: ids learnt since may not exist."""
        self.concepts, self.medications = Interner(), Medications(self.source)

    def read(self, item: Item) -> Read | None:
        """The rows of a resource; None when its patient must be known first. Raises BadResource."""
        resource = item.resource or {}
        if item.deleted:
            return Read(item, resource["resourceType"], resource["id"], [])
        try:
            rows = READERS[resource["resourceType"]](resource, self.birth_date)
            return Read(item, rows[0].kind, rows[0].id, rows, digest_of(rows))
        except (BadResource, BirthDateNeeded) as error:
            if isinstance(error, BadResource):
                raise
            return None
        except MISSHAPEN:
            raise BadResource(NOT_FHIR) from None

    def birth_date(self, patient: Reference) -> date | None:
        known, born = self.patients.birth_date(patient)
        if not known:
            raise BirthDateNeeded
        return born

    def load(self, items: Iterable[Item], last: bool = False) -> list[Item]:
        """Writes a batch; gives back the items that must wait for somebody not known (yet). Call inside a transaction.

        The `last` time only the patient must be known; without one, what was stored under that id is no longer true.
        """
        found = self._read_all(items)
        self.patients.learn(r.rows[0].patient for _, r, _ in found if r and r.rows)
        by_kind: dict[int, dict[str, Read]] = {}
        waiting = []
        for item, read, problem in found:
            if (read or not problem) and self._must_wait(item, read, last):
                waiting.append(item)
                read = _moved_away(item) if last else None
            elif problem:
                self.summary.reject(item, problem)
            if read:
                self._put(by_kind.setdefault(KIND_NUMBERS[read.kind], {}), read)
        for kind, reads in by_kind.items():
            self._write(kind, reads)
        return waiting

    def _must_wait(self, item: Item, read: Read | None, last: bool) -> bool:
        """Whether somebody it names is not known (yet), or an earlier version of it waits."""
        first = read.rows[0] if read and read.rows else None
        unknown = read is None or (first is not None and self.patients.id_of(first.patient) is None)
        if last:
            return unknown
        waits = unknown or (first is not None and not self._placed(first))
        if waits or self.waiting:
            resource = item.resource or {}
            key = hash(f"{resource['resourceType']}/{resource.get('id')}") & 0xFFFFFFF
            waits = waits or key in self.waiting
            if waits:
                self.waiting.add(key)
        return waits

    def _placed(self, fact: Fact) -> bool:
        """Whether a place known only by an identifier has come in."""
        return not fact.place.identifier or self.places.id_of(fact.place) is not None

    def _read_all(self, items: Iterable[Item]) -> list[tuple[Item, Read | None, str]]:
        """Each with its rows and why it is refused; without both it must wait."""
        found: list[tuple[Item, Read | None, str]] = []
        for item in items:
            try:
                found.append((item, self.read(item), ""))
            except BadResource as error:
                # What the record takes back stops counting, however badly it is written.
                withdrawn = reading.is_withdrawn(item.resource or {})
                found.append((item, _gone(item) if withdrawn else None, str(error)))
        return found

    def _put(self, reads: dict[str, Read], read: Read) -> None:
        """The later of two with one id counts; when they differ, that is written down."""
        before = reads.pop(read.id, None)
        if before and not before.refused:
            self.summary.count(read.kind, "unchanged" if before.digest == read.digest else "updated")
            if before.digest != read.digest:
                self._twice(read)
        reads[read.id] = read

    def _twice(self, read: Read) -> None:
        self.summary.note(
            read.item,
            f"{read.kind}/{read.id} came before with other content in this import; the later one was kept.",
        )

    def _write(self, kind: int, reads: dict[str, Read]) -> None:
        """Writes those of one kind that are new or changed, and takes out those the record has taken back."""
        name = next(iter(reads.values())).kind
        stored = self._stored(kind, reads)
        self._take_out(kind, [r for r in reads.values() if not r.rows], stored)
        reads = {key: r for key, r in reads.items() if r.rows}
        changed = [r for key, r in reads.items() if key not in stored or stored[key][1] != r.digest]
        updated = [r for r in changed if r.id in stored]
        for read in updated:
            if stored[read.id][0] > self.newest_before:
                self._twice(read)
        self._forget_beside(kind, updated)
        self._upsert([(fact, read.digest) for read in changed for fact in read.rows])
        for outcome, number in (
            ("created", len(changed) - len(updated)),
            ("updated", len(updated)),
            ("unchanged", len(reads) - len(changed)),
        ):
            self.summary.count(name, outcome, number)
        for read in changed:
            if read.rows[0].note:
                self.summary.note(read.item, read.rows[0].note)

    def _stored(self, kind: int, reads: Iterable[str]) -> dict[str, tuple[int, int]]:
        """FHIR id → (id, digest) of those stored already."""
        sql = (
            "SELECT fhir_id, id, digest FROM records_event"  # noqa: S608
            f" WHERE source_id = %s AND kind = %s AND {bulk.among('fhir_id')}"
        )
        rows = bulk.select(sql, [self.source.pk, kind, bulk.listed(reads)])
        return {fhir_id: (pk, digest) for fhir_id, pk, digest in rows}

    def _take_out(self, kind: int, gone: list[Read], stored: dict[str, tuple[int, int]]) -> None:
        here = [r for r in gone if r.id in stored]
        Event.objects.filter(pk__in=[stored[r.id][0] for r in here]).delete()
        self._forget_beside(kind, here)
        for read in gone:
            if not read.refused:
                self.summary.count(read.kind, "deleted" if read.id in stored else "unchanged")

    def _forget_beside(self, kind: int, updated: list[Read]) -> None:
        """A changed prescription may have fewer rows than before."""
        others = BESIDE.get(Kind(kind))
        if not others or not updated:
            return
        events = Event.objects.filter(source=self.source, kind__in=others)
        for read in updated:
            own = read.id
            events.filter(fhir_id=own).delete()
            if kind == Kind.MEDICATION_REQUEST:
                events.filter(fhir_id__startswith=f"{own}#").delete()

    def _upsert(self, rows: list[tuple[Fact, int]]) -> None:
        if not rows:
            return
        self._learn(fact for fact, _ in rows)
        bulk.upsert(
            "records_event", COLUMNS, ("source_id", "kind", "fhir_id"), [self._row(f, d) for f, d in rows]
        )

    def _learn(self, rows: Iterable[Fact]) -> None:
        wanted: set[Concept] = set()
        places, medications = [], []
        for fact in rows:
            wanted.add(fact.concept)
            if fact.value_concept.display:
                wanted.add(fact.value_concept)
            if fact.place.id:
                places.append(fact.place)
            if fact.medication.id:
                medications.append(fact.medication)
        self.concepts.learn(wanted)
        self.places.learn(places)
        self.medications.learn(medications)

    def _row(self, f: Fact, digest: int) -> tuple[Any, ...]:
        concept = (
            self.medications.concept_of(f.medication) if f.medication.id else self.concepts.id_of(f.concept)
        )
        return (
            self.source.pk, KIND_NUMBERS[f.kind], f.id, self.patients.id_of(f.patient), concept,
            STATUSES.get(f.status, 0), f.traits, *f.span[:6], f.value, f.value2, f.unit,
            self.concepts.id_of(f.value_concept) if f.value_concept.display else None, f.encounter,
            self.places.id_of(f.place) if f.place.id or f.place.identifier else None, digest,
        )  # fmt: skip


def _moved_away(item: Item) -> Read | None:
    """It names a patient we do not have, by an id: whoever it was about before, it no longer is. A number we cannot look up
    may still be theirs."""
    return _gone(item) if reading.patient_of(item.resource or {}).id else None


def _gone(item: Item) -> Read | None:
    resource = item.resource or {}
    named = resource.get("id")
    if not isinstance(named, str) or not ID.match(named):
        return None
    return Read(item, resource["resourceType"], named, [], refused=True)
