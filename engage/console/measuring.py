"""What the measures pages show, from the tallies that runs leave: a few queries, however many patients there are."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db.models import QuerySet, Sum

from engage.accounts.models import Clinic, User
from engage.caregaps.measure import Measure
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import GapRun, MeasureTally, OpenTally
from engage.console import pictures
from engage.console.templatetags.words import language_name
from engage.patients.models import Practitioner

NIGHTS = 14  # in a trend
MOST_BARS = 20
NAMES = ("initial_population", "denominator", "excluded", "excepted", "numerator", "open_gaps")
UNASSIGNED, NO_CLINICIAN, NOT_KNOWN = "Unassigned", "No clinician", "Not known"
By = OpenTally.By


@dataclass
class Counted:
    """The populations of one group of a measure as one run counted them, in one clinic or in several."""

    initial_population: int = 0
    denominator: int = 0
    excluded: int = 0
    excepted: int = 0
    numerator: int = 0
    open_gaps: int = 0

    def add(self, row: dict[str, Any]) -> None:
        for name in NAMES:
            setattr(self, name, getattr(self, name) + row[name])

    def __add__(self, other: "Counted") -> "Counted":
        return Counted(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    @property
    def of(self) -> int:
        """Whom the rate is about."""
        return self.denominator - self.excluded - self.excepted

    @property
    def percent(self) -> float | None:
        """The rate in percent, one decimal; None when nobody is in the denominator."""
        return round(100 * self.numerator / self.of, 1) if self.of else None


@dataclass
class Overview:
    """One measure: its last run by group and by clinic, and the nights before. A rate is that of the first group, or of
    all where the measure asks for one rate."""

    measure: Measure
    day: date
    inverse: bool
    one_rate: bool
    groups: dict[int, Counted] = field(default_factory=dict)
    clinics: dict[int | None, dict[int, Counted]] = field(default_factory=dict)
    nights: list[tuple[date, Counted]] = field(default_factory=list)  # oldest first
    names: dict[int | None, str] = field(default_factory=dict)

    @property
    def counted(self) -> Counted:
        return self.rated(self.groups)

    def rated(self, groups: dict[int, Counted]) -> Counted:
        """What the measure's rate is about."""
        return sum(groups.values(), Counted()) if self.one_rate else groups[min(groups)]

    @property
    def open_gaps(self) -> int:
        return sum(counted.open_gaps for counted in self.groups.values())

    @property
    def history(self) -> list[tuple[date, Counted]]:
        return list(reversed(self.nights))

    @property
    def trend(self) -> pictures.Trend:
        return self.drawn(240, 64)

    @property
    def wide_trend(self) -> pictures.Trend:
        return self.drawn(720, 160)

    def drawn(self, width: int, height: int) -> pictures.Trend:
        points = [(f"{d:%-d %b %Y}", c.percent) for d, c in self.nights if c.percent is not None]
        return pictures.trend(points, width, height)

    @property
    def by_clinic(self) -> list[dict[str, Any]]:
        """Rate and open gaps of each clinic that has patients, by name."""
        rows: list[dict[str, Any]] = [
            {
                "key": "none" if clinic is None else clinic,
                "name": self.names.get(clinic, UNASSIGNED),
                "counted": self.rated(groups),
                "open_gaps": sum(counted.open_gaps for counted in groups.values()),
            }
            for clinic, groups in self.clinics.items()
        ]
        kept = [row for row in rows if row["counted"].denominator or row["open_gaps"]]
        return sorted(kept, key=lambda row: (row["key"] == "none", row["name"]))


def overviews(user: User, code: str = "") -> list[Overview]:
    """Each measure (or the one) that a completed run has counted for the person's clinics; four queries."""
    last = GapRun.objects.filter(state=GapRun.State.COMPLETED).order_by("-pk")
    runs = dict(last.values_list("pk", "as_of")[: 4 * NIGHTS])
    rows = tallies(user, runs, code).values("run", "measure", "group", "clinic").annotate(
        **{name: Sum(name) for name in NAMES}
    )  # fmt: skip
    names = dict(Clinic.objects.values_list("pk", "name"))
    by_measure: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_measure[row["measure"]].append({**row})
    return [overview(MEASURES[m], by_measure[m], runs, names) for m in MEASURES if by_measure[m]]


def tallies(user: User, runs: Any, code: str) -> QuerySet[MeasureTally]:
    rows = MeasureTally.objects.filter(user.scope(), run__in=runs).order_by()
    return rows.filter(measure=code) if code else rows


def overview(
    measure: Measure, rows: list[dict[str, Any]], runs: dict[int, date], names: dict[Any, str]
) -> Overview:
    """The last run that counted the measure, and the last run of each day before it."""
    newest = max(row["run"] for row in rows)
    rules = measure.rules(runs[newest].year)
    found = Overview(measure, runs[newest], rules.groups[0].inverse, rules.one_rate, names=names)
    nights: dict[int, Counted] = defaultdict(Counted)
    first = min(row["group"] for row in rows)
    for row in rows:
        if rules.one_rate or row["group"] == first:
            nights[row["run"]].add(row)
        if row["run"] == newest:
            found.groups.setdefault(row["group"], Counted()).add(row)
            groups = found.clinics.setdefault(row["clinic"], {})
            groups.setdefault(row["group"], Counted()).add(row)
    by_day = {runs[run]: nights[run] for run in sorted(nights)}
    found.nights = sorted(by_day.items())[-NIGHTS:]
    found.groups = dict(sorted(found.groups.items()))
    return found


# --- where the open gaps are --------------------------------------------------------------------------------------
@dataclass
class Breakdown:
    """One picture: its heading, the bars, and what is not drawn in words."""

    heading: str
    key: str  # of the address that lists the patients
    bars: list[pictures.Bar]
    rest: str = ""


def breakdowns(user: User, row: Overview, base: str) -> list[Breakdown]:
    """Open gaps by clinic, clinician, language and age; each bar leads to its patients (unless `base` is "")."""
    counts = open_counts(user, row.measure.id)
    doctors = Practitioner.objects.in_bulk([int(key) for key in counts[By.PCP] if key])
    clinics = {str(c["key"]): c["open_gaps"] for c in row.by_clinic if c["open_gaps"]}
    names = {str(c["key"]): c["name"] for c in row.by_clinic}
    tables = [
        ("By clinic", "clinic", clinics, lambda key: names[key]),
        ("By clinician", "pcp", counts[By.PCP], lambda key: doctor_name(doctors, key)),
        (
            "By language",
            "language",
            counts[By.LANGUAGE],
            lambda key: language_name(key) if key else NOT_KNOWN,
        ),
        ("By age", "age", counts[By.AGE], age_name),
    ]
    return [drawn(heading, key, found, name, row.open_gaps, base) for heading, key, found, name in tables]


def open_counts(user: User, code: str) -> dict[str, dict[str, int]]:
    """By what → key → open gaps of the person's clinics."""
    rows = OpenTally.objects.filter(user.scope(), measure=code).order_by()
    found: dict[str, dict[str, int]] = {by: {} for by in By.values}
    for by, key, number in rows.values_list("by", "key").annotate(n=Sum("open_gaps")):
        found[by][key] = number
    return found


def drawn(heading: str, key: str, counts: dict[str, int], name: Any, total: int, base: str) -> Breakdown:
    """Longest first; ages in their order."""
    order = (lambda pair: age_order(pair[0])) if key == "age" else (lambda pair: (-pair[1], name(pair[0])))
    rows = sorted(counts.items(), key=order)
    top = max(counts.values(), default=0)
    bars = [
        pictures.Bar(
            name(value), number, f"{100 * number / total:.0f}%" if total else "", round(100 * number / max(1, top), 1),
            f"{base}?{key}={value or 'none'}" if base else "",
        )
        for value, number in rows[:MOST_BARS]
    ]  # fmt: skip
    others = rows[MOST_BARS:]
    rest = f"{len(others)} more, {sum(n for _, n in others):,} open gaps" if others else ""
    return Breakdown(heading, key, bars, rest)


def doctor_name(doctors: dict[int, Practitioner], key: str) -> str:
    found = doctors.get(int(key)) if key else None
    return found.name if found else NO_CLINICIAN


def age_name(key: str) -> str:
    """ "40 to 49", "80 and over"."""
    low, _, high = key.partition("-")
    if not key or key == "none":
        return NOT_KNOWN
    if low == "0":
        return f"Under {int(high) + 1}"
    return f"{low} and over" if int(high) > 120 else f"{low} to {high}"


def age_order(key: str) -> int:
    return int(key.partition("-")[0]) if key else 1_000
