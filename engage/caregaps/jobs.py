"""The nightly job: gaps open, stay or close with their evidence. Writes only what changed; a second run writes nothing."""

import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import date, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from engage.audit.models import record
from engage.caregaps import rolls
from engage.caregaps.algebra import Question
from engage.caregaps.asked import AMONG, EVENTS, copied
from engage.caregaps.basis import Basis
from engage.caregaps.basis import find as find_basis
from engage.caregaps.measure import Measure
from engage.caregaps.measures import MEASURES, NIGHTLY
from engage.caregaps.models import GapRun
from engage.caregaps.period import Period
from engage.caregaps.reachability import settle_reachability
from engage.caregaps.rolls import wholes
from engage.caregaps.sorting import Sorted
from engage.caregaps.tallies import write_tallies
from engage.caregaps.vocabulary import MissingValueSet
from engage.caregaps.writing import BY, Writer, carry_over
from engage.lib import clock
from engage.records import changes, valuesets
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
    full: bool = False,
    scheduled: bool = False,
    accept: bool = False,
    progress: Progress | None = None,
) -> GapRun:
    """Opens, keeps and closes gaps as of a business day (today when None); gives the run with its counts.

    Looks only at those for whom something changed since the last run, where that gives the same (see basis); at everybody
    with `full`, or when it must, which `run.note` explains. The run is STOPPED, with nothing written, when too much
    would change since the last completed run of this year's rules and `accept` is False. A measure whose value set is
    missing is named in `run.note`; the others go on.
    Raises AlreadyRunning, UnknownMeasure.
    """
    as_of = as_of or clock.today()
    chosen = choose(measures)
    say = progress or (lambda line: None)
    valuesets.ensure()
    run = begin(as_of, chosen, scheduled=scheduled)
    try:
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


def beat(run: GapRun, written: int = 0) -> None:
    GapRun.objects.filter(pk=run.pk).update(heartbeat_at=clock.machine_now(), written=F("written") + written)


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
    groups, refused = sort(chosen, basis, run, say)
    if refused:
        run.line = None  # a measure was left out: no basis for the next run
    notes = [*refused, *filter(None, [run.note])]
    if not groups and refused:
        end(run, GapRun.State.FAILED, " ".join(refused))
        return
    if too_much := None if accept else stop_reason(run, groups):
        stop(run, too_much)
        return
    whole = wholes(groups, basis.before, basis.patients)
    for group in groups:
        write(run, group, say)
    run.unchanged = max(0, sum(one.rows for one in whole) - run.opened - run.excluded)
    say("Counting…")
    write_tallies(run, whole)
    say("Looking for patients nobody can reach…")
    settle_reachability(AMONG if basis.patients is not None else "")
    with transaction.atomic():
        rolls.write(run, whole)
        end(run, GapRun.State.COMPLETED, " ".join(notes))
        close_about(ABOUT, Outcome.BY_SYSTEM, "A later run was completed.", by=BY)
        record(BY, "gaps.run", run, opened=run.opened, closed=run.closed, excluded=run.excluded)
    if run.line:
        changes.forget(run.line)


def sort(chosen: list[Measure], basis: Basis, run: GapRun, say: Progress) -> tuple[list[Sorted], list[str]]:
    """Every group of the measures as of the day, and a sentence for each measure that cannot run."""
    period = Period.of(run.as_of)
    question = Question.nightly(period, run.as_of)
    if basis.patients is not None:
        question.events, question.among = EVENTS, AMONG
    strict = question.strictly()
    living = "SELECT id FROM patients_patient WHERE active AND NOT deceased AND merged_into_id IS NULL"
    everyone = question.ids(living + question.only_patients("id"))
    run.looked_at = len(everyone) if basis.patients is None else len(basis.patients)
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


def write(run: GapRun, group: Sorted, say: Progress) -> None:
    moved = carry_over(group)
    beat(run, moved)
    writer = Writer(group, run.as_of, run)
    done = 0
    for rows in writer.write(group.changes(run.as_of)):
        beat(run, rows)
        done += rows
        say(f"{group.measure.id}: {done:,} rows written")
    written = writer.done
    run.opened += written.opened
    run.closed += written.closed
    run.excluded += written.excluded
    run.written += written.written + moved
    group.forget()


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
