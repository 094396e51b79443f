"""Which clinic answers for a patient, and which doctor: after everything is in, since anything may come last.

The order: managingOrganization, then where the doctor works, then the provider of the latest visit; each counts when a
clinic of ours claims that place (Clinic.identifiers holds "source|Organization/123").
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import OuterRef, Subquery

from engage.accounts.models import Clinic
from engage.fhir.elements import Reference
from engage.patients.models import Patient, Practitioner
from engage.records.models import Event, Kind, Place, PractitionerRole, Source, Unattributed
from engage.records.registry import Places, Practitioners

DEPTH = 6  # how far up the organizations we look


def claims(source: Source) -> dict[str, int]:
    """ "Organization/123" → the clinic that says so of itself."""
    return {
        i.partition("|")[2]: clinic.pk
        for clinic in Clinic.objects.all()
        for i in clinic.identifiers
        if isinstance(i, str) and i.partition("|")[0] == source.name
    }


def map_places(source: Source, claimed: dict[str, int]) -> None:
    """Gives each place the clinic that claims it, or claims what it is part of."""
    places = list(Place.objects.filter(source=source))
    above = {f"{p.kind}/{p.fhir_id}": p.part_of for p in places}
    by_identifier = {
        i: f"{p.kind}/{p.fhir_id}" for p in places if p.kind == "Organization" for i in p.identifiers
    }
    changed = []
    for place in places:
        clinic = _claimant(f"{place.kind}/{place.fhir_id}", claimed, above, by_identifier)
        if place.clinic_id != clinic:
            place.clinic_id = clinic
            changed.append(place)
    Place.objects.bulk_update(changed, ["clinic"], batch_size=500)


def _claimant(
    name: str, claimed: dict[str, int], above: dict[str, str], by_identifier: dict[str, str]
) -> int | None:
    for _ in range(DEPTH):
        if name in claimed:
            return claimed[name]
        up = above.get(name, "")
        name = by_identifier.get(up, up)
    return None


def map_practitioners(source: Source) -> None:
    """Gives each practitioner the clinic where a role places them; one without a known role keeps theirs."""
    roles = PractitionerRole.objects.filter(
        source=source, practitioner__isnull=False, place__clinic__isnull=False
    ).order_by("-pk")
    found = dict(roles.values_list("practitioner_id", "place__clinic_id"))
    for practitioner, clinic in found.items():
        Practitioner.objects.filter(pk=practitioner).exclude(clinic_id=clinic).update(clinic_id=clinic)


class Attribution:
    """Resolves what patients name: organization and doctors."""

    def __init__(self, source: Source, clinic: Clinic | None, claimed: dict[str, int]) -> None:
        self.source, self.clinic, self.claimed = source, clinic, claimed
        self.places, self.practitioners = Places(source), Practitioners(source)
        self.place_clinic = dict(
            Place.objects.filter(source=source, clinic__isnull=False).values_list("pk", "clinic_id")
        )
        self.doctor_clinic = dict(
            Practitioner.objects.filter(source=source.name, clinic__isnull=False).values_list(
                "pk", "clinic_id"
            )
        )
        roles = PractitionerRole.objects.filter(source=source)
        self.roles = {r[0]: r[1:] for r in roles.values_list("fhir_id", "practitioner_id", "place_id")}

    def apply(self) -> None:
        """Looks at everybody who waits, whichever run wrote it down, and forgets those of whom nothing is missing."""
        for batch in _batches(self.source):
            done: list[int] = []
            kept: list[int] = []
            changed: list[Patient] = []
            for waiting in batch:
                patient = waiting.patient
                before = patient.clinic_id, patient.pcp_id
                (done if self._resolve(waiting, *waiting.named) else kept).append(waiting.pk)
                if before != (patient.clinic_id, patient.pcp_id):
                    changed.append(patient)
            Patient.objects.bulk_update(changed, ["clinic", "pcp"], batch_size=500)
            Unattributed.objects.filter(pk__in=done).delete()
            Unattributed.objects.filter(pk__in=kept, looked_up=False).update(looked_up=True)

    def _resolve(self, waiting: Unattributed, organization: Any, doctors: Any) -> bool:
        """Gives a patient doctor and clinic; whether the doctor has come in, if one is named."""
        patient = waiting.patient
        named = [self._doctor(Reference(*d)) for d in doctors]
        patient.pcp_id = next((doctor for doctor, _ in named if doctor), patient.pcp_id)
        clinic = self._clinic_of(Reference(*organization)) or next((c for _, c in named if c), None)
        if clinic and not self.clinic and not (waiting.looked_up and patient.clinic_id):
            patient.clinic_id = clinic
        return any(doctor for doctor, _ in named) or all(d[0] == "Organization" for d in doctors)

    def _clinic_of(self, reference: Reference) -> int | None:
        """The clinic of a place, which may be claimed although the record never describes it."""
        place = self.places.id_of(reference)
        found = self.place_clinic.get(place) if place else None
        return found or self.claimed.get(f"{reference.type}/{reference.id}")

    def _doctor(self, reference: Reference) -> tuple[int | None, int | None]:
        """The practitioner and the clinic that a generalPractitioner means."""
        if reference.type == "Organization":
            return None, self._clinic_of(reference)
        if reference.type == "PractitionerRole":
            doctor, place = self.roles.get(reference.id, (None, None))
            clinic = self.place_clinic.get(place) if place else None
            return doctor, clinic or (self.doctor_clinic.get(doctor) if doctor else None)
        doctor = self.practitioners.id_of(reference)
        return doctor, self.doctor_clinic.get(doctor) if doctor else None


def by_latest_visit(source: Source) -> None:
    """Patients no clinic answers for yet belong to the clinic that saw them last."""
    visits = Event.objects.filter(
        patient=OuterRef("pk"), kind=Kind.ENCOUNTER, source=source, place__clinic__isnull=False
    ).order_by("-start_lo", "-pk")
    unassigned = Patient.objects.filter(source=source.name, clinic__isnull=True)
    unassigned.update(clinic_id=Subquery(visits.values("place__clinic_id")[:1]))


def _batches(source: Source, size: int = 1000) -> Iterator[list[Unattributed]]:
    everybody = Unattributed.objects.filter(patient__source=source.name).select_related("patient")
    waiting = everybody.only("named", "looked_up", "patient__clinic", "patient__pcp").order_by("pk")
    last = 0
    while batch := list(waiting.filter(pk__gt=last)[:size]):
        yield batch
        last = batch[-1].pk
