"""The worklist: someone must act for a patient, by a time. Nothing leaves it without an outcome."""

from datetime import timedelta
from typing import ClassVar, Self

from django.db import models, transaction
from django.db.models import Q

from engage.accounts.models import Clinic, User
from engage.lib import clock
from engage.patients.models import Patient

CLAIM_MINUTES = 15
LONGEST = 600  # characters of a summary


class Reason(models.TextChoices):
    URGENT_REPLY = "urgent_reply", "Urgent reply"
    REPLY = "reply", "Reply needs an answer"
    SYMPTOM = "symptom", "Symptom or medicine"
    COMPLAINT = "complaint", "Complaint"
    UNMATCHED_REPLY = "unmatched_reply", "Whose reply is this?"
    ALREADY_DONE = "already_done", "Says it is already done"
    WANTS_VISIT = "wants_visit", "Wants a visit"
    MAY_CANCEL = "may_cancel", "May want to cancel a visit"
    OPT_OUT_DOUBT = "opt_out_doubt", "May want messages to stop"
    WRONG_PERSON = "wrong_person", "Wrong person"
    NO_WAY_TO_REACH = "no_way_to_reach", "No way to reach"
    FIX_PHONE = "fix_phone", "Phone number to fix"
    CALL = "call", "Call the patient"
    DELIVERY_REVIEW = "delivery_review", "Was this text delivered?"
    NO_TEMPLATE = "no_template", "No approved wording"
    CHECK_DECEASED = "check_deceased", "Reported as deceased"
    SAMPLE = "sample", "Sample of replies to check"
    OTHER = "other", "Other"


class Outcome(models.TextChoices):
    ANSWERED = "answered", "Answered"
    BOOKED = "booked", "Visit booked"
    WILL_CALL = "will_call", "Patient will call"
    ALREADY_DONE = "already_done", "Already done, recorded"
    DECLINED = "declined", "Patient declined"
    NO_ANSWER = "no_answer", "No answer"
    LEFT_VOICEMAIL = "left_voicemail", "Left a voicemail"
    WRONG_NUMBER = "wrong_number", "Wrong number"
    CONTACT_FIXED = "contact_fixed", "Contact corrected"
    HANDED_ON = "handed_on", "Handed to someone else"
    EMERGENCY_HANDLED = "emergency_handled", "Emergency handled"
    NOT_SIGNIFICANT = "not_significant", "Not significant"
    NO_LONGER_NEEDED = "no_longer_needed", "No longer needed"
    DECEASED = "deceased", "Patient has died"
    CHECKED = "checked", "Checked"
    BY_SYSTEM = "by_system", "Settled by the record"


class TaskQuerySet(models.QuerySet["Task"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(user.scope())

    def open(self) -> Self:
        # Said as the indexes say it ("not done"), so that they serve.
        return self.exclude(state=Task.State.DONE)

    def waiting(self) -> Self:
        """What the list shows now: open, and not snoozed past this moment."""
        return self.open().exclude(state=Task.State.SNOOZED, snoozed_until__gt=clock.now())


class Task(models.Model):
    """One entry of the worklist.

    open ⇄ snoozed;  open → done (with an outcome; undo → open)
    A claim is not a state: it lapses by itself after 15 minutes, so two people never hold one patient
    and none is stuck.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"  # waits for somebody
        SNOOZED = "snoozed", "Snoozed"  # comes back at snoozed_until
        DONE = "done", "Done"  # has an outcome

    OPEN_STATES = (State.OPEN, State.SNOOZED)

    class Priority(models.IntegerChoices):
        URGENT = 0, "Urgent"
        ATTENTION = 1, "Attention"
        ROUTINE = 2, "Routine"

    class Queue(models.TextChoices):
        COORDINATORS = "coordinators", "Coordinators"
        NURSES = "nurses", "Nurses"
        ONCALL = "oncall", "On call"
        SUPERVISORS = "supervisors", "Supervisors"

    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.PROTECT)
    patient = models.ForeignKey(Patient, null=True, on_delete=models.PROTECT, related_name="tasks")
    reason = models.CharField(max_length=20, choices=Reason.choices)
    summary = models.CharField(max_length=LONGEST)  # a sentence for each thing that asks for it
    because = models.JSONField(default=list)  # [["message:12", its sentence], …]; "" when nothing is named
    about = models.CharField(
        max_length=60
    )  # "caregap:812", "conversation:7"; with the reason unique while open
    link = models.CharField(max_length=120, blank=True)  # the console page to act on, when not the patient's
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.ROUTINE)
    queue = models.CharField(max_length=14, choices=Queue.choices, default=Queue.COORDINATORS)
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="tasks")
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    due_at = models.DateTimeField()
    snoozed_until = models.DateTimeField(null=True)
    claimed_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="claims")
    claimed_until = models.DateTimeField(null=True)  # machine time
    escalated = models.PositiveSmallIntegerField(default=0)  # steps of the ladder (engage.inbox.escalation)
    outcome = models.CharField(max_length=20, choices=Outcome.choices, blank=True)
    outcome_note = models.TextField(blank=True)
    closed_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    closed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)
    opened_by = models.CharField(max_length=60, default="system")

    objects: ClassVar[models.Manager["Task"]] = TaskQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["about", "reason"], condition=~Q(state="done"), name="task_once_while_open"
            ),
            models.CheckConstraint(condition=~Q(state="done") | ~Q(outcome=""), name="task_done_has_outcome"),
        ]
        indexes = [
            models.Index(
                fields=["clinic", "priority", "due_at", "id"], condition=~Q(state="done"), name="task_open"
            ),
            models.Index(fields=["clinic", "due_at", "id"], condition=~Q(state="done"), name="task_due"),
            models.Index(
                fields=["clinic", "queue", "due_at", "id"], condition=~Q(state="done"), name="task_queue"
            ),
            models.Index(
                fields=["clinic", "reason", "due_at", "id"], condition=~Q(state="done"), name="task_reason"
            ),
            models.Index(fields=["owner", "due_at", "id"], condition=~Q(state="done"), name="task_owner"),
            models.Index(fields=["due_at"], condition=Q(priority=0) & ~Q(state="done"), name="task_urgent"),
            models.Index(
                fields=["clinic", "snoozed_until", "id"], condition=Q(state="snoozed"), name="task_snoozed"
            ),
            models.Index(fields=["clinic", "-closed_at", "-id"], condition=Q(state="done"), name="task_done"),
            models.Index(fields=["patient", "state"]),
            models.Index(fields=["about"]),
        ]

    def __str__(self) -> str:
        return f"{self.reason}:{self.about}"

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN_STATES

    @property
    def overdue(self) -> bool:
        return self.is_open and self.due_at < clock.now()

    @property
    def with_whom(self) -> str:
        """Who is to act: the owner's id, or the queue while nobody has it."""
        return str(self.owner_id or self.queue)

    def held_by(self) -> User | None:
        """Who holds it at this moment, or None."""
        live = self.claimed_until is not None and self.claimed_until > clock.machine_now()
        return self.claimed_by if live else None

    def siblings(self) -> TaskQuerySet:
        """The open tasks of the same patient, this one among them; itself alone when it has no patient."""
        same = Q(patient_id=self.patient_id) if self.patient_id else Q(pk=self.pk)
        return Task.objects.filter(same).open()

    def claim(self, user: User, over: int | None = None) -> bool:
        """Takes every open task of the patient for 15 minutes; False when somebody else holds one.

        `over` is the id of the holder from whom it is taken knowingly. The rows are locked in one order, so of two
        people who press at once only one is told yes.
        """
        now = clock.machine_now()
        with transaction.atomic():
            rows = list(self.siblings().select_for_update().order_by("pk"))
            held = {r.claimed_by_id for r in rows if r.claimed_until and r.claimed_until > now}
            if held - {None, user.pk, over}:
                return False
            until = now + timedelta(minutes=CLAIM_MINUTES)
            Task.objects.filter(pk__in=[r.pk for r in rows]).update(claimed_by=user, claimed_until=until)
        self.refresh_from_db()
        return bool(rows)
