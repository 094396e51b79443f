"""How well triage sorts here: what was caught and what rang for nothing, estimated from the weekly samples.

Each verdict stands for `weight` replies. Intervals are Wilson's (95 %), with Kish's effective number where weights differ.
What was caught needs two of them: the share of flagged replies that were rightly flagged, and the share of the others that
should have been. Its interval takes the worst and the best corner of both, so it is wide while few of the others were
checked: that nothing was missed in 40 says little of 4,000. Nor is it narrower than plain Wilson over what it is a share of.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from math import sqrt

from engage.inbox.models import Flag, Level, SampleItem, SecondReading

Z = 1.959964  # 95 %
FEWEST = 10  # checked of a kind before a figure is more than an anecdote
WIDEST = 0.4  # an interval that leaves more open than this tells too little
LEVELS = (Level.URGENT, Level.SIGNIFICANT, Level.ROUTINE)


@dataclass(frozen=True)
class Checked:
    """One verdict: what triage said, what it was, how many replies it stands for."""

    said: int
    was: int
    weight: float
    language: str = ""
    week: date | None = None
    version: str = ""


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % interval, all from 0 to 1."""

    share: float
    low: float
    high: float


def wilson(share: float, n: float) -> Interval:
    """Wilson's score interval of a share seen among n (an effective number may be broken)."""
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True)
class Part:
    """What a person found in one part of the replies."""

    checked: int
    hits: int
    stands_for: float
    interval: Interval | None  # of the hits; None when nothing was checked


def part(rows: Iterable[Checked], hit: Callable[[Checked], bool]) -> Part:
    """Counts the hits, weighted."""
    found = list(rows)
    if not found:
        return Part(0, 0, 0.0, None)
    total = sum(r.weight for r in found)
    hits = [r for r in found if hit(r)]
    share = min(1.0, sum(r.weight for r in hits) / total)
    return Part(len(found), len(hits), total, wilson(share, effective(found)))


def effective(rows: list[Checked]) -> float:
    """Kish's effective number: how many equally weighted verdicts tell as much."""
    total = sum(r.weight for r in rows)
    return total * total / sum(r.weight * r.weight for r in rows)


@dataclass(frozen=True)
class Detection:
    """How replies at least this grave are found."""

    level: Level
    flagged: Part  # said to be so grave; hits: rightly
    passed: Part  # said to be less; hits: wrongly, that is missed
    caught: Interval | None  # of those that were so grave, the share that was flagged
    alarms: Interval | None  # of those that were not, the share that was flagged
    grave: int  # checked and so grave
    others: int  # checked and not

    @property
    def tells_caught(self) -> bool:
        return (
            self.grave >= FEWEST and self.caught is not None and self.caught.high - self.caught.low <= WIDEST
        )

    @property
    def tells_alarms(self) -> bool:
        return (
            self.others >= FEWEST and self.alarms is not None and self.alarms.high - self.alarms.low <= WIDEST
        )

    @property
    def missed_at_most(self) -> float:
        """How many of the replies that were passed over may have been so grave, at worst."""
        return self.passed.interval.high * self.passed.stands_for if self.passed.interval else 0.0


def detection(rows: Iterable[Checked], level: Level) -> Detection:
    """Caught and false alarms at a level (significant includes urgent)."""
    found = list(rows)
    grave = [r for r in found if r.was <= level]
    flagged = part((r for r in found if r.said <= level), lambda r: r.was <= level)
    passed = part((r for r in found if r.said > level), lambda r: r.was <= level)
    others = [r for r in found if r.was > level]
    return Detection(
        level,
        flagged,
        passed,
        _ratio(flagged, passed, grave, lambda share: share),
        _ratio(flagged, passed, others, lambda share: 1 - share),
        len(grave),
        len(others),
    )


def _ratio(
    flagged: Part, passed: Part, rows: list[Checked], side: Callable[[float], float]
) -> Interval | None:
    """flagged × side / (flagged × side + passed × side): at the estimate and at both corners of the two intervals.

    Never narrower than Wilson's over the `rows` it is a share of: where nothing was flagged, none of 40 still is not never.
    """
    f, p = flagged.interval, passed.interval

    def of(first: float, second: float) -> float | None:
        hits, rest = flagged.stands_for * side(first), passed.stands_for * side(second)
        return hits / (hits + rest) if hits + rest > 0 else None

    share = of(f.share if f else 0, p.share if p else 0)
    if share is None or not rows:
        return None
    plain = wilson(share, effective(rows))
    corners = [
        value
        for first in ((f.low, f.high) if f else (0.0,))
        for second in ((p.low, p.high) if p else (0.0,))
        if (value := of(first, second)) is not None
    ]
    return Interval(share, min(plain.low, *corners), max(plain.high, *corners))


def confusion(rows: Iterable[Checked]) -> list[tuple[Level, list[tuple[Level, int, float]]]]:
    """What it was against what was said: (was, [(said, checked, replies it stands for)])."""
    cells: dict[tuple[int, int], list[float]] = {}
    for row in rows:
        cells.setdefault((row.was, row.said), []).append(row.weight)

    def cell(was: Level, said: Level) -> tuple[Level, int, float]:
        weights = cells.get((was, said), [])
        return said, len(weights), sum(weights)

    return [(was, [cell(was, said) for said in LEVELS]) for was in LEVELS]


def weeks(rows: Iterable[Checked]) -> list[tuple[date, list[Checked]]]:
    """The verdicts week by week, oldest first."""
    by: dict[date, list[Checked]] = {}
    for row in rows:
        if row.week is not None:
            by.setdefault(row.week, []).append(row)
    return sorted(by.items())


def checked(clinics: Iterable[int], since: date, group: Callable[[str], str]) -> list[Checked]:
    """The verdicts of some clinics on weeks since a day; `group` names the language a figure is given for."""
    rows = SampleItem.objects.filter(
        sample__clinic__in=list(clinics), sample__week__gte=since, verdict__isnull=False
    )
    fields = ("said", "verdict", "weight", "language", "sample__week", "version")
    return [
        Checked(said, was, weight, group(language), week, version)
        for said, was, weight, language, week, version in rows.values_list(*fields)
    ]


@dataclass(frozen=True)
class SecondReader:
    """What people made of the flags of the language model under one version of its prompt."""

    prompt: str
    replies: int  # read by it
    raised: int
    confirmed: int
    dismissed: int

    @property
    def undecided(self) -> int:
        return self.raised - self.confirmed - self.dismissed


def second_reader(clinics: Iterable[int], since: date) -> list[SecondReader]:
    """The second reader's findings and what became of them, the newest prompt first."""
    rows = SecondReading.objects.filter(
        state=SecondReading.State.ANSWERED,
        message__clinic__in=list(clinics),
        message__created_at__date__gte=since,
    )
    read = Counter(rows.values_list("prompt_version", flat=True))
    flags = Flag.objects.filter(source="llm", message__second_reading__in=rows)
    made = Counter(flags.values_list("message__second_reading__prompt_version", "state"))
    return [
        SecondReader(
            prompt,
            replies,
            sum(made[prompt, state] for state in Flag.State),
            made[prompt, Flag.State.CONFIRMED],
            made[prompt, Flag.State.DISMISSED],
        )
        for prompt, replies in sorted(read.items(), reverse=True)
    ]
