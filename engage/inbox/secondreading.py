"""The life of a second reading: made when a reply came, asked by a job, its findings added and nothing ever lowered."""

import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django_q.tasks import async_task

from engage.audit.models import record
from engage.inbox import consequences, permission, redaction, secondreader
from engage.inbox.consequences import Heard
from engage.inbox.models import Conversation, Flag, Reading, SecondReading
from engage.inbox.secondreader import Answer, Unanswered
from engage.inbox.senders import Sender, identify
from engage.inbox.triage.reading import Reading as Found
from engage.inbox.triage.reading import highest
from engage.lib import clock
from engage.messaging.models import Message
from engage.patients.models import ContactPoint

log = logging.getLogger(__name__)
State = SecondReading.State
MOST_TRIES = 3
TOO_LATE = timedelta(hours=2)  # by then a person has read the reply
PAUSE = timedelta(minutes=1)  # after the first failure; doubled each time
AT_ONCE = 20  # replies of one run of the job


def wanted(message: Message) -> None:
    """Makes the row that asks for a second reading; no server is spoken to here."""
    if not message.body.strip():
        return
    now = clock.machine_now()
    _, new = SecondReading.objects.get_or_create(message=message, defaults={"next_at": now, "made_at": now})
    if new:  # a wake-up that may be lost: the job looks each minute anyway
        transaction.on_commit(partial(async_task, "engage.inbox.jobs.ask_second_reader"), robust=True)


def ask_all() -> int:
    """Asks about every reply that waits; the number answered. Slow, wrong or absent, the server holds up nothing."""
    _give_up_late()
    if not secondreader.is_on():
        return 0
    due = SecondReading.objects.filter(state=State.WAITING, next_at__lte=clock.machine_now()).order_by("pk")
    answered = 0
    for row in list(due.select_related("message__patient", "message__reply_to")[:AT_ONCE]):
        answered += _try(row)
        if row.state == State.WAITING and row.failure:
            break  # the server is ill: the others wait for the next run instead of waiting for it one by one
    return answered


def _give_up_late() -> None:
    late = SecondReading.objects.filter(state=State.WAITING, made_at__lt=clock.machine_now() - TOO_LATE)
    late.update(state=State.GIVEN_UP, failure="too late")


def _try(row: SecondReading) -> bool:
    if not _claimed(row):
        return False  # another worker has it
    said = None
    try:
        said = redacted(row.message)
        raw = secondreader.ask(said, redaction.redacted(_outbound(row.message), names_of(row.message)).text)
        row.answer = raw[:20_000]
        answer = secondreader.checked(raw, said, row.message.body)
    except Unanswered as error:
        return _unanswered(row, said, str(error), again=error.again)
    except Exception as error:  # a reply that cannot be made anonymous is not sent; the others go on
        return _unanswered(row, said, f"failed with {type(error).__name__}", again=False)
    return _answered(row, said, answer)


def _claimed(row: SecondReading) -> bool:
    """Only one worker asks: the lease is longer than the longest answer may take."""
    lease = clock.machine_now() + timedelta(seconds=settings.LLM_TIMEOUT * 2) + PAUSE * 2**row.attempts
    mine = SecondReading.objects.filter(pk=row.pk, state=State.WAITING, attempts=row.attempts)
    claimed = mine.update(attempts=F("attempts") + 1, next_at=lease) == 1
    row.attempts += claimed
    return claimed


def redacted(message: Message) -> redaction.Redacted:
    return redaction.redacted(message.body, names_of(message))


def names_of(message: Message) -> list[str]:
    """The names of the patient and of everybody else on the number: they write of one another."""
    points = ContactPoint.objects.filter(value=message.address).select_related("patient")
    people = [*([message.patient] if message.patient else []), *(point.patient for point in points)]
    return [name for person in people for name in (person.given, person.family)]


def _outbound(message: Message) -> str:
    return message.reply_to.body if message.reply_to else ""


def _kept(row: SecondReading, said: redaction.Redacted | None, state: str, failure: str) -> None:
    row.state, row.failure = state, failure[:200]
    row.prompt_version, row.model = secondreader.PROMPT_VERSION, settings.LLM_MODEL[:100]
    row.asked = said.text[: secondreader.LONGEST_ASKED] if said else ""
    row.save(update_fields=["state", "failure", "prompt_version", "model", "asked", "answer"])


def _unanswered(row: SecondReading, said: redaction.Redacted | None, why: str, *, again: bool) -> bool:
    over = not again or row.attempts >= MOST_TRIES
    _kept(row, said, State.GIVEN_UP if over else State.WAITING, why)
    log.warning("message %s: second reader: %s%s", row.message_id, why, "; given up" if over else "")
    return False


def _answered(row: SecondReading, said: redaction.Redacted, answer: Answer) -> bool:
    with transaction.atomic():
        conversation = Conversation.of(row.message).lock()
        _kept(row, said, State.ANSWERED, "")
        record("system:second_reader", "reply.second_reading", row.message, findings=len(answer.findings))
        if answer.findings:
            _add(row.message, conversation, answer)
    return True


def _add(message: Message, conversation: Conversation, answer: Answer) -> None:
    """What is new is flagged, tasked and, when urgent, alerted. What was found before stays as it is.

    The crisis text is not sent on a language model's word alone: a person calls.
    """
    known = set(Flag.objects.filter(message=message).exclude(source="llm").values_list("label", "level"))
    fresh = tuple(f for f in answer.findings if not _is_known(f.label, f.level, known))
    if not fresh:
        return
    labels = tuple(dict.fromkeys(f.label for f in fresh))
    found = Found(labels, highest([f.level for f in fresh]), fresh, "", None, False, "")
    heard = Heard(
        message, conversation, Sender(message.address, message.patient, [], message.reply_to), found
    )
    consequences.raise_flags(heard)
    reading = Reading.objects.select_for_update().get(message=message)
    reading.labels = list(dict.fromkeys([*reading.labels, *labels]))
    reading.level = min(reading.level, consequences.LEVEL[found.level])
    reading.save(update_fields=["labels", "level"])
    waits = conversation.unanswered().filter(pk=message.pk).exists()  # else a person has answered it already
    if found.level == "urgent" and not waits:
        heard = replace(heard, found=_urgent_alone(found))
        _reopen(conversation, message)
    if waits or found.level == "urgent":
        consequences.open_tasks(heard)
        consequences.alert(heard)
        if "opt_out" in labels:
            permission.suspend(message, identify(message.address, message.created_at), conversation)
        conversation.settle_level()


def _urgent_alone(found: Found) -> Found:
    """What is urgent is looked at in any case; the rest a person has dealt with."""
    urgent = tuple(f for f in found.findings if f.level == "urgent")
    return replace(found, labels=tuple(dict.fromkeys(f.label for f in urgent)), findings=urgent)


def _reopen(conversation: Conversation, message: Message) -> None:
    """Somebody has answered or closed it, without knowing."""
    conversation.state, conversation.snoozed_until = Conversation.State.OPEN, None
    conversation.waiting_since = min(conversation.waiting_since or message.created_at, message.created_at)
    conversation.seen_by, conversation.seen_at = None, None
    conversation.save(update_fields=["state", "snoozed_until", "waiting_since", "seen_by", "seen_at"])
    record("system:second_reader", "conversation.reopen", conversation)


def _is_known(label: str, level: str, known: set[tuple[str, int]]) -> bool:
    """Already flagged as gravely by another reader, or dismissed by a person as such."""
    return any(label == other and consequences.LEVEL[level] >= at for other, at in known)
