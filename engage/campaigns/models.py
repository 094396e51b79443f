"""Campaign → Cadence → Touch → Enrollment: a purpose, the ordered touches and waits, one step, one patient in it."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from engage.accounts.models import Clinic, User
from engage.caregaps.models import CareGap
from engage.lib import clock
from engage.messaging.models import Stream
from engage.patients.models import Patient


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(clinics__in=user.clinic_ids()).distinct()


class Campaign(models.Model):
    """Outreach for one purpose.

    draft → running ⇄ paused;  running | paused → stopped;  running → finished (nobody left, and not standing)
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        STOPPED = "stopped", "Stopped"
        FINISHED = "finished", "Finished"

    name = models.CharField(max_length=120)
    purpose = models.CharField(max_length=300, blank=True)
    measure = models.CharField(max_length=10)  # chooses by open gap
    clinics = models.ManyToManyField(Clinic, related_name="campaigns")
    segment = models.JSONField(
        default=dict, blank=True
    )  # campaigns.segments: ages, languages, pcp ids, overdue days
    standing = models.BooleanField(default=True)  # takes in new gaps every night
    state = models.CharField(max_length=8, choices=State.choices, default=State.DRAFT)
    stream = models.OneToOneField(Stream, null=True, on_delete=models.PROTECT)
    owner = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True)
    launched_at = models.DateTimeField(null=True)  # the first taking-in reached its end
    ended_at = models.DateTimeField(null=True)
    pause_reason = models.CharField(max_length=200, blank=True)
    texts_per_minute = models.PositiveIntegerField(null=True)  # None: as fast as the carriers allow

    objects: ClassVar[models.Manager["Campaign"]] = CampaignQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class Touch(models.Model):
    """One step of a campaign's cadence."""

    class Kind(models.TextChoices):
        TEXT = "text", "Text"
        CALL_TASK = "call_task", "Staff call"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="touches")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=9, choices=Kind.choices)
    wait_days = models.PositiveSmallIntegerField(default=0)  # after the previous touch
    business_days = models.BooleanField(default=False, db_default=False)  # the wait counts working days only
    template_key = models.SlugField(max_length=60, blank=True)  # a text's wording, by language

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["campaign", "position"], name="touch_once")]


class EnrollmentQuerySet(models.QuerySet["Enrollment"]):
    def active(self) -> Self:
        return self.filter(state=Enrollment.State.ACTIVE)


class Enrollment(models.Model):
    """One patient's gap in one campaign.

    active → completed (all touches made) | ended (why);  completed → ended (an answer)
    left_out (why) → active, when the reason has gone;  ended (gap_closed) → active, when the gap is open again
    An answer (replied, declined, staff) counts for every campaign about that gap, in the gap's measurement period.
    """

    class State(models.TextChoices):
        ACTIVE = "active", "In progress"
        COMPLETED = "completed", "All touches made"
        ENDED = "ended", "Ended"
        LEFT_OUT = "left_out", "Left out"

    class Why(models.TextChoices):
        """Why an enrollment ended, or never began."""

        GAP_CLOSED = "gap_closed", "The gap is no longer open"
        REPLIED = "replied", "The patient replied"
        OPTED_OUT = "opted_out", "The patient opted out"
        DECLINED = "declined", "The patient declined"
        DECEASED = "deceased", "The patient has died"
        CAMPAIGN_STOPPED = "campaign_stopped", "The campaign was stopped"
        STAFF = "staff", "Ended by staff"
        NO_CONSENT = "no_consent", "No consent to texts"
        NO_NUMBER = "no_number", "No usable number"
        CONFIDENTIAL = "confidential", "Asked for another way of contact"
        OTHER_CAMPAIGN = "other_campaign", "Already in another campaign for this gap"
        RECENT = "recent", "Reached for this gap too often lately"
        NO_LANGUAGE = "no_language", "No approved wording in the patient's language"
        CANNOT_TEXT = "cannot_text", "Texts are not possible"
        SETTLED = "settled", "Has answered about this gap, or staff settled it"
        UNDECIDED = "undecided", "A report of death or a wish to stop waits for staff"

    ANSWERS = (Why.REPLIED, Why.DECLINED, Why.STAFF)

    # No index of their own: those below begin with the same columns, and a launch writes a row into each.
    campaign = models.ForeignKey(
        Campaign, on_delete=models.CASCADE, related_name="enrollments", db_index=False
    )
    gap = models.ForeignKey(CareGap, on_delete=models.CASCADE, related_name="enrollments", db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="enrollments", db_index=False)
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.PROTECT, db_index=False)
    state = models.CharField(max_length=9, choices=State.choices, default=State.ACTIVE)
    why = models.CharField(max_length=16, choices=Why.choices, blank=True)
    position = models.PositiveSmallIntegerField(default=1)  # of the next touch
    due_at = models.DateTimeField(null=True)  # business time of the next touch
    round = models.PositiveSmallIntegerField(
        default=1, db_default=1
    )  # counts up when a reopened gap starts again; part of the key of its messages
    enrolled_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Enrollment"]] = EnrollmentQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "gap"], name="enrollment_once")]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(state="active"), name="enrollment_due"),
            models.Index(fields=["patient", "state"]),
            models.Index(fields=["gap", "state"]),
            models.Index(fields=["campaign", "state"]),
        ]
