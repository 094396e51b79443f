"""Clinical facts from the EHR, narrow enough to ask a million patients at once.

Times are whole seconds of the *local wall clock as written in the record*, counted from 1970-01-01T00:00; a value that is
less precise than a second is the whole range [lo, hi] it covers ("2024" is the year). Day comparisons use these
columns; comparisons of instants subtract the offset. A missing start is NEVER_BEGAN, a missing end NEVER_ENDS, and a
fact whose period is unknown altogether (measures.md §0.5) runs from NEVER_ENDS to NEVER_BEGAN, so nothing matches it.
"""

from typing import ClassVar

from django.db import models

from engage.accounts.models import Clinic
from engage.fhir.traits import Trait
from engage.lib import clock
from engage.patients.models import Patient, Practitioner

__all__ = [
    "NEVER_BEGAN",
    "NEVER_ENDS",
    "Appointment",
    "Change",
    "Coding",
    "Concept",
    "Event",
    "ImportRun",
    "Kind",
    "Medication",
    "Merge",
    "Place",
    "PractitionerRole",
    "Source",
    "Status",
    "Trait",
    "Unattributed",
    "ValueSet",
    "ValueSetCode",
]
NEVER_BEGAN = -(2**53)
NEVER_ENDS = 2**53


class Source(models.Model):
    """Where records come from; ids are unique within one."""

    name = models.CharField(max_length=60, unique=True)

    def __str__(self) -> str:
        return self.name


class Concept(models.Model):
    """One CodeableConcept as it occurs: a set of codings, interned. `key` is the digest of its sorted codings."""

    key = models.CharField(max_length=32, unique=True)
    display = models.CharField(max_length=250)

    def __str__(self) -> str:
        return self.display


class Coding(models.Model):
    """One coding of a concept. A concept is in a value set when any of its codings is, by (system, code)."""

    concept = models.ForeignKey(Concept, on_delete=models.CASCADE, related_name="codings")
    system = models.CharField(max_length=120)
    code = models.CharField(max_length=80)

    class Meta:
        indexes = [models.Index(fields=["system", "code"]), models.Index(fields=["concept"])]

    def __str__(self) -> str:
        return f"{self.system}|{self.code}"


class ValueSet(models.Model):
    """A named list of codes, keyed by its OID (names are not unique)."""

    oid = models.CharField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    version = models.CharField(max_length=40, blank=True)
    origin = models.CharField(max_length=200, blank=True)  # the file it came from
    digest = models.CharField(max_length=32, blank=True)
    loaded_at = models.DateTimeField(default=clock.machine_now)

    def __str__(self) -> str:
        return self.name


class ValueSetCode(models.Model):
    value_set = models.ForeignKey(ValueSet, on_delete=models.CASCADE, related_name="codes")
    system = models.CharField(max_length=120)
    code = models.CharField(max_length=80)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["value_set", "system", "code"], name="value_set_code_once")
        ]
        indexes = [models.Index(fields=["system", "code"])]


class Kind(models.IntegerChoices):
    """What sort of fact. Numbers are stored: never reuse one."""

    ENCOUNTER = 1
    CONDITION = 2
    OBSERVATION = 3
    PROCEDURE = 4
    DIAGNOSTIC_REPORT = 5
    IMMUNIZATION = 6
    MEDICATION_REQUEST = 7  # start = end = authoredOn
    MEDICATION_PERIOD = 8  # the supply of that request (measures.md §0.11)
    SERVICE_REQUEST = 9  # authoredOn
    DEVICE_REQUEST = 10  # authoredOn
    ALLERGY = 11
    ADVERSE_EVENT = 12
    # 13 was never used.
    OBSERVATION_NOT_DONE = (
        14  # the same Observation: start = end = issued, value_concept = why it was not done
    )
    MEDICATION_BOUNDS = 15  # a dosage's boundsPeriod of that request; the second has the id "…#2"


class Status(models.IntegerChoices):
    """The resource's status, over all types; for conditions the clinicalStatus."""

    NONE = 0
    FINISHED = 1
    ARRIVED = 2
    TRIAGED = 3
    IN_PROGRESS = 4
    ON_LEAVE = 5
    PLANNED = 6
    CANCELLED = 7
    ENTERED_IN_ERROR = 8
    UNKNOWN = 9
    FINAL = 10
    AMENDED = 11
    CORRECTED = 12
    PRELIMINARY = 13
    REGISTERED = 14
    COMPLETED = 15
    NOT_DONE = 16
    ACTIVE = 17
    ON_HOLD = 18
    STOPPED = 19
    DRAFT = 20
    REVOKED = 21
    PREPARATION = 22
    RECURRENCE = 23
    RELAPSE = 24
    INACTIVE = 25
    REMISSION = 26
    RESOLVED = 27
    PARTIAL = 28
    APPENDED = 29
    ACTUAL = 30
    POTENTIAL = 31


class Event(models.Model):
    """One fact about one patient. One row per resource (two for a MedicationRequest: order and supply)."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, db_index=False)
    kind = models.PositiveSmallIntegerField(choices=Kind.choices)
    fhir_id = models.CharField(max_length=70)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="events", db_index=False)
    concept = models.ForeignKey(Concept, on_delete=models.PROTECT, db_index=False)
    status = models.PositiveSmallIntegerField(default=Status.NONE, choices=Status.choices)
    traits = models.IntegerField(default=0)
    start_lo = models.BigIntegerField(default=NEVER_BEGAN)
    start_hi = models.BigIntegerField(default=NEVER_BEGAN)
    end_lo = models.BigIntegerField(default=NEVER_ENDS)
    end_hi = models.BigIntegerField(default=NEVER_ENDS)
    start_offset = models.SmallIntegerField(default=0)  # minutes east of UTC, as written
    end_offset = models.SmallIntegerField(default=0)
    value = models.FloatField(null=True)  # a number; the systolic of a blood-pressure panel
    value2 = models.FloatField(null=True)  # the diastolic of a blood-pressure panel
    unit = models.CharField(max_length=24, blank=True)
    value_concept = models.ForeignKey(  # coded value; a visit's discharge disposition; a body site; a prescription's reasons
        Concept, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    encounter = models.CharField(max_length=64, blank=True)  # the FHIR id of the encounter it names
    place = models.ForeignKey(
        "Place", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )  # an encounter's serviceProvider
    digest = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "kind", "fhir_id"], name="event_once")]
        indexes = [
            # All that most leaves of a measure ask of a fact: they read this index and never the table.
            models.Index(
                name="event_by_concept",
                fields=[
                    "concept",
                    "kind",
                    "patient",
                    "start_lo",
                    "start_hi",
                    "end_lo",
                    "end_hi",
                    "status",
                    "traits",
                ],
            ),
            models.Index(fields=["patient", "-start_lo"]),
        ]

    def __str__(self) -> str:
        return f"{Kind(self.kind).label}/{self.fhir_id}"


class Appointment(models.Model):
    """A visit that is booked, or was."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    fhir_id = models.CharField(max_length=64)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="appointments")
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.SET_NULL)
    practitioner = models.ForeignKey(Practitioner, null=True, on_delete=models.SET_NULL)
    status = models.CharField(max_length=20)  # FHIR AppointmentStatus
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    description = models.CharField(max_length=200, blank=True)
    digest = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "fhir_id"], name="appointment_once")]
        indexes = [models.Index(fields=["patient", "starts_at"])]

    def __str__(self) -> str:
        return f"Appointment/{self.fhir_id}"


class Place(models.Model):
    """An Organization or Location of the record, and the clinic it means (if any)."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    kind = models.CharField(max_length=14)  # "Organization" or "Location"
    fhir_id = models.CharField(max_length=64)
    name = models.CharField(max_length=160, blank=True)
    identifiers = models.JSONField(default=list)  # ["system|value", …]: for conditional references
    part_of = models.CharField(max_length=80, blank=True)  # "Organization/123"
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.SET_NULL)
    digest = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "kind", "fhir_id"], name="place_once")]

    def __str__(self) -> str:
        return f"{self.kind}/{self.fhir_id}"


class Medication(models.Model):
    """A Medication of the record. Its concept is its own, so prescriptions may name it before it arrives."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    fhir_id = models.CharField(max_length=64)
    concept = models.ForeignKey(Concept, on_delete=models.PROTECT)
    digest = models.BigIntegerField(default=0)  # 0: named, not yet seen

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "fhir_id"], name="medication_once")]

    def __str__(self) -> str:
        return f"Medication/{self.fhir_id}"


class PractitionerRole(models.Model):
    """Which practitioner works where: how a patient's doctor leads to a clinic."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    fhir_id = models.CharField(max_length=64)
    practitioner = models.ForeignKey(Practitioner, null=True, on_delete=models.CASCADE)
    place = models.ForeignKey(Place, null=True, on_delete=models.SET_NULL)
    digest = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "fhir_id"], name="practitioner_role_once")]


class Merge(models.Model):
    """One record of a person replaces another, as one of the two says; either may come in another night."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, db_index=False)
    told_by = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="+")
    old = models.CharField(max_length=64)  # FHIR ids
    new = models.CharField(max_length=64, blank=True)  # "": it does not say which

    class Meta:
        indexes = [models.Index(fields=["source", "old"])]

    def __str__(self) -> str:
        return f"{self.old} → {self.new}"


class Unattributed(models.Model):
    """Places and doctors that a patient names and nobody has looked up, written with the patient: a killed import leaves it
    to the next. It stays while the doctor has not come in."""

    patient = models.OneToOneField(Patient, primary_key=True, on_delete=models.CASCADE, related_name="+")
    named = models.JSONField()  # [organization, [doctor, …]], each a Reference
    looked_up = models.BooleanField(
        default=False
    )  # the clinic has been decided on; it waits for the doctor only


class Change(models.Model):
    """A patient whose record has changed, noted by triggers; without a patient it is a line (see records.changes)."""

    # No foreign key: who is deleted has changed too. Below zero: only the clinic, clinician or language of that patient has.
    patient_id = models.BigIntegerField(null=True)


class ImportRun(models.Model):
    """One run of import_fhir: what came in, what was refused."""

    objects: ClassVar[models.Manager["ImportRun"]]

    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    started_at = models.DateTimeField(default=clock.machine_now)
    finished_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict)  # {"Patient": {"created": 1, …}}
    rejects_file = models.CharField(max_length=250, blank=True)
    state = models.CharField(max_length=8, default="running")  # running, done, failed
