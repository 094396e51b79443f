"""The inbox as drawn: the folders with their counts, the rows of one, and the pane of one conversation."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Case, CharField, OuterRef, Prefetch, Q, QuerySet, Subquery, When
from django.db.models.functions import Left
from django.http import HttpResponse
from django.shortcuts import render

from engage.caregaps.models import CareGap
from engage.console.access import StaffRequest, listed, viewed
from engage.console.composer import Composer
from engage.console.forms import ClosureForm
from engage.console.thread import TONES, WORDS, Bubble, marks_of, thread
from engage.inbox import actions
from engage.inbox.folders import BY_SLUG, FOLDERS, MOST, START, Folder, counts
from engage.inbox.models import Conversation, Flag, Level
from engage.inbox.senders import answered_by_reply
from engage.lib import clock
from engage.lib.text import fold, number
from engage.messaging.models import Message
from engage.patients.models import Patient
from engage.patients.search import search
from engage.worklist.models import Reason, Task

ROWS = 50
SHOWN = 140  # characters of the last reply in a row
SNOOZE = (("hour", "1 hour"), ("tomorrow", "Tomorrow 9:00"), ("days", "3 days"), ("week", "1 week"))


def whole(request: StaffRequest, conversation: Conversation, status: int = 200, **more: Any) -> HttpResponse:
    """The page of a conversation, or only its pane when htmx asks."""
    shown = opened(request, conversation) | more
    if request.htmx:
        return render(request, "console/inbox/_conversation.html", shown, status=status)
    wanted = request.GET.get("in") or request.POST.get("in", "")
    shown |= beside(request, BY_SLUG.get(wanted, START))
    return render(request, "console/inbox/page.html", shown, status=status)


def beside(request: StaffRequest, folder: Folder) -> dict[str, Any]:
    """The folders with their counts, and the rows of one of them."""
    rows, more = rows_of(request, folder)
    listed(request, "inbox.list", [row.patient_id for row in rows])
    held = counts(request.user)
    return {
        "folder": folder,
        "folders": [
            (f, f"{MOST - 1}+" if held.get(f.slug, 0) >= MOST else held.get(f.slug)) for f in FOLDERS
        ],
        "rows": rows,
        "more": more,
        "query": request.GET.get("q", ""),
        "now": clock.now(),
        "clinics_differ": len(request.user.clinic_ids()) > 1,
    }


def rows_of(request: StaffRequest, folder: Folder) -> tuple[list[Conversation], int | None]:
    """One page of rows with what they show, and the id of the last one when more follow."""
    user, after = request.user, number(request.GET.get("after", ""))
    last = Conversation.objects.visible_to(user).filter(pk=after).first() if after is not None else None
    name = fold(request.GET.get("q", ""))
    only = Q(patient__search_name__startswith=name) | Q(address__endswith=name) if name else None
    found = folder.page(user, ROWS + 1, last, only)
    rows = list(with_words(found.select_related("patient", "clinic", "owner")))
    for row in rows:
        row.marks = marks_of(f for f in row.flags.all() if recent(row, f))  # type: ignore[attr-defined]
    return rows[:ROWS], rows[ROWS - 1].pk if len(rows) > ROWS else None


def with_words(rows: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """With the last words heard (`words`) and the flags left standing; one query each."""
    heard = Message.objects.filter(direction=Message.Direction.IN).order_by("-created_at", "-id")

    def last(**whose: object) -> Subquery:
        return Subquery(heard.filter(**whose).values(start=Left("body", SHOWN))[:1])

    words = Case(
        When(patient=None, then=last(patient=None, address=OuterRef("address"))),
        default=last(patient=OuterRef("patient")),
        output_field=CharField(),
    )
    standing = Flag.objects.exclude(state=Flag.State.DISMISSED).select_related("message")
    return rows.annotate(words=words).prefetch_related(Prefetch("flags", queryset=standing))


def recent(row: Conversation, flag: Flag) -> bool:
    """Whether a flag belongs to a reply that still waits."""
    return row.waiting_since is not None and flag.message.created_at >= row.waiting_since


def in_doubt(conversation: Conversation, tasks: Iterable[Task]) -> list[str]:
    """The numbers a person is asked about: whether messages to them must stop."""
    if not any(t.reason == Reason.OPT_OUT_DOUBT for t in tasks):
        return []
    return sorted({p.value for p in actions.doubted(conversation)}) or [conversation.address]


def opened(request: StaffRequest, conversation: Conversation) -> dict[str, Any]:
    """All that the pane of one conversation shows; seeing it is recorded."""
    user, patient = request.user, conversation.patient
    viewed(request, conversation, "conversation.view")
    before = request.GET.get("before", "")
    bubbles, earlier = thread(conversation, user, number(before))
    first_seen = conversation.seen_at is None and actions.mark_seen(conversation, user)
    tasks = list(tasks_of(conversation))
    shown = {
        "conversation": conversation,
        "patient": patient,
        "bubbles": bubbles,
        "earlier": earlier,
        "first_seen": first_seen,
        "tasks": tasks,
        "urgent_open": any(t.reason == Reason.URGENT_REPLY and t.about == conversation.about for t in tasks),
        "in_doubt": in_doubt(conversation, tasks),
        "labels": sorted((word, label) for label, (_, word) in WORDS.items()),
        "tone": TONES[Level(conversation.level)],
        "folder_slug": came_from if (came_from := request.GET.get("in", "")) in BY_SLUG else "",
        "snooze_choices": SNOOZE,
    }
    if patient is None:
        return shown | strangers(request, conversation)
    composer = Composer(request, conversation)
    last = composer.last.partition(".")[0]
    return shown | {"composer": composer, "last": last, "gaps": gaps_of(patient, bubbles)}


def tasks_of(conversation: Conversation) -> QuerySet[Task]:
    about = Q(about=conversation.about)
    mine = about | Q(patient=conversation.patient_id) if conversation.patient_id else about
    return Task.objects.open().filter(mine).select_related("clinic").order_by("priority", "due_at")[:4]


def gaps_of(patient: Patient, bubbles: list[Bubble]) -> list[tuple[CareGap, ClosureForm, bool]]:
    """The open gaps, each with the form that closes it; filled in and open when the patient says it is done."""
    gaps = patient.gaps.filter(status=CareGap.Status.OPEN).order_by("measure", "group")
    says = next((b.message for b in reversed(bubbles) if b.flaggable and b.says("already_done")), None)
    found = []
    for gap in gaps:
        form = ClosureForm(gap=gap, auto_id=f"gap{gap.pk}_%s")
        if says is not None and says.about in ("", gap.about):
            form = ClosureForm.from_words(gap, says.body, says.pk)
        found.append((gap, form, says is not None and says.about == gap.about))
    return found


def strangers(request: StaffRequest, conversation: Conversation) -> dict[str, Any]:
    """Who might have written from an unmatched number; a person chooses, with two identifiers before them."""
    wanted = request.GET.get("find", "").strip()
    visible = Patient.objects.visible_to(request.user)
    candidates = list(visible.filter(pk__in=conversation.candidates).select_related("clinic"))
    found = list(search(request.user, wanted)[:10]) if wanted else []
    listed(request, "inbox.candidates", [p.pk for p in [*candidates, *found]])
    last = answered_by_reply(conversation.address, None, clock.now())
    return {
        "last": actions.last_heard(conversation),
        "candidates": candidates,
        "elsewhere": len(conversation.candidates) - len(candidates),
        "hint": last.patient_id if last else None,
        "found": found,
        "find": wanted,
    }
