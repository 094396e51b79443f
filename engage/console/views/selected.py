"""Several rows of the worklist at once: take the patients, or hand on all that waits for them; and the Undo of each."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from engage.console import handing
from engage.console.access import CARE, StaffRequest, page
from engage.console.views.worklist import back_query
from engage.lib.text import number
from engage.worklist import actions, board
from engage.worklist.actions import TaskError
from engage.worklist.models import Task

HELD = "Somebody else holds one of these patients. None was taken."


def chosen(request: StaffRequest) -> dict[str, list[Task]]:
    """All that waits in the rows that were selected, by row."""
    found: dict[str, list[Task]] = {}
    for task in board.together(request.user, map(number, request.POST.getlist("task"))):
        found.setdefault(board.key_of(task), []).append(task)
    if not found:
        raise TaskError("Select a row first.")
    return found


def back(request: StaffRequest) -> HttpResponse:
    query = back_query(request)
    return redirect(reverse("worklist") + (f"?{query}" if query else ""))


def said(rows: dict[str, list[Task]]) -> str:
    return f"{len(rows)} row{'s' if len(rows) > 1 else ''}"


@page(*CARE, methods=("POST",))
def selected_take(request: StaffRequest) -> HttpResponse:
    """Holds these patients for 15 minutes: all or none."""
    try:
        rows = chosen(request)
        with transaction.atomic():
            for tasks in rows.values():
                if not actions.take(tasks[0], by=request.user):
                    raise TaskError(HELD)
    except TaskError as error:
        messages.error(request, str(error))
    else:
        held = "_".join(str(tasks[0].pk) for tasks in rows.values())
        messages.success(request, f"{said(rows)} taken.", f"{reverse('selected_release')}?tasks={held}")
    return back(request)


@page(*CARE, methods=("POST",))
def selected_release(request: StaffRequest) -> HttpResponse:
    """Undo of taking."""
    pks = [pk for text in request.GET.get("tasks", "").split("_") if (pk := number(text)) is not None]
    for task in Task.objects.visible_to(request.user).filter(pk__in=pks):
        actions.release(task, by=request.user)
    messages.success(request, "Given back.")
    return back(request)


@page(*CARE, methods=("POST",))
def selected_hand_on(request: StaffRequest) -> HttpResponse:
    """All that waits in these rows, to a colleague or a queue: all or none."""
    try:
        rows = chosen(request)
        tasks = [task for row in rows.values() for task in row]
        name, undo = handing.hand_on(tasks, request.POST.get("to", ""), by=request.user)
    except TaskError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{said(rows)} handed to {name}.", undo)
    return back(request)


@page(*CARE, methods=("POST",))
def tasks_hand_back(request: StaffRequest) -> HttpResponse:
    """Undo of handing on, one task or several."""
    try:
        tasks = handing.hand_back(request.GET, by=request.user)
    except TaskError as error:
        messages.error(request, str(error))
        return back(request)
    messages.success(request, "Taken back: it is where it was.")
    return redirect("worklist_task", tasks[0].pk) if len(tasks) == 1 else redirect("worklist")


urlpatterns: list[URLPattern] = [
    path("selected/take/", selected_take, name="selected_take"),
    path("selected/release/", selected_release, name="selected_release"),
    path("selected/hand-on/", selected_hand_on, name="selected_hand_on"),
    path("hand-back/", tasks_hand_back, name="tasks_hand_back"),
]
