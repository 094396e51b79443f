"""The worklist as drawn: what each row says and why, and the panel in which one patient is acted for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F

from engage.accounts.models import User
from engage.caregaps.explain import explain_all
from engage.caregaps.models import CareGap
from engage.console.access import CARE, StaffRequest
from engage.console.forms import ClosureForm
from engage.console.thread import Bubble, Mark, marks_of, thread
from engage.inbox import actions
from engage.inbox.models import Conversation, Flag
from engage.lib import phone
from engage.messaging.models import Message
from engage.patients.models import ContactPoint
from engage.worklist.actions import needs_note
from engage.worklist.board import Row, key_of
from engage.worklist.models import Outcome, Reason, Task

SAID = 2  # last messages shown in the panel
CONVERSATION = re.compile(r"^(?:conversation:|/inbox/c/)(\d+)/?$")
QUOTED = re.compile(r":? “[^”]*”")
SNOOZE = (("hour", "1 hour"), ("tomorrow", "Tomorrow 9:00"), ("days", "3 days"), ("week", "1 week"))

# What a task is called where no words of the patient caused it: shape, word, tone (docs/interface.md).
SHAPES: dict[str, tuple[str, str, str]] = {
    Reason.URGENT_REPLY: ("▲", "Urgent", "urgent"),
    Reason.REPLY: ("◆", "Reply", "attention"),
    Reason.SYMPTOM: ("◆", "Symptom", "attention"),
    Reason.COMPLAINT: ("◆", "Complaint", "attention"),
    Reason.UNMATCHED_REPLY: ("?", "Whose reply", "attention"),
    Reason.ALREADY_DONE: ("●", "Already done", "info"),
    Reason.WANTS_VISIT: ("●", "Wants a visit", "info"),
    Reason.MAY_CANCEL: ("●", "May cancel", "info"),
    Reason.OPT_OUT_DOUBT: ("⊘", "Opt-out?", "attention"),
    Reason.WRONG_PERSON: ("?", "Wrong person", "attention"),
    Reason.NO_WAY_TO_REACH: ("◇", "No way to reach", "info"),
    Reason.FIX_PHONE: ("◇", "Fix phone", "info"),
    Reason.CALL: ("●", "Call", "info"),
    Reason.DELIVERY_REVIEW: ("◇", "Delivered?", "info"),
    Reason.NO_TEMPLATE: ("◇", "No wording", "info"),
    Reason.CHECK_DECEASED: ("◆", "Reported deceased", "attention"),
    Reason.SAMPLE: ("◇", "Check sample", "info"),
    Reason.OTHER: ("◇", "Other", "info"),
}
CALLED = (
    Outcome.BOOKED, Outcome.WILL_CALL, Outcome.ANSWERED, Outcome.DECLINED, Outcome.NO_ANSWER, Outcome.LEFT_VOICEMAIL,
    Outcome.WRONG_NUMBER, Outcome.HANDED_ON, Outcome.NO_LONGER_NEEDED,
)  # fmt: skip
REPLIED = (
    Outcome.ANSWERED, Outcome.BOOKED, Outcome.DECLINED, Outcome.WILL_CALL, Outcome.NO_ANSWER, Outcome.LEFT_VOICEMAIL,
    Outcome.HANDED_ON, Outcome.NOT_SIGNIFICANT, Outcome.NO_LONGER_NEEDED,
)  # fmt: skip
# The outcomes of the number keys, nine at most, those that end such a task most often first.
OUTCOMES: dict[str, tuple[Outcome, ...]] = {
    Reason.URGENT_REPLY: (
        Outcome.EMERGENCY_HANDLED, Outcome.ANSWERED, Outcome.BOOKED, Outcome.HANDED_ON, Outcome.NO_ANSWER,
        Outcome.LEFT_VOICEMAIL, Outcome.WRONG_NUMBER, Outcome.NOT_SIGNIFICANT,
    ),
    Reason.REPLY: REPLIED,
    Reason.SYMPTOM: REPLIED,
    Reason.COMPLAINT: REPLIED,
    Reason.ALREADY_DONE: (
        Outcome.ALREADY_DONE, Outcome.ANSWERED, Outcome.BOOKED, Outcome.DECLINED, Outcome.NO_ANSWER,
        Outcome.LEFT_VOICEMAIL, Outcome.HANDED_ON, Outcome.NOT_SIGNIFICANT, Outcome.NO_LONGER_NEEDED,
    ),
    Reason.CALL: CALLED,
    Reason.WANTS_VISIT: CALLED,
    Reason.MAY_CANCEL: CALLED,
    Reason.NO_WAY_TO_REACH: (
        Outcome.CONTACT_FIXED, Outcome.BOOKED, Outcome.NO_ANSWER, Outcome.LEFT_VOICEMAIL, Outcome.DECLINED,
        Outcome.HANDED_ON, Outcome.DECEASED, Outcome.NO_LONGER_NEEDED,
    ),
    Reason.CHECK_DECEASED: (
        Outcome.DECEASED, Outcome.ANSWERED, Outcome.WRONG_NUMBER, Outcome.NO_ANSWER, Outcome.HANDED_ON,
        Outcome.NOT_SIGNIFICANT,
    ),
    Reason.SAMPLE: (Outcome.HANDED_ON, Outcome.NO_LONGER_NEEDED),
}  # fmt: skip
OTHERWISE = (
    Outcome.ANSWERED, Outcome.CONTACT_FIXED, Outcome.WRONG_NUMBER, Outcome.NO_ANSWER, Outcome.LEFT_VOICEMAIL,
    Outcome.HANDED_ON, Outcome.NOT_SIGNIFICANT, Outcome.NO_LONGER_NEEDED,
)  # fmt: skip


@dataclass(frozen=True)
class Why:
    """The first column: shape and word carry the meaning, then the patient's own words."""

    shape: str
    word: str
    tone: str
    words: str = ""


def conversation_id(task: Task) -> int | None:
    """The conversation a task came from, when it came from one."""
    found = CONVERSATION.match(task.about) or CONVERSATION.match(task.link)
    return int(found[1]) if found else None


def draw(rows: Iterable[Row]) -> list[Row]:
    """Adds to each row its reasons (`whys`), its sentences and, for an unknown sender, the number; two queries in all."""
    drawn = list(rows)
    talks: dict[int, list[Row]] = {}  # several rows of one conversation, while nobody knows whose it is
    for row in drawn:
        for pk in {pk for task in row.tasks if (pk := conversation_id(task))}:
            talks.setdefault(pk, []).append(row)
    flags: dict[int, list[Flag]] = {}
    for flag in Flag.objects.filter(conversation__in=talks).exclude(state=Flag.State.DISMISSED):
        since = min(row.waiting_since for row in talks[flag.conversation_id])
        if flag.created_at >= since - timedelta(minutes=5):
            flags.setdefault(flag.conversation_id, []).append(flag)
    unknown = [pk for pk, rows in talks.items() if rows[0].patient is None]
    for pk, address in Conversation.objects.filter(pk__in=unknown).values_list("pk", "address"):
        for row in talks[pk]:
            row.extra["address"] = phone.display(address)
    for row in drawn:
        mine = {pk for task in row.tasks if (pk := conversation_id(task))}
        marks = marks_of(flag for pk in mine for flag in flags.get(pk, []))
        row.extra["whys"] = whys(row, marks)[:3]
        quoted = {mark.evidence for mark in marks[:3] if mark.evidence}
        row.extra["sentences"] = [(task, sentence(task, quoted)) for task in row.tasks]
    return drawn


def whys(row: Row, marks: list[Mark]) -> list[Why]:
    """The flags of the patient's words, the gravest first; then reasons that no words caused."""
    found = [Why(m.shape, m.word, m.tone, m.evidence) for m in marks]
    unsaid = [t for t in row.tasks if not (marks and conversation_id(t))]
    for reason in dict.fromkeys(t.reason for t in unsaid):
        shape, word, tone = SHAPES[reason]
        if word not in {why.word for why in found}:
            found.append(Why(shape, word, tone))
    return found


def sentence(task: Task, quoted: set[str]) -> str:
    """The task's sentences, without the patient's words where they stand in the first column already."""

    def left(said: re.Match[str]) -> str:
        return "" if any(words in said[0] for words in quoted) else said[0]

    said = QUOTED.sub(left, task.summary)
    return said if said.endswith((".", "?", "”")) else f"{said}."


def outcomes(task: Task) -> list[tuple[str, str, str, bool]]:
    """(value, words, number key, whether a note is required) for ending this task."""
    return [
        (o.value, str(o.label), str(n), needs_note(task, o))
        for n, o in enumerate(OUTCOMES.get(task.reason, OTHERWISE), 1)
    ]


def panel(request: StaffRequest, task: Task, row: Row | None, staff: list[User]) -> dict[str, Any]:
    """Everything the panel shows about one task and the patient behind it."""
    user, patient = request.user, task.patient
    talk = conversation_of(task, user)
    said, earlier = thread(talk, user) if talk else ([], None)
    holder = row.holder if row else None
    gaps = gaps_of(task, last_heard(said))
    return {
        "task": task,
        "row": row,
        "panel_key": key_of(task),
        "patient": patient,
        "holder": holder.claimed_by if holder else None,
        "held_until": holder.claimed_until if holder else None,
        "conversation": talk,
        "said": said[-SAID:],
        "last": newest_of(talk, said, more=earlier is not None),
        "gaps": gaps,
        "gaps_first": bool(gaps) and task.is_open and task.reason == Reason.ALREADY_DONE,
        "phones": phones_of(task),
        "outcomes": outcomes(task),
        "others": [t for t in row.tasks if t.pk != task.pk] if row else [],
        "people": of_clinic(staff, task.clinic_id),
        "queues_to": [(v, name) for v, name in Task.Queue.choices if v != task.queue or task.owner_id],
        "snooze": SNOOZE,
        "may_snooze": not (row and any(t.priority == Task.Priority.URGENT for t in row.tasks)),
    }


def conversation_of(task: Task, user: User) -> Conversation | None:
    mine = Conversation.objects.visible_to(user).select_related("patient")
    if task.patient_id:
        return mine.filter(patient=task.patient_id).first()
    pk = conversation_id(task)
    return mine.filter(pk=pk).first() if pk else None


def last_heard(said: list[Bubble]) -> int | None:
    """The patient's last reply: the evidence offered for "already done"."""
    return next((b.message.pk for b in reversed(said) if b.message.direction == Message.Direction.IN), None)


def newest_of(talk: Conversation | None, said: list[Bubble], *, more: bool) -> int:
    """The newest reply by its id; asked for only where `more` was said than is at hand."""
    if talk is not None and more:
        return actions.last_heard(talk)
    return max((b.message.pk for b in said if b.message.direction == Message.Direction.IN), default=0)


def gaps_of(task: Task, heard: int | None) -> list[tuple[Any, ...]]:
    """(gap, told in English, in Spanish, the form that closes it): the patient's open ones, the task's own first."""
    if not task.patient_id:
        return []
    rows = CareGap.objects.filter(patient=task.patient_id).open().select_related("patient")
    ordered = sorted(rows, key=lambda gap: (gap.about != task.about, gap.measure))
    evidence = {"message_id": heard if task.reason == Reason.ALREADY_DONE else None}
    return [
        (gap, *told, ClosureForm(gap=gap, auto_id=f"gap{gap.pk}_%s", initial=evidence))
        for gap, *told in explain_all(ordered, "en", "es")
    ]


def phones_of(task: Task) -> list[ContactPoint]:
    if not task.patient_id:
        return []
    rows = ContactPoint.objects.filter(patient=task.patient_id, system=ContactPoint.System.PHONE)
    return list(rows.exclude(value="").order_by("rank", "pk")[:3])


def colleagues(user: User) -> list[User]:
    """Who else may act for patients in the clinics of this person, once for each `clinic`."""
    rows = User.objects.filter(role__in=CARE, is_active=True, clinics__in=user.clinic_ids()).exclude(
        pk=user.pk
    )
    return list(rows.annotate(clinic=F("clinics")).order_by("first_name", "username"))


def of_clinic(staff: list[User], clinic: int | None = None) -> list[User]:
    """Those of one clinic, or of any; each once."""
    return list({p.pk: p for p in staff if clinic in (None, p.clinic)}.values())  # type: ignore[attr-defined]
