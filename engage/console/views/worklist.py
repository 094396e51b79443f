"""The worklist: what waits, one patient at a time, and the acts that take a row off the list."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Max
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse

from engage.accounts.models import User
from engage.console import desk, handing
from engage.console.access import CARE, StaffRequest, listed, page, viewed
from engage.console.endings import end, take_back
from engage.console.templatetags.words import LANGUAGES
from engage.inbox.deadlines import next_morning
from engage.inbox.models import InboxError
from engage.lib import clock
from engage.lib.text import number
from engage.worklist import actions, board
from engage.worklist.actions import TaskError
from engage.worklist.models import Reason, Task

KEPT = ("queue", "mine", "reason", "clinic", "language", "after")
ENDED = 60  # rows of the lists of what is done or put off


def kept(values: QueryDict) -> str:
    """The list's own part of a query, so that one comes back to the same list."""
    known = QueryDict(mutable=True)
    known.update({name: str(values[name]) for name in KEPT if values.get(name)})
    return known.urlencode()


def back_query(request: StaffRequest) -> str:
    return kept(QueryDict(request.POST["back"])) if request.POST.get("back") else kept(request.GET)


def listing(request: StaffRequest, query: str) -> dict[str, Any]:
    """The board under these filters, with its choices."""
    asked = board.Asked.of(QueryDict(query))
    user, after = request.user, board.Place.parse(QueryDict(query).get("after", ""))
    found = board.page(user, asked, after)
    listed(request, "worklist.list", [row.first.patient_id for row in found.rows])
    clinics, staff = user.own_clinics(), desk.colleagues(user)
    zone = clinics[0].time_zone if clinics else "America/New_York"
    following = QueryDict(query, mutable=True)
    following["after"] = str(found.next or "")
    bands = [(b, board.BAND_TITLES[b], rows) for b, rows in board.bands(desk.draw(found.rows), zone)]
    return {
        "bands": bands, "asked": asked, "query": query, "after": after, "clinics": clinics,
        "more": following.urlencode() if found.next else "", "since": newest(), "columns": 6 + (len(clinics) > 1),
        "queues": Task.Queue.choices, "reasons": Reason.choices, "languages": LANGUAGES.items(), "staff": staff,
        "colleagues": desk.of_clinic(staff),
    }  # fmt: skip


def newest() -> int:
    return Task.objects.aggregate(last=Max("pk"))["last"] or 0


@page(*CARE)
def worklist(request: StaffRequest) -> HttpResponse:
    return render(request, "console/worklist/page.html", listing(request, kept(request.GET)))


def own(request: StaffRequest, pk: int) -> Task:
    """The task, when this person may see it; otherwise 404."""
    rows = Task.objects.visible_to(request.user)
    return get_object_or_404(rows.select_related("patient__clinic", "clinic", "owner", "closed_by"), pk=pk)


def panel(request: StaffRequest, task: Task, status: int = 200, **more: Any) -> HttpResponse:
    """The panel of one task: alone for htmx, otherwise on the page beside its list."""
    query = back_query(request)
    viewed(request, task, "task.view", patient_id=task.patient_id, clinic_id=task.clinic_id)
    beside = {} if request.htmx else listing(request, query)
    drawn = {row.key: row for _, _, rows in beside.get("bands", ()) for row in rows}
    row = (drawn.get(board.key_of(task)) or waiting(request, task)) if task.is_open else None
    staff = beside.get("staff") or desk.colleagues(request.user)
    shown = beside | {"query": query} | desk.panel(request, task, row, staff) | more
    template = "_panel.html" if request.htmx else "page.html"
    return render(request, f"console/worklist/{template}", shown, status=status)


def waiting(request: StaffRequest, task: Task) -> board.Row | None:
    """The row of this task's patient as drawn; None when nothing waits there any more."""
    row = board.one(request.user, board.key_of(task))
    return desk.draw([row])[0] if row else None


@page(*CARE)
def worklist_task(request: StaffRequest, pk: int) -> HttpResponse:
    return panel(request, own(request, pk))


def off_the_list(request: StaffRequest, task: Task, said: str, undo: str = "") -> HttpResponse:
    """After an act: the row leaves (or stays with what is left), and a toast says so, with Undo."""
    messages.success(request, said, undo)
    query = back_query(request)
    there = reverse("worklist") + (f"?{query}" if query else "")
    if not request.htmx:
        return redirect(there)
    key, row = board.key_of(task), waiting(request, task)
    shown = {
        "key": key,
        "row": row,
        "query": query,
        "clinics": request.user.own_clinics(),
    }
    answer = render(request, "console/worklist/_after.html", shown)
    answer["HX-Push-Url"] = there
    if row is None:
        answer["Row-Gone"] = f"row-{key}"
    return answer


@page(*CARE, methods=("POST",))
def task_finish(request: StaffRequest, pk: int) -> HttpResponse:
    """Ends the task, and those of the same patient that were ticked, with one outcome."""
    task = own(request, pk)
    outcome, note = request.POST.get("outcome", ""), request.POST.get("note", "")
    also = [pk for pk in map(number, request.POST.getlist("also")) if pk is not None]
    others = list(Task.objects.visible_to(request.user).filter(pk__in=also, patient=task.patient_id).open())
    try:
        last = number(request.POST.get("last", "")) or 0
        end([task, *others], outcome, note, by=request.user, last=last)
    except (TaskError, InboxError) as error:
        missing = actions.needs_note(task, outcome) and not note.strip()
        return panel(
            request, own(request, pk), 422, error=str(error), chosen=outcome, note=note, note_missing=missing
        )
    undo = f"{reverse('task_reopen', args=[pk])}?also={','.join(str(t.pk) for t in others)}"
    task.refresh_from_db()
    return off_the_list(request, task, f"Ended: {task.get_outcome_display().lower()}.", undo)


@page(*CARE, methods=("POST",))
def task_reopen(request: StaffRequest, pk: int) -> HttpResponse:
    """Undo, at once or later: what was ended or put off is open again."""
    task = own(request, pk)
    also = [pk for pk in map(number, request.GET.get("also", "").split(",")) if pk is not None]
    others = Task.objects.visible_to(request.user).filter(pk__in=also, patient=task.patient_id)
    take_back([task, *others.select_related("patient")], by=request.user)
    messages.success(request, "Taken back: it is open again.")
    return redirect("worklist_task", pk)


@page(*CARE, methods=("POST",))
def task_snooze(request: StaffRequest, pk: int) -> HttpResponse:
    """Puts off everything that waits for this patient."""
    task = own(request, pk)
    until = moment(request.POST.get("until", ""), task)
    try:
        if until is None:
            raise TaskError("Choose until when.")
        row = board.one(request.user, board.key_of(task))
        put_off = [actions.snooze(t, until, by=request.user) for t in (row.tasks if row else [task])]
    except TaskError as error:
        return panel(request, task, 422, error=str(error))
    undo = f"{reverse('task_reopen', args=[pk])}?also={','.join(str(t.pk) for t in put_off if t.pk != pk)}"
    return off_the_list(
        request, task, "Put off. A new reply that needs a person brings the patient back at once.", undo
    )


def moment(choice: str, task: Task) -> datetime | None:
    now = clock.now()
    if choice == "hour":
        return now + timedelta(hours=1)
    days = {"tomorrow": 1, "days": 3, "week": 7}.get(choice)
    return next_morning(now, task.clinic, days) if days else None


@page(*CARE, methods=("POST",))
def task_hand_on(request: StaffRequest, pk: int) -> HttpResponse:
    """To a colleague of the clinic or to a queue."""
    task = own(request, pk)
    try:
        name, undo = handing.hand_on([task], request.POST.get("to", ""), by=request.user)
    except TaskError as error:
        return panel(request, task, 422, error=str(error))
    return off_the_list(request, task, f"Handed to {name}.", undo)


@page(*CARE, methods=("POST",))
def task_take(request: StaffRequest, pk: int) -> HttpResponse:
    """Holds the patient for 15 minutes, so that nobody else acts at the same time."""
    task = own(request, pk)
    over = request.POST.get("over", "")
    if not actions.take(task, by=request.user, over=number(over)):
        return panel(
            request, task, 422, error="Somebody else holds this patient, or nothing is open any more."
        )
    return held(request, task)


@page(*CARE, methods=("POST",))
def task_release(request: StaffRequest, pk: int) -> HttpResponse:
    task = own(request, pk)
    actions.release(task, by=request.user)
    return held(request, task)


def held(request: StaffRequest, task: Task) -> HttpResponse:
    """The panel again, and for htmx the row with who holds it."""
    if request.htmx:
        return panel(request, task, with_row=True, clinics=request.user.own_clinics())
    query = back_query(request)
    return HttpResponseRedirect(reverse("worklist_task", args=[task.pk]) + (f"?{query}" if query else ""))


@page(*CARE)
def worklist_done(request: StaffRequest) -> HttpResponse:
    """What was ended last, to read or to take back."""
    done = {c: Task.objects.filter(clinic=c, state=Task.State.DONE) for c in clinics_of(request.user)}
    return ended(request, "done", board.latest(done, ("-closed_at", "-pk"), ENDED))


@page(*CARE)
def worklist_snoozed(request: StaffRequest) -> HttpResponse:
    """What is put off, the next to come back first."""
    later = {
        c: Task.objects.filter(clinic=c, state=Task.State.SNOOZED, snoozed_until__gt=clock.now())
        for c in clinics_of(request.user)
    }
    return ended(request, "snoozed", board.latest(later, ("snoozed_until", "pk"), ENDED))


def clinics_of(user: User) -> list[int | None]:
    return [*user.clinic_ids(), *([None] if user.sees_unassigned else [])]


def ended(request: StaffRequest, kind: str, tasks: list[Task]) -> HttpResponse:
    listed(request, f"worklist.{kind}", [task.patient_id for task in tasks])
    return render(request, "console/worklist/ended.html", {"kind": kind, "tasks": tasks, "most": ENDED})


urlpatterns: list[URLPattern] = [
    path("", worklist, name="worklist"),
    path("done/", worklist_done, name="worklist_done"),
    path("snoozed/", worklist_snoozed, name="worklist_snoozed"),
    path("<int:pk>/", worklist_task, name="worklist_task"),
    path("<int:pk>/take/", task_take, name="task_take"),
    path("<int:pk>/release/", task_release, name="task_release"),
    path("<int:pk>/finish/", task_finish, name="task_finish"),
    path("<int:pk>/snooze/", task_snooze, name="task_snooze"),
    path("<int:pk>/hand-on/", task_hand_on, name="task_hand_on"),
    path("<int:pk>/reopen/", task_reopen, name="task_reopen"),
]
