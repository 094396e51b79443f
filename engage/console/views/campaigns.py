"""Pages: campaigns. What each does and has done, who is in it, and its start, pause and end."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse

from engage.accounts.models import User
from engage.campaigns import actions, cadence, counts, estimates
from engage.campaigns.enrolling import zone_of
from engage.campaigns.models import Campaign, Enrollment
from engage.campaigns.segments import Segment, SegmentError
from engage.console import pictures
from engage.console.access import CAMPAIGNERS, CARE, StaffRequest, listed, page
from engage.console.campaign_access import CAMPAIGN_READERS, find, find_to_edit, may_edit
from engage.console.campaign_forms import CampaignForm
from engage.console.views import campaign_editing
from engage.messaging.models import Message

PER_PAGE = 50
# act → (its words on the button, what it does, in which states it can be chosen)
ACTS = {
    "start": (
        "Start",
        "People are taken in within a minute, and the first texts go out in permitted hours.",
        ("draft",),
    ),
    "pause": (
        "Pause",
        "Nobody is taken in, no touch is made, and texts that wait are not sent until it is resumed.",
        ("running",),
    ),
    "resume": (
        "Resume",
        "Touches that fell due meanwhile are made, each within the patient's limits.",
        ("paused",),
    ),
    "stop": (
        "Stop for good",
        "Everybody's outreach in it ends, waiting texts are not sent and its open call tasks close."
        " It cannot be resumed.",
        ("running", "paused"),
    ),
}


@page(*CAMPAIGN_READERS)
def campaigns(request: StaffRequest) -> HttpResponse:
    """Every campaign of the person's clinics, those under way first."""
    rows = list(Campaign.objects.visible_to(request.user).prefetch_related("clinics", "touches"))
    order = {"running": 0, "paused": 1, "draft": 2}
    rows.sort(key=lambda c: order.get(c.state, 3))
    tallies = counts.by_state(rows)
    texted = counts.texted_by_stream(rows)
    listed_rows = [
        {
            "campaign": row,
            "tally": tally_of(tallies[row.pk]),
            "texted": texted.get(row.stream_id or 0, 0),
            "finish": counts.finish_at(row) if row.state in ("running", "paused") else None,
            "cadence": cadence.sentence(row.touches.all()),
        }
        for row in rows
    ]
    may_make = request.user.role in CAMPAIGNERS
    return render(request, "console/campaigns/list.html", {"rows": listed_rows, "may_make": may_make})


def tally_of(found: dict[str, int]) -> dict[str, int]:
    enrolled = sum(found.get(state, 0) for state in ("active", "completed", "ended"))
    names = ("active", "left_out", "answered", "closed")
    return {name: found.get(name, 0) for name in names} | {"enrolled": enrolled}


@page(*CAMPAIGNERS, methods=("GET", "POST"))
def campaign_new(request: StaffRequest) -> HttpResponse:
    form = CampaignForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        campaign = form.save()
        messages.success(
            request, "The draft has the starter cadence and wording. Look through both, then start it."
        )
        return HttpResponseRedirect(reverse("campaign_edit", args=[campaign.pk]))
    return render(request, "console/campaigns/new.html", {"form": form}, status=422 if form.errors else 200)


@page(*CAMPAIGN_READERS)
def campaign(request: StaffRequest, pk: int) -> HttpResponse:
    """What a campaign has come to, what comes next, and who is in it."""
    found = find(request.user, pk)
    steps = counts.funnel(found)
    coming = counts.next_touches(found)
    tally = counts.by_state([found])[found.pk]
    state = wanted_state(request, tally)
    people = people_of(request, found, state)
    listed(request, "campaign.people", [e.patient_id for e in people])
    context = {
        "campaign": found,
        "funnel": pictures.bars([(s.name, s.count, s.note) for s in steps]),
        "left_out": counts.left_out(found),
        "ended": counts.ended(found),
        "coming": pictures.bars([(f"{day:%a %-d %b}", n, "") for day, n in coming]),
        "finish": counts.finish_at(found),
        "estimate": estimates.still_to_come(found),
        "waiting": Message.objects.unsent().filter(stream=found.stream).count() if found.stream else 0,
        "cadence": cadence.sentence(found.touches.all()),
        "segment": segment_words(found),
        "zone": zone_of(found),
        "people": people,
        "tabs": tabs_of(tally, state),
        "care": request.user.role in CARE,
        "acts": acts_for(request.user, found),
        "may_edit": may_edit(request.user, found),
    }
    return render(request, "console/campaigns/page.html", context)


def segment_words(campaign: Campaign) -> str:
    try:
        return Segment.parse(campaign.segment).sentence()
    except SegmentError as error:
        return str(error)


def people_of(request: StaffRequest, campaign: Campaign, state: str) -> Any:
    """One page of the people in a state; only those of the person's own clinics."""
    rows = Enrollment.objects.filter(request.user.scope(), campaign=campaign, state=state)
    rows = rows.select_related("patient__clinic", "gap").order_by("due_at", "pk")
    return Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))


def wanted_state(request: StaffRequest, found: dict[str, int]) -> str:
    """The state asked for; else the first in which there is anybody."""
    asked = request.GET.get("state", "")
    if asked in Enrollment.State.values:
        return asked
    return next((str(s) for s in Enrollment.State.values if found.get(s)), str(Enrollment.State.ACTIVE))


def tabs_of(found: dict[str, int], now: str) -> list[dict[str, Any]]:
    return [
        {
            "href": f"?state={s.value}#people",
            "name": s.label,
            "count": found.get(s.value, 0),
            "current": s.value == now,
        }
        for s in Enrollment.State
    ]


def acts_for(user: User, campaign: Campaign) -> list[tuple[str, str]]:
    """(act, its words) for what this person can do with the campaign now."""
    if not may_edit(user, campaign):
        return []
    return [(act, words) for act, (words, _, states) in ACTS.items() if campaign.state in states]


@page(*CAMPAIGNERS, methods=("GET", "POST"))
def campaign_change(request: StaffRequest, pk: int, act: str) -> HttpResponse:
    """Asks before it starts, pauses, resumes or stops a campaign; then does."""
    found = find_to_edit(request.user, pk)
    words, consequence, _ = ACTS[act]
    problems: list[str] = []
    if request.method == "POST":
        try:
            change(found, act, request.user, request.POST.get("why", ""))
        except actions.CampaignError as error:
            problems = [str(error)]
        else:
            messages.success(request, f"“{found.name}” is {found.get_state_display().lower()}.")
            return HttpResponseRedirect(reverse("campaign", args=[pk]))
    elif act == "start":
        problems = actions.unready(found)
    waiting = Message.objects.unsent().filter(stream=found.stream).count() if found.stream else 0
    active = found.enrollments.active().count()
    context = {
        "campaign": found, "act": act, "words": words, "consequence": consequence, "problems": problems,
        "waiting": waiting, "active": active,
    }  # fmt: skip
    status = 422 if problems and request.method == "POST" else 200
    return render(request, "console/campaigns/confirm.html", context, status=status)


def change(campaign: Campaign, act: str, user: User, why: str) -> None:
    if act == "start":
        actions.start(campaign, user)
    elif act == "pause":
        actions.pause(campaign, user, why.strip())
    elif act == "resume":
        actions.resume(campaign, user)
    else:
        actions.stop(campaign, user)


urlpatterns: list[URLPattern] = [
    path("", campaigns, name="campaigns"),
    path("new/", campaign_new, name="campaign_new"),
    path("<int:pk>/", campaign, name="campaign"),
    *(path(f"<int:pk>/{act}/", campaign_change, {"act": act}, name=f"campaign_{act}") for act in ACTS),
    *campaign_editing.urlpatterns,
]
