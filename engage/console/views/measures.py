"""Pages: measures. Each measure's rate and open gaps, where they are, and the rules in words."""

from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, F, Sum
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse

from engage.accounts.models import Clinic, User
from engage.campaigns.segments import OLDEST, years_before
from engage.caregaps.algebra import Question
from engage.caregaps.measure import Group, Measure
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap, GapRun, MeasureTally
from engage.caregaps.period import Period
from engage.console import pictures
from engage.console.access import EVERYONE, READERS, StaffRequest, listed, page
from engage.console.templatetags.words import language_name
from engage.lib import clock

RUNS = 12  # in a trend
BANDS = ((0, 39), (40, 49), (50, 59), (60, 69), (70, 79), (80, OLDEST))
MOST_DOCTORS = 20
MOST_PATIENTS = 100
SUMS = {
    name: Sum(name)
    for name in ("initial_population", "denominator", "excluded", "excepted", "numerator", "open_gaps")
}


class Counted:
    """A measure's populations as one run counted them, in one clinic or in all of a person's."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.numerator, self.open_gaps = row["numerator"], row["open_gaps"]
        self.of = row["denominator"] - row["excluded"] - row["excepted"]

    @property
    def percent(self) -> float | None:
        """The rate in percent, one decimal; None when nobody is in the denominator."""
        return round(100 * self.numerator / self.of, 1) if self.of else None


def tallies_for(user: User) -> Any:
    """Completed runs' tallies of the person's own clinics; measures with several groups count their first."""
    return MeasureTally.objects.filter(user.scope(), run__state=GapRun.State.COMPLETED, group=1)


@page(*EVERYONE)
def measures(request: StaffRequest) -> HttpResponse:
    """Every measure: its rate with the denominator, its trend and its open gaps by clinic."""
    last = GapRun.objects.order_by("-started_at").first()
    rows = [row for m in MEASURES.values() if (row := overview(request.user, m))]
    context = {"rows": rows, "last": last, "known": list(MEASURES.values())}
    return render(request, "console/measures/list.html", context)


def overview(user: User, measure: Measure) -> dict[str, Any] | None:
    """What the list shows of one measure; None when no run has counted it."""
    history = history_of(user, measure.id)
    if not history:
        return None
    day, counted = history[-1]
    points = [(f"{d:%-d %b %Y}", c.percent) for d, c in history if c.percent is not None]
    return {
        "measure": measure,
        "counted": counted,
        "day": day,
        "trend": pictures.trend(points),
        "history": list(reversed(history)),
        "clinics": by_clinic(user, measure.id),
        "inverse": group_of(measure).inverse,
    }


def history_of(user: User, measure: str) -> list[tuple[date, Counted]]:
    """(as-of day, what was counted) of the last runs, oldest first; the last run of a day stands for it."""
    runs = tallies_for(user).filter(measure=measure).values("run", as_of=F("run__as_of"))
    rows = runs.annotate(**SUMS).order_by("-run")[: 3 * RUNS]
    by_day: dict[date, Counted] = {}
    for row in rows:
        by_day.setdefault(row["as_of"], Counted(row))
    return sorted(by_day.items())[-RUNS:]


def by_clinic(user: User, measure: str) -> list[dict[str, Any]]:
    """The last run's counts in each of the person's clinics."""
    mine = tallies_for(user).filter(measure=measure)
    last = mine.order_by("-run").values_list("run", flat=True).first()
    names = dict(Clinic.objects.values_list("pk", "name"))
    rows = mine.filter(run=last).values("clinic").annotate(**SUMS).order_by("clinic__name")
    return [
        {"name": names.get(row["clinic"], "Unassigned"), "counted": Counted(row)}
        for row in rows
        if row["denominator"]
    ]


def group_of(measure: Measure) -> Group:
    return measure.rules(clock.today().year).groups[0]


@page(*EVERYONE)
def measure(request: StaffRequest, code: str) -> HttpResponse:
    """One measure: where its open gaps are, and its rules in words."""
    found = find(code)
    gaps = CareGap.objects.visible_to(request.user).open().filter(measure=code)
    context = {
        "measure": found,
        "row": overview(request.user, found),
        "total": gaps.count(),
        "breakdowns": breakdowns(gaps, code, links=request.user.role in READERS),
        "rules": rules_in_words(found),
        "may_list": request.user.role in READERS,
    }
    return render(request, "console/measures/page.html", context)


def find(code: str) -> Measure:
    if code not in MEASURES:
        raise Http404
    return MEASURES[code]


def breakdowns(gaps: Any, code: str, *, links: bool) -> list[tuple[str, list[pictures.Bar]]]:
    """(heading, bars) by clinic, PCP, language and age; each bar leads to its patients."""
    total = gaps.count()
    tables = [
        ("By clinic", "clinic", grouped(gaps, "patient__clinic", "patient__clinic__name", "Unassigned")),
        ("By clinician", "pcp", grouped(gaps, "patient__pcp", "patient__pcp__name", "No clinician")),
        ("By language", "language", languages_of(gaps)),
        ("By age", "age", ages_of(gaps)),
    ]
    base = reverse("measure_patients", args=[code])
    return [
        (
            heading,
            [
                pictures.Bar(
                    name, n, f"{100 * n / total:.0f}%" if total else "", round(100 * n / max(1, top(rows)), 1),
                    f"{base}?{urlencode({key: value})}" if links else "",
                )
                for value, name, n in rows
            ],
        )
        for heading, key, rows in tables
    ]  # fmt: skip


def top(rows: list[tuple[Any, str, int]]) -> int:
    return max((n for _, _, n in rows), default=0)


def grouped(gaps: Any, key: str, name: str, nobody: str) -> list[tuple[Any, str, int]]:
    rows = gaps.values_list(key, name).annotate(n=Count("pk")).order_by("-n", name)[:MOST_DOCTORS]
    return [(pk if pk is not None else "none", label or nobody, n) for pk, label, n in rows]


def languages_of(gaps: Any) -> list[tuple[str, str, int]]:
    rows = gaps.values_list("patient__language").annotate(n=Count("pk")).order_by("-n")
    return [(code, language_name(code), n) for code, n in rows]


def ages_of(gaps: Any) -> list[tuple[str, str, int]]:
    found = [
        (f"{low}-{high}", band_name(low, high), gaps.filter(**born(low, high)).count()) for low, high in BANDS
    ]
    unknown = gaps.filter(patient__birth_date=None).count()
    rows = [row for row in found if row[2]]
    return [*rows, ("none", "Not known", unknown)] if unknown else rows


def band_name(low: int, high: int) -> str:
    return f"{low} and over" if high > 120 else f"{low} to {high}"


def born(low: int, high: int) -> dict[str, date]:
    """The filter for whole years of age today."""
    today = clock.today()
    return {
        "patient__birth_date__lte": years_before(today, low),
        "patient__birth_date__gt": years_before(today, high + 1),
    }


def rules_in_words(measure: Measure) -> dict[str, Any]:
    """Who counts, who does not and what is hoped for, from the measure's own expressions."""
    year = clock.today().year
    question = Question.nightly(Period.of(clock.today()), clock.today())
    group = group_of(measure)
    return {
        "version": measure.rules(year).artifact,
        "year": year,
        "population": group.population.sought(question, "en"),
        "exclusions": [x.words["en"] for x in group.exclusions],
        "exceptions": [x.words["en"] for x in group.exceptions],
        "numerator": group.numerator.sought(question, "en"),
        "closers": [c.title["en"] for c in measure.closers],
        "inverse": group.inverse,
    }


@page(*READERS)
def measure_patients(request: StaffRequest, code: str) -> HttpResponse:
    """The patients behind a bar, longest due first; a limited list, each of them audited."""
    found = find(code)
    gaps = CareGap.objects.visible_to(request.user).open().filter(measure=code)
    chosen, words = narrowed(request, gaps)
    rows = list(
        chosen.select_related("patient__clinic", "patient__pcp").order_by("due_since", "pk")[:MOST_PATIENTS]
    )
    listed(request, "measure.patients", [gap.patient_id for gap in rows])
    context = {
        "measure": found,
        "gaps": rows,
        "total": chosen.count(),
        "words": words,
        "shown": MOST_PATIENTS,
    }
    return render(request, "console/measures/patients.html", context)


def narrowed(request: StaffRequest, gaps: Any) -> tuple[Any, list[str]]:
    """The gaps that the address asks for, and that choice in words; what makes no sense is not found."""
    words = []
    for key, column in (("clinic", "patient__clinic"), ("pcp", "patient__pcp")):
        value = request.GET.get(key, "")
        if value:
            gaps = gaps.filter(**{f"{column}__isnull": True} if value == "none" else {column: whole(value)})
            words.append(f"{'clinic' if key == 'clinic' else 'clinician'} {name_of(gaps, column, value)}")
    if language := request.GET.get("language", ""):
        gaps = gaps.filter(patient__language=language)
        words.append(f"speaking {language_name(language)}")
    if age := request.GET.get("age", ""):
        low, _, high = age.partition("-")
        years = (0, 0) if age == "none" else (whole(low, OLDEST), whole(high, OLDEST))
        gaps = gaps.filter(**{"patient__birth_date": None} if age == "none" else born(*years))
        words.append("of unknown age" if age == "none" else f"aged {band_name(*years)}")
    return gaps, words


def name_of(gaps: Any, column: str, value: str) -> str:
    return (
        "none"
        if value == "none"
        else gaps.values_list(f"{column}__name", flat=True).first() or "without gaps"
    )


def whole(value: str, most: int = 2**62) -> int:
    if not (value.isascii() and value.isdecimal()) or int(value[:20]) > most:
        raise Http404
    return int(value)


urlpatterns: list[URLPattern] = [
    path("", measures, name="measures"),
    path("<slug:code>/", measure, name="measure"),
    path("<slug:code>/patients/", measure_patients, name="measure_patients"),
]
