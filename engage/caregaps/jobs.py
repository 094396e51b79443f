"""The nightly job: gaps open, stay or close with their evidence. Writes only what changed; a second run writes nothing."""

import logging
import os
import socket
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F
from pyroaring import BitMap

from engage.audit.models import record
from engage.caregaps.algebra import Question
from engage.caregaps.measure import Measure
from engage.caregaps.measures import MEASURES, NIGHTLY
from engage.caregaps.models import GapRun
from engage.caregaps.period import Period
from engage.caregaps.reachability import settle_reachability
from engage.caregaps.sorting import Sorted
from engage.caregaps.tallies import write_tallies
from engage.caregaps.vocabulary import MissingValueSet
from engage.caregaps.writing import BY, Writer, carry_over
from engage.lib import clock
from engage.patients.models import Patient
from engage.records import valuesets
from engage.worklist.actions import close_about, open_task
from engage.worklist.models import Outcome, Reason, Task

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]
CHANGE_LIMIT = 0.25  # a night that opens or closes more of the open gaps than this stops and asks
FEW = 50  # so many changes are never too many
SILENT = timedelta(minutes=15)  # a run without a heartbeat for so long is dead
ABOUT = "gaprun"  # the task that asks an administrator


class AlreadyRunning(RuntimeError):
    """Another run holds the night; the text says since when."""


class UnknownMeasure(ValueError):
    """A measure id we do not have."""


def find_gaps(
    as_of: date | None = None,
    measures: Sequence[str] | None = None,
    full: bool = True,
    scheduled: bool = False,
    accept: bool = False,
    progress: Progress | None = None,
) -> GapRun:
    """Opens, keeps and closes gaps as of a business day (today when None); gives the run with its counts.

    Every run is a full one for now: `full` is kept on the run. The run is STOPPED, with nothing written, when too much
    would change since the last completed run of this year's rules and `accept` is False. A measure whose value set is
    missing is named in `run.note`; the others go on.
    Raises AlreadyRunning, UnknownMeasure.
    """
    as_of = as_of or clock.today()
    chosen = choose(measures)
    say = progress or (lambda line: None)
    valuesets.ensure()
    run = begin(as_of, chosen, full=full, scheduled=scheduled)
    try:
        work(run, chosen, as_of, accept=accept, say=say)
    except BaseException as error:
        fail(run, error)
        raise
    say(run.summary if run.state == GapRun.State.COMPLETED else run.note)
    return run


def nightly() -> None:
    """The scheduled run; a night missed is caught up by the next, because every run looks at the whole record."""
    try:
        find_gaps(scheduled=True)
    except AlreadyRunning as busy:
        logger.warning("find_gaps: %s", busy)


def choose(measures: Sequence[str] | None) -> list[Measure]:
    unknown = [name for name in measures or () if name not in MEASURES]
    if unknown:
        raise UnknownMeasure(f"There is no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}.")
    return [m for m in MEASURES.values() if m.id in (measures or NIGHTLY)]


# --- one at a time ------------------------------------------------------------------------------------------------
def begin(as_of: date, chosen: list[Measure], *, full: bool, scheduled: bool) -> GapRun:
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
            return GapRun.objects.create(
                as_of=as_of, rules=rules[:20], scheduled=scheduled, full=full, holder=holder
            )
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


def beat(run: GapRun, written: int = 0) -> None:
    GapRun.objects.filter(pk=run.pk).update(heartbeat_at=clock.machine_now(), written=F("written") + written)


def fail(run: GapRun, error: BaseException) -> None:
    note = f"It failed: {type(error).__name__}. What was written before is right; run it again."
    GapRun.objects.filter(pk=run.pk, state=GapRun.State.RUNNING).update(
        state=GapRun.State.FAILED, note=note, finished_at=clock.machine_now()
    )


# --- the work -----------------------------------------------------------------------------------------------------
def work(run: GapRun, chosen: list[Measure], as_of: date, *, accept: bool, say: Progress) -> None:
    groups, refused = sort(chosen, as_of, run, say)
    if not groups and refused:
        end(run, GapRun.State.FAILED, " ".join(refused))
        return
    if too_much := None if accept else stop_reason(run, groups):
        stop(run, too_much)
        return
    for group in groups:
        write(run, group, as_of, say)
    write_tallies(run, groups)
    say("Looking for patients nobody can reach…")
    settle_reachability()
    with transaction.atomic():
        end(run, GapRun.State.COMPLETED, " ".join(refused))
        close_about(ABOUT, Outcome.BY_SYSTEM, "A later run was completed.", by=BY)
        record(BY, "gaps.run", run, opened=run.opened, closed=run.closed, excluded=run.excluded)


def sort(chosen: list[Measure], as_of: date, run: GapRun, say: Progress) -> tuple[list[Sorted], list[str]]:
    """Every group of the measures as of the day, and a sentence for each measure that cannot run."""
    period = Period.of(as_of)
    question = Question.nightly(period, as_of)
    strict = Question(period, as_of=as_of, gender_for_sex=True)
    strict.vocabulary = question.vocabulary
    living = Patient.objects.living().filter(merged_into=None)
    everyone = BitMap(living.values_list("pk", flat=True).iterator())
    groups: list[Sorted] = []
    refused: list[str] = []
    for measure in chosen:
        say(f"{measure.id}: sorting {len(everyone):,} patients…")
        rules = measure.rules(period.start.year)
        mine = [Sorted(measure, rules, group, question, strict, everyone) for group in rules.groups]
        try:
            for group in mine:
                group.counted  # noqa: B018 - asks, so that a missing value set shows before anything is written
        except MissingValueSet as missing:
            refused.append(f"{measure.id} was left out: {missing}")
            continue
        groups += mine
        beat(run)
    return groups, refused


def stop_reason(run: GapRun, groups: list[Sorted]) -> str:
    """A sentence when too much would change since the last completed run of this year; "" otherwise."""
    before = GapRun.objects.filter(state=GapRun.State.COMPLETED, rules=run.rules, as_of__year=run.as_of.year)
    if not before.exists():
        return ""
    changes, open_now = (sum(pair) for pair in zip(*(group.turnover() for group in groups), strict=True))
    share = changes / max(open_now, 1)
    if changes <= FEW or share <= CHANGE_LIMIT:
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


def write(run: GapRun, group: Sorted, as_of: date, say: Progress) -> None:
    moved = carry_over(group)
    beat(run, moved)
    writer = Writer(group, as_of, run)
    done = 0
    for rows in writer.write(group.changes(as_of)):
        beat(run, rows)
        done += rows
        say(f"{group.measure.id}: {done:,} rows written")
    written = writer.done
    run.opened += written.opened
    run.closed += written.closed
    run.excluded += written.excluded
    run.written += written.written + moved
    run.unchanged += max(0, len(group.open) + len(group.excluded) - written.opened - written.excluded)


def end(run: GapRun, state: str, note: str) -> None:
    run.state, run.note, run.finished_at = state, note, clock.machine_now()
    run.save(
        update_fields=["state", "note", "finished_at", "opened", "closed", "excluded", "unchanged", "written"]
    )
