"""Who may see whom: User, Clinic, Role."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models


class Role(models.TextChoices):
    COORDINATOR = "coordinator", "Care coordinator"
    NURSE = "nurse", "Nurse"
    ONCALL = "oncall", "Clinician on call"
    CAMPAIGNS = "campaigns", "Campaign administrator"
    SUPERVISOR = "supervisor", "Supervisor"
    AUDITOR = "auditor", "Auditor"


class Clinic(models.Model):
    """The unit that scopes access; in FHIR an Organization or a Location."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(unique=True)
    state = models.CharField(max_length=2, blank=True)  # USPS code: decides the legal window
    time_zone = models.CharField(max_length=40, default="America/New_York")
    phone = models.CharField(max_length=20, blank=True)  # E.164; the person a patient can call back
    on_call_number = models.CharField(max_length=20, blank=True)  # E.164; who is told of an urgent reply
    backup_number = models.CharField(max_length=20, blank=True)  # E.164; told when nobody takes it
    ehr_phone_is_consent = models.BooleanField(
        default=True
    )  # a phone in the record is consent to care messages
    sunday_sending = models.BooleanField(default=False)
    # Hours of automatic messages, narrower than the law's: {"weekdays": ["10:00", "17:00"], "saturday": null}.
    sending_hours = models.JSONField(default=dict, blank=True)
    sending_paused = models.BooleanField(default=False)  # the clinic's own stop
    identifiers = models.JSONField(
        default=list, blank=True
    )  # ["source|Organization/123", "source|Location/9"]

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A member of staff: one role, in the clinics they are assigned to."""

    THEMES = [("system", "As the system"), ("light", "Light"), ("dark", "Dark")]

    role = models.CharField(max_length=20, choices=Role.choices, default=Role.COORDINATOR)
    clinics = models.ManyToManyField(Clinic, related_name="staff", blank=True)
    single_keys = models.BooleanField(default=True)  # WCAG 2.1.4: single-key shortcuts can be switched off
    theme = models.CharField(max_length=6, default="system", choices=THEMES)

    @property
    def sees_unassigned(self) -> bool:
        """What no clinic answers for is seen by supervisors, and by those who are called when it is urgent."""
        return self.role in (Role.SUPERVISOR, Role.ONCALL)

    def own_clinics(self) -> list[Clinic]:
        """The clinics this person is assigned to; read once per request."""
        cached: Any = self.__dict__.get("_clinics")
        if cached is None:
            cached = self.__dict__["_clinics"] = list(self.clinics.all())
        return list(cached)

    def clinic_ids(self) -> list[int]:
        return [clinic.pk for clinic in self.own_clinics()]

    def scope(self, path: str = "clinic") -> models.Q:
        """The filter for rows this person may see; `path` leads to the clinic's foreign key."""
        mine = models.Q(**{f"{path}__in": self.clinic_ids()})
        return mine | models.Q(**{f"{path}__isnull": True}) if self.sees_unassigned else mine

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username
