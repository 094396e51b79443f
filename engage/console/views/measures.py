"""Pages: measures. Each measure's rate and open gaps, where they are, and the rules in words."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse

from engage.audit.models import record
from engage.caregaps.algebra import Question
from engage.caregaps.measure import Group, Measure
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import GapRun
from engage.caregaps.period import Period
from engage.caregaps.reports import line
from engage.console.access import CARE, EVERYONE, READERS, StaffRequest, listed, page
from engage.console.gap_lists import MOST, SHOWN, Choice, table
from engage.console.measuring import NAMES, breakdowns, overviews
from engage.lib import clock

NIGHTS = 10  # in the list of runs


@page(*EVERYONE)
def measures(request: StaffRequest) -> HttpResponse:
    """Every measure: its rate with the denominator, its trend and its open gaps by clinic."""
    last = GapRun.objects.order_by("-started_at").first()
    nights = GapRun.objects.order_by("-started_at")[:NIGHTS]
    context = {"rows": overviews(request.user), "last": last, "good": last_good(last), "nights": nights}
    return render(request, "console/measures/list.html", context)


def last_good(last: GapRun | None) -> GapRun | None:
    """The last run that was completed, where the last one was not."""
    if last is None or last.state == GapRun.State.COMPLETED:
        return None
    return GapRun.objects.filter(state=GapRun.State.COMPLETED).order_by("-started_at").first()


@page(*EVERYONE)
def measure(request: StaffRequest, code: str) -> HttpResponse:
    """One measure: where its open gaps are, and its rules in words."""
    found = find(code)
    row = next(iter(overviews(request.user, code)), None)
    may_list = request.user.role in READERS
    base = reverse("measure_patients", args=[code]) if may_list else ""
    context = {
        "measure": found,
        "row": row,
        "breakdowns": breakdowns(request.user, row, base) if row else [],
        "groups": rules_in_words(found),
        "published": found.rules(clock.today().year).artifact,
        "closers": [closer.title.en for closer in found.closers],
        "may_list": may_list,
    }
    return render(request, "console/measures/page.html", context)


def find(code: str) -> Measure:
    if code not in MEASURES:
        raise Http404
    return MEASURES[code]


def rules_in_words(found: Measure) -> list[dict[str, Any]]:
    """Of each group: who counts, who does not and what is hoped for, from the measure's own expressions."""
    question = Question.nightly(Period.of(clock.today()), clock.today())
    return [words_of(group, question) for group in found.rules(clock.today().year).groups]


def words_of(group: Group, question: Question) -> dict[str, Any]:
    narrower = group.denominator.sought(question, "en") if group.denominator else []
    return {
        "number": group.number,
        "population": [*group.population.sought(question, "en"), *narrower],
        "exclusions": [x.words.en for x in group.exclusions],
        "exceptions": [x.words.en for x in group.exceptions],
        "numerator": list(dict.fromkeys(group.numerator.sought(question, "en"))),
        "inverse": group.inverse,
    }


@page(*EVERYONE)
def measure_rates(request: StaffRequest) -> HttpResponse:
    """The figures of the last run as a table for people: each measure, group and clinic of one's own. No patients."""
    lines = [line(["Measure", "Title", "As of", "Group", "Clinic", *NAMES, "Rate in percent"])]
    for row in overviews(request.user):
        for clinic, groups in row.clinics.items():
            for number, counted in sorted(groups.items()):
                figures = [getattr(counted, name) for name in NAMES]
                name = row.names.get(clinic, "Unassigned")
                rate = "" if counted.percent is None else counted.percent
                lines.append(
                    line([row.measure.id, row.measure.title.en, str(row.day), number, name, *figures, rate])
                )
    return attachment(lines, f"measures-{clock.today()}.csv")


@page(*READERS)
def measure_patients(request: StaffRequest, code: str) -> HttpResponse:
    """The patients behind a bar, longest due first, page by page; each of them audited."""
    choice = Choice.read(find(code).id, request.GET)
    gaps = choice.gaps(request.user)
    found = list(gaps.values_list("pk", flat=True)[: MOST + 1])  # once: few may lie far apart
    total = len(found)
    part = Paginator(found[:MOST], SHOWN).get_page(request.GET.get("page"))
    shown = gaps.filter(pk__in=part.object_list)
    rows = list(shown.select_related("patient__clinic", "patient__pcp"))
    listed(request, "measure.patients", [gap.patient_id for gap in rows])
    context = {
        "measure": MEASURES[code],
        "part": part,
        "gaps": rows,
        "total": total,
        "most": MOST,
        "words": choice.words(request.user),
        "query": choice.query,
        "may_download": request.user.role in CARE and 0 < total <= MOST,
    }
    return render(request, "console/measures/patients.html", context)


@page(*CARE)
def measure_download(request: StaffRequest, code: str) -> HttpResponse:
    """The same list as a file for people; each patient in it is audited."""
    choice = Choice.read(find(code).id, request.GET)
    gaps = list(choice.gaps(request.user).select_related("patient__clinic", "patient__pcp")[: MOST + 1])
    if len(gaps) > MOST:
        messages.error(
            request, f"More than {MOST:,} patients: choose a clinic, a clinician, a language or an age first."
        )
        return redirect(f"{reverse('measure_patients', args=[code])}?{choice.query}")
    listed(request, "measure.download", [gap.patient_id for gap in gaps])
    record(request.user, "measure.download", measure=code, patients=len(gaps), choice=choice.query)
    return attachment(list(table(gaps)), f"{code}-open-gaps-{clock.today()}.csv")


def attachment(lines: list[str], name: str) -> HttpResponse:
    """A file for a spreadsheet: the mark in front says that it is UTF-8."""
    answer = HttpResponse("\ufeff" + "\r\n".join(lines) + "\r\n", content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


urlpatterns: list[URLPattern] = [
    path("", measures, name="measures"),
    path("rates.csv", measure_rates, name="measure_rates"),
    path("<slug:code>/", measure, name="measure"),
    path("<slug:code>/patients/", measure_patients, name="measure_patients"),
    path("<slug:code>/patients.csv", measure_download, name="measure_download"),
]
