"""A reply comes in: kept once, matched, its words obeyed, read, flagged, and given to a person, in one transaction."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from django.db import transaction

from engage.audit.models import record
from engage.inbox import consequences, permission, triage
from engage.inbox.consequences import Heard
from engage.inbox.models import Conversation, Level, Reading
from engage.inbox.senders import Sender, identify, normal
from engage.inbox.triage import keywords
from engage.inbox.triage.keywords import Keyword
from engage.inbox.triage.reading import Reading as Found
from engage.inbox.triage.reading import highest
from engage.lib import clock, text
from engage.messaging.models import Lane, Message

log = logging.getLogger(__name__)
T = TypeVar("T")
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
            "segments": text.size(body).segments,
        },
    )


def attachments(raw: Mapping[str, Any]) -> str:
    """What came with the words, in words; the files stay with the carrier under the message's id."""
    count = str(raw.get("NumMedia", "0"))
    if not count.isdigit() or int(count) == 0:
        return ""
    kinds = {
        str(raw.get(f"MediaContentType{n}", "")).split("/")[0] or "file" for n in range(min(int(count), 10))
    }
    return f"Came with {count} attachment{'s' if int(count) > 1 else ''} ({', '.join(sorted(kinds))}), kept by the carrier."


def hear(message: Message, sender: Sender) -> Conversation:
    """The conversation of the sender, opened by this reply."""
    if sender.patient is not None:
        found, _ = Conversation.objects.get_or_create(
            patient=sender.patient, defaults={"address": sender.address, "clinic": sender.clinic}
        )
    else:
        found, _ = Conversation.objects.get_or_create(
            patient=None, address=sender.address, defaults={"clinic": sender.clinic}
        )
    conversation = (
        Conversation.objects.select_for_update(of=("self",))
        .select_related("patient", "clinic")
        .get(pk=found.pk)
    )
    conversation.hear(message, sender.clinic, [] if sender.patient else sender.candidates)
    return conversation


def process(message: Message, conversation: Conversation, sender: Sender, opt_out_type: str = "") -> Reading:
    """Every stage over one reply; each in its own savepoint, so that one failing loses none of the others.

    May be repeated: what is done already is not done again.
    """
    run = Run(message)
    word = run.step("keywords", lambda: spoken(message.body, opt_out_type))
    found = run.step("triage", lambda: read(message, sender))
    if found is not None:
        found = nothing_but(word, found) if word is not None and word.exact else found
        spanish = word is not None and word.lang == "es"
        speaks(message, conversation, "es" if spanish else found.lang)
    if word is not None:
        labels = found.labels if found else ()
        run.step("words", lambda: permission.obey(message, sender, conversation, word, labels))
    if found is not None:
        follow(run, Heard(message, conversation, sender, found), word)
    reading = conclude(run, found, obeyed=word is not None and word.kind == "stop")
    conversation.settle_level()
    return reading


def speaks(message: Message, conversation: Conversation, lang: str) -> None:
    """Notes the language of the reply, else of the record: automatic answers are given in it."""
    message.language = conversation.language = lang or message.language
    message.save(update_fields=["language"])
    conversation.save(update_fields=["language"])


def follow(run: "Run", heard: Heard, word: Keyword | None) -> None:
    """What the findings lead to, the gravest first."""
    message, conversation = heard.message, heard.conversation
    run.step("flags", lambda: consequences.raise_flags(heard))
    settled = consequences.SETTLED_BY_STOP if word is not None and word.kind == "stop" else frozenset()
    run.step("tasks", lambda: consequences.open_tasks(heard, settled))
    run.step("alert", lambda: consequences.alert(heard))
    run.step("crisis reply", lambda: consequences.reply_to_crisis(heard))
    if heard.found.suspect_opt_out and word is None:
        run.step("doubt", lambda: permission.suspend(message, heard.sender, conversation))
    run.step("wrong person", lambda: consequences.set_number_aside(heard))
    if word is None or word.kind not in ("help", "start"):
        run.step("campaigns", lambda: consequences.stop_nudging(heard))


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


def read(message: Message, sender: Sender) -> Found:
    if not message.body.strip():  # a picture alone: there are no words to read, so a person looks
        return Found(("other",), "significant", (), "", None, False, "")
    answered = sender.outbound
    return triage.read(
        message.body,
        outbound=answered.body if answered else "",
        context=CONTEXTS.get(answered.about.partition(":")[0], "") if answered else "",
        channel=message.channel,
        lang=message.language,
    )


def conclude(run: "Run", found: Found | None, *, obeyed: bool) -> Reading:
    """What triage came to; incomplete when any stage failed, so that the reply stays on top and is tried again.

    An opt-out that has been carried out (`obeyed`) and says nothing else asks nothing of a person.
    """
    level = consequences.LEVEL[found.level] if found else Level.UNSORTED
    if found and obeyed and set(found.labels) <= consequences.SETTLED_BY_STOP and level != Level.URGENT:
        level = Level.ROUTINE
    reading, _ = Reading.objects.update_or_create(
        message=run.message,
        defaults={
            "labels": list(found.labels) if found else [],
            "level": level,
            "language": found.lang if found else "",
            "version": found.version if found else "",
            "complete": not run.failures,
            "failure": "; ".join(run.failures)[:200],
        },
    )
    return reading


@dataclass
class Run:
    """The stages over one reply and which of them failed (by name and kind of error: never the patient's words)."""

    message: Message

    def __post_init__(self) -> None:
        self.failures: list[str] = []

    def step(self, name: str, act: Callable[[], T]) -> T | None:
        try:
            with transaction.atomic():
                return act()
        except Exception as error:
            log.error("message %s: %s failed with %s", self.message.pk, name, type(error).__name__)
            self.failures.append(f"{name}: {type(error).__name__}")
            return None
