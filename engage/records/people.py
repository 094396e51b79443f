"""Writes patients, practitioners, places and roles of one source."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import orjson

from engage.accounts.models import Clinic
from engage.fhir import people
from engage.fhir.elements import ID
from engage.fhir.people import PatientRow
from engage.fhir.problems import MISSHAPEN, NOT_FHIR, BadResource
from engage.fhir.reading import Item
from engage.lib import bulk, clock, text
from engage.patients import contacts, zones
from engage.patients.models import Patient
from engage.records import merges
from engage.records.facts import digest_of
from engage.records.models import Source, Unattributed
from engage.records.registry import Places, Practitioners
from engage.records.tally import Summary

COLUMNS = (
    "source", "fhir_id", "mrn", "mrn_system", "family", "given", "search_name", "birth_date", "birth_precision", "gender",
    "sex", "language", "deceased", "deceased_on", "active", "line", "city", "state", "postal_code", "time_zone", "digest",
    "updated_at",
)  # fmt: skip
FIRST_TIME = ("clinic_id", "preferred_channel", "detail_level", "confidential", "do_not_call", "demo")
NO_AGE = "The patient has no birth date; measures that ask for an age leave them out."
UNBORN = "The birth date lies in the future; measures leave the patient out."


class Known(NamedTuple):
    """What is stored of a patient and matters to an update."""

    pk: int
    digest: int
    clinic: int | None
    deceased: bool
    deceased_on: Any  # as the database gives it


Stored = dict[str, Known]


def read_all(
    items: Iterable[Item],
    reader: Callable[[Any], Any],
    summary: Summary,
    refused: list[Item] | None = None,
) -> dict[str, tuple[Item, Any]]:
    """The rows of a batch by id, each once (the later counts); what cannot be read is refused, and added to `refused`."""
    found: dict[str, tuple[Item, Any]] = {}
    for item in items:
        try:
            row = reader(item.resource)
        except MISSHAPEN as error:
            summary.reject(item, str(error) if isinstance(error, BadResource) else NOT_FHIR)
            if refused is not None:
                refused.append(item)
            continue
        kind = str((item.resource or {}).get("resourceType"))
        key = f"{kind}/{row.id}"
        before = found.pop(key, None)
        if before:
            same = before[1] == row
            summary.count(kind, "unchanged" if same else "updated")
            if not same:
                summary.note(
                    item, f"{key} came before with other content in this import; the later one was kept."
                )
        found[key] = (item, row)
    return found


class Patients:
    """Loads batches of Patient resources, and what they name for `attribution` and `merges` to look up at the end."""

    def __init__(self, source: Source, clinic: Clinic | None, summary: Summary) -> None:
        self.source, self.clinic, self.summary = source, clinic, summary
        self.newest_before = bulk.select("SELECT COALESCE(MAX(id), 0) FROM patients_patient", [])[0][0]

    def load(self, items: Iterable[Item]) -> None:
        """Writes a batch, contact points included. Call inside a transaction."""
        items = list(items)
        refused: list[Item] = []
        read = read_all([i for i in items if not i.deleted], people.patient, self.summary, refused)
        found = {row.id: (item, row) for item, row in read.values()}
        if found:
            self._write(found)
        self._end(i for i in refused if _id(i) not in found)
        last = {_id(i): i for i in items}
        deleted = [i for i in items if i.deleted]
        ended = [i for i in deleted if last[_id(i)] is i]  # else it has come back since
        self._end(ended)
        if len(deleted) > len(ended):
            self.summary.count("Patient", "unchanged", len(deleted) - len(ended))

    def _end(self, items: Iterable[Item]) -> None:
        """A deletion ends a record, and what cannot be stored may tell all the same that it has ended, or a death."""
        for item in items:
            told = item.resource or {}
            if not ID.match(_id(item)):
                continue
            changes: dict[str, Any] = {"deceased": True} if people.death(told)[0] else {}
            if item.deleted or people.truth(told, "active")[0] is False:
                changes["active"] = False
            ended = Patient.objects.filter(source=self.source.name, fhir_id=_id(item)[:64])
            known = changes and ended.update(digest=0, **changes)
            if item.deleted:
                self.summary.count("Patient", "deleted" if known else "unchanged")

    def _write(self, found: dict[str, tuple[Item, PatientRow]]) -> None:
        stored = self._stored(found)
        digests = {key: digest_of(_plain(row)) for key, (_, row) in found.items()}
        changed = [key for key in found if key not in stored or stored[key].digest != digests[key]]
        self._warn(found, stored, changed)
        rows = [self._row(found[k][1], digests[k], stored.get(k)) for k in changed]
        bulk.upsert("patients_patient", (*COLUMNS, *FIRST_TIME), ("source", "fhir_id"), rows, keep=FIRST_TIME)
        now_stored = self._stored(changed)
        created = [k for k in changed if k not in stored]
        contacts.add({now_stored[k].pk: found[k][1].telecoms for k in created})
        contacts.merge({now_stored[k].pk: found[k][1].telecoms for k in changed if k in stored})
        self._attribute(found, stored | now_stored, set(changed))
        merges.remember(self.source, {now_stored[k].pk: found[k][1] for k in changed})
        for outcome, number in (
            ("created", len(created)),
            ("updated", len(changed) - len(created)),
            ("unchanged", len(found) - len(changed)),
        ):
            self.summary.count("Patient", outcome, number)

    def _warn(self, found: dict[str, tuple[Item, PatientRow]], stored: Stored, changed: list[str]) -> None:
        for key in changed:
            item, row = found[key]
            if key in stored:
                self._warn_of_update(key, item, row, stored)
            for note in row.notes:
                self.summary.note(item, note)
            if row.birth_date is None or row.birth_date > clock.today():
                self.summary.note(item, NO_AGE if row.birth_date is None else UNBORN)

    def _warn_of_update(self, key: str, item: Item, row: PatientRow, stored: Stored) -> None:
        if stored[key].pk > self.newest_before:
            self.summary.note(
                item,
                f"Patient/{key} came before with other content in this import; the later one was kept.",
            )
        if stored[key].deceased and not row.deceased:
            self.summary.note(item, "A death is on record here, and no longer in this resource; it was kept.")

    def _attribute(
        self, found: dict[str, tuple[Item, PatientRow]], stored: Stored, changed: set[str]
    ) -> None:
        if self.clinic:
            others = [stored[k].pk for k in found if stored[k].clinic != self.clinic.pk]
            Patient.objects.filter(pk__in=others).update(clinic=self.clinic)
        names = {k: row for k, (_, row) in found.items() if row.organization.type or row.practitioners}
        rows = [
            (stored[k].pk, orjson.dumps([row.organization, row.practitioners], default=tuple).decode(), False)
            for k, row in names.items()
            if k in changed or stored[k].clinic is None
        ]
        bulk.upsert("records_unattributed", ("patient_id", "named", "looked_up"), ("patient_id",), rows)
        silent = [stored[k].pk for k in changed - names.keys()]
        Unattributed.objects.filter(pk__in=silent).delete()

    def _stored(self, ids: Iterable[str]) -> Stored:
        sql = (
            "SELECT fhir_id, id, digest, clinic_id, deceased, deceased_on FROM patients_patient"  # noqa: S608
            f" WHERE source = %s AND {bulk.among('fhir_id')}"
        )
        rows = bulk.select(sql, [self.source.name, bulk.listed(ids)])
        return {key: Known(pk, digest, clinic, bool(dead), on) for key, pk, digest, clinic, dead, on in rows}

    def _row(self, p: PatientRow, digest: int, before: Known | None) -> tuple[Any, ...]:
        state = zones.state_code(p.state)
        deceased = p.deceased or bool(
            before and before.deceased
        )  # an import never brings anybody back to life
        deceased_on = p.deceased_on or (before and before.deceased_on)
        return (
            self.source.name, p.id, p.mrn, p.mrn_system, p.family, p.given, text.fold(f"{p.family} {p.given}")[:210],
            bulk.day(p.birth_date), p.birth_precision, p.gender, p.sex, p.language, deceased, bulk.day(deceased_on),
            p.active, p.line, p.city, state, p.postal_code, zones.zone_of(state, p.postal_code), digest,
            bulk.moment(clock.machine_now()),
            self.clinic.pk if self.clinic else None, "sms", 0, False, False, False,
        )  # fmt: skip


def _id(item: Item) -> str:
    return str((item.resource or {}).get("id"))


def _plain(row: PatientRow) -> list[Any]:
    """A row as JSON takes it."""
    return [str(v) if k in ("birth_date", "deceased_on") else v for k, v in row._asdict().items()]


def load_practitioners(items: Iterable[Item], source: Source, summary: Summary) -> None:
    found = read_all(items, people.practitioner, summary)
    rows = [
        (source.name, r.id, r.name, r.npi, orjson.dumps(r.identifiers).decode(), digest_of(r))
        for _, r in found.values()
    ]
    _store(
        "patients_practitioner",
        ("source", "fhir_id", "name", "npi", "identifiers", "digest"),
        ("source", "fhir_id"),
        rows,
        lambda r: ("Practitioner", r[1]),
        summary,
    )


def load_places(items: Iterable[Item], source: Source, summary: Summary) -> None:
    found = read_all(items, people.place, summary)
    rows = []
    for _, r in found.values():
        above = f"{r.part_of.type}/{r.part_of.id}" if r.part_of.id else r.part_of.identifier
        named = orjson.dumps(r.identifiers).decode()
        rows.append((source.pk, r.kind, r.id, r.name, named, above[:250], digest_of(r)))
    _store(
        "records_place",
        ("source_id", "kind", "fhir_id", "name", "identifiers", "part_of", "digest"),
        ("source_id", "kind", "fhir_id"),
        rows,
        lambda r: (r[1], r[2]),
        summary,
    )


def load_roles(
    items: Iterable[Item],
    source: Source,
    summary: Summary,
    practitioners: Practitioners,
    places: Places,
) -> None:
    """Roles come last, when those they name are known."""
    found = read_all(items, people.role, summary)
    places.learn(place for _, r in found.values() for place in r.places)
    rows = []
    for _, r in found.values():
        spot = next((p for p in map(places.id_of, r.places) if p), None)
        doctor = practitioners.id_of(r.practitioner)
        rows.append((source.pk, r.id, doctor, spot, digest_of([r, doctor, spot])))
    _store(
        "records_practitionerrole",
        ("source_id", "fhir_id", "practitioner_id", "place_id", "digest"),
        ("source_id", "fhir_id"),
        rows,
        lambda r: ("PractitionerRole", r[1]),
        summary,
    )


def _store(
    table: str,
    columns: tuple[str, ...],
    key: tuple[str, ...],
    rows: list[tuple[Any, ...]],
    called: Callable[[tuple[Any, ...]], tuple[str, str]],
    summary: Summary,
) -> None:
    """Upserts the rows whose digest (the last column) is new, and counts them by what they are called."""
    if not rows:
        return
    width = len(key)
    select = f"SELECT {bulk.quoted(key)}, digest FROM {table} WHERE {key[0]} = %s AND {bulk.among('fhir_id')}"  # noqa: S608
    place = columns.index("fhir_id")
    found = bulk.select(select, [rows[0][0], bulk.listed(r[place] for r in rows)])
    stored = {tuple(row[:width]): row[width] for row in found}
    changed = [r for r in rows if stored.get(r[:width]) != r[-1]]
    bulk.upsert(table, columns, key, changed)
    writing = {r[:width] for r in changed}
    for row in rows:
        # A digest of 0 is a row made for a reference: this is the first time that it is really here.
        new = not stored.get(row[:width])
        outcome = "unchanged" if row[:width] not in writing else "created" if new else "updated"
        summary.count(called(row)[0], outcome)
