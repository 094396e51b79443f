"""How replies are sorted here: the weekly sample to check, and the figures that come of it."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse

from engage.accounts.models import Role
from engage.console import charts
from engage.console.access import SORTERS, StaffRequest, page, viewed
from engage.console.templatetags.words import language_name
from engage.console.thread import WORDS, marks_of, pieces
from engage.inbox import figures, sampling
from engage.inbox.models import Flag, InboxError, Level, SampleItem
from engage.inbox.triage.reading import LABELS, URGENT_LABELS
from engage.lib import clock
from engage.lib.text import number

READERS = (*SORTERS, Role.AUDITOR)
PERIODS = ((4, "4 weeks"), (12, "12 weeks"), (52, "A year"))
WEEKS_SHOWN = 26
# What is missed most often, or matters most: by number key.
FIRST = (
    "emergency",
    "self_harm",
    "abuse",
    "symptom",
    "medication",
    "call_me",
    "question",
    "complaint",
    "opt_out",
)


@page(*READERS)
def sorting(request: StaffRequest) -> HttpResponse:
    """The samples of the person's clinics: what waits, then the weeks that are done."""
    decided = Count("items", filter=Q(items__verdict__isnull=False))
    otherwise = Count("items", filter=Q(items__verdict__isnull=False) & ~Q(items__verdict=charts.SAID))
    rows = sampling.visible_to(request.user).annotate(
        total=Count("items"), decided=decided, otherwise=otherwise
    )
    shown = list(rows.order_by("-week", "clinic__name")[: WEEKS_SHOWN * 4])
    context = {
        "tab": "sample",
        "waiting": [row for row in shown if row.done_at is None and row.total],
        "done": [row for row in shown if row.done_at is not None],
        "may_check": request.user.role in SORTERS,
        "clinics_differ": len(request.user.clinic_ids()) > 1,
    }
    return render(request, "console/sorting/samples.html", context)


@page(*SORTERS)
def sorting_sample(request: StaffRequest, pk: int) -> HttpResponse:
    return one(request, pk, number(request.GET.get("item", "")))


def one(request: StaffRequest, pk: int, wanted: int | None, status: int = 200, **more: Any) -> HttpResponse:
    """One reply of a sample: the next that waits, or the one that is asked for."""
    sample = get_object_or_404(sampling.visible_to(request.user), pk=pk)
    items = sample.items.select_related("message__reply_to", "message__patient", "decided_by")
    item = items.filter(pk=wanted).first() if wanted else None
    item = item or items.filter(verdict=None).order_by("position").first()
    total, left = sample.items.count(), sampling.waiting(sample).count()
    context: dict[str, Any] = {
        "tab": "sample",
        "sample": sample,
        "total": total,
        "done": total - left,
        "item": item,
    }
    if item is not None:
        viewed(request, item, "sample.view", patient_id=item.message.patient_id, clinic_id=sample.clinic_id)
        context |= drawn(item)
    return render(request, "console/sorting/item.html", context | more, status=status)


def drawn(item: SampleItem) -> dict[str, Any]:
    """A reply as the checker sees it: without a name, with what it answered and what triage made of it."""
    flags = [f for f in item.message.flags.all() if f.source != "staff"]
    for flag in flags:
        flag.state = Flag.State.PROPOSED  # as triage said it, whatever was decided since
    grave = [label for label in LABELS if item.said > sampling.level_of(label)]
    first = [label for label in FIRST if label in grave][:9]
    return {
        "message": item.message,
        "outbound": item.message.reply_to,
        "pieces": pieces(item.message.body, flags),
        "marks": marks_of(flags),
        "said": Level(item.said),
        "lower": [Level(level) for level in (Level.SIGNIFICANT, Level.ROUTINE) if level > item.said],
        "first": [(label, WORDS[label], label in URGENT_LABELS) for label in first],
        "rest": [(label, WORDS[label][1]) for label in grave if label not in first],
    }


def own_item(request: StaffRequest, pk: int) -> SampleItem:
    mine = sampling.visible_to(request.user)
    rows = SampleItem.objects.filter(sample__in=mine).select_related("sample__clinic", "message")
    return get_object_or_404(rows, pk=pk)


@page(*SORTERS, methods=("POST",))
def sorting_item_decide(request: StaffRequest, pk: int) -> HttpResponse:
    item = own_item(request, pk)
    verdict, label = number(request.POST.get("verdict", "")), request.POST.get("label", "")
    if request.POST.get("missed"):
        label = request.POST.get("other") or label
        verdict = sampling.level_of(label)
    try:
        sampling.decide(item, -1 if verdict is None else verdict, label=label, by=request.user)
    except InboxError as error:
        return one(request, item.sample_id, item.pk, 422, error=str(error))
    said = "Kept: sorted right." if verdict == item.said else "Kept."
    messages.success(request, said, reverse("sorting_item_undo", args=[pk]))
    return redirect("sorting_sample", item.sample_id)


@page(*SORTERS, methods=("POST",))
def sorting_item_undo(request: StaffRequest, pk: int) -> HttpResponse:
    item = own_item(request, pk)
    sampling.take_back(item, by=request.user)
    return redirect(f"{reverse('sorting_sample', args=[item.sample_id])}?item={pk}")


# --- Figures -----------------------------------------------------------------------------------------------------
@page(*READERS)
def sorting_figures(request: StaffRequest) -> HttpResponse:
    """What is caught and what rings for nothing, by language, with intervals; the confusion of levels; week by week."""
    period = number(request.GET.get("weeks", "")) or 12
    period = period if period in dict(PERIODS) else 12
    since = clock.today() - timedelta(weeks=period, days=7)
    clinics = request.user.clinic_ids()
    rows = figures.checked(clinics, since, sampling.language_group)
    named = {"en": language_name("en"), "es": language_name("es"), "other": "Other languages"}
    context = {
        "tab": "figures",
        "period": period,
        "periods": PERIODS,
        "rows": len(rows),
        "stands_for": round(sum(r.weight for r in rows)),
        "measures": charts.measures(rows, named),
        "confusion": charts.confusion(rows),
        "trends": charts.trends(rows),
        "versions": sorted({r.version for r in rows if r.version}),
        "decisions": charts.decisions(clinics, since),
        "second_reader": figures.second_reader(clinics, since),
        "fewest": figures.FEWEST,
    }
    return render(request, "console/sorting/figures.html", context)


urlpatterns: list[URLPattern] = [
    path("", sorting, name="sorting"),
    path("samples/<int:pk>/", sorting_sample, name="sorting_sample"),
    path("items/<int:pk>/decide/", sorting_item_decide, name="sorting_item_decide"),
    path("items/<int:pk>/undo/", sorting_item_undo, name="sorting_item_undo"),
    path("figures/", sorting_figures, name="sorting_figures"),
]
