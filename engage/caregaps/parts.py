"""The patients in parts: each is sorted, then written. Many are looked at side by side (docs/decisions/0014)."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise, repeat

from django.db import connection, connections

from engage.caregaps.algebra import LIVING, Question, Span
from engage.caregaps.asked import AMONG, EVENTS, PEOPLE
from engage.caregaps.basis import Basis
from engage.caregaps.measure import Measure
from engage.caregaps.models import GapRun
from engage.caregaps.period import Period
from engage.caregaps.reachability import settle_reachability
from engage.caregaps.rolls import Whole
from engage.caregaps.sorting import Sorted
from engage.caregaps.tallies import Cells, patients_in_cells
from engage.caregaps.vocabulary import MissingValueSet
from engage.caregaps.writing import Writer, Written, groups_of_other_periods, leave_who_is_gone
from engage.lib import bulk
from engage.lib.fork import Forked, Inline
from engage.patients.models import Patient

Progress = Callable[[str], None]
ENOUGH = 50_000  # patients for whom a process of its own is worth its start
MOST = 4  # processes
LAST_ID = 2**32 - 1


@dataclass(frozen=True)
class Found:
    """What sorting a part came to; nothing has been written."""

    groups: list[Whole]
    cells: Cells  # none when a few were looked at
    refused: list[str]  # a sentence for each measure that cannot run
    living: int
    turnover: int  # gaps that would open or close, of the measures that are weighed


@contextmanager
def parts(
    run: GapRun, chosen: Sequence[Measure], basis: Basis, *, weigh: Collection[str], say: Progress
) -> Iterator[list[Forked | Inline]]:
    """Each gives Found (with the turnover of the measures to `weigh`), and when resumed Written."""
    spans = spans_of_everybody() if basis.patients is None else []
    if not spans:
        with Inline(look(run, chosen, question(run, basis), weigh, say)) as alone:
            yield [alone]
        return
    connections.close_all()  # two processes cannot share one
    with ExitStack() as stack:
        sides: list[Forked | Inline] = [
            stack.enter_context(Forked(look_apart(run, chosen, question(run, basis, span), weigh, speak)))
            for span, speak in zip(spans, chain([say], repeat(quiet)), strict=False)
        ]
        stack.enter_context(bulk.reading_many())  # this process has another connection now, too
        yield sides


def quiet(line: str) -> None:
    """The first part speaks for all."""


def spans_of_everybody() -> list[Span]:
    """Equal shares of the patients, one for each core; none when one process does as well."""
    count = Patient.objects.count()
    number = min(os.cpu_count() or 1, MOST, count // ENOUGH)
    if number < 2 or connection.in_atomic_block:  # what is not committed is seen by nobody else
        return []
    ids = Patient.objects.order_by("pk").values_list("pk", flat=True)
    begin = [0, *(ids[count * n // number] for n in range(1, number)), LAST_ID + 1]
    return [(low, after - 1) for low, after in pairwise(begin)]


def question(run: GapRun, basis: Basis, span: Span | None = None) -> Question:
    """What is asked of those the run looks at."""
    asked = Question.nightly(Period.of(run.as_of), run.as_of)
    asked.span = span
    if basis.patients is not None:
        asked.events, asked.people, asked.among = EVENTS, PEOPLE, AMONG
    return asked


def look(
    run: GapRun, chosen: Sequence[Measure], question: Question, weigh: Collection[str], say: Progress
) -> Iterator[Found | Written]:
    """Sorts; when resumed, writes."""
    groups, refused, living = sort(run, chosen, question, say)
    yield Found(
        [Whole.of(group) for group in groups],
        {} if question.among else patients_in_cells(run.as_of, question.span),
        refused,
        living,
        sum(group.turnover() for group in groups if group.measure.id in weigh),
    )
    elsewhere = groups_of_other_periods(question)
    written = [write(run, group, elsewhere, say) for group in groups]
    written.append(leave_who_is_gone(question, run))
    say("Looking for patients nobody can reach…")
    settle_reachability(question)
    yield sum(written, Written())


def look_apart(
    run: GapRun, chosen: Sequence[Measure], question: Question, weigh: Collection[str], say: Progress
) -> Iterator[Found | Written]:
    """The same in a process with a connection of its own."""
    with bulk.reading_many():
        yield from look(run, chosen, question, weigh, say)


def sort(
    run: GapRun, chosen: Sequence[Measure], question: Question, say: Progress
) -> tuple[list[Sorted], list[str], int]:
    """Every group of the measures as of the day, a sentence for each measure that cannot run, how many living there are."""
    strict = question.strictly()
    living = f"SELECT id FROM {question.people} WHERE {LIVING}"  # noqa: S608
    everyone = question.ids(living + question.only_patients("id"))
    groups: list[Sorted] = []
    refused: list[str] = []
    for measure in chosen:
        say(f"{measure.id}: sorting {len(everyone):,} patients…")
        rules = measure.rules(question.period.start.year)
        mine = [Sorted(measure, rules, group, question, strict, everyone) for group in rules.groups]
        try:
            for group in mine:
                group.counted  # noqa: B018 - asks, so that a missing value set shows before anything is written
        except MissingValueSet as missing:
            refused.append(f"{measure.id} was left out: {missing}")
            continue
        groups += mine
        if not question.among:  # a few are sorted in a second
            run.beat()
    return groups, refused, len(everyone)


def write(run: GapRun, group: Sorted, elsewhere: set[tuple[str, int]], say: Progress) -> Written:
    """What changed of one group, in small transactions."""
    writer = Writer(group, run)
    if (group.measure.id, group.group.number) in elsewhere:
        writer.carry_over()
    for _ in writer.write(group.changes()):
        say(f"{group.measure.id}: {writer.done.written:,} rows written")
    group.forget()
    return writer.done
