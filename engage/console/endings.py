"""Ending tasks from the worklist, with what an outcome means beyond its task: outreach that must not go on."""

from collections.abc import Iterable

from django.db import transaction

from engage.accounts.models import User
from engage.campaigns.actions import end_for_patient
from engage.campaigns.models import Enrollment
from engage.caregaps.models import CareGap
from engage.inbox.actions import refuse_unread, settle_urgent
from engage.messaging.actions import suppress_patient
from engage.patients.actions import record_death, told_of_death, withdraw_death
from engage.worklist import actions
from engage.worklist.models import Outcome, Task

ENDS_OUTREACH = {Outcome.BOOKED: Enrollment.Why.STAFF, Outcome.DECLINED: Enrollment.Why.DECLINED}


def end(tasks: Iterable[Task], outcome: str, note: str, *, by: User, last: int | None = None) -> list[Task]:
    """Ends these tasks of one patient alike, all or none. TaskError when one of them cannot end so.

    `last` is the newest reply that was shown; InboxError when a newer one needs a person.
    """
    tasks = list(tasks)
    with transaction.atomic():
        for about in sorted({task.about for task in tasks}) if last is not None else ():
            refuse_unread(about, last or 0)
        ended = [actions.finish(task, outcome, note, by=by) for task in tasks]
        for task in ended:
            follow(task, by=by)
            settle_urgent(task.about, by=by, last=last)
    return ended


def follow(task: Task, *, by: User) -> None:
    """A booked visit or a "no" ends the reminders of that gap; a death ends everything."""
    patient = task.patient
    if patient is None:
        return
    if task.outcome == Outcome.DECEASED and not patient.deceased:
        record_death(patient, None, by=by, about=_name(task))
        end_for_patient(patient, Enrollment.Why.DECEASED, by=by)
        suppress_patient(patient, "The patient has died.")
    elif task.outcome in ENDS_OUTREACH and task.about.startswith("caregap:"):
        gap = CareGap.objects.filter(pk=task.about.removeprefix("caregap:"), patient=patient).first()
        if gap is not None:
            end_for_patient(patient, ENDS_OUTREACH[Outcome(task.outcome)], by=by, gap=gap)


def take_back(tasks: Iterable[Task], *, by: User) -> list[Task]:
    """Undo: the tasks are open again. A death these tasks told is taken back too; ended outreach stays ended."""
    tasks = list(tasks)
    told = {_name(task) for task in tasks if task.outcome == Outcome.DECEASED}
    with transaction.atomic():
        back = []
        for task in tasks:
            back.append(actions.reopen(task, by=by))
            settle_urgent(task.about, by=by)
            who = task.patient
            if who is not None and who.deceased_on is None and told_of_death(who) in told:
                withdraw_death(who, by=by)
    return back


def _name(task: Task) -> str:
    return f"task:{task.pk}"
