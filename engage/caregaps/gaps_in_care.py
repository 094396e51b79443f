"""Gaps in care as FHIR R4 documents, in the form of the Da Vinci DEQM guide: one Bundle for each patient.

A Composition with a section for each measure, its MeasureReport and, unless the patient is excluded, a DetectedIssue that
says whether the gap is open, closed, or closed now and due again by a later day (prospective). Strict to the published
logic.
"""

from collections.abc import Iterator
from datetime import date
from typing import cast
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings
from pyroaring import BitMap

from engage.accounts.models import Clinic
from engage.caregaps.algebra import Patients, Question
from engage.caregaps.facts import Facts
from engage.caregaps.marks import Mark
from engage.caregaps.measure import Group
from engage.caregaps.period import Period
from engage.caregaps.reports import BATCH, Report, Results
from engage.caregaps.words import capital, listed
from engage.lib import clock
from engage.patients.models import Patient
from engage.records.models import Event, Kind

DEQM = "http://hl7.org/fhir/us/davinci-deqm/"
GAP_STATUS = DEQM + "StructureDefinition/extension-gapStatus"
OPEN, CLOSED, PROSPECTIVE = "open-gap", "closed-gap", "prospective-gap"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
EMPTY_REASON = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
RESOURCES = {
    Kind.ENCOUNTER: "Encounter",
    Kind.CONDITION: "Condition",
    Kind.OBSERVATION: "Observation",
    Kind.PROCEDURE: "Procedure",
    Kind.DIAGNOSTIC_REPORT: "DiagnosticReport",
    Kind.IMMUNIZATION: "Immunization",
    Kind.MEDICATION_REQUEST: "MedicationRequest",
    Kind.MEDICATION_PERIOD: "MedicationRequest",
    Kind.MEDICATION_BOUNDS: "MedicationRequest",
    Kind.SERVICE_REQUEST: "ServiceRequest",
    Kind.DEVICE_REQUEST: "DeviceRequest",
    Kind.ALLERGY: "AllergyIntolerance",
    Kind.ADVERSE_EVENT: "AdverseEvent",
    Kind.OBSERVATION_NOT_DONE: "Observation",
}


class Asked:
    """One measure's results with what a document says of them, worked out once for everybody."""

    def __init__(self, results: Results, through: date | None) -> None:
        self.results = results
        self.measure, self.period = results.measure, results.period
        self.groups = results.measure.rules(results.period.start.year).groups
        self.initial = results.initial
        self.open = [counted.gap for counted in results.groups]
        self.met = [counted.met for counted in results.groups]
        self.question = Question(self.period)
        self.asks_for = [
            capital(listed(dict.fromkeys(hoped(group).sought(self.question, "en")))) for group in self.groups
        ]
        self.lapsing = self.lapsing_by(through)

    def lapsing_by(self, through: date | None) -> list[BitMap]:
        """By group: who has what is asked now, and whose facts will not do in the period of the later day."""
        if through is None or through <= self.period.end:
            return [BitMap() for _ in self.groups]
        later = Question(Period.of(through))
        later.vocabulary = self.question.vocabulary
        found = []
        for group, met in zip(self.groups, self.met, strict=True):
            lapsing, ages = met - later.ask(hoped(group)), group.ages()
            found.append(lapsing & later.ask(ages) if ages else lapsing)
        return found

    def status(self, place: int, patient: int) -> str:
        """The state of one group's gap; "" for a patient whom the measure leaves out."""
        if not self.groups[place].opens_gaps:
            return ""
        if patient in self.open[place]:
            return OPEN
        if patient not in self.met[place]:
            return ""
        return PROSPECTIVE if patient in self.lapsing[place] else CLOSED

    def marks(self, patients: list[int]) -> Iterator[tuple[int, int]]:
        """(patient id, event id) of the latest fact of each kind that the measure read."""
        question = Question(self.period, patients=patients)
        question.vocabulary = self.question.vocabulary
        for leaf in dict.fromkeys(leaf for group in self.groups for leaf in leaves_of(group)):
            for patient, mark in question.marks(leaf).items():
                yield patient, Mark.read(mark).event


class GapsInCare:
    """The documents of some measures over one period; `through` is the later day of prospective gaps, or None."""

    def __init__(self, results: list[Results], through: date | None = None) -> None:
        self.measures = [Asked(one, through) for one in results]
        self.period = results[0].period
        self.moment = clock.now().isoformat(timespec="seconds")

    def bundles(self) -> Iterator[Report]:
        """One for each patient in the initial population of any of the measures, by id."""
        everyone = BitMap()
        for asked in self.measures:
            everyone |= asked.initial
        ids = sorted(everyone)
        clinics = Clinic.objects.in_bulk()
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            evaluated = self.evaluated(part)
            patients = Patient.objects.in_bulk(part)
            for pk in part:
                yield self.bundle(
                    patients[pk], clinics.get(patients[pk].clinic_id or 0), evaluated.get(pk, {})
                )

    def evaluated(self, patients: list[int]) -> dict[int, dict[str, list[str]]]:
        """patient id → measure → references of what the measure read."""
        found: dict[int, dict[str, set[int]]] = {}
        for asked in self.measures:
            for patient, event in asked.marks(patients):
                found.setdefault(patient, {}).setdefault(asked.measure.id, set()).add(event)
        names = references([pk for mine in found.values() for events in mine.values() for pk in events])
        return {
            patient: {measure: sorted({names[pk] for pk in events}) for measure, events in mine.items()}
            for patient, mine in found.items()
        }

    # --- one patient --------------------------------------------------------------------------------------
    def bundle(self, patient: Patient, clinic: Clinic | None, evaluated: dict[str, list[str]]) -> Report:
        """The document; the same patient, period and measures have the same ids each time."""
        names = [asked.measure.id for asked in self.measures]
        who = f"{patient.source}|{patient.fhir_id}|{self.period.start}|{self.period.end}"
        author = organization(clinic)
        sections, found = [], []
        for asked in self.measures:
            if patient.pk in asked.initial:
                facts = evaluated.get(asked.measure.id, [])
                section, resources = self.section(asked, patient, f"{who}|{asked.measure.id}", author, facts)
                sections.append(section)
                found += resources
        composition = {
            "resourceType": "Composition",
            "id": name_of(f"{who}|{names}|composition"),
            "meta": {"profile": [DEQM + "StructureDefinition/gaps-composition-deqm"]},
            "status": "final",
            "type": {"coding": [coding("http://loinc.org", "96315-7", "Gaps in care report")]},
            "subject": reference("Patient", patient.fhir_id),
            "date": self.moment,
            "author": [reference("Organization", author["id"])],
            "title": f"Gaps in care, {self.period.start} to {self.period.end}",
            "section": sections,
        }
        number = name_of(f"{who}|{names}|bundle")
        return {
            "resourceType": "Bundle",
            "id": number,
            "meta": {"profile": [DEQM + "StructureDefinition/gaps-bundle-deqm"]},
            "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{number}"},
            "type": "document",
            "timestamp": self.moment,
            "entry": [entry(r) for r in (composition, author, subject(patient), *found)],
        }

    def section(
        self, asked: Asked, patient: Patient, who: str, author: Report, facts: list[str]
    ) -> tuple[Report, list[Report]]:
        """(the section of one measure, the resources it names)."""
        report = asked.results.individual(patient.pk, patient.fhir_id)
        report = {"resourceType": report.pop("resourceType"), "id": name_of(f"{who}|report")} | report
        report["meta"] = {"profile": [DEQM + "StructureDefinition/indv-measurereport-deqm"]}
        report["reporter"] = reference("Organization", author["id"])
        if facts:
            report["evaluatedResource"] = [{"reference": fact} for fact in facts]
        issues = [
            self.issue(asked, place, status, patient, who, report["id"])
            for place in range(len(asked.groups))
            if (status := asked.status(place, patient.pk))
        ]
        title = asked.measure.title.en
        section: Report = {"title": title, "focus": reference("MeasureReport", report["id"])}
        if issues:
            section["entry"] = [reference("DetectedIssue", issue["id"]) for issue in issues]
        else:
            section["text"] = narrative(f"{title}: the measure does not apply to this patient.")
            section["emptyReason"] = {"coding": [coding(EMPTY_REASON, "nilknown", "Nil Known")]}
        return section, [report, *issues]

    def issue(self, asked: Asked, place: int, status: str, patient: Patient, who: str, report: str) -> Report:
        """The gap of one group with its state."""
        return {
            "resourceType": "DetectedIssue",
            "id": name_of(f"{who}|issue|{place}"),
            "meta": {"profile": [DEQM + "StructureDefinition/gaps-detectedissue-deqm"]},
            "modifierExtension": [
                {
                    "url": GAP_STATUS,
                    "valueCodeableConcept": {"coding": [coding(DEQM + "CodeSystem/gaps-status", status)]},
                }
            ],
            "status": "final",
            "code": {"coding": [coding(ACT_CODE, "CAREGAP", "Care Gaps")]},
            "patient": reference("Patient", patient.fhir_id),
            "identifiedDateTime": self.moment,
            "evidence": [{"detail": [reference("MeasureReport", report)]}],
            "detail": f"{asked.measure.title.en}: {asked.asks_for[place]}.",
        }


def hoped(group: Group) -> Patients:
    """What would close the gap: the numerator, or what an inverse one lacks."""
    return cast(Patients, getattr(group.numerator, "hoped", group.numerator))


def leaves_of(group: Group) -> Iterator[Facts]:
    yield from group.population.facts()
    yield from group.numerator.facts()
    for reason in (*group.exclusions, *group.exceptions):
        yield from reason.patients.facts()


def references(events: list[int]) -> dict[int, str]:
    """event id → "Observation/123"; a second row of the same resource ("…#2") names it too."""
    found: dict[int, str] = {}
    for start in range(0, len(events), BATCH):
        rows = Event.objects.filter(pk__in=events[start : start + BATCH]).values_list("pk", "kind", "fhir_id")
        found |= {pk: f"{RESOURCES[Kind(kind)]}/{fhir_id.partition('#')[0]}" for pk, kind, fhir_id in rows}
    return found


# --- resources ----------------------------------------------------------------------------------------------------
def organization(clinic: Clinic | None) -> Report:
    """Who reports: the patient's clinic."""
    return {
        "resourceType": "Organization",
        "id": clinic.slug if clinic else "unassigned",
        "active": True,
        "name": clinic.name if clinic else "Unassigned",
    }


def subject(patient: Patient) -> Report:
    """The patient as far as a receiver needs to know who is meant."""
    name = {"family": patient.family, "given": patient.given.split()}
    found: Report = {"resourceType": "Patient", "id": patient.fhir_id}
    if patient.mrn:
        found["identifier"] = [{"value": patient.mrn}]
    if name := {key: value for key, value in name.items() if value}:
        found["name"] = [name]
    if patient.gender:
        found["gender"] = patient.gender
    if patient.birth_date:
        length = {"year": 4, "month": 7}.get(patient.birth_precision, 10)
        found["birthDate"] = patient.birth_date.isoformat()[:length]
    return found


def entry(resource: Report) -> Report:
    url = f"{settings.PUBLIC_BASE_URL}/fhir/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource}


def reference(kind: str, name: str) -> dict[str, str]:
    return {"reference": f"{kind}/{name}"}


def coding(system: str, code: str, display: str = "") -> dict[str, str]:
    return {"system": system, "code": code} | ({"display": display} if display else {})


def narrative(text: str) -> dict[str, str]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'}


def name_of(what: str) -> str:
    """An id that stays the same."""
    return str(uuid5(NAMESPACE_URL, what))
