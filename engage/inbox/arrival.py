"""A reply comes in: kept once, matched, its words obeyed, read, flagged, and given to a person, in one transaction."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from django.db import transaction

from engage.audit.models import record
from engage.inbox import consequences, permission, secondreading, triage, wordlist
from engage.inbox.consequences import Heard
from engage.inbox.models import Conversation, Level, Reading
from engage.inbox.senders import Sender, identify, normal
from engage.inbox.triage import keywords, lexicon
from engage.inbox.triage.keywords import Keyword
from engage.inbox.triage.lexicon import Lexicon
from engage.inbox.triage.reading import Attempt, highest
from engage.inbox.triage.reading import Reading as Found
from engage.lib import clock, text
from engage.messaging.models import Lane, Message
from engage.worklist import actions as worklist

log = logging.getLogger(__name__)
T = TypeVar("T")
Step = tuple[str, Callable[[], object]]
MOST_MEDIA = 10  # files in one message, the carrier's own limit
CONTEXTS = {
    "caregap": "screening_reminder",
    "appointment": "appointment_reminder",
}  # by what a text was about


def receive(
    *, sid: str, address: str, to: str, body: str, raw: Mapping[str, Any], at: datetime | None = None
) -> Message:
    """Keeps a patient's reply and does all it asks for; a repeated `sid` changes nothing.

    `at` is business time, now when absent. Raises ValueError without a `sid`: such a reply could not be told
    from its repetition. A failing stage of triage never loses the reply: it stays unsorted, on top.
    """
    if not sid:
        raise ValueError("A reply without the carrier's id cannot be kept once.")
    at = at or clock.now()
    with transaction.atomic():
        sender = identify(normal(address), at)
        message, new = keep(sid, sender, to, body, raw, at)
        if new:
            conversation = hear(message, sender)
            record("patient", "message.receive", message, conversation=conversation.pk)
            process(message, conversation, sender, str(raw.get("OptOutType", "")))
    return message


def keep(
    sid: str, sender: Sender, to: str, body: str, raw: Mapping[str, Any], at: datetime
) -> tuple[Message, bool]:
    """The row of a reply, and whether it is new. Two at once meet at the unique key: one of them inserts."""
    return Message.objects.get_or_create(
        key=f"in:{sid}",
        defaults={
            "provider_sid": sid,
            "direction": Message.Direction.IN,
            "lane": Lane.STAFF,
            "state": Message.State.RECEIVED,
            "state_reason": attachments(raw),
            "patient": sender.patient,
            "contact_point": next((p for p in sender.points if p.patient == sender.patient), None),
            "clinic": sender.clinic,
            "address": sender.address,
            "sender": normal(to),
            "body": text.clean(body),
            "language": sender.patient.language if sender.patient else "",
            "reply_to": sender.outbound,
            "about": sender.outbound.about if sender.outbound else "",
            "created_at": at,
            "segments": text.size(text.clean(body)).segments,
        },
    )


def attachments(raw: Mapping[str, Any]) -> str:
    """What came with the words, in words; the files stay with the carrier under the message's id."""
    said = str(raw.get("NumMedia", "0"))
    count = min(int(said), MOST_MEDIA) if said.isdecimal() else 0
    if count == 0:
        return ""
    kinds = {str(raw.get(f"MediaContentType{n}", "")).split("/")[0] or "file" for n in range(count)}
    return f"Came with {count} attachment{'s' if count > 1 else ''} ({', '.join(sorted(kinds))[:200]}), kept by the carrier."


def hear(message: Message, sender: Sender) -> Conversation:
    """The conversation of the sender, held until the end and opened by this reply."""
    whose = {"patient": sender.patient} if sender.patient else {"patient": None, "address": sender.address}
    held = Conversation.objects.select_for_update(of=("self",)).select_related("patient", "clinic")
    conversation = held.filter(**whose).first()
    if conversation is None:
        first = {"address": sender.address, "clinic": sender.clinic}
        conversation, _ = held.get_or_create(**whose, defaults=first)
    before = conversation.clinic
    conversation.hear(message, sender.clinic, [] if sender.patient else sender.candidates)
    if conversation.clinic != before:  # a shared number answers another clinic's text: its tasks go along
        conversation.owner = None
        worklist.move_about(conversation.about, conversation.clinic)
    return conversation


def process(message: Message, conversation: Conversation, sender: Sender, opt_out_type: str = "") -> Reading:
    """Every stage over one reply; each in its own savepoint, so that one failing loses none of the others.

    May be repeated: what is done already is not done again.
    """
    run = Run(message)
    word = run.read("keywords", lambda: spoken(message.body, opt_out_type))
    found = run.triage(lambda: read(message, sender))
    if found is not None:
        found = nothing_but(word, found) if word is not None and word.exact else found
        spanish = word is not None and word.lang == "es"
        message.language = conversation.language = "es" if spanish else found.lang or message.language
        message.save(update_fields=["language"])  # automatic answers are given in it
    run.all(steps(message, conversation, sender, word, found))
    if run.failures:
        run.step("operator", lambda: consequences.tell_operator(conversation, message.created_at))
    reading = conclude(run, found, obeyed=word is not None and word.kind == "stop")
    if word is None or not word.exact:
        run.step(
            "second reader", partial(secondreading.wanted, message)
        )  # after all else: it holds up nothing
    conversation.level = conversation.graded()
    conversation.save()
    return reading


def steps(
    message: Message, conversation: Conversation, sender: Sender, word: Keyword | None, found: Found | None
) -> Iterator[Step]:
    """What a reply leads to, in order: its words first, then the gravest."""
    if word is not None:
        labels = found.labels if found else ()
        yield "words", partial(permission.obey, message, sender, conversation, word, labels)
    if found is None:
        return
    heard = Heard(message, conversation, sender, found)
    settled = consequences.SETTLED_BY_STOP if word is not None and word.kind == "stop" else frozenset()
    yield "flags", partial(consequences.raise_flags, heard)
    yield "tasks", partial(consequences.open_tasks, heard, settled)
    yield "alert", partial(consequences.alert, heard)
    yield "crisis reply", partial(consequences.reply_to_crisis, heard)
    if found.suspect_opt_out and word is None:
        yield "doubt", partial(permission.suspend, message, sender, conversation)
    yield "wrong person", partial(consequences.set_number_aside, heard)
    if word is None or word.kind not in ("help", "start"):
        yield "campaigns", partial(consequences.stop_nudging, heard)


def spoken(body: str, opt_out_type: str) -> Keyword | None:
    """The opt-out, opt-in or help word; the carrier's own verdict counts where we see none."""
    word = keywords.keyword(body)
    kind = {"STOP": "stop", "START": "start", "HELP": "help"}.get(opt_out_type.upper())
    if kind is None or (word is not None and word.kind == kind):
        return word
    return Keyword(kind, text.fold(body)[:40], True, True, "")  # type: ignore[arg-type]


def nothing_but(word: Keyword, found: Found) -> Found:
    """A reply that is one opt-out, opt-in or help word means that; what only resembles something else is dropped."""
    if word.kind == "start_ambiguous":
        return found
    meant = tuple(f for f in found.findings if f.level == "urgent" or f.source == "optout")
    known = {f.label for f in meant}
    labels = tuple(label for label in found.labels if label in known)
    return replace(
        found, labels=labels, findings=meant, level=highest([f.level for f in meant]), suspect_opt_out=False
    )


def read(message: Message, sender: Sender) -> Attempt:
    """With the lexicon that is live now; with the shipped one when that cannot read this reply."""
    try:
        known = wordlist.live()
    except Exception as error:  # no lexicon can be had: the other stages read, and say so
        log.error("message %s: no word list: %s", message.pk, type(error).__name__)
        return attempt(message, sender.outbound, None)
    tried = attempt(message, sender.outbound, known)
    if tried.failures and known.version != lexicon.load().version:
        log.error("message %s: word list %s failed with %s", message.pk, known.version, tried.failures)
        return attempt(message, sender.outbound, None)
    return tried


# A picture alone: there are no words to read, so a person looks.
WORDLESS = Found(("other",), "significant", (), "", None, False, "")


def attempt(message: Message, answered: Message | None, known: Lexicon | None) -> Attempt:
    """What the stages make of a reply, each by itself."""
    if not message.body.strip():
        return Attempt(WORDLESS, ())
    return triage.attempt(message.body, **asked(message, answered), known=known)


def triage_of(message: Message, answered: Message | None, known: Lexicon) -> Found:
    """What triage makes of a reply to a text of ours, with this lexicon. Raises when any stage does."""
    if not message.body.strip():
        return WORDLESS
    return triage.read(message.body, **asked(message, answered), known=known)


def asked(message: Message, answered: Message | None) -> dict[str, Any]:
    """What triage knows of a reply besides its words."""
    return {
        "outbound": answered.body if answered else "",
        "context": CONTEXTS.get(answered.about.partition(":")[0], "") if answered else "",
        "channel": message.channel,
        "lang": message.language,
    }


def conclude(run: "Run", found: Found | None, *, obeyed: bool) -> Reading:
    """What triage came to; incomplete when any stage failed, so that the reply stays on top and is tried again.

    An opt-out that has been carried out (`obeyed`) and says nothing else asks nothing of a person.
    """
    level = consequences.LEVEL[found.level] if found else Level.UNSORTED
    if found and obeyed and set(found.labels) <= consequences.SETTLED_BY_STOP and level != Level.URGENT:
        level = Level.ROUTINE
    reading = Reading(
        message=run.message,
        labels=list(found.labels) if found else [],
        level=level,
        said=level,
        language=found.lang if found else "",
        version=found.version if found else "",
        complete=not run.failures,
        failure="; ".join(run.failures)[:200],
    )
    kept = ["labels", "level", "said", "language", "version", "complete", "failure"]
    Reading.objects.bulk_create(
        [reading], update_conflicts=True, unique_fields=["message"], update_fields=kept
    )
    return reading


@dataclass
class Run:
    """The stages over one reply and which of them failed (by name and kind of error: never the patient's words)."""

    message: Message

    def __post_init__(self) -> None:
        self.failures: list[str] = []

    def read(self, name: str, act: Callable[[], T]) -> T | None:
        """A stage that only reads."""
        try:
            return act()
        except Exception as error:
            self.failed(name, error)
            return None

    def triage(self, act: Callable[[], Attempt]) -> Found | None:
        """The reading stages: what they found, though one of them failed; nothing when none could start."""
        tried = self.read("triage", act)
        if tried is None:
            return None
        for failure in tried.failures:
            log.error("message %s: triage stage %s", self.message.pk, failure)
            self.failures.append(failure)
        return tried.reading

    def all(self, steps: Iterator[Step]) -> None:
        """Together when nothing fails; otherwise one by one, each in its own savepoint, so that one loses no other."""
        todo = list(steps)
        try:
            with transaction.atomic():
                for _, act in todo:
                    act()
        except Exception as error:
            log.warning(
                "message %s: %s; its steps are taken one by one", self.message.pk, type(error).__name__
            )
            for name, act in todo:
                self.step(name, act)

    def step(self, name: str, act: Callable[[], object]) -> None:
        try:
            with transaction.atomic():
                act()
        except Exception as error:
            self.failed(name, error)

    def failed(self, name: str, error: Exception) -> None:
        log.error("message %s: %s failed with %s", self.message.pk, name, type(error).__name__)
        self.failures.append(f"{name}: {type(error).__name__}")
