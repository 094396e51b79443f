"""CareGap: this patient lacks what this measure asks, as of a day."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import F

from engage.accounts.models import Clinic, User
from engage.lib import clock
from engage.patients.models import Patient
from engage.records.models import Event


class CareGapQuerySet(models.QuerySet["CareGap"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(user.scope("patient__clinic"))

    def open(self) -> Self:
        return self.filter(status=CareGap.Status.OPEN)


class CareGap(models.Model):
    """One measure, one patient, one period.

    (none) → open ⇄ closed;  (none) → excluded ⇄ open;  open ⇄ deferred
    The nightly job writes a row only when something about it changed. One who already has what the measure asks gets
    no row. In a new period an open, deferred or excluded row moves on with it, so that what is under way goes on;
    closed ones stay.
    """

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        DEFERRED = "deferred", "Put off"
        CLOSED = "closed", "Closed"
        EXCLUDED = "excluded", "Does not apply"

    class ClosedBy(models.TextChoices):
        RECORD = "record", "The record"
        STAFF = "staff", "Staff, with evidence"
        LEFT = "left", "No longer in the population"

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="gaps", db_index=False)
    measure = models.CharField(max_length=10)  # "CMS130"
    group = models.PositiveSmallIntegerField(default=1)
    period_start = models.DateField()  # first day of the measurement period
    rules = models.CharField(max_length=20)  # the rule set's version, "2025.1"
    status = models.CharField(max_length=8, choices=Status.choices)
    opened_on = models.DateField()  # business day of the run that opened it
    due_since = models.DateField(null=True)
    closed_on = models.DateField(null=True)
    closed_by = models.CharField(max_length=6, choices=ClosedBy.choices, blank=True)
    deferred_until = models.DateField(null=True)
    evidence = models.JSONField(default=dict)  # structured: which expressions held, with event ids and days
    last_event = models.ForeignKey(
        Event, null=True, on_delete=models.SET_NULL, db_constraint=False, db_index=False
    )
    evidence_key = models.CharField(
        max_length=32, blank=True
    )  # evidence in short: unchanged means not written
    changed_at = models.DateTimeField(default=clock.machine_now)

    objects: ClassVar[models.Manager["CareGap"]] = CareGapQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["measure", "group", "period_start", "patient"], name="gap_once")
        ]
        indexes = [
            models.Index(fields=["patient", "status"]),
            models.Index(
                fields=["measure", "status", "due_since"]
            ),  # the measure's patients, longest due first
            models.Index(
                name="gap_put_off",
                fields=["deferred_until"],
                condition=models.Q(deferred_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"caregap:{self.pk}"

    @property
    def about(self) -> str:
        """The key under which tasks and messages name this gap."""
        return f"caregap:{self.pk}"


class Closure(models.Model):
    """What staff recorded to close a gap: what was done, when, where, and how they know."""

    class Known(models.TextChoices):
        PATIENT_SAYS = "patient_says", "The patient says so"
        REPORT_SEEN = "report_seen", "We have seen the report"
        OTHER_CLINIC = "other_clinic", "Another clinic confirmed it"

    gap = models.ForeignKey(CareGap, on_delete=models.CASCADE, related_name="closures")
    what = models.SlugField(max_length=40)  # a branch of the measure's numerator: "colonoscopy"
    done_on = models.DateField()  # first day of what is known
    precision = models.CharField(max_length=5, default="day")  # day, month, year
    place = models.CharField(max_length=160, blank=True)
    known_by = models.CharField(max_length=12, choices=Known.choices, default=Known.PATIENT_SAYS)
    note = models.TextField(blank=True)
    message_id = models.BigIntegerField(null=True)  # the reply that said so
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT)
    recorded_at = models.DateTimeField(default=clock.now)
    withdrawn_at = models.DateTimeField(null=True)  # undone by staff: counts no longer


class TakenOver(RuntimeError):
    """The run is no longer the one that writes."""


class GapRun(models.Model):
    """One run of find_gaps.

    running → completed | stopped (would change too much) | failed
    The database holds one running row at most. A run whose holder is gone is failed by the next one.
    """

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        COMPLETED = "completed", "Completed"
        STOPPED = "stopped", "Stopped: would change too much"
        FAILED = "failed", "Failed"

    as_of = models.DateField()
    rules = models.CharField(max_length=20)
    scheduled = models.BooleanField(default=False)
    full = models.BooleanField(default=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.RUNNING)
    started_at = models.DateTimeField(default=clock.machine_now)
    finished_at = models.DateTimeField(null=True)
    holder = models.CharField(max_length=80, blank=True)  # "host:pid"
    heartbeat_at = models.DateTimeField(default=clock.machine_now)
    opened = models.PositiveIntegerField(default=0)
    closed = models.PositiveIntegerField(default=0)
    excluded = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    written = models.PositiveIntegerField(default=0)
    note = models.TextField(blank=True)
    looked_at = models.PositiveIntegerField(default=0)  # patients
    basis = models.CharField(max_length=32, blank=True)  # what the answers depend on besides the record
    line = models.BigIntegerField(
        null=True
    )  # changes noted below it are the next run's; None: no basis for it

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="running"), name="gap_run_alone"
            )
        ]
        indexes = [models.Index(fields=["-started_at"])]

    def beat(self, written: int = 0) -> None:
        """A sign of life, the last thing in the transaction of what was written: raises TakenOver if it must not be."""
        mine = GapRun.objects.filter(pk=self.pk, state=GapRun.State.RUNNING)
        if not mine.update(heartbeat_at=clock.machine_now(), written=F("written") + written):
            raise TakenOver("Another run took over: this one was silent for too long.")

    @property
    def seconds(self) -> float:
        end = self.finished_at or clock.machine_now()
        return (end - self.started_at).total_seconds()

    @property
    def summary(self) -> str:
        """ "1,204 opened, 310 closed by record, 12 excluded, 12 s"."""
        return (
            f"{self.opened:,} opened, {self.closed:,} closed by record, {self.excluded:,} excluded, "
            f"{self.unchanged:,} unchanged, {self.written:,} rows written, {self.seconds:.0f} s"
        )


class Roll(models.Model):
    """The patients of one population as the last completed run left it, a serialized bitmap (see rolls)."""

    run = models.ForeignKey(GapRun, on_delete=models.CASCADE, related_name="rolls")
    measure = models.CharField(max_length=10)
    group = models.PositiveSmallIntegerField(default=1)
    population = models.CharField(max_length=12)
    patients = models.BinaryField()


class Moving(models.Model):
    """The patients for whom time itself changes an answer on that day, a serialized bitmap (see moving)."""

    day = models.DateField(unique=True)
    patients = models.BinaryField()


class CountedTogether(models.Model):
    """The patients who are counted together, as the last completed run left them, a serialized bitmap (see tallies)."""

    clinic_id = models.BigIntegerField(null=True)
    pcp_id = models.BigIntegerField(null=True)
    language = models.CharField(max_length=8, blank=True)
    band = models.SmallIntegerField()
    patients = models.BinaryField()


class MeasureTally(models.Model):
    """One measure in one clinic as a run counted it: the rate and its trend."""

    run = models.ForeignKey(GapRun, on_delete=models.CASCADE, related_name="tallies")
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.CASCADE)
    measure = models.CharField(max_length=10)
    group = models.PositiveSmallIntegerField(default=1)
    initial_population = models.PositiveIntegerField(default=0)
    denominator = models.PositiveIntegerField(default=0)
    excluded = models.PositiveIntegerField(default=0)
    excepted = models.PositiveIntegerField(default=0)
    numerator = models.PositiveIntegerField(default=0)
    open_gaps = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "clinic", "measure", "group"], name="tally_once")
        ]


class OpenTally(models.Model):
    """The open gaps of one measure in one clinic by clinician, language or age, as the last run of the measure counted them.

    The measures page reads it: with a million patients, counting them while somebody waits would take seconds.
    """

    class By(models.TextChoices):
        PCP = "pcp", "Clinician"
        LANGUAGE = "language", "Language"
        AGE = "age", "Age"

    run = models.ForeignKey(GapRun, on_delete=models.CASCADE, related_name="open_tallies", db_index=False)
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.CASCADE, db_index=False)
    measure = models.CharField(max_length=10)
    group = models.PositiveSmallIntegerField(default=1)
    by = models.CharField(max_length=8, choices=By.choices)
    key = models.CharField(
        max_length=20, blank=True
    )  # a clinician's id, a language, "40-49"; "" when there is none
    open_gaps = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["measure", "by"])]
