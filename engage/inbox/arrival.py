"""A reply comes in: kept once, matched, its words obeyed, read, flagged, and given to a person, in one transaction."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

from django.db import transaction

from engage.audit.models import record
from engage.inbox import consequences, permission, secondreader, secondreading, triage, wordlist
from engage.inbox.consequences import Heard
from engage.inbox.models import Conversation, Level, Reading
from engage.inbox.run import Earlier, Run, Step
from engage.inbox.senders import ANSWERS_WITHIN, LAST_WORDS, Sender, identify, normal
from engage.inbox.triage import keywords, lexicon
from engage.inbox.triage.keywords import Keyword
from engage.inbox.triage.lexicon import Lexicon
from engage.inbox.triage.reading import URGENT_LABELS, Attempt, highest
from engage.inbox.triage.reading import Reading as Found
from engage.inbox.triage.text import set_aside
from engage.lib import clock, text
from engage.lib.fixed import Fixed, insert, insert_or_update, update
from engage.messaging import errors
from engage.messaging.models import Lane, Message
from engage.patients.models import Channel
from engage.worklist import actions as worklist

log = logging.getLogger(__name__)
MOST_MEDIA = 10  # files in one message, the carrier's own limit
CONTEXTS = {
    "caregap": "screening_reminder",
    "appointment": "appointment_reminder",
}  # by what a text was about
KEPT = ("labels", "level", "said", "language", "version", "complete", "failure", "done", "tried_at")


def receive(
    *,
    sid: str,
    address: str,
    to: str,
    body: str,
    raw: Mapping[str, Any],
    at: datetime | None = None,
    prepared: "Prepared | None" = None,
) -> Message:
    """Keeps a patient's reply and does all it asks for; a repeated `sid` changes nothing.

    `at` is business time, now when absent. Raises ValueError without a `sid`: such a reply could not be told
    from its repetition. A failing stage of triage never loses the reply: it stays unsorted, on top. `prepared`: what
    `prepare` gave for it.
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
            process(message, conversation, sender, str(raw.get("OptOutType", "")), prepared=prepared)
            errors.heard(sender.address, sender.points)
    return message


def keep(
    sid: str, sender: Sender, to: str, body: str, raw: Mapping[str, Any], at: datetime
) -> tuple[Message, bool]:
    """The row of a reply, and whether it is new. Two at once meet at the unique key: one of them inserts."""
    body = text.clean(body)
    message = Message(
        key=f"in:{sid}",
        provider_sid=sid,
        direction=Message.Direction.IN,
        lane=Lane.STAFF,
        state=Message.State.RECEIVED,
        state_reason=attachments(raw),
        patient=sender.patient,
        contact_point=next((p for p in sender.points if p.patient == sender.patient), None),
        clinic=sender.clinic,
        address=sender.address,
        sender=normal(to),
        body=body,
        language=sender.patient.language if sender.patient else "",
        reply_to=sender.outbound,
        about=sender.outbound.about if sender.outbound else "",
        created_at=at,
        segments=text.size(body).segments,
    )
    if insert(message, once=True):
        return message, True
    return Message.objects.get(key=message.key), False


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
    conversation = held(sender)
    before = conversation.clinic_id
    conversation.hear(message, sender.clinic, [] if sender.patient else sender.candidates)
    if conversation.clinic_id != before:  # a patient moved, or a shared number answers another clinic's text
        conversation.owner = None
        worklist.move_about(conversation.about, conversation.clinic, conversation.patient)
    return conversation


def held(sender: Sender) -> Conversation:
    while (there := _there(sender)) is None:
        first = Conversation(patient=sender.patient, address=sender.address, clinic=sender.clinic)
        if insert(first, once=True):  # else somebody else was faster: theirs is the one
            return first
    there.patient = sender.patient
    return there


def _there(sender: Sender) -> Conversation | None:
    if sender.patient is not None:
        return OF_PATIENT.first(patient=sender.patient.pk)
    return OF_NUMBER.first(address=sender.address)


OF_PATIENT = Fixed(lambda patient: Conversation.objects.filter(patient_id=patient).select_for_update())
OF_NUMBER = Fixed(
    lambda address: Conversation.objects.filter(patient=None, address=address).select_for_update()
)


def process(
    message: Message,
    conversation: Conversation,
    sender: Sender,
    opt_out_type: str = "",
    patience: float | None = None,
    prepared: "Prepared | None" = None,
    earlier: Earlier | None = None,
) -> Reading:
    """Every stage over one reply; each in its own savepoint, so that one failing loses none of the others.

    May be repeated with what came of it `earlier`: what is done already is not done again, even where a person has ended
    it since. `patience`: see triage.attempt.
    """
    run = Run(message, earlier)
    ours = sender.outbound.body if sender.outbound else ""
    word = run.read("keywords", lambda: spoken(message.body, opt_out_type, ours))
    found = run.triage(lambda: read(message, sender, patience, prepared))
    if found is not None:
        found = nothing_but(word, found) if word is not None and word.exact else found
        found = beside_a_file(found) if message.state_reason else found
        spanish = word is not None and word.lang == "es"
        conversation.language = "es" if spanish else found.lang or message.language
        if message.language != conversation.language:  # automatic answers are given in it
            message.language = conversation.language
            update(message, "language")
    run.all(steps(message, conversation, sender, word, found, run.done))
    if run.failures:
        tell = partial(consequences.tell_operator, conversation, message.created_at)
        run.step(Step("operator", tell, frozenset({"operator"})))
    reading = conclude(run, found, obeyed=word is not None and word.kind == "stop")
    if secondreader.is_on() and (word is None or not word.exact):
        ask = partial(secondreading.wanted, message)
        run.step(Step("second reader", ask))  # after all else: it holds up nothing
    if earlier is not None and consequences.level_of(run.fresh) < Level.ROUTINE:
        conversation.wake(message.created_at)
    conversation.level = conversation.graded(reading)
    update(conversation)
    return reading


def steps(
    message: Message,
    conversation: Conversation,
    sender: Sender,
    word: Keyword | None,
    found: Found | None,
    done: frozenset[str] = frozenset(),
) -> Iterator[Step]:
    """What a reply leads to, in order: its words first, then the gravest. `done` was done before."""
    if word is not None:
        labels = found.labels if found else ()
        obey = partial(permission.obey, message, sender, conversation, word, labels)
        yield Step("words", obey, frozenset({"words"}))
    if found is None:
        return
    heard = Heard(message, conversation, sender, found)
    settled = consequences.SETTLED_BY_STOP if word is not None and word.kind == "stop" else frozenset()
    asked = consequences.asks(heard, settled)
    urgent = [ask for ask in asked if ask in consequences.URGENT_ASKS]
    yield Step("flags", partial(consequences.raise_flags, heard))
    left = [ask for ask in asked if f"tasks:{ask}" not in done]
    if left:
        yield Step("tasks", partial(consequences.open_asked, heard, left), _each("tasks", left))
    if urgent:
        yield Step("alert", partial(consequences.alert, heard), _each("alert", urgent))
        yield Step("crisis reply", partial(consequences.reply_to_crisis, heard), _each("crisis", urgent))
    if "opt_out" in found.labels and (word is None or word.kind != "stop"):
        yield Step("doubt", partial(permission.suspend, message, sender, conversation), frozenset({"doubt"}))
    if "wrong_person" in found.labels:
        aside = partial(consequences.set_number_aside, heard)
        yield Step("wrong person", aside, frozenset({"wrong person"}))
    if word is None or word.kind not in ("help", "start"):
        yield Step("campaigns", partial(consequences.stop_nudging, heard))


def _each(step: str, asks: Iterable[str]) -> frozenset[str]:
    return frozenset(f"{step}:{ask}" for ask in asks)


def spoken(body: str, opt_out_type: str, ours: str = "") -> Keyword | None:
    """The opt-out, opt-in or help word; the carrier's own verdict counts where we see none.

    Our own text (`ours`) quoted beside it is left out. A YES that the carrier takes for an opt-in is still only a YES.
    """
    word = keywords.keyword(set_aside(body, ours)) or _above_a_quotation(body)
    kind = {"STOP": "stop", "START": "start", "HELP": "help"}.get(opt_out_type.upper())
    if kind is None or (word is not None and word.kind.removesuffix("_ambiguous") == kind):
        return word
    return Keyword(kind, text.fold(body)[:40], True, True, "")  # type: ignore[arg-type]


def _above_a_quotation(body: str) -> Keyword | None:
    """STOP on a line of its own above whatever else the phone has added, such as an older text of ours."""
    first, _, rest = body.strip().partition("\n")
    word = keywords.keyword(first) if rest else None
    return replace(word, exact=False) if word is not None and word.kind == "stop" and word.exact else None


def nothing_but(word: Keyword, found: Found) -> Found:
    """A reply that is one opt-out, opt-in or help word means that; what only resembles something else is dropped.

    Not something grave that is quoted below it: whose words it is, a person decides.
    """
    if word.kind == "start_ambiguous":
        return found
    meant = tuple(
        f for f in found.findings if f.level == "urgent" or f.label in URGENT_LABELS or f.source == "optout"
    )
    known = {f.label for f in meant}
    labels = tuple(label for label in found.labels if label in known)
    return replace(
        found, labels=labels, findings=meant, level=highest([f.level for f in meant]), suspect_opt_out=False
    )


def beside_a_file(found: Found) -> Found:
    """A picture or a voice says what no stage reads: whatever the words beside it, a person looks."""
    if found.level == "urgent" or (found.level == "significant" and set(found.named) != {"opt_out"}):
        return found
    return replace(found, level="significant", labels=tuple(dict.fromkeys(("other", *found.labels))))


@dataclass(frozen=True)
class Prepared:
    """A reading from before the transaction, and what it was made of: it counts only where all of that is still so."""

    asked: dict[str, str]
    known: Lexicon
    tried: Attempt
    seconds: float


def prepare(*, sid: str, address: str, body: str) -> Prepared | None:
    """Reads a reply before it stands in line, with what it seems to answer. None when that fails: then it is read there."""
    try:
        now = clock.now()
        ours = LAST_WORDS.first(address=normal(address), since=now - ANSWERS_WITHIN, until=now)
        outbound, about, language = ours or ("", "", "")
        facts = asked(text.clean(body), outbound, about, Channel.SMS, language or "")
        known, began = wordlist.live(), monotonic()
        return Prepared(facts, known, _read(f"reply {sid}", facts, known), monotonic() - began)
    except Exception as error:
        log.warning("reply %s: not read beforehand (%s)", sid, type(error).__name__)
        return None


def read(
    message: Message, sender: Sender, patience: float | None = None, prepared: Prepared | None = None
) -> Attempt:
    """With the lexicon that is live now. `prepared` is taken when it was made of the same; else its time counts too."""
    facts = facts_of(message, sender.outbound)
    try:
        known = wordlist.live()
    except Exception as error:  # no lexicon can be had: the other stages read, and say so
        log.error("message %s: no word list: %s", message.pk, type(error).__name__)
        return attempt(facts, None, patience)
    if prepared is None:
        return _read(f"message {message.pk}", facts, known, patience)
    if prepared.asked == facts and prepared.known is known:
        return prepared.tried
    left = max(triage.PATIENCE - prepared.seconds, triage.PATIENCE / 10)
    return _read(f"message {message.pk}", facts, known, left)


def _read(name: str, facts: dict[str, str], known: Lexicon, patience: float | None = None) -> Attempt:
    """With the shipped lexicon when this one cannot read the reply, as patiently again."""
    tried = attempt(facts, known, patience)
    if tried.failures and known.version != lexicon.load().version:
        log.error("%s: word list %s failed with %s", name, known.version, tried.failures)
        return attempt(facts, None, patience)
    return tried


# A picture alone: there are no words to read, so a person looks.
WORDLESS = Found(("other",), "significant", (), "", None, False, "")


def attempt(facts: dict[str, str], known: Lexicon | None, patience: float | None = None) -> Attempt:
    """What the stages make of a reply, each by itself."""
    if not facts["text"].strip():
        return Attempt(WORDLESS, ())
    return triage.attempt(**facts, known=known, patience=patience)


def triage_of(message: Message, answered: Message | None, known: Lexicon) -> Found:
    """What triage makes of a reply to a text of ours, with this lexicon. Raises when any stage does."""
    if not message.body.strip():
        return WORDLESS
    return triage.read(**facts_of(message, answered), known=known)


def facts_of(message: Message, answered: Message | None) -> dict[str, str]:
    """What triage knows of a reply to a text of ours."""
    outbound, about = (answered.body, answered.about) if answered else ("", "")
    return asked(message.body, outbound, about, message.channel, message.language)


def asked(body: str, outbound: str, about: str, channel: str, language: str) -> dict[str, str]:
    """What triage is asked. `about`: what our text was about."""
    context = CONTEXTS.get(about.partition(":")[0], "")
    return {"text": body, "outbound": outbound, "context": context, "channel": channel, "lang": language}


def conclude(run: Run, found: Found | None, *, obeyed: bool) -> Reading:
    """What triage came to; incomplete when any stage failed, so that the reply stays on top and is tried again.

    An opt-out that has been carried out (`obeyed`) and says nothing else asks nothing of a person. What people or the
    second reader have said of the reply since an earlier run stands, and what triage said then, when it says nothing now.
    """
    level = said = consequences.LEVEL[found.level] if found else Level.UNSORTED
    if found and obeyed and set(found.named) <= consequences.SETTLED_BY_STOP and level != Level.URGENT:
        level = said = Level.ROUTINE
    before = run.earlier.reading if run.earlier else None
    if run.earlier:
        level = Level(run.earlier.level(level, consequences.level_of(run.fresh)))
    if found is None and before is not None:
        reading = run.kept(
            labels=before.labels,
            level=level,
            said=before.said,
            language=before.language,
            version=before.version,
        )
    else:
        reading = run.kept(
            labels=list(found.labels) if found else [],
            level=level,
            said=said,
            language=found.lang if found else "",
            version=found.version if found else "",
        )
    insert_or_update(reading, "message", *KEPT)
    return reading
