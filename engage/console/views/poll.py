"""The poll of every open page: counts and whether something urgent or broken is new. Carries no patient's data."""

from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse

from engage.accounts.models import User
from engage.console.access import CARE, EVERYONE, StaffRequest, page
from engage.inbox import wordlist
from engage.inbox.models import Conversation, Level
from engage.lib import clock
from engage.lib.text import number
from engage.messaging.health import sender_state
from engage.worklist.models import Task

UNSORTED_FOR = timedelta(minutes=2)  # until then a reply is only being read
MOST = 100  # counted up to this and shown as "99+": nobody acts differently on 4,312


@page(*EVERYONE, poll=True)
def poll_counts(request: StaffRequest) -> HttpResponse:
    """Counts for the signed-in person's clinics; the newest urgent reply; what is new since `task` and `heard`."""
    context: dict[str, Any] = {"sender": cache.get_or_set("sender", sender_sentence, 1)}
    if request.user.role in CARE:
        context |= counted(request.user, request.GET.get("task", ""), request.GET.get("heard", ""))
        context |= newest_urgent(request.user) if context["urgent"] else {}
        context["sorting"] = sorting_sentence(context["unsorted"])
    return render(request, "components/_counts.html", context)


def sender_sentence() -> str:
    """What a person must know about sending, "" when all is well; read once a second for everybody who polls."""
    return str(sender_state()["sentence"])


def sorting_sentence(unsorted: str) -> str:
    """What a person must know about triage: replies it could not sort, or a word list that it cannot read."""
    trouble = str(cache.get_or_set("wordlist", wordlist.trouble, 5))
    if not unsorted:
        return trouble
    said = "A reply could not be sorted: read it yourself"
    if unsorted != "1":
        said = f"{unsorted} replies could not be sorted: read them yourself"
    return f"{said}, on top of the inbox. {trouble}".strip()


def counted(user: User, since_task: str, since_heard: str) -> dict[str, str]:
    """Each number up to MOST, as text ("" for none), all in one query."""
    talks = Conversation.objects.visible_to(user).open()
    tasks = Task.objects.visible_to(user).waiting()
    rows: dict[str, QuerySet] = {
        "urgent": talks.filter(level=Level.URGENT),
        "inbox": talks.filter(seen_at=None),
        "unassigned": talks.filter(owner=None),
        "unsorted": talks.filter(level=Level.UNSORTED, last_heard_at__lt=clock.now() - UNSORTED_FOR),
        "worklist": tasks.filter(Q(priority=Task.Priority.URGENT) | Q(due_at__lt=clock.now())),
    }
    if (since := number(since_task)) is not None:
        rows["tasks"] = tasks.filter(pk__gt=since)
    if heard := moment(since_heard):
        rows["replies"] = talks.filter(last_message_at__gt=heard, last_heard_at__gt=heard)
    return {name: shown(n) for name, n in zip(rows, counts(list(rows.values())), strict=True)}


def counts(querysets: list[QuerySet]) -> list[int]:
    parts: list[str] = []
    values: list[Any] = []
    for rows in querysets:
        sql, params = rows.order_by().values("pk")[:MOST].query.sql_with_params()
        parts.append(f"(SELECT COUNT(*) FROM ({sql}) AS part)")  # noqa: S608 - the ORM's own SQL, values apart
        values += params
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(parts), values)
        return [int(n) for n in cursor.fetchone()]


def shown(number: int) -> str:
    return "99+" if number >= MOST else str(number or "")


def moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def newest_urgent(user: User) -> dict[str, Any]:
    """Which urgent reply came last, how many seconds ago, and where to act on it."""
    talks = Conversation.objects.visible_to(user).open().filter(level=Level.URGENT)
    last = talks.filter(last_heard_at__isnull=False).order_by("-last_heard_at", "-pk").first()
    if last is None or last.last_heard_at is None:
        return {}
    return {
        "newest": f"{last.pk}-{last.last_heard_at.timestamp():.3f}",
        "age": max(0, int((clock.now() - last.last_heard_at).total_seconds())),
        "href": reverse("conversation", args=[last.pk]),
    }


urlpatterns: list[URLPattern] = [path("counts/", poll_counts, name="poll_counts")]
