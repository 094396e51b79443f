"""Handing tasks on to a colleague or a queue, one or several, and taking that back.

The address of the Undo says with whom each task was and to whom it went, so nothing needs to be kept for it.
"""

import re
from urllib.parse import urlencode

from django.db import transaction
from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse

from engage.accounts.models import User
from engage.console.access import CARE
from engage.lib.text import number
from engage.worklist import actions
from engage.worklist.actions import TaskError
from engage.worklist.models import Task

WAS = re.compile(rf"(\d{{1,18}})\.(\d{{0,18}})\.({'|'.join(Task.Queue.values)})")  # task, owner, queue


def hand_on(tasks: list[Task], to: str, *, by: User) -> tuple[str, str]:
    """All or none, to a colleague (by id) or a queue; gives its name and the address of the Undo. TaskError says why not."""
    pk = number(to)
    colleague = colleagues().filter(pk=pk).first() if pk is not None else None
    if colleague is None and to not in Task.Queue.values:
        raise TaskError("Choose to whom.")
    was = "_".join(f"{task.pk}.{task.owner_id or ''}.{task.queue}" for task in tasks)
    with transaction.atomic():
        for task in tasks:
            actions.hand_to(task, colleague or to, by=by)
    name = colleague.display_name if colleague else str(Task.Queue(to).label)
    return name, f"{reverse('tasks_hand_back')}?{urlencode({'to': to, 'was': was})}"


def hand_back(asked: QueryDict, *, by: User) -> list[Task]:
    """Undo: each task with the owner and in the queue of before, all or none."""
    was = {int(pk): (number(owner), queue) for pk, owner, queue in WAS.findall(asked.get("was", ""))}
    tasks = list(Task.objects.visible_to(by).filter(pk__in=was).select_related("patient"))
    owners = colleagues().in_bulk([owner for owner, _ in was.values() if owner is not None])
    with transaction.atomic():
        for task in tasks:
            owner, queue = was[task.pk]
            actions.hand_back(task, owners.get(owner or 0), queue, handed_to=asked.get("to", ""), by=by)
    return tasks


def colleagues() -> QuerySet[User]:
    return User.objects.filter(role__in=CARE, is_active=True)
