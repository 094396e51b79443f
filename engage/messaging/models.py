"""What is said to and heard from patients: Stream → Message → Attempt, with every answer of the provider."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from engage.accounts.models import Clinic, User
from engage.lib import clock
from engage.patients.models import Channel, ContactPoint, Patient


class Lane(models.IntegerChoices):
    """Who goes first. Urgent and staff messages never wait behind bulk."""

    URGENT = 0, "Urgent"
    STAFF = 1, "Staff"
    BULK = 2, "Bulk"


class Stream(models.Model):
    """What is paused, cancelled and rated together. Owned by a campaign or a person, which messaging does not know.

    active ⇄ paused;  active | paused → cancelled
    """

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"  # its messages wait
        CANCELLED = "cancelled", "Cancelled"  # its messages are suppressed

    name = models.CharField(max_length=120)
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.PROTECT)
    state = models.CharField(max_length=9, choices=State.choices, default=State.ACTIVE)
    rate_per_minute = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(default=clock.machine_now)

    def __str__(self) -> str:
        return self.name


class Template(models.Model):
    """Approved wording in one language. A changed text is a new version; a sent message keeps the one it used.

    Placeholders are a closed list (messaging.templates.PLACEHOLDERS), never the Django template language.
    """

    class Purpose(models.TextChoices):
        CAMPAIGN = "campaign", "Campaign"
        CRISIS = "crisis", "Crisis reply"  # safety text
        HELP = "help", "Answer to HELP"
        STOPPED = "stopped", "Confirmation of an opt-out"
        STARTED = "started", "Confirmation of an opt-in"
        ON_CALL = "on_call", "Alert to the clinic's on-call number"
        RECEIVED = "received", "Acknowledgement outside hours"
        STAFF = "staff", "Ready answers for staff"

    key = models.SlugField(max_length=60)
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.CAMPAIGN)
    language = models.CharField(max_length=8, default="en")
    version = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=120)
    body = models.TextField()
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.CASCADE)  # None: every clinic
    approved_at = models.DateTimeField(null=True)
    approved_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=clock.machine_now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "language", "version"], name="template_version_once")
        ]
        ordering = ["key", "language", "-version"]

    def __str__(self) -> str:
        return f"{self.key}/{self.language}/{self.version}"


class MessageQuerySet(models.QuerySet["Message"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(user.scope())

    def unsent(self) -> Self:
        return self.filter(direction=Message.Direction.OUT, state__in=Message.UNSENT)

    def heard(self) -> Self:
        return self.filter(direction=Message.Direction.IN)


class Message(models.Model):
    """Something said, in or out (FHIR Communication). The row is the truth; the queue is a wake-up.

        QUEUED ──claim──► SENDING ──2xx + sid──► ACCEPTED ─► SENT ─► DELIVERED
         ▲  │               │  ├─ definite refusal ─► FAILED      └► UNDELIVERED | FAILED (callback)
         │  ├─ window closed ─► HELD(not_before) ─► QUEUED
         │  ├─ opt-out, paused for good, gap closed ─► SUPPRESSED(why)
         │  ├─ too old ─► EXPIRED
         │  └─ SENDING, proven not accepted (connection refused, 429) ─► QUEUED
         └── IN_DOUBT (time-out, reset, 5xx, crash): proven absent ─► QUEUED
                 proven present ─► ACCEPTED      cannot be proven ─► NEEDS_REVIEW (a person decides)
    An inbound message is RECEIVED and stays so.
    """

    class Direction(models.TextChoices):
        OUT = "out", "To the patient"
        IN = "in", "From the patient"

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting to go"
        HELD = "held", "Held until a permitted hour"
        SENDING = "sending", "Being handed over"
        IN_DOUBT = "in_doubt", "Being checked with the carrier"
        NEEDS_REVIEW = "needs_review", "A person must decide"
        ACCEPTED = "accepted", "Taken by the carrier"
        SENT = "sent", "On its way"
        DELIVERED = "delivered", "Delivered"
        UNDELIVERED = "undelivered", "Not delivered"
        FAILED = "failed", "Failed"
        SUPPRESSED = "suppressed", "Not sent"
        EXPIRED = "expired", "Too old to send"
        RECEIVED = "received", "Received"

    UNSENT = (State.QUEUED, State.HELD)
    GONE_OUT = (State.ACCEPTED, State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED)

    direction = models.CharField(max_length=3, choices=Direction.choices, default=Direction.OUT)
    channel = models.CharField(max_length=8, choices=Channel.choices, default=Channel.SMS)
    lane = models.PositiveSmallIntegerField(choices=Lane.choices, default=Lane.BULK)
    # Every index is written to twice for each text that goes out; those in Meta serve these columns too.
    stream = models.ForeignKey(Stream, null=True, on_delete=models.PROTECT, db_index=False)
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.PROTECT, db_index=False)
    patient = models.ForeignKey(
        Patient, null=True, on_delete=models.PROTECT, related_name="messages", db_index=False
    )
    contact_point = models.ForeignKey(ContactPoint, null=True, on_delete=models.SET_NULL)
    address = models.CharField(max_length=200)  # the patient's side, E.164 or e-mail, in both directions
    sender = models.CharField(max_length=200, blank=True)  # our side: number or messaging service
    body = models.TextField()
    language = models.CharField(max_length=8, blank=True)
    template = models.ForeignKey(Template, null=True, on_delete=models.PROTECT, db_index=False)
    key = models.CharField(max_length=120)  # dedupe: one row, whatever is repeated
    about = models.CharField(max_length=60, blank=True)  # "caregap:812"
    author = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )  # None: automatic
    reply_to = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="replies", db_index=False
    )
    safety = models.BooleanField(default=False)  # crisis reply, opt-out confirmation: the gate knows these

    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    state_reason = models.CharField(max_length=300, blank=True)  # in words, for a person
    verdict = models.JSONField(default=dict, blank=True)  # the gate's last run: each check and what it found
    error_code = models.CharField(max_length=10, blank=True)
    status_conflict = models.BooleanField(default=False)  # two contradictory final answers: the first is kept
    not_before = models.DateTimeField(null=True)  # business time
    expires_at = models.DateTimeField(null=True)  # business time
    undo_until = models.DateTimeField(
        null=True
    )  # machine time: not claimed before, so its author can take it back
    retry_at = models.DateTimeField(null=True)  # machine time: backing off after a proven non-acceptance
    withdrawn = models.CharField(
        max_length=300, blank=True
    )  # why it must not be tried again, if it comes back
    lease_token = models.CharField(max_length=36, blank=True)
    lease_until = models.DateTimeField(null=True)  # machine time
    attempts_made = models.PositiveSmallIntegerField(default=0)
    provider_sid = models.CharField(max_length=64, null=True)  # noqa: DJ001 - NULL keeps it unique
    created_at = models.DateTimeField(default=clock.now)  # business time: what a timeline shows
    accepted_at = models.DateTimeField(null=True)  # business time: counts for frequency
    done_at = models.DateTimeField(null=True)  # machine time of the last change of state
    segments = models.PositiveSmallIntegerField(default=1)

    objects: ClassVar[models.Manager["Message"]] = MessageQuerySet.as_manager()

    class Meta:
        # Constraints rather than unique=True, which on PostgreSQL makes a second index for LIKE.
        constraints = [
            models.UniqueConstraint(fields=["key"], name="message_once"),
            models.UniqueConstraint(fields=["provider_sid"], name="message_provider_sid_once"),
        ]
        indexes = [
            models.Index(
                fields=["lane", "not_before", "id"],
                condition=Q(state__in=["queued", "held"]),
                name="message_due",
            ),
            models.Index(
                fields=["state", "lease_until"],
                condition=Q(state__in=["sending", "in_doubt", "needs_review"]),
                name="message_unsettled",
            ),
            models.Index(fields=["patient", "-created_at"]),
            models.Index(fields=["address", "-created_at"]),
            models.Index(fields=["about"], condition=~Q(about=""), name="message_about"),
            models.Index(fields=["stream", "state"]),
            models.Index(fields=["clinic", "-created_at"]),
            models.Index(fields=["author"], condition=~Q(author=None), name="message_author"),
            models.Index(fields=["reply_to"], condition=~Q(reply_to=None), name="message_reply_to"),
        ]

    def __str__(self) -> str:
        return f"message:{self.pk}"


class Attempt(models.Model):
    """One try to hand a message to the provider, written before the try. `outcome` "" means: not known yet."""

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", "Accepted"
        REFUSED = "refused", "Refused for good"
        NOT_ACCEPTED = "not_accepted", "Proven not accepted; may be tried again"
        NOT_ATTEMPTED = "not_attempted", "Given back before the try"
        DOUBT = "doubt", "Unknown"

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    number = models.PositiveSmallIntegerField()
    token_digest = models.CharField(max_length=64)
    started_at = models.DateTimeField(default=clock.machine_now)
    deadline = models.DateTimeField()
    outcome = models.CharField(max_length=13, choices=Outcome.choices, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True)
    error_code = models.CharField(max_length=10, blank=True)
    provider_sid = models.CharField(max_length=64, blank=True)
    absent_listings = models.PositiveSmallIntegerField(default=0)  # listings that did not show it
    unread_listings = models.PositiveSmallIntegerField(default=0)  # listings that failed or said nothing
    last_listing_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["message", "number"], name="attempt_once"),
            models.UniqueConstraint(fields=["token_digest"], name="attempt_token_once"),
        ]


class ProviderEvent(models.Model):
    """One answer of the provider, kept as it came and applied once."""

    provider_sid = models.CharField(max_length=64)
    status = models.CharField(max_length=24)  # the provider's word; it stops here
    error_code = models.CharField(max_length=10, blank=True)
    message = models.ForeignKey(Message, null=True, on_delete=models.CASCADE, related_name="provider_events")
    received_at = models.DateTimeField(default=clock.machine_now)
    applied = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider_sid", "status", "error_code"], name="provider_event_once"
            )
        ]


class Heartbeat(models.Model):
    """When a long-lived process last showed itself."""

    name = models.CharField(max_length=60, unique=True)  # "deliver", "cluster"
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)


class Breaker(models.Model):
    """The state of one sender towards the provider.

    closed → open (too many failures) → half_open (one probe) → closed;  locked: until a person acts (bad credentials)
    """

    class State(models.TextChoices):
        CLOSED = "closed", "Working"
        OPEN = "open", "Waiting after failures"
        HALF_OPEN = "half_open", "Trying one message"
        LOCKED = "locked", "Stopped: needs an operator"

    sender = models.CharField(max_length=200, unique=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.CLOSED)
    reason = models.CharField(max_length=200, blank=True)
    until = models.DateTimeField(null=True)  # machine time
    changed_at = models.DateTimeField(default=clock.machine_now)


class Usage(models.Model):
    """What a sender or a stream has been given (messaging.pace): locked by each claim that draws on it."""

    name = models.CharField(max_length=210, unique=True)  # "sender:+15550100000", "stream:12"
    busy_until = models.DateTimeField(
        null=True
    )  # machine time: at its rate, all it was given has gone by then
    day = models.DateField(null=True)  # the carriers' day, Pacific time
    used = models.PositiveIntegerField(
        default=0
    )  # units of that day: a sender's segments, a stream's messages


class SendingStop(models.Model):
    """An operator's stop of all sending (messaging.switch): in force until it is ended; at most one at a time."""

    begun_at = models.DateTimeField(default=clock.machine_now)
    begun_by = models.CharField(max_length=150)
    why = models.CharField(max_length=200)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=150, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(models.Value(1), condition=Q(ended_at=None), name="sending_stop_once")
        ]
