"""Conversation and Flag: what a patient said, what it may mean, and who looks after it."""

from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from engage.accounts.models import Clinic, User
from engage.lib import clock
from engage.lib.fixed import Fixed
from engage.messaging.models import Message
from engage.patients.models import Patient


class InboxError(ValueError):
    """An act that cannot be done now; its text is one sentence for a person."""


class Level(models.IntegerChoices):
    """How much a reply matters. Unsorted stands above the sorted ones until every stage has finished."""

    URGENT = 0, "Urgent"
    UNSORTED = 1, "Unsorted"
    SIGNIFICANT = 2, "Needs a person"
    ROUTINE = 3, "Routine"


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(user.scope())

    def open(self) -> Self:
        return self.filter(state=Conversation.State.OPEN)


class Conversation(models.Model):
    """All messages with one patient, or with a number that is not yet matched to one.

    open (someone must look) → waiting (we answered) | snoozed (until) | closed;  any reply → open
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        WAITING = "waiting", "Waiting for the patient"
        SNOOZED = "snoozed", "Snoozed"
        CLOSED = "closed", "Closed"

    patient = models.ForeignKey(Patient, null=True, on_delete=models.PROTECT, related_name="conversations")
    address = models.CharField(max_length=200)  # the number last written from
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.PROTECT)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    level = models.PositiveSmallIntegerField(choices=Level.choices, default=Level.ROUTINE)
    owner = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="conversations")
    language = models.CharField(max_length=8, blank=True)  # of the last reply
    waiting_since = models.DateTimeField(null=True)  # of the oldest reply nobody answered (business time)
    last_heard_at = models.DateTimeField(null=True)
    last_message_at = models.DateTimeField(default=clock.now)
    snoozed_until = models.DateTimeField(null=True)
    seen_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    seen_at = models.DateTimeField(null=True)  # of the last reply; None: unread
    candidates = models.JSONField(default=list)  # patient ids on a shared number, until a person chooses
    only_heard: int | None = None  # of an instance: the reply it has just heard while no other could wait

    objects: ClassVar[models.Manager["Conversation"]] = ConversationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["patient"], condition=Q(patient__isnull=False), name="conversation_patient"
            ),
            models.UniqueConstraint(
                fields=["address"], condition=Q(patient__isnull=True), name="conversation_unmatched"
            ),
        ]
        indexes = [
            models.Index(
                fields=["clinic", "level", "waiting_since", "id"], condition=Q(state="open"), name="conv_open"
            ),
            models.Index(fields=["clinic", "state", "-last_message_at"]),
            models.Index(fields=["clinic", "-last_message_at"], name="conv_latest"),
            models.Index(fields=["address"]),
        ]

    def __str__(self) -> str:
        return f"conversation:{self.pk}"

    @property
    def about(self) -> str:
        """The key under which tasks name this conversation."""
        return f"conversation:{self.pk}"

    @property
    def link(self) -> str:
        """The console page of this conversation."""
        return f"/inbox/c/{self.pk}/"

    @property
    def unread(self) -> bool:
        return self.state == self.State.OPEN and self.seen_at is None and self.waiting_since is not None

    @classmethod
    def of(cls, message: Message) -> "Conversation":
        """The conversation a message belongs to."""
        if message.patient_id:
            return cls.objects.get(patient_id=message.patient_id)
        return cls.objects.get(patient=None, address=message.address)

    def lock(self) -> "Conversation":
        """Fresh from the database and held until the transaction ends, so that no reply slips in between."""
        type(self).objects.select_for_update().get(pk=self.pk)
        self.refresh_from_db()
        return self

    def messages(self) -> models.QuerySet[Message]:
        """Everything said in both directions with the patient, or with the number while nobody is matched."""
        return _with_patient(self.patient_id) if self.patient_id else _with_number(self.address)

    def unanswered(self) -> models.QuerySet[Message]:
        """The replies that wait for a person."""
        if self.waiting_since is None:
            return Message.objects.none()
        return _unanswered(self.messages(), self.waiting_since)

    def hear(self, message: Message, clinic: Clinic | None, candidates: list[int]) -> None:
        """A reply came: open again, unread, waiting since the oldest reply nobody has answered. Not saved here."""
        at = message.created_at
        if self.waiting_since is None and (self.last_heard_at is None or self.last_heard_at < at):
            self.only_heard = message.pk
        self.state, self.snoozed_until = self.State.OPEN, None
        self.seen_by, self.seen_at = None, None
        self.address, self.candidates = message.address, candidates
        if clinic is not None:  # else the one that looked after it goes on
            self.clinic = clinic
        self.waiting_since = min(self.waiting_since or at, at)
        self.last_heard_at = max(self.last_heard_at or at, at)
        self.last_message_at = max(self.last_message_at, at)
        self.level = Level.UNSORTED

    def wake(self, at: datetime) -> None:
        """More has been found in a reply of that moment: a person must look, whatever was done since. Not saved here."""
        if self.state != self.State.OPEN:
            self.state, self.snoozed_until = self.State.OPEN, None
            self.waiting_since = min(self.waiting_since or at, at)

    def settle_level(self) -> None:
        """The gravest of the unanswered replies; unsorted while triage has not finished one of them."""
        self.level = self.graded()
        self.save(update_fields=["level"])

    def graded(self, last: "Reading | None" = None) -> int:
        """The level that its replies ask for by now. `last`: of the reply just heard."""
        readings: list[tuple[int, bool]]
        if last is not None and last.message_id == self.only_heard:
            readings = [(last.level, last.complete)]
        elif self.patient_id:
            readings = OF_PATIENT(patient=self.patient_id, since=self.waiting_since)
        else:
            readings = OF_NUMBER(address=self.address, since=self.waiting_since)
        levels = [level if complete else min(level, Level.UNSORTED) for level, complete in readings]
        return min(levels, default=Level.ROUTINE)


def _with_patient(pk: int) -> models.QuerySet[Message]:
    return Message.objects.filter(patient_id=pk)


def _with_number(address: str) -> models.QuerySet[Message]:
    return Message.objects.filter(patient=None, address=address)


def _unanswered(said: models.QuerySet[Message], since: datetime) -> models.QuerySet[Message]:
    return said.filter(direction=Message.Direction.IN, created_at__gte=since)


def _levels(replies: models.QuerySet[Message]) -> "models.QuerySet[Reading, tuple[int, bool]]":
    return Reading.objects.filter(message__in=replies).values_list("level", "complete")


# Nothing is after the moment NULL, so a conversation that waits for nobody has no levels.
OF_PATIENT = Fixed(lambda patient, since: _levels(_unanswered(_with_patient(patient), since)))
OF_NUMBER = Fixed(lambda address, since: _levels(_unanswered(_with_number(address), since)))


class Flag(models.Model):
    """Why a reply is significant: one finding of triage, or of a person.

    proposed → confirmed | dismissed ("not significant"), each by a person
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "Proposed"
        CONFIRMED = "confirmed", "Confirmed"
        DISMISSED = "dismissed", "Not significant"

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="flags")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="flags")
    label = models.CharField(max_length=20)
    level = models.PositiveSmallIntegerField(choices=Level.choices)
    evidence = models.CharField(max_length=400, blank=True)  # the patient's own words
    start = models.PositiveIntegerField(default=0)  # where they stand in the message
    end = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=300, blank=True)
    source = models.CharField(max_length=12)  # optout, lexicon, question, classifier, llm, staff
    state = models.CharField(max_length=9, choices=State.choices, default=State.PROPOSED)
    decided_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["message", "label", "source", "start"], name="flag_once")
        ]
        indexes = [models.Index(fields=["conversation", "state"])]

    def __str__(self) -> str:
        return f"flag:{self.pk}"


class Reading(models.Model):
    """What the triage made of one reply, stage by stage; `complete` when every stage has finished.

    `level` follows what people decide about the flags; `said` stays as triage gave it, so that it can be judged.
    """

    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="reading")
    labels = models.JSONField(default=list)
    level = models.PositiveSmallIntegerField(choices=Level.choices, default=Level.UNSORTED)
    said = models.PositiveSmallIntegerField(choices=Level.choices, default=Level.UNSORTED)  # by triage alone
    language = models.CharField(max_length=8, blank=True)
    version = models.CharField(max_length=40, blank=True)
    complete = models.BooleanField(default=False)
    failure = models.CharField(max_length=200, blank=True)
    done = models.JSONField(default=list)  # what it has led to, by key: a second run does not do it again
    tried_at = models.DateTimeField(null=True)  # machine time; when the stages last ran over it
    matched_at = models.DateTimeField(null=True)  # machine time; when a person said whose reply it is

    objects: ClassVar[models.Manager["Reading"]]

    class Meta:
        indexes = [
            models.Index(fields=["message"], condition=Q(complete=False), name="reading_unsorted"),
        ]

    def __str__(self) -> str:
        return f"reading:{self.message_id}"


class WordList(models.Model):
    """One version of what clinicians changed in the shipped lexicon: an overlay by entry id (inbox.wordlist).

    draft → live → past;  draft → dropped
    At most one draft and one live version. A version that was live is never changed again.
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        LIVE = "live", "Live"
        PAST = "past", "Replaced"
        DROPPED = "dropped", "Dropped"

    number = models.PositiveIntegerField(null=True, unique=True)  # given when it goes live
    state = models.CharField(max_length=7, choices=State.choices, default=State.DRAFT)
    changes = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, blank=True)  # of the changes that went live
    based_on = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    revision = models.PositiveIntegerField(default=0)  # rises with each save of the draft
    trial = models.JSONField(default=dict)  # what the last trial found: ids, levels and counts, never words
    reason = models.CharField(max_length=300, blank=True)
    narrower = models.BooleanField(default=False)  # going live, it made fewer things urgent
    began_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    began_at = models.DateTimeField(default=clock.now)
    published_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    published_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["WordList"]]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=Q(state__in=["draft", "live"]), name="word_list_one_of_each"
            )
        ]

    def __str__(self) -> str:
        return f"wordlist:{self.number or 'draft'}"


class Sample(models.Model):
    """Replies of one clinic and week, drawn at random, that a nurse checks. Done when each has a verdict."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="samples")
    week = models.DateField()  # its Monday, in the clinic's zone
    drawn_at = models.DateTimeField(default=clock.now)
    replies = models.PositiveIntegerField()  # of the week, sorted or not
    unsorted = models.PositiveIntegerField(default=0)  # of them: never sorted, so not in the sample
    done_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["Sample"]]

    class Meta:
        constraints = [models.UniqueConstraint(fields=["clinic", "week"], name="sample_once")]
        ordering = ["-week", "clinic"]

    def __str__(self) -> str:
        return f"sample:{self.pk}"

    @property
    def about(self) -> str:
        """The key under which its task names it."""
        return f"sample:{self.pk}"


class SampleItem(models.Model):
    """One reply of a sample: what triage said of it when it was drawn, and what a person says.

    `weight` is how many replies of its stratum (level and language) it stands for.
    """

    sample = models.ForeignKey(Sample, on_delete=models.CASCADE, related_name="items")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="sampled")
    position = models.PositiveSmallIntegerField()
    said = models.PositiveSmallIntegerField(choices=Level.choices)
    labels = models.JSONField(default=list)  # as triage gave them
    language = models.CharField(max_length=8, blank=True)
    version = models.CharField(max_length=40, blank=True)  # of the triage that read it
    weight = models.FloatField()
    verdict = models.PositiveSmallIntegerField(choices=Level.choices, null=True)
    label = models.CharField(max_length=20, blank=True)  # what it should have been flagged as
    decided_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager["SampleItem"]]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sample", "message"], name="sample_item_once"),
            models.UniqueConstraint(fields=["sample", "position"], name="sample_item_place"),
        ]

    def __str__(self) -> str:
        return f"sampleitem:{self.pk}"


class SecondReading(models.Model):
    """What the optional language model was asked about one reply, what it said, and what came of it.

    waiting → answered | given_up (too late, too often without an answer, or an answer of no use)
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        ANSWERED = "answered", "Answered"
        GIVEN_UP = "given_up", "Given up"

    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="second_reading")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()  # machine time; also the lease of a try that is under way
    made_at = models.DateTimeField()  # machine time
    prompt_version = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=100, blank=True)
    asked = models.TextField(blank=True)  # what was sent of the reply: without identifiers
    answer = models.TextField(blank=True)  # as it came
    failure = models.CharField(max_length=200, blank=True)

    objects: ClassVar[models.Manager["SecondReading"]]

    class Meta:
        indexes = [models.Index(fields=["next_at"], condition=Q(state="waiting"), name="second_waiting")]

    def __str__(self) -> str:
        return f"second_reading:{self.message_id}"
