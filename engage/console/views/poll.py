"""The poll of every open page: counts and whether something urgent or broken is new. Carries no patient's data."""

from django.db.models import Count, Max, Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path

from engage.console.access import CARE, EVERYONE, StaffRequest, page
from engage.inbox.models import Conversation, Level
from engage.messaging.health import sender_state
from engage.worklist.models import Task


@page(*EVERYONE, poll=True)
def poll_counts(request: StaffRequest) -> HttpResponse:
    """Open conversations and tasks of the person's clinics; at most three queries."""
    context = {"sender": sender_state()}
    if request.user.role in CARE:
        urgent = Q(level=Level.URGENT)
        context |= (
            Conversation.objects.visible_to(request.user)
            .open()
            .aggregate(
                inbox=Count("pk"),
                urgent=Count("pk", filter=urgent),
                newest=Max("last_heard_at", filter=urgent),
            )
        )
        due = Task.objects.visible_to(request.user).waiting().filter(priority__lt=Task.Priority.ROUTINE)
        context["worklist"] = due.count()
    return render(request, "components/_counts.html", context)


urlpatterns: list[URLPattern] = [path("counts/", poll_counts, name="poll_counts")]
