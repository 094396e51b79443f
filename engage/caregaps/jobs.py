"""The nightly job: gaps open, stay or close with their evidence. Writes only what changed; a second run writes nothing."""

import logging
import os
import socket
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from datetime import date, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from engage.audit.models import record
from engage.caregaps import moving, rolls, tallies
from engage.caregaps.asked import copied
from engage.caregaps.basis import Basis, moves_to_come
from engage.caregaps.basis import find as find_basis
from engage.caregaps.measure import Measure
from engage.caregaps.measures import MEASURES, NIGHTLY
from engage.caregaps.models import CareGap, GapRun, MeasureTally
from engage.caregaps.parts import Found, Progress, parts
from engage.caregaps.period import Period
from engage.caregaps.rolls import joined, over_everybody
from engage.caregaps.tallies import Cells, write_tallies
from engage.caregaps.writing import BY, Written
from engage.lib import bulk, clock
from engage.records import changes, valuesets
from engage.worklist.actions import close_about, open_task
from engage.worklist.models import Outcome, Reason, Task

logger = logging.getLogger(__name__)
CHANGE_LIMIT = 0.25  # a night that opens or closes more of the open gaps than this stops and asks
FEW = 50  # so many changes are never too many
MANY = 10_000  # rows written, after which the database counts them anew
SILENT = timedelta(minutes=15)  # a run without a heartbeat for so long is dead
ABOUT = "gaprun"  # the task that asks an administrator


class AlreadyRunning(RuntimeError):
    """Another run holds the night; the text says since when."""


class UnknownMeasure(ValueError):
    """A measure id we do not have."""


def find_gaps(
    as_of: date | None = None,
    measures: Sequence[str] | None = None,
    full: bool = False,
    scheduled: bool = False,
    accept: bool = False,
    progress: Progress | None = None,
) -> GapRun:
    """Opens, keeps and closes gaps as of a business day (today when None); gives the run with its counts.

    Looks only at those for whom something changed since the last run, where that gives the same (see basis); at everybody
    with `full`, or when it must, which `run.note` explains. The run is STOPPED, with nothing written, when too much
    would change since the last completed run of this year's rules, or the day is of another year than the gaps there
    are and than today, and `accept` is False. A measure whose value set is missing is named in `run.note`; the others
    go on.
    Raises AlreadyRunning, UnknownMeasure.
    """
    as_of = as_of or clock.today()
    chosen = choose(measures)
    say = progress or (lambda line: None)
    valuesets.ensure()
    run = begin(as_of, chosen, scheduled=scheduled)
    try:
        with bulk.reading_many():
            basis = base(run, chosen, as_of, full=full, all_of_them=not measures)
            with nullcontext() if basis.patients is None else copied(basis.patients):
                work(run, chosen, basis, accept=accept, say=say)
    except BaseException as error:
        fail(run, error)
        raise
    say(run.summary if run.state == GapRun.State.COMPLETED else run.note)
    return run


def nightly() -> None:
    """The scheduled run; a night missed is caught up by the next, which looks at all that changed since the last one."""
    try:
        find_gaps(scheduled=True)
    except AlreadyRunning as busy:
        logger.warning("find_gaps: %s", busy)
    except UnknownMeasure as wrong:
        logger.error("find_gaps: %s", wrong)
        GapRun.objects.create(
            as_of=clock.today(), scheduled=True, state=GapRun.State.FAILED, note=f"NIGHTLY_MEASURES: {wrong}",
            finished_at=clock.machine_now(),
        )  # fmt: skip


def choose(measures: Sequence[str] | None) -> list[Measure]:
    measures = measures or settings.NIGHTLY_MEASURES or NIGHTLY
    unknown = [name for name in measures if name not in MEASURES]
    if unknown:
        raise UnknownMeasure(f"There is no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}.")
    return [m for m in MEASURES.values() if m.id in measures]


# --- one at a time ------------------------------------------------------------------------------------------------
def begin(as_of: date, chosen: list[Measure], *, scheduled: bool) -> GapRun:
    """The run's row, of which the database allows one that is running."""
    holder = f"{socket.gethostname()}:{os.getpid()}"
    with transaction.atomic():
        for other in GapRun.objects.select_for_update().filter(state=GapRun.State.RUNNING):
            if not dead(other):
                raise AlreadyRunning(
                    f"Another run of find_gaps has been running since {other.started_at:%H:%M} UTC."
                )
            other.state, other.note = GapRun.State.FAILED, "It ended without a word; the next run took over."
            other.save(update_fields=["state", "note"])
    rules = ",".join(sorted({m.rules(as_of.year).version for m in chosen}))
    try:
        with transaction.atomic():
            return GapRun.objects.create(as_of=as_of, rules=rules[:20], scheduled=scheduled, holder=holder)
    except IntegrityError:
        raise AlreadyRunning("Another run of find_gaps has just begun.") from None


def dead(run: GapRun) -> bool:
    """Whether the process that held this run is gone."""
    if clock.machine_now() - run.heartbeat_at > SILENT:
        return True
    host, _, pid = run.holder.rpartition(":")
    return host == socket.gethostname() and pid.isdigit() and not alive(int(pid))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def fail(run: GapRun, error: BaseException) -> None:
    note = f"It failed: {type(error).__name__}. What was written before is right; run it again."
    GapRun.objects.filter(pk=run.pk, state=GapRun.State.RUNNING).update(
        state=GapRun.State.FAILED, note=note, finished_at=clock.machine_now()
    )


# --- the work -----------------------------------------------------------------------------------------------------
def base(run: GapRun, chosen: list[Measure], as_of: date, *, full: bool, all_of_them: bool) -> Basis:
    """Whom the run looks at, kept on its row."""
    found = find_basis(as_of, chosen, all_of_them=all_of_them, full=full, run=run)
    run.full, run.basis, run.line = found.patients is None, found.rules, found.line
    run.note = f"Looked at everybody: {found.why_all}." if found.why_all else ""
    run.save(update_fields=["full", "basis", "line", "note"])
    return found


def work(run: GapRun, chosen: list[Measure], basis: Basis, *, accept: bool, say: Progress) -> None:
    if not accept and (wrong_year := another_year(run.as_of)):
        stop(run, wrong_year)
        return
    weigh = set() if accept else counted_before(run, chosen, basis)
    with parts(run, chosen, basis, weigh=weigh, say=say) as sides:
        moves = moves_to_come(run.as_of, basis)  # meanwhile
        found = [side.result() for side in sides]
        refused = found[0].refused
        living = sum(one.living for one in found)
        run.looked_at = living if basis.patients is None else len(basis.patients)
        if refused:
            run.line = None  # a measure was left out: no basis for the next run
        groups = joined([one.groups for one in found])
        if not groups and refused:
            end(run, GapRun.State.FAILED, " ".join(refused))
            return
        weighed = weigh & {one.measure for one in groups}
        if too_much := stop_reason(sum(one.turnover for one in found), weighed):
            stop(run, too_much)
            return
        for side in sides:
            side.resume()
        count(run, [side.result() for side in sides])
    whole = over_everybody(groups, basis.before, basis.patients)
    run.unchanged = max(0, sum(one.rows for one in whole) - run.opened - run.excluded)
    say("Counting…")
    cells = in_cells(run, basis, found)
    with transaction.atomic():
        run.beat()
        write_tallies(run, whole, cells)
        rolls.write(run, whole)
        moving.keep(moves, basis.patients)
        tallies.keep(cells)
        end(run, GapRun.State.COMPLETED, " ".join([*refused, *filter(None, [run.note])]))
        close_about(ABOUT, Outcome.BY_SYSTEM, "A later run was completed.", by=BY)
        record(BY, "gaps.run", run, opened=run.opened, closed=run.closed, excluded=run.excluded)
    if run.line:
        changes.forget(run.line)
    if run.written > MANY:
        bulk.analyze("caregaps_caregap")  # or the planner takes the table for as small as it was


def in_cells(run: GapRun, basis: Basis, found: list[Found]) -> Cells:
    """Everybody by who is counted together."""
    if basis.before is None or basis.patients is None or basis.line is None:
        return tallies.cells_joined(one.cells for one in found)
    changed = basis.patients | changes.counted_elsewhere(basis.line)
    return tallies.brought_up_to_date(basis.before.as_of, run.as_of, changed)


def count(run: GapRun, sides: list[Written]) -> None:
    written = sum(sides, Written())
    run.opened, run.closed, run.excluded = written.opened, written.closed, written.excluded
    run.written = written.written


def counted_before(run: GapRun, chosen: list[Measure], basis: Basis) -> set[str]:
    """The measures that a completed run by the same rules counted this year: the first of each may change everything."""
    if basis.before is not None:
        return {measure.id for measure in chosen}
    runs = GapRun.objects.filter(state=GapRun.State.COMPLETED, as_of__year=run.as_of.year)
    rows = MeasureTally.objects.filter(run__in=runs).values_list("measure", "run__rules").distinct()
    counted = {(measure, version) for measure, versions in rows for version in versions.split(",")}
    return {m.id for m in chosen if (m.id, m.rules(run.as_of.year).version) in counted}


def another_year(as_of: date) -> str:
    """A sentence when a run would take gaps out of the year they belong to; "" otherwise.

    Today's year takes them all: only a day of another year can be wrong.
    """
    asked, now = Period.of(as_of).start, Period.of(clock.today()).start
    if asked == now:
        return ""
    theirs = CareGap.objects.exclude(period_start=asked)
    if asked < now:
        theirs = theirs.filter(period_start__gt=asked)  # earlier ones move on, as they did then
    year = theirs.values_list("period_start__year", flat=True).first()
    if year is None:
        return ""
    return (
        f"Stopped: there are care gaps of {year}, and a run as of {as_of:%-d %b %Y} would take them to {asked.year}."
        " Leave out --as-of; if this is right, run find_gaps --accept."
    )


def stop_reason(changes: int, measures: Collection[str]) -> str:
    """A sentence when too much would change of measures that were counted this year; "" otherwise."""
    if changes <= FEW:
        return ""
    live = (CareGap.Status.OPEN, CareGap.Status.DEFERRED)
    rows = CareGap.objects.filter(measure__in=measures, status__in=live)
    open_now = rows.values("measure", "group", "patient").distinct().count()  # of whatever year
    share = changes / max(open_now, 1)
    if share <= CHANGE_LIMIT:
        return ""
    return (
        f"Stopped: {changes:,} gaps would open or close, {share:.0%} of the {open_now:,} open now"
        f" (limit {CHANGE_LIMIT:.0%}). Check the last import; if this is right, run find_gaps --accept."
    )


def stop(run: GapRun, reason: str) -> None:
    with transaction.atomic():
        end(run, GapRun.State.STOPPED, reason)
        record(BY, "gaps.stop", run)
        if run.scheduled:
            open_task(
                reason=Reason.OTHER, summary=f"Care gaps: {reason}", about=ABOUT, due_at=clock.now() + timedelta(hours=8),
                clinic=None, queue=Task.Queue.SUPERVISORS, priority=Task.Priority.ATTENTION, opened_by=BY, link="/measures/",
            )  # fmt: skip


def end(run: GapRun, state: str, note: str) -> None:
    run.state, run.note, run.finished_at = state, note, clock.machine_now()
    run.save(
        update_fields=[
            "state",
            "note",
            "finished_at",
            "opened",
            "closed",
            "excluded",
            "unchanged",
            "written",
            "looked_at",
            "line",
        ]
    )
