"""The ladder of an urgent reply that nobody takes: at its deadline the next person, ten minutes later the supervisors.

Taken means that somebody holds the task, or has opened the conversation, within the last quarter of an hour: who looked
and went away leaves it to the next.
"""

from datetime import datetime, timedelta

from django.db import transaction

from engage.accounts.models import Clinic, Role
from engage.audit.models import record
from engage.inbox.models import Conversation
from engage.lib import clock, phone
from engage.messaging import safety
from engage.worklist import actions as worklist
from engage.worklist.models import CLAIM_MINUTES, Reason, Task, TaskQuerySet

BY = "system:escalate"
TOP = 2  # steps in all
BETWEEN = timedelta(minutes=10)
TAKEN_FOR = timedelta(minutes=CLAIM_MINUTES)


def climb() -> int:
    """One step further for each urgent reply that is due and that nobody has taken; how many went on.

    Safe to repeat and to run twice at once: a step is taken with the task locked, and its alerts have keys of their own.
    """
    return sum(_step(pk) for pk in _due().order_by("due_at").values_list("pk", flat=True))


def _due() -> TaskQuerySet:
    urgent = Task.objects.open().filter(priority=Task.Priority.URGENT, due_at__lte=clock.now())
    return urgent.filter(reason=Reason.URGENT_REPLY, escalated__lt=TOP)


def _step(pk: int) -> bool:
    with transaction.atomic():
        task = _due().select_for_update(of=("self",)).select_related("clinic").filter(pk=pk).first()
        now = clock.now()
        if task is None or now < task.due_at + task.escalated * BETWEEN or _taken(task, now):
            return False
        task.escalated += 1
        if task.escalated < TOP:
            _next_person(task)
        else:
            _supervisors(task, now)
        record(BY, "task.escalate", task, step=task.escalated, to=task.queue)
    return True


def _taken(task: Task, now: datetime) -> bool:
    if task.held_by() is not None:
        return True
    kind, _, pk = task.about.partition(":")
    seen = Conversation.objects.filter(pk=pk if kind == "conversation" else 0, seen_at__gt=now - TAKEN_FOR)
    return seen.exclude(seen_by__role=Role.AUDITOR).exists()  # who may only read takes nothing


def _next_person(task: Task) -> None:
    """Both numbers: the clinician on call once more, and whoever comes next."""
    task.save(update_fields=["escalated"])
    for clinic in [task.clinic] if task.clinic else Clinic.objects.all():
        key = f"ladder:{task.pk}:{clinic.pk}"
        safety.on_call_alert(clinic, key)
        safety.backup_alert(clinic, f"{key}:next")


def _supervisors(task: Task, now: datetime) -> None:
    """To the supervisors' list, still urgent, saying how long nobody took it and whom to call."""
    waited = int((now - task.created_at).total_seconds() // 60)
    number = task.clinic.on_call_number if task.clinic else ""
    call = f"call the clinician on call, {phone.display(number)}" if number else "no on-call number is known"
    task.queue = Task.Queue.SUPERVISORS
    worklist.say(task, "ladder", f"Nobody took it for {waited} minutes: {call}.")
    task.save(update_fields=["escalated", "queue", "because", "summary"])
