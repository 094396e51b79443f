"""Opening and ending tasks. Whoever opens one names what it is about; nothing ends without an outcome."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from itertools import groupby

from django.db import transaction
from django.db.models import F, Q

from engage.accounts.models import Clinic, User
from engage.audit.models import AuditEvent, event, record
from engage.lib import clock
from engage.lib.fixed import Fixed, insert, update
from engage.patients.models import Patient
from engage.worklist.models import LONGEST, Outcome, Reason, Task

SENTENCE = 300  # characters of one
NOTED = (Outcome.EMERGENCY_HANDLED, Outcome.HANDED_ON, Outcome.DECEASED)  # outcomes that need a sentence
UNREACHED = (Outcome.NO_ANSWER, Outcome.LEFT_VOICEMAIL)  # of something urgent, not the end of it
FOLLOW_UP, TRY_AGAIN = "follow-up", timedelta(minutes=30)


class TaskError(Exception):
    """What cannot be done with a task, in one sentence for a person."""


def open_task(
    *,
    reason: str,
    summary: str,
    about: str,
    due_at: datetime,
    clinic: Clinic | None,
    patient: Patient | None = None,
    queue: str = Task.Queue.COORDINATORS,
    priority: int = Task.Priority.ROUTINE,
    opened_by: str = "system",
    link: str = "",
    owner: User | None = None,
    source: str = "",
) -> Task:
    """The open task about this for this reason: a new one, or the one there is, made more pressing but never less.

    `source` names what asks for it ("message:12"): something new adds its sentence to the task, and brings back one that
    was put off. Safe to repeat and to race: the database holds at most one open task per (about, reason).
    """
    says = summary[:SENTENCE]
    fields = {
        "summary": says, "because": [[source, says]], "due_at": due_at, "clinic": clinic, "patient": patient,
        "queue": queue, "priority": priority, "opened_by": opened_by[:60], "link": link, "owner": owner,
    }  # fmt: skip
    task = Task(about=about, reason=reason, **fields)
    with transaction.atomic(savepoint=False):
        while not insert(task, once=True):
            there = OPEN_ONE.first(about=about, reason=reason)
            if there is not None:  # else it has ended this moment
                return _join(there, task)
        record(opened_by, "task.open", task, reason=reason)
    return task


OPEN_ONE = Fixed(
    lambda about, reason: Task.objects.filter(about=about, reason=reason).open().select_for_update()
)


def _join(task: Task, more: Task) -> Task:
    """What asks for the task besides: its sentences are added and wake it; more pressing it becomes, never less."""
    changed = _add_sentences(task, more) + _press(task, more)
    if changed:
        task.state, task.snoozed_until = Task.State.OPEN, None
        update(task, "state", "snoozed_until", *changed)
        now = {"priority": task.priority, "queue": task.queue, "due_at": task.due_at.isoformat()}
        record(more.opened_by, "task.join", task, **now)
    return task


def _add_sentences(task: Task, more: Task) -> list[str]:
    because = _because(task)
    new = [each for each in more.because if each[0] and each not in because]
    if not new:
        return []
    task.because = [*because, *new]
    task.summary = stacked(task.because)
    return ["because", "summary"]


def _press(task: Task, more: Task) -> list[str]:
    graver = more.priority < task.priority
    if not graver and more.due_at >= task.due_at:
        return []
    task.queue = more.queue if graver else task.queue
    task.priority, task.due_at = min(more.priority, task.priority), min(more.due_at, task.due_at)
    return ["priority", "due_at", "queue"]


def say(task: Task, source: str, sentence: str) -> None:
    """Puts a sentence before the others of a locked task; saved by whoever calls, with `because` and `summary`."""
    task.because = [*_because(task), [source, sentence]]
    task.summary = stacked(task.because)


def stacked(because: list[list[str]]) -> str:
    """The sentences in one summary, each once: those of the newest source first, so that they are never cut away."""
    groups = [[says for _, says in group] for _, group in groupby(because, key=lambda each: each[0])]
    return " ".join(dict.fromkeys(says for group in reversed(groups) for says in group))[:LONGEST]


def close_about(
    about: str | Iterable[str],
    outcome: str,
    note: str = "",
    *,
    by: User | str = "system",
    reasons: Iterable[str] | None = None,
) -> int:
    """Ends every open task about these keys; gives how many."""
    keys = [about] if isinstance(about, str) else list(about)
    ended = 0
    with transaction.atomic():
        for start in range(0, len(keys), 500):
            rows = Task.objects.open().filter(about__in=keys[start : start + 500])
            if reasons is not None:
                rows = rows.filter(reason__in=list(reasons))
            ended += _end_all(list(rows.select_for_update()), outcome, note, by)
    return ended


def move_about(about: str, clinic: Clinic | None, patient: Patient | None = None) -> int:
    """Open tasks about this, and those of the patient, follow to another clinic; gives how many."""
    which = Q(about=about) | Q(patient=patient) if patient else Q(about=about)
    with transaction.atomic():
        rows = list(Task.objects.open().filter(which).exclude(clinic=clinic).select_for_update())
        return _to_clinic(rows, clinic.pk if clinic else None)


def follow_patients(most: int = 5000) -> int:
    """Open tasks go along with patients who have come to another clinic; gives how many.

    Where no clinic answers for a patient any more, the last one keeps what is open: else nobody would see it.
    """
    away = Task.objects.open().filter(patient__clinic__isnull=False).exclude(clinic=F("patient__clinic"))
    moved = 0
    with transaction.atomic():
        by_clinic: dict[int | None, list[Task]] = {}
        for task in away.select_related("patient").order_by("pk")[:most]:
            by_clinic.setdefault(task.patient.clinic_id if task.patient else None, []).append(task)
        for clinic, rows in by_clinic.items():
            moved += _to_clinic(rows, clinic)
    return moved


def _to_clinic(rows: list[Task], clinic: int | None) -> int:
    """Whoever owned or held them where they were does no longer."""
    for start in range(0, len(rows), 500):
        part = Task.objects.filter(pk__in=[row.pk for row in rows[start : start + 500]])
        part.update(clinic=clinic, owner=None, claimed_by=None, claimed_until=None)
    AuditEvent.objects.bulk_create(
        event("system", "task.change_clinic", row, clinic_id=clinic, before=row.clinic_id) for row in rows
    )
    return len(rows)


def release_the_gone() -> int:
    """Tasks whose owner's account has ended are everybody's in their queue again; gives how many."""
    Task.objects.filter(claimed_by__is_active=False).update(claimed_by=None, claimed_until=None)
    with transaction.atomic():
        rows = list(Task.objects.open().filter(owner__is_active=False).order_by("pk")[:5000])
        Task.objects.filter(pk__in=[row.pk for row in rows]).update(owner=None)
        AuditEvent.objects.bulk_create(
            event("system", "task.hand_back", row, to=row.queue, before=row.owner_id) for row in rows
        )
    return len(rows)


def move(
    tasks: Iterable[Task],
    *,
    about: str,
    link: str,
    patient: Patient | None,
    clinic: Clinic | None,
    by: User | str,
) -> None:
    """Open tasks are about something else from now on; one that meets its like there joins it."""
    for task in tasks:
        there = OPEN_ONE.first(about=about, reason=task.reason)
        if there is not None and there.pk != task.pk:
            task.because = [[source or task.about, says] for source, says in _because(task)]
            _join(there, task)
            _end_all([task], Outcome.NO_LONGER_NEEDED, "Joined with what waits for the patient already.", by)
            continue
        if task.clinic_id != (clinic.pk if clinic else None):
            task.owner = task.claimed_by = task.claimed_until = None
        task.about, task.link, task.patient, task.clinic = about, link, patient, clinic
        task.save(
            update_fields=["about", "link", "patient", "clinic", "owner", "claimed_by", "claimed_until"]
        )
        record(by, "task.move", task)


def forget(tasks: Iterable[Task], sources: Collection[str], outcome: str, note: str, *, by: User) -> None:
    """What these sources ask for is asked no longer: a task that nothing else asks for ends, another keeps the rest."""
    for task in tasks:
        left = [each for each in _because(task) if each[0] not in sources]
        if not left:
            _end_all([task], outcome, note, by)
        elif left != task.because and task.because:
            task.because, task.summary = left, stacked(left)
            task.save(update_fields=["because", "summary"])
            record(by, "task.forget", task)


def _because(task: Task) -> list[list[str]]:
    return task.because or [["", task.summary]]


def _end_all(tasks: list[Task], outcome: str, note: str, by: User | str) -> int:
    if not tasks:
        return 0
    fields = {
        "state": Task.State.DONE, "outcome": outcome, "outcome_note": note, "closed_at": clock.now(),
        "closed_by": by if isinstance(by, User) else None, "claimed_by": None, "claimed_until": None,
    }  # fmt: skip
    Task.objects.filter(pk__in=[t.pk for t in tasks]).update(**fields)
    AuditEvent.objects.bulk_create(event(by, "task.finish", t, outcome=outcome) for t in tasks)
    return len(tasks)


def finish(task: Task, outcome: str, note: str = "", *, by: User) -> Task:
    """Ends one task with an outcome; TaskError when it has ended already or the outcome needs a note."""
    if outcome not in Outcome.values or outcome == Outcome.BY_SYSTEM:
        raise TaskError("Choose one of the outcomes.")
    if needs_note(task, outcome) and not note.strip():
        raise TaskError("Say in a few words what happened.")
    with transaction.atomic():
        row = _locked(task, by)
        _end_all([row], outcome, note.strip(), by)
        if urgent_unreached(row, outcome):
            _try_again(row)
    task.refresh_from_db()
    return task


def urgent_unreached(task: Task, outcome: str) -> bool:
    """Whether something urgent would end although nobody has spoken to the patient."""
    return task.priority == Task.Priority.URGENT and outcome in UNREACHED


def _try_again(task: Task) -> Task:
    """The next call, urgent too and soon: not to be reached is no answer to an emergency."""
    return open_task(
        reason=Reason.CALL,
        summary=task.summary if task.opened_by == FOLLOW_UP else f"Not reached, try again. {task.summary}",
        about=task.about,
        due_at=clock.now() + TRY_AGAIN,
        clinic=task.clinic,
        patient=task.patient,
        queue=task.queue,
        priority=Task.Priority.URGENT,
        opened_by=FOLLOW_UP,
        source=f"task:{task.pk}",
        link=task.link,
    )


def _not_again(task: Task, by: User | str) -> None:
    """Undo of such an ending: the next call that it asked for is not needed."""
    rows = Task.objects.open().filter(about=task.about, reason=Reason.CALL, opened_by=FOLLOW_UP)
    if urgent_unreached(task, task.outcome):
        _end_all(list(rows.select_for_update()), Outcome.BY_SYSTEM, "Taken back.", by)


def needs_note(task: Task, outcome: str) -> bool:
    """Whether the outcome alone would not tell the next person enough."""
    unusual = task.priority == Task.Priority.URGENT and outcome == Outcome.NOT_SIGNIFICANT
    return outcome in NOTED or unusual or urgent_unreached(task, outcome)


def _locked(task: Task, by: User) -> Task:
    """The task, for a change by this person: still open, and nobody else holds its patient."""
    rows = task.siblings().filter(claimed_until__gt=clock.machine_now()).exclude(claimed_by=by)
    holder = rows.select_related("claimed_by").first()
    if holder is not None and holder.claimed_by is not None:
        raise TaskError(f"{holder.claimed_by.display_name} is working on this patient.")
    row = Task.objects.select_for_update().get(pk=task.pk)
    if not row.is_open:
        raise TaskError("This task has ended already.")
    return row


def snooze(task: Task, until: datetime, *, by: User) -> Task:
    """Takes the task off the list until a moment; an urgent one cannot be put off."""
    if task.priority == Task.Priority.URGENT:
        raise TaskError("An urgent task cannot be put off. Act on it, or hand it to someone.")
    if until <= clock.now():
        raise TaskError("Choose a moment in the future.")
    with transaction.atomic():
        row = _locked(task, by)
        row.state, row.snoozed_until = Task.State.SNOOZED, until
        row.claimed_by, row.claimed_until = None, None
        row.save(update_fields=["state", "snoozed_until", "claimed_by", "claimed_until"])
        record(by, "task.snooze", row, until=until.isoformat())
    task.refresh_from_db()
    return task


def reopen(task: Task, *, by: User | str) -> Task:
    """Undo: the task is open again; nothing happens when another one about the same is open."""
    with transaction.atomic():
        row = Task.objects.select_for_update().get(pk=task.pk)
        _not_again(row, by)
        doubled = (
            row.state == Task.State.DONE and OPEN_ONE.first(about=row.about, reason=row.reason) is not None
        )
        if not doubled:
            row.state, row.snoozed_until, row.outcome, row.outcome_note = Task.State.OPEN, None, "", ""
            row.closed_by, row.closed_at = None, None
            row.save(
                update_fields=["state", "snoozed_until", "outcome", "outcome_note", "closed_by", "closed_at"]
            )
            record(by, "task.reopen", row)
    task.refresh_from_db()
    return task


def hand_to(task: Task, target: User | str, *, by: User) -> Task:
    """Gives the task to a colleague of the clinic, or back to a queue."""
    owner, queue = (target, "") if isinstance(target, User) else (None, target)
    with transaction.atomic():
        _give(_locked(task, by), owner, queue, "task.hand_on", by)
    task.refresh_from_db()
    return task


def hand_back(task: Task, owner: User | None, queue: str, *, handed_to: str, by: User) -> Task:
    """Undo of handing it on to `handed_to`: with the owner and in the queue of before, unless it has gone on since."""
    with transaction.atomic():
        row = _locked(task, by)
        if row.with_whom != handed_to:
            raise TaskError("It has been handed on again since.")
        _give(row, owner, queue, "task.hand_back", by)
    task.refresh_from_db()
    return task


def _give(row: Task, owner: User | None, queue: str, act: str, by: User) -> None:
    if owner is not None and row.clinic_id is not None and row.clinic_id not in owner.clinic_ids():
        raise TaskError(f"{owner.display_name} does not work in this clinic.")
    row.owner, row.queue = owner, Task.Queue(queue or row.queue)
    row.claimed_by, row.claimed_until = None, None
    row.save(update_fields=["owner", "queue", "claimed_by", "claimed_until"])
    record(by, act, row, to=row.with_whom)


def take(task: Task, *, by: User, over: int | None = None) -> bool:
    """Claims the patient whose task this is; `over` names the holder it is taken from. False when it is somebody else's."""
    with transaction.atomic():
        taken = task.claim(by, over)
        if taken:
            record(by, "task.take", task, over=over)
    return taken


def release(task: Task, *, by: User) -> int:
    """Lets go of the patient whose task this is; gives how many tasks were held."""
    with transaction.atomic():
        freed = task.siblings().filter(claimed_by=by).update(claimed_by=None, claimed_until=None)
        if freed:
            record(by, "task.release", task)
    return freed


def release_claims(user: User) -> int:
    """Lets go of everything this person holds."""
    return Task.objects.filter(claimed_by=user).update(claimed_by=None, claimed_until=None)
