"""Patients, how to reach them, what they agreed to, and which clinician answers for them."""

from typing import ClassVar, Self

from django.db import models

from engage.accounts.models import Clinic, User
from engage.lib import clock, phone


class Practitioner(models.Model):
    """A clinician named in the record (FHIR Practitioner)."""

    source = models.CharField(max_length=60)
    fhir_id = models.CharField(max_length=64)
    name = models.CharField(max_length=160)
    npi = models.CharField(max_length=20, blank=True)
    identifiers = models.JSONField(
        default=list, blank=True
    )  # ["system|value", …]: for conditional references
    digest = models.BigIntegerField(default=0)
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.SET_NULL)  # by PractitionerRole

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "fhir_id"], name="practitioner_once")]

    def __str__(self) -> str:
        return self.name


class PatientQuerySet(models.QuerySet["Patient"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(user.scope())

    def living(self) -> Self:
        return self.filter(deceased=False, active=True)


class Channel(models.TextChoices):
    SMS = "sms", "Text"
    VOICE = "voice", "Automated call"
    EMAIL = "email", "E-mail"
    CHAT = "chat", "Chat"
    LETTER = "letter", "Letter"
    LINK = "link", "Secure link"
    PORTAL = "portal", "Patient portal"


class Patient(models.Model):
    """FHIR Patient, as the record has it, with what outreach must know."""

    source = models.CharField(max_length=60)
    fhir_id = models.CharField(max_length=64)
    mrn = models.CharField(max_length=40, blank=True)
    mrn_system = models.CharField(max_length=120, blank=True, default="", db_default="")  # whose number it is
    clinic = models.ForeignKey(
        Clinic, null=True, on_delete=models.PROTECT, related_name="patients"
    )  # None: unassigned
    pcp = models.ForeignKey(Practitioner, null=True, on_delete=models.SET_NULL, related_name="panel")
    family = models.CharField(max_length=100, blank=True)
    given = models.CharField(max_length=100, blank=True)
    search_name = models.CharField(max_length=210, blank=True)  # lib.text.fold("family given")
    birth_date = models.DateField(null=True)  # first day of what is known
    birth_precision = models.CharField(max_length=5, blank=True)  # "day", "month", "year" or "" when unknown
    gender = models.CharField(max_length=10, blank=True)
    sex = models.CharField(
        max_length=20, blank=True, default="", db_default=""
    )  # US Core's sex extension, its code
    language = models.CharField(max_length=8, default="en")  # BCP 47 primary tag
    deceased = models.BooleanField(default=False)
    deceased_on = models.DateField(null=True)
    active = models.BooleanField(default=True)
    merged_into = models.ForeignKey("self", null=True, on_delete=models.SET_NULL)
    line = models.CharField(max_length=160, blank=True)
    city = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=2, blank=True)  # USPS code
    postal_code = models.CharField(max_length=10, blank=True)
    time_zone = models.CharField(max_length=40, blank=True)  # IANA, from the address; "" unknown
    preferred_channel = models.CharField(max_length=8, choices=Channel.choices, default=Channel.SMS)
    detail_level = models.PositiveSmallIntegerField(
        default=0
    )  # 0 generic wording, 1 told of the risk and said yes
    confidential = models.BooleanField(default=False)  # 45 CFR 164.522(b): only the way the patient asked for
    do_not_call = models.BooleanField(default=False)
    demo = models.BooleanField(default=False)  # written by seed_demo
    digest = models.BigIntegerField(default=0)  # of the resource as imported
    updated_at = models.DateTimeField(default=clock.machine_now)

    objects: ClassVar[models.Manager["Patient"]] = PatientQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "fhir_id"], name="patient_once")]
        indexes = [
            models.Index(fields=["clinic", "search_name"]),
            models.Index(fields=["search_name"]),
            models.Index(fields=["mrn"]),
            models.Index(fields=["birth_date", "birth_precision"]),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}".strip() or "Name unknown"

    @property
    def listed_name(self) -> str:
        """ "Rivera, Ana", as lists sort it."""
        return ", ".join(p for p in (self.family, self.given) if p) or "Name unknown"

    @property
    def first_name(self) -> str:
        return self.given.split(" ")[0] if self.given else ""

    @property
    def birth_text(self) -> str:
        if self.birth_date is None:
            return "birth date unknown"
        return {"day": f"{self.birth_date:%-d %b %Y}", "month": f"{self.birth_date:%b %Y}"}.get(
            self.birth_precision, f"{self.birth_date:%Y}"
        )

    def age(self) -> int | None:
        """Whole years today (business time)."""
        if self.birth_date is None:
            return None
        today, born = clock.today(), self.birth_date
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


class ContactPoint(models.Model):
    """A phone or an e-mail address of a patient.

    active → suspect → invalid          (the carrier's answers, by messaging's error table)
    active → sms_incapable | voice_only | blocked | opted_out | wrong_person | old
    Each state but active has its `state_reason`, one sentence for a person.
    """

    class System(models.TextChoices):
        PHONE = "phone", "Phone"
        EMAIL = "email", "E-mail"

    class State(models.TextChoices):
        ACTIVE = "active", "Usable"
        SUSPECT = "suspect", "Doubtful"
        SMS_INCAPABLE = "sms_incapable", "Cannot receive texts"
        VOICE_ONLY = "voice_only", "Calls only"
        INVALID = "invalid", "Not a working number or address"
        OPTED_OUT = "opted_out", "Opted out"
        BLOCKED = "blocked", "Blocked by the carrier"
        WRONG_PERSON = "wrong_person", "Someone else's"
        OLD = "old", "No longer used"

    DOUBT = "May want messages to stop; a person is asking."  # why it is OPTED_OUT until somebody has decided

    class Permission(models.TextChoices):
        NONE = "none", "Never given"
        GRANTED = "granted", "Given"
        REVOKED = "revoked", "Ended"

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="contact_points")
    system = models.CharField(max_length=5, choices=System.choices)
    use = models.CharField(max_length=10, blank=True)  # FHIR: home, work, mobile, old, temp
    rank = models.PositiveSmallIntegerField(default=1)  # 1 is tried first
    raw = models.CharField(max_length=200)  # what the record said
    value = models.CharField(max_length=200, blank=True)  # E.164 or lower-case address; "" when unusable
    valid = models.BooleanField(default=True)  # by the numbering plan; the allow-list may overrule it
    state = models.CharField(max_length=14, choices=State.choices, default=State.ACTIVE)
    state_reason = models.CharField(max_length=200, blank=True)
    suspect_count = models.PositiveSmallIntegerField(default=0)
    # What Consent (append-only, the truth) comes to today; written only by patients.actions.record_consent.
    sms_consent = models.CharField(max_length=8, choices=Permission.choices, default=Permission.NONE)
    voice_consent = models.CharField(max_length=8, choices=Permission.choices, default=Permission.NONE)
    email_consent = models.CharField(max_length=8, choices=Permission.choices, default=Permission.NONE)
    source = models.CharField(max_length=60, default="ehr")  # the record, or staff

    class Meta:
        ordering = ["patient_id", "system", "rank", "id"]
        indexes = [models.Index(fields=["value"]), models.Index(fields=["patient", "system", "rank"])]

    def __str__(self) -> str:
        return f"{self.system}:{self.pk}"

    @property
    def in_doubt(self) -> bool:
        """Nothing automatic goes to it until a person has decided whether messages must stop."""
        return self.state == self.State.OPTED_OUT and self.state_reason == self.DOUBT

    @property
    def display(self) -> str:
        return (
            phone.display(self.value)
            if self.system == self.System.PHONE and self.value
            else self.value or self.raw
        )


class Consent(models.Model):
    """A permission given or ended, append-only, with where it came from.

    A text's opt-out belongs to the number: such a row has no patient and covers everyone on that number.
    """

    class Decision(models.TextChoices):
        GRANTED = "granted", "Given"
        REVOKED = "revoked", "Ended"

    class Source(models.TextChoices):
        EHR = "ehr", "Record import"
        PATIENT_TEXT = "patient_text", "The patient's text"
        PATIENT_CALL = "patient_call", "The patient, by phone"
        STAFF = "staff", "Told to staff"
        PROVIDER = "provider", "The carrier's opt-out list"
        DEMO = "demo", "Demonstration data"

    patient = models.ForeignKey(Patient, null=True, on_delete=models.PROTECT, related_name="consents")
    address = models.CharField(max_length=200)  # E.164 or e-mail
    channel = models.CharField(max_length=8, choices=Channel.choices)
    topic = models.CharField(max_length=20, default="all")  # "all", "care", "appointments"
    decision = models.CharField(max_length=8, choices=Decision.choices)
    source = models.CharField(max_length=14, choices=Source.choices)
    evidence = models.CharField(
        max_length=200, blank=True
    )  # "message:812", "import:Patient/abc", a staff note
    at = models.DateTimeField(default=clock.now)
    recorded_at = models.DateTimeField(default=clock.machine_now)
    recorded_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)

    class Meta:
        indexes = [
            models.Index(fields=["address", "channel", "-id"]),
            models.Index(fields=["patient", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.decision} {self.channel}"
