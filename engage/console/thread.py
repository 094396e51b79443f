"""One conversation as it is drawn: bubbles, the words that caused a flag underlined, why each text went or did not."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engage.accounts.models import User
from engage.inbox.actions import undo_until
from engage.inbox.models import Conversation, Flag, Level
from engage.messaging.models import Message

PAGE = 40  # messages shown at first

# shape, word: what a flag is called without colour (docs/interface.md)
WORDS: dict[str, tuple[str, str]] = {
    "emergency": ("▲", "Urgent"),
    "self_harm": ("▲", "Urgent: self-harm"),
    "abuse": ("▲", "Urgent: not safe"),
    "deceased": ("◆", "Reported as deceased"),
    "opt_out": ("⊘", "Opt-out"),
    "wrong_person": ("?", "Wrong person"),
    "symptom": ("◆", "Symptom"),
    "medication": ("◆", "Medicine"),
    "complaint": ("◆", "Complaint"),
    "language": ("◆", "Another language"),
    "call_me": ("●", "Wants a call"),
    "trust": ("◆", "Is this real?"),
    "contact_update": ("◆", "New contact details"),
    "reschedule": ("●", "Wants to change a visit"),
    "already_done": ("●", "Already done"),
    "decline": ("◆", "Says no"),
    "barrier": ("◆", "Something in the way"),
    "accept": ("●", "Wants a visit"),
    "preference": ("◆", "Preference"),
    "question": ("◆", "Question"),
    "survey_answer": ("◆", "Survey answer"),
    "auto_reply": ("◆", "Automatic reply"),
    "thanks": ("◆", "Thanks"),
    "other": ("◆", "Something else"),
}
TONES = {
    Level.URGENT: "urgent",
    Level.UNSORTED: "attention",
    Level.SIGNIFICANT: "attention",
    Level.ROUTINE: "info",
}


@dataclass(frozen=True)
class Mark:
    """A flag as drawn: shape and word carry the meaning; the tone only helps."""

    flag: Flag
    shape: str
    word: str
    tone: str

    @property
    def evidence(self) -> str:
        return self.flag.evidence

    @property
    def by_second_reader(self) -> bool:
        """Whether a language model raised it, which people should weigh differently from a rule."""
        return self.flag.source == "llm"


@dataclass(frozen=True)
class Piece:
    """A run of the patient's words; `marked` ones caused a flag."""

    text: str
    tone: str = ""  # of the flag; "" for words that caused none

    @property
    def marked(self) -> bool:
        return bool(self.tone)


@dataclass
class Bubble:
    """One message as drawn."""

    message: Message
    pieces: list[Piece]
    marks: list[Mark] = field(default_factory=list)
    who: str = ""
    automatic: bool = False
    new_day: bool = False
    may_undo: bool = False
    undo_seconds: int = 0  # of the author's ten, when they run
    unsorted: bool = False
    flaggable: bool = False  # a reply that waits: staff may say what triage missed
    keyed: bool = False  # the newest of those: its decisions have keys
    opens: bool = False  # the conversation opens here
    matched: bool = False  # a person said that it is this patient's
    may_unmatch: bool = False  # the last of those that were matched together: here the match is taken back
    checks: list[dict[str, Any]] = field(default_factory=list)

    def says(self, label: str) -> bool:
        """Whether a flag left standing says so."""
        return any(m.flag.label == label for m in self.marks)


def mark(flag: Flag) -> Mark:
    shape, word = shape_of(flag.label, urgent=flag.level == Level.URGENT)
    return Mark(flag, shape, word, TONES[Level(flag.level)])


def shape_of(label: str, *, urgent: bool) -> tuple[str, str]:
    """Shape and word of a label at a level."""
    shape, word = WORDS.get(label, ("◆", label.replace("_", " ").capitalize()))
    if urgent and shape != "▲":
        return "▲", f"Urgent: {word[0].lower()}{word[1:]}"
    return shape, word


def marks_of(flags: Iterable[Flag]) -> list[Mark]:
    """The flags left standing, the gravest first, one for each meaning; "something else" only when alone."""
    standing = sorted((f for f in flags if f.state != Flag.State.DISMISSED), key=lambda f: (f.level, f.pk))
    once = {f.label: f for f in reversed(standing)}
    if len(once) > 1:
        once.pop("other", None)
    return [mark(f) for f in reversed(once.values())]


def thread(
    conversation: Conversation, user: User, before: int | None = None
) -> tuple[list[Bubble], int | None]:
    """The last messages, oldest first, and the id before which earlier ones stand (None: no earlier ones)."""
    rows = conversation.messages().select_related("author", "template", "reading")
    if before:
        rows = rows.filter(pk__lt=before)
    newest = list(rows.prefetch_related("flags__decided_by").order_by("-created_at", "-id")[: PAGE + 1])
    earlier = newest[PAGE - 1].pk if len(newest) > PAGE else None
    bubbles = [_bubble(m, conversation, user) for m in reversed(newest[:PAGE])]
    by_hand = [b for b in bubbles if b.matched]
    if by_hand:
        max(by_hand, key=lambda b: (b.message.reading.matched_at, b.message.pk)).may_unmatch = True
    waiting = [b for b in reversed(bubbles) if b.flaggable]
    if waiting:
        waiting[0].keyed = True
    for first in sorted(waiting, key=gravity)[:1] or bubbles[-1:]:
        first.opens = True
    for last, this in zip([None, *bubbles], bubbles, strict=False):
        this.new_day = last is None or last.message.created_at.date() != this.message.created_at.date()
    return bubbles, earlier


def gravity(bubble: Bubble) -> int:
    """The level of the gravest flag left standing: the lower, the graver."""
    return min((m.flag.level for m in bubble.marks), default=Level.ROUTINE)


def _bubble(message: Message, conversation: Conversation, user: User) -> Bubble:
    if message.direction == Message.Direction.IN:
        flags = list(message.flags.all())
        reading = getattr(message, "reading", None)
        patient = conversation.patient
        return Bubble(
            message,
            pieces(message.body, flags),
            marks_of(flags),
            who=patient.first_name or patient.name if patient else "Unknown sender",
            unsorted=reading is not None and not reading.complete,
            matched=reading is not None and reading.matched_at is not None and patient is not None,
            flaggable=conversation.waiting_since is not None
            and message.created_at >= conversation.waiting_since,
        )
    left = undo_until(message) if message.author_id == user.pk else None
    return Bubble(
        message,
        [Piece(message.body)],
        who=message.author.display_name if message.author else "Automatic",
        automatic=message.author_id is None,
        may_undo=left is not None,
        undo_seconds=int(left.total_seconds()) + 1 if left and message.state == Message.State.QUEUED else 0,
        checks=list((message.verdict or {}).get("checks", [])),
    )


def pieces(body: str, flags: Iterable[Flag]) -> list[Piece]:
    """The text cut where evidence begins and ends; a flag for the whole reply underlines nothing."""
    spans = sorted(
        (f.start, min(f.end, len(body)), TONES[Level(f.level)])
        for f in flags
        if f.state != Flag.State.DISMISSED and 0 <= f.start < f.end and body[f.start : f.end] != body
    )
    found, at = [], 0
    for start, end, tone in spans:
        start = max(start, at)
        if end <= start:
            continue
        found += [Piece(body[at:start]), Piece(body[start:end], tone)]
        at = end
    return [p for p in [*found, Piece(body[at:])] if p.text]
