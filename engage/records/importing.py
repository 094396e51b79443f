"""One run of an import: batches in, parked references resolved at the end, everything safe to kill and repeat.

Each batch is one transaction; whatever refers to somebody not yet seen waits in a spool file until everybody is in.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any

import orjson
from django.db import DataError, IntegrityError, transaction

from engage.accounts.models import Clinic
from engage.fhir import elements, people
from engage.fhir.elements import words
from engage.fhir.people import AppointmentRow
from engage.fhir.reading import TOO_DEEP, Item
from engage.lib import bulk
from engage.patients import contacts
from engage.records import attribution, merges, registry
from engage.records.facts import READERS, Facts, digest_of
from engage.records.models import Place, Source
from engage.records.people import Patients, load_places, load_practitioners, load_roles, read_all
from engage.records.tally import UNREADABLE, Mark, Summary

BATCH = 3000
AT_THE_END = ("PractitionerRole", "Appointment")
OURS = {*READERS, *AT_THE_END, "Patient", "Practitioner", "Organization", "Location", "Medication"}
Write = Callable[[dict[str, list[Item]]], list[Item]]
REFUSED = (DataError, IntegrityError)
NOT_DELETED = "The record has deleted it; here only facts are deleted, and patients become inactive."
NOBODY = "It is about {}, who is not in the record."


class Spool:
    """Rows that wait, in a file that goes away by itself, so that memory stays flat."""

    def __init__(self) -> None:
        self.file: IO[bytes] = TemporaryFile()  # noqa: SIM115  (lives as long as the import)

    def put(self, row: Any) -> None:
        self.file.write(orjson.dumps(row, default=tuple) + b"\n")

    def take(self) -> Iterator[Any]:
        self.file.seek(0)
        for line in self.file:
            yield orjson.loads(line)


class Importer:
    """Loads resources of one source. Feed it items, then `finish`."""

    def __init__(self, source: Source, summary: Summary, run: int, clinic: Clinic | None = None) -> None:
        self.source, self.summary, self.run, self.clinic = source, summary, run, clinic
        self.waiting = Spool()
        self.last = {kind: Spool() for kind in AT_THE_END}
        self.places = registry.Places(source)
        self.known = registry.Patients(source)
        self.facts = Facts(source, self.known, self.places, summary)
        self.patients = Patients(source, clinic, summary)
        self.batch: dict[str, list[Item]] = {}
        self.size = 0

    def feed(self, items: Iterable[Item]) -> None:
        for item in items:
            self.summary.saw()
            self._take(item)
            if self.size >= BATCH:
                self.flush()

    def _take(self, item: Item) -> None:
        if item.passed_over:
            self.summary.count(item.passed_over, "passed_over")
        elif item.resource is None:
            self.summary.reject(item, item.problem)
        elif item.deleted and item.resource["resourceType"] not in (*READERS, "Patient"):
            self.summary.count(words(item.resource["resourceType"], 40) or UNREADABLE, "passed_over")
            self.summary.note(item, NOT_DELETED)
        elif (kind := item.resource["resourceType"]) not in OURS:
            self.summary.count(words(kind, 40) or UNREADABLE, "passed_over")
        elif kind in AT_THE_END:
            self._park(self.last[kind], item)
        else:
            group = "fact" if kind in READERS else "place" if kind in ("Organization", "Location") else kind
            self.batch.setdefault(group, []).append(item)
            self.size += 1

    def flush(self) -> None:
        """Writes what has gathered, those first whom others refer to."""
        batch, self.batch, self.size = self.batch, {}, 0
        if not batch:
            return
        for item in self._safely(self._write, batch):
            self._park(self.waiting, item)

    def _park(self, spool: Spool, item: Item) -> None:
        try:
            spool.put(item)
        except orjson.JSONEncodeError:
            self.summary.reject(item, TOO_DEEP)

    def _safely(self, write: Write, batch: dict[str, list[Item]]) -> list[Item]:
        """Writes a batch in one transaction; when the database refuses a value, one by one, so that one is lost alone."""
        before = self.summary.mark()
        try:
            with transaction.atomic():
                return write(batch)
        except REFUSED:
            self._forget(before)
        waiting: list[Item] = []
        for group, items in batch.items():
            for item in items:
                before = self.summary.mark()
                try:
                    with transaction.atomic():
                        waiting += write({group: [item]})
                except REFUSED:
                    self._forget(before)
                    self.summary.reject(item, "The database refuses one of its values.")
        return waiting

    def _forget(self, before: Mark) -> None:
        """After a rollback neither the counts nor the ids learnt since are true."""
        self.summary.back_to(before)
        self.known.known.clear()
        self.facts.forget()
        self.places = self.facts.places = registry.Places(self.source)

    def _write(self, batch: dict[str, list[Item]]) -> list[Item]:
        if "place" in batch:
            load_places(batch["place"], self.source, self.summary)
            self.places.refresh()
        if "Practitioner" in batch:
            load_practitioners(batch["Practitioner"], self.source, self.summary)
        if "Patient" in batch:
            self.patients.load(batch["Patient"])
        self._medications(batch.get("Medication", []))
        return self.facts.load(batch.get("fact", []))

    def _medications(self, items: list[Item]) -> None:
        for _, row in read_all(items, people.medication, self.summary).values():
            self.summary.count("Medication", self.facts.medications.store(row, digest_of(row)))

    def finish(self) -> None:
        """Resolves what waited, refuses what refers to nobody, and gives patients their clinic and consent."""
        self.flush()
        for items in _batches(self.waiting.take()):
            for item in self._safely(lambda b: self.facts.load(b["fact"], last=True), {"fact": items}):
                self.summary.reject(item, NOBODY.format(_whom(item.resource)))
        with transaction.atomic():
            self._attribute()
        for items in _batches(self.last["Appointment"].take()):
            self._safely(self._appointments, {"Appointment": items})
        contacts.grant_from_record(self.source.name, self.run)

    def _attribute(self) -> None:
        practitioners = registry.Practitioners(self.source)
        for roles in _batches(self.last["PractitionerRole"].take()):
            load_roles(roles, self.source, self.summary, practitioners, self.places)
        claimed = attribution.claims(self.source)
        attribution.map_places(self.source, claimed)
        if claimed:
            attribution.map_practitioners(self.source)
        attribution.Attribution(self.source, self.clinic, claimed).apply()
        merges.apply(self.source)
        if claimed and not self.clinic:
            attribution.by_latest_visit(self.source)

    def _appointments(self, batch: dict[str, list[Item]]) -> list[Item]:
        found = list(read_all(batch["Appointment"], people.appointment, self.summary).values())
        self.known.learn(row.patient for _, row in found)
        practitioners = registry.Practitioners(self.source)
        clinics = dict(Place.objects.filter(source=self.source).values_list("pk", "clinic_id"))
        rows = []
        for item, row in found:
            patient = self.known.id_of(row.patient)
            if patient is None:
                self.summary.reject(item, NOBODY.format(_whom(item.resource)))
                continue
            spots = [self.places.id_of(p) for p in row.places]
            clinic = next((c for s in spots if s and (c := clinics.get(s))), None)
            rows.append(self._appointment(row, patient, clinic, practitioners.id_of(row.practitioner)))
        self._store_appointments(rows)
        return []

    def _appointment(
        self, row: AppointmentRow, patient: int, clinic: int | None, practitioner: int | None
    ) -> tuple[Any, ...]:
        digest = digest_of([*row[:5], str(row.starts_at), str(row.ends_at), row.description, clinic])
        return (
            self.source.pk, row.id, patient, clinic, practitioner, row.status, _moment(row.starts_at),
            _moment(row.ends_at), row.description, digest,
        )  # fmt: skip

    def _store_appointments(self, rows: list[tuple[Any, ...]]) -> None:
        columns = (
            "source_id", "fhir_id", "patient_id", "clinic_id", "practitioner_id", "status", "starts_at", "ends_at",
            "description", "digest",
        )  # fmt: skip
        sql = f"SELECT fhir_id, digest FROM records_appointment WHERE source_id = %s AND {bulk.among('fhir_id')}"  # noqa: S608
        stored = dict(bulk.select(sql, [self.source.pk, bulk.listed(r[1] for r in rows)]))
        bulk.upsert(
            "records_appointment", columns, columns[:2], [r for r in rows if stored.get(r[1]) != r[-1]]
        )
        for row in rows:
            same = stored.get(row[1]) == row[-1]
            self.summary.count(
                "Appointment", "unchanged" if same else "updated" if row[1] in stored else "created"
            )


def _moment(value: datetime | None) -> Any:
    return bulk.moment(value) if value else None


def _whom(resource: dict[str, Any] | None) -> str:
    """The patient a resource names, as it names them."""
    subject = (resource or {}).get("subject") or (resource or {}).get("patient") or {}
    if not isinstance(subject, dict):
        return "a patient"
    return str(subject.get("reference") or elements.reference(subject).identifier)[:120] or "a patient"


def _batches(rows: Iterable[Any]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    for row in rows:
        batch.append(Item(*row))
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
