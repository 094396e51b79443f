"""Pages that change a campaign: whom it chooses, its cadence and wording, and what it would do for a real patient."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse

from engage.campaigns import counts, editing, estimates, rehearsal
from engage.campaigns.actions import CampaignError, unready
from engage.campaigns.enrolling import chosen
from engage.campaigns.models import Campaign, Touch
from engage.campaigns.segments import SegmentError
from engage.console.access import CAMPAIGNERS, CARE, StaffRequest, listed, page, viewed
from engage.console.campaign_access import find, find_to_edit
from engage.console.campaign_forms import CampaignForm, WordingForm, cadence_forms, planned
from engage.console.templatetags.words import LANGUAGES
from engage.messaging import templates
from engage.messaging.models import Template
from engage.patients.models import Patient
from engage.patients.search import search

ALWAYS = ("en", "es")
SEARCH_SHOWN = 10


@page(*CAMPAIGNERS, methods=("GET", "POST"))
def campaign_edit(request: StaffRequest, pk: int) -> HttpResponse:
    campaign = find_to_edit(request.user, pk)
    form = CampaignForm(request.POST or None, user=request.user, campaign=campaign)
    if request.method == "POST" and campaign.state in editing.EDITABLE and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return HttpResponseRedirect(reverse("campaign_edit", args=[pk]))
    return edit_page(request, campaign, form=form)


@page(*CAMPAIGNERS, methods=("POST",))
def campaign_cadence(request: StaffRequest, pk: int) -> HttpResponse:
    campaign = find_to_edit(request.user, pk)
    rows = cadence_forms(campaign, request.POST)
    if not rows.is_valid():
        return edit_page(request, campaign, rows=rows)
    try:
        editing.save_cadence(campaign, planned(rows), by=request.user)
    except CampaignError as error:
        return edit_page(request, campaign, rows=rows, problem=str(error))
    messages.success(request, "The cadence is saved.")
    return HttpResponseRedirect(reverse("campaign_edit", args=[pk]) + "#cadence")


def edit_page(
    request: StaffRequest, campaign: Campaign, form: Any = None, rows: Any = None, problem: str = ""
) -> HttpResponse:
    form = form or CampaignForm(user=request.user, campaign=campaign)
    wrong = bool(problem or form.errors or (rows is not None and rows.is_bound))
    context = {
        "campaign": campaign,
        "form": form,
        "rows": rows or cadence_forms(campaign),
        "problem": problem,
        "texts": [
            (touch, [state_of(touch, code) for code in languages_of(touch)])
            for touch in campaign.touches.filter(kind=Touch.Kind.TEXT)
        ],
        "unready": unready(campaign) if campaign.state == Campaign.State.DRAFT else [],
        "editable": campaign.state in editing.EDITABLE,
    }
    return render(request, "console/campaigns/edit.html", context, status=422 if wrong else 200)


def languages_of(touch: Touch) -> list[str]:
    """English and Spanish, and whatever else has wording."""
    there = Template.objects.filter(key=touch.template_key).values_list("language", flat=True)
    return [*ALWAYS, *sorted(set(there) - set(ALWAYS))]


def state_of(touch: Touch, language: str) -> dict[str, Any]:
    """What is in use in a language, what waits for approval, and what it costs."""
    in_use = templates.pick(touch.template_key, language)
    newest = editing.newest(touch.template_key, language)
    body = newest.body if newest else ""
    return {
        "language": language,
        "in_use": in_use,
        "draft": newest if newest and newest.approved_at is None else None,
        "body": body,
        "cost": templates.size_of(body),
    }


@page(*CAMPAIGNERS, methods=("GET", "POST"))
def touch_wording(request: StaffRequest, pk: int) -> HttpResponse:
    """One touch's wording, a form for each language; saved as a new version."""
    touch = find_touch(request, pk)
    if touch.kind != Touch.Kind.TEXT:
        return HttpResponseRedirect(reverse("campaign_edit", args=[touch.campaign_id]))
    form = WordingForm(request.POST if request.method == "POST" else None)
    problems: list[str] = []
    if request.method == "POST" and form.is_valid():
        problems = templates.check(form.cleaned_data["body"])
        if not problems and "check" not in request.POST:
            return save(request, touch, form)
    return wording_page(request, touch, form, problems)


def find_touch(request: StaffRequest, pk: int) -> Touch:
    mine = Campaign.objects.visible_to(request.user)
    touch = get_object_or_404(Touch.objects.select_related("campaign").filter(campaign__in=mine), pk=pk)
    find_to_edit(request.user, touch.campaign_id)
    return touch


def save(request: StaffRequest, touch: Touch, form: WordingForm) -> HttpResponse:
    data = form.cleaned_data
    row = editing.save_wording(
        touch, data["language"], data["body"], approve=data["approve"], by=request.user
    )
    in_use = "It is used from now on." if row.approved_at else "It is a draft until somebody approves it."
    messages.success(request, f"Version {row.version} in {LANGUAGES[row.language]} is saved. {in_use}")
    return HttpResponseRedirect(reverse("touch_wording", args=[touch.pk]))


def wording_page(request: StaffRequest, touch: Touch, form: WordingForm, problems: list[str]) -> HttpResponse:
    asked = request.GET.get("language", "")
    codes = languages_of(touch)
    codes += [asked] if asked in LANGUAGES and asked not in codes else []
    written = form.data.get("language") if form.is_bound else None
    cards = []
    for code in codes:
        state = state_of(touch, code)
        mine = form if written == code else WordingForm(initial={"language": code, "body": state["body"]})
        body = form.data.get("body", "") if written == code else state["body"]
        check = check_of(body) if written == code or body else None
        cards.append(
            state | {"form": mine, "check": check, "check_problems": problems if written == code else []}
        )
    context = {
        "touch": touch,
        "campaign": touch.campaign,
        "cards": cards,
        "placeholders": [(n, w) for n, w in templates.PLACEHOLDERS.items() if n != "inbox_link"],
        "others": [(code, name) for code, name in LANGUAGES.items() if code not in codes],
    }
    failed = form.is_bound and (form.errors or problems)
    return render(request, "console/campaigns/wording.html", context, status=422 if failed else 200)


def check_of(body: str) -> dict[str, Any]:
    return {"problems": templates.check(body), "cost": templates.size_of(body)}


@page(*CAMPAIGNERS, methods=("POST",))
def touch_check(request: StaffRequest, pk: int) -> HttpResponse:
    """What is wrong with the wording as it stands in the editor, and its segments; saves nothing."""
    find_touch(request, pk)
    check = check_of(request.POST.get("body", ""))
    return render(request, "console/campaigns/_check.html", {"check": check})


@page(*CAMPAIGNERS)
def campaign_count(request: StaffRequest, pk: int) -> HttpResponse:
    """How many would be reached, and by reason how many would not."""
    campaign = find(request.user, pk)
    context: dict[str, Any] = {"campaign": campaign}
    try:
        context["preview"] = found = counts.preview(campaign)
        context["estimate"] = estimates.if_started(campaign, found)
    except SegmentError as error:
        context["problem"] = str(error)
    name = "_count" if request.htmx else "count"
    return render(request, f"console/campaigns/{name}.html", context)


@page(*CAMPAIGNERS)
def campaign_preview(request: StaffRequest, pk: int) -> HttpResponse:
    """What the campaign would say to a real patient: searched for, or anybody it would choose."""
    campaign = find_to_edit(request.user, pk)
    asked = request.GET.get("q", "").strip()
    found = people_like(request, campaign, asked) if asked else []
    patient = picked(request, campaign)
    context: dict[str, Any] = {"campaign": campaign, "asked": asked, "found": found, "patient": patient}
    context["care"] = request.user.role in CARE
    if patient is not None:
        viewed(request, patient, "campaign.preview", patient_id=patient.pk, campaign=campaign.pk)
        context["rehearsal"] = rehearsal.rehearse(campaign, patient)
    listed(request, "campaign.search", [p.pk for p in found])
    return render(request, "console/campaigns/preview.html", context)


def people_like(request: StaffRequest, campaign: Campaign, asked: str) -> list[Patient]:
    """Patients with an open gap that the campaign chooses, among those the text may mean."""
    gaps = chosen(campaign).values("patient")
    return list(search(request.user, asked).filter(pk__in=gaps)[:SEARCH_SHOWN])


def picked(request: StaffRequest, campaign: Campaign) -> Patient | None:
    mine = Patient.objects.visible_to(request.user).select_related("clinic", "pcp")
    if "anybody" in request.GET:
        gap = rehearsal.anybody(campaign)
        return mine.filter(pk=gap.patient_id).first() if gap else None
    asked = request.GET.get("patient", "")
    return get_object_or_404(mine, pk=int(asked)) if asked.isdecimal() else None


urlpatterns: list[URLPattern] = [
    path("<int:pk>/edit/", campaign_edit, name="campaign_edit"),
    path("<int:pk>/cadence/", campaign_cadence, name="campaign_cadence"),
    path("<int:pk>/count/", campaign_count, name="campaign_count"),
    path("<int:pk>/preview/", campaign_preview, name="campaign_preview"),
    path("touches/<int:pk>/wording/", touch_wording, name="touch_wording"),
    path("touches/<int:pk>/check/", touch_check, name="touch_check"),
]
