"""What the findings of a reply lead to: flags, tasks with deadlines, the alert, the crisis reply, the end of nudges.

Nothing here is clinical, closes anything or hides anything: a person decides what the reply means.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from engage.accounts.models import Clinic
from engage.campaigns import actions as campaigns
from engage.campaigns.models import Enrollment
from engage.inbox import deadlines
from engage.inbox.models import Conversation, Flag, Level
from engage.inbox.senders import Sender
from engage.inbox.triage.reading import LABELS, URGENT_LABELS, Finding
from engage.inbox.triage.reading import Reading as Found
from engage.lib import clock, text
from engage.lib.fixed import Fixed, insert_missing
from engage.messaging import safety
from engage.messaging.models import Message, Template
from engage.patients import actions as patients
from engage.patients.models import ContactPoint
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome, Reason, Task

URGENT_WITHIN = timedelta(minutes=5)
UNREAD_WITHIN = timedelta(minutes=15)
CRISIS_AGAIN_AFTER = timedelta(hours=1)  # two machines must not answer each other
ALERT_AGAIN_AFTER, ALERT_STEP = (
    300,
    30,
)  # machine seconds: one alert per urgent task in that time, less a step at most
GUESSES = ("classifier", "llm")  # sources that may be wrong about what nobody said in so many words
WRONG = re.compile(
    r"\bwrong (?:person|number|phone|guy|gal|lady|man|woman|family|party|house|name|one)\b"
    r"|\bequivoc(?:o|ad|aron)|\bnumero errado\b|\bsomebody else['’]?s (?:number|phone)\b"
    r"|\b(?:had|got|have) this (?:#|(?:number|phone|cell)\b)|\bnumber belongs to\b"
)
DENIED = (
    r"\b(?:not|isn['’]?t|ain['’]?t|there['’]?s no|no soy|no es|ninguna?|no conozco a|don['’]?t know(?: any)?)"
    r" (?:(?:mr|mrs|ms|an?|any|la|el|don|dona|senora?) )?"  # and then the patient's name
)
NO_REPLY = frozenset({"thanks", "auto_reply"})  # a person need not take over from the campaign
# A text that is read by the wrong person at home can do harm, so abuse alone is answered by a person.
CRISIS_LABELS = frozenset({"emergency", "self_harm"})
LEVEL = {"urgent": Level.URGENT, "significant": Level.SIGNIFICANT, "routine": Level.ROUTINE}
NEWCOMER = "Somebody else has this number now, or always had: the patient's texts may have reached them."


@dataclass(frozen=True)
class Rule:
    """The task one label asks for, and how soon (working hours)."""

    reason: Reason
    sentence: str
    hours: float = deadlines.DAY
    queue: Task.Queue = Task.Queue.COORDINATORS
    priority: Task.Priority = Task.Priority.ROUTINE
    about_gap: bool = False  # settled when the gap is


NURSES, SUPERVISORS = Task.Queue.NURSES, Task.Queue.SUPERVISORS
ATTENTION = Task.Priority.ATTENTION
RULES: dict[str, Rule] = {
    "deceased": Rule(Reason.CHECK_DECEASED, "Reports that the patient has died", 4, priority=ATTENTION),
    "wrong_person": Rule(
        Reason.WRONG_PERSON, "May be the wrong person: check what they were told", 8, SUPERVISORS
    ),
    "symptom": Rule(Reason.SYMPTOM, "Mentions a symptom", 2, NURSES, ATTENTION),
    "medication": Rule(Reason.SYMPTOM, "Writes about a medicine", 4, NURSES, ATTENTION),
    "complaint": Rule(Reason.COMPLAINT, "Complains", 8, SUPERVISORS),
    "language": Rule(Reason.REPLY, "Needs another language", 4),
    "call_me": Rule(Reason.CALL, "Asks to be called", 4),
    "trust": Rule(Reason.REPLY, "Asks whether our message is real"),
    "contact_update": Rule(Reason.FIX_PHONE, "Has new contact details", 16),
    "reschedule": Rule(Reason.WANTS_VISIT, "Wants to change a visit", 4),
    "already_done": Rule(Reason.ALREADY_DONE, "Says it is already done", 16, about_gap=True),
    "accept": Rule(Reason.WANTS_VISIT, "Says yes: book it", 8, about_gap=True),
    "decline": Rule(Reason.REPLY, "Says no to what we offered", 16),
    "barrier": Rule(Reason.REPLY, "Mentions what stands in the way"),
    "preference": Rule(Reason.REPLY, "Says how or when to be reached", 16),
    "question": Rule(Reason.REPLY, "Asks a question"),
    "survey_answer": Rule(Reason.REPLY, "Gave an answer that needs a look"),
}
OTHER = Rule(Reason.REPLY, "Wrote something a person must read")
SETTLED_ELSEWHERE = frozenset({"opt_out"})  # by engage.inbox.permission
WHOSE = "whose"


def _urgently(label: str) -> str:
    return f"urgent:{label}"


URGENT_ASKS = frozenset(map(_urgently, LABELS))
SETTLED_BY_STOP = frozenset({"opt_out", "reschedule"})  # CANCEL asks about the visit with a task of its own


@dataclass(frozen=True)
class Heard:
    """One reply with all that is known of it."""

    message: Message
    conversation: Conversation
    sender: Sender
    found: Found


def raise_flags(heard: Heard) -> None:
    """One flag per finding that matters; repeated, it changes nothing."""
    rows = [_flag(heard, f) for f in heard.found.findings if f.level != "routine" or f.label == "opt_out"]
    if not rows and heard.found.level != "routine" and heard.found.labels:
        whole = heard.message.body
        guess = Finding(heard.found.labels[0], heard.found.level, whole, 0, len(whole), "classifier", "")
        rows = [_flag(heard, guess)]
    insert_missing(rows)


def _flag(heard: Heard, finding: Finding) -> Flag:
    return Flag(
        conversation=heard.conversation,
        message=heard.message,
        label=finding.label,
        level=LEVEL[finding.level],
        evidence=finding.evidence[:400],
        start=finding.start,
        end=finding.end,
        reason=finding.reason[:300],
        source=finding.source,
    )


def open_tasks(heard: Heard) -> None:
    """The tasks the findings ask for: the urgent one first; whose reply it is, when nobody is matched."""
    open_asked(heard, asks(heard))


def asks(heard: Heard, settled: frozenset[str] = frozenset()) -> list[str]:
    """What the findings ask of people, by label, the gravest first; `settled` are labels an obeyed word has dealt with.

    Urgent ones are named as in URGENT_ASKS; WHOSE stands for all others while nobody is matched.
    """
    found = heard.found
    urgent = [_urgently(label) for label in urgent_labels(found)] if found.level == "urgent" else []
    if heard.conversation.patient_id is None:
        left = set(found.named) - NO_REPLY - SETTLED_ELSEWHERE - settled
        return [*urgent, WHOSE] if left or (not found.labels and found.level != "routine") else urgent
    return [*urgent, *(label for label in labels_to_act_on(found) if label not in settled)]


def open_asked(heard: Heard, asked: list[str]) -> None:
    """The tasks for some of what `asks` gave."""
    urgent = [label for label in LABELS if _urgently(label) in asked]
    if urgent:
        sentence = sentence_for(heard, urgent[0])
        open_urgent(heard.conversation, heard.message.created_at, sentence, heard.message)
    for ask in asked:
        if ask == WHOSE:
            _open(heard, Rule(Reason.UNMATCHED_REPLY, "Wrote from an unknown or shared number", 4), "")
        elif ask not in URGENT_ASKS:
            _open(heard, RULES.get(ask, OTHER), ask)


def level_of(done: frozenset[str]) -> Level:
    """How much it matters that tasks were opened for this ("tasks:" and what asked for them)."""
    asked = {key.removeprefix("tasks:") for key in done if key.startswith("tasks:")}
    return Level.URGENT if asked & URGENT_ASKS else Level.SIGNIFICANT if asked else Level.ROUTINE


def labels_to_act_on(found: Found) -> Iterator[str]:
    """The labels at the level a person must see; what is urgent or an opt-out has its own way."""
    if found.level == "routine":
        return
    grave = {f.label for f in found.findings if f.level != "routine"}
    graded = {f.label for f in found.findings}
    for label in found.named:
        # A label without a finding of its own takes the level of the reply when it is the first.
        matters = label in grave or (label not in graded and label == found.labels[0])
        if matters and label not in URGENT_LABELS | SETTLED_ELSEWHERE:
            yield label


def _open(heard: Heard, rule: Rule, label: str) -> None:
    conversation, answered = heard.conversation, heard.sender.outbound
    gap = answered.about if rule.about_gap and answered and answered.about.startswith("caregap:") else ""
    worklist.open_task(
        reason=rule.reason,
        summary=_sentence(rule.sentence, words_for(heard, label)),
        about=gap or conversation.about,
        due_at=deadlines.after_working_hours(heard.message.created_at, conversation.clinic, rule.hours),
        clinic=conversation.clinic,
        patient=conversation.patient,
        queue=rule.queue,
        priority=rule.priority,
        opened_by="triage",
        link=conversation.link,
        source=source_of(heard.message),
    )


def source_of(message: Message) -> str:
    """How a task names the reply that asks for it."""
    return f"message:{message.pk}"


def open_urgent(conversation: Conversation, at: datetime, summary: str, message: Message) -> Task:
    return worklist.open_task(
        reason=Reason.URGENT_REPLY,
        summary=summary,
        about=conversation.about,
        due_at=at + URGENT_WITHIN,
        clinic=conversation.clinic,
        patient=conversation.patient,
        queue=Task.Queue.ONCALL,
        priority=Task.Priority.URGENT,
        opened_by="triage",
        link=conversation.link,
        source=source_of(message),
    )


UNREAD = "triage:failing"  # what the operator's task is about: one for each clinic, however many replies wait
UNREAD_SAYS = (
    "Replies could not be read to the end by the machine. They wait on top, unsorted: read them yourself, "
    "and tell your operator to look at the log."
)


def tell_operator(conversation: Conversation, at: datetime) -> Task:
    """A reading stage failed: the clinic's supervisors are told, once while the task is open; the log says which stage."""
    return worklist.open_task(
        reason=Reason.OTHER,
        summary=UNREAD_SAYS,
        about=f"{UNREAD}:{conversation.clinic_id or ''}",
        due_at=at + UNREAD_WITHIN,
        clinic=conversation.clinic,
        queue=Task.Queue.SUPERVISORS,
        priority=Task.Priority.URGENT,
        opened_by="triage",
        link="/inbox/",
    )


def all_read() -> None:
    """No reply waits for its reading any more: the operators' tasks end by themselves."""
    told = Task.objects.open().filter(about__startswith=UNREAD).values_list("about", flat=True)
    worklist.close_about(
        list(told), Outcome.BY_SYSTEM, "Every reply has been read to the end since.", by="triage"
    )


MENTIONS = {
    "emergency": "Mentions what may be an emergency",
    "self_harm": "Mentions self-harm",
    "abuse": "Mentions not being safe",
}


def urgent_labels(found: Found) -> list[str]:
    """The labels that make a reply urgent, the gravest first."""
    urgent = [label for label in found.labels if label in URGENT_LABELS]
    return urgent or [f.label for f in found.findings if f.level == "urgent"] or ["emergency"]


def sentence_for(heard: Heard, label: str) -> str:
    return _sentence(MENTIONS.get(label, "Mentions something urgent"), words_for(heard, label))


def words_for(heard: Heard, label: str) -> str:
    """The patient's own words for a label: its evidence, else the reply."""
    evidence = next((f.evidence for f in heard.found.findings if f.label == label and f.evidence.strip()), "")
    return evidence or heard.message.body


def _sentence(says: str, words: str) -> str:
    words = " ".join(words.split())
    if not words:
        return f"{says}: a message without words."
    short = words if len(words) <= 200 else words[:199].rstrip() + "…"
    return f"{says}: “{short}”."


def alert(heard: Heard) -> None:
    """Texts the clinician on call of an urgent reply."""
    if heard.found.level == "urgent":
        alert_about(heard.conversation)


def alert_about(conversation: Conversation) -> None:
    """Texts the clinician on call, naming no patient; once per urgent task in five minutes.

    While no clinic is known every clinic's on-call number is told: one too many is better than none.
    """
    clinic = conversation.clinic
    step = int(clock.machine_now().timestamp()) // ALERT_STEP
    lately = range(step - ALERT_AGAIN_AFTER // ALERT_STEP + 1, step + 1)
    task = worklist.OPEN_ONE.first(about=conversation.about, reason=Reason.URGENT_REPLY)
    what = f"{conversation.pk}:{task.pk if task else ''}"  # a new task is a new alert
    for told in [clinic] if clinic else Clinic.objects.all():
        keys = [f"alert:{what}:{at}:{told.pk}" for at in lately]
        sent = [key for made in keys for key in (made, f"{made}:next")]
        if not Message.objects.filter(key__in=sent).exists():
            safety.on_call_alert(told, keys[-1])


def reply_to_crisis(heard: Heard) -> None:
    """The approved crisis text, not twice within an hour: so two machines do not answer each other.

    That somebody is in a meeting, or away, holds it back from nobody: a machine's answer is not urgent in the first place.
    """
    if heard.found.level != "urgent" or set(heard.found.labels) & URGENT_LABELS == {"abuse"}:
        return
    if not safety.answered(heard.message, Template.Purpose.CRISIS, CRISIS_AGAIN_AFTER):
        safety.crisis_reply(heard.message)


def set_number_aside(heard: Heard) -> None:
    """Wrong person: nothing more goes to this number for this patient until a person has looked.

    Only where the words say so: a guess, or a call for help, would cut off the one who needs the answer. The flag and the
    task are there in any case, and campaigns end.
    """
    if "wrong_person" not in heard.found.labels or heard.found.level == "urgent" or not _says_so(heard):
        return
    for point in heard.sender.points:
        if heard.sender.patient is not None and point.patient_id == heard.sender.patient.pk:
            patients.mark_contact_point(point, ContactPoint.State.WRONG_PERSON, NEWCOMER, by="patient")


def _says_so(heard: Heard) -> bool:
    """Whether more than a guess says that it is not the patient: a reader of words, or the plain words themselves."""
    if any(f.label == "wrong_person" and f.source not in GUESSES for f in heard.found.findings):
        return True
    said, patient = text.fold(heard.message.body), heard.sender.patient
    if WRONG.search(said):
        return True
    names = [text.fold(name) for name in (patient.given, patient.family) if name] if patient else []
    return any(re.search(rf"{DENIED}{re.escape(name)}\b", said) for name in names)


def stop_nudging(heard: Heard) -> None:
    """A person takes over from the campaigns, so no more automatic touches; thanks alone change nothing."""
    patient = heard.conversation.patient
    if patient is None or not is_real(heard.found.labels):
        return
    if not ENROLLED(patient=patient.pk):
        return
    declined = "decline" in heard.found.labels and heard.found.level != "urgent"
    why = Enrollment.Why.DECLINED if declined else Enrollment.Why.REPLIED
    campaigns.end_for_patient(patient, why, by="patient")


ENROLLED = Fixed(
    lambda patient: (
        Enrollment.objects.filter(patient_id=patient)
        .exclude(state=Enrollment.State.LEFT_OUT)
        .values_list("pk")[:1]
    )
)


def is_real(labels: tuple[str, ...] | list[str]) -> bool:
    """Whether somebody said something to us: not only thanks, nor a machine's answer."""
    return not labels or not set(labels) <= NO_REPLY
