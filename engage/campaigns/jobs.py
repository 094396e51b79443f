"""The campaigns' own job: take in new gaps, let go of closed ones, make the touches that are due."""

import logging
import time
from collections import Counter
from collections.abc import Callable

from django.db import transaction
from django.db.models import Exists, OuterRef

from engage.accounts.models import Clinic
from engage.audit.models import record
from engage.campaigns import actions, cadence, enrolling
from engage.campaigns.models import Campaign, Enrollment, Touch
from engage.campaigns.segments import SegmentError
from engage.campaigns.touching import make_due_touches
from engage.caregaps.models import CareGap
from engage.lib import clock
from engage.messaging import health
from engage.messaging.generation import TOUCHES_MADE
from engage.messaging.models import Stream
from engage.worklist import actions as task_actions
from engage.worklist.models import Outcome, Reason, Task

log = logging.getLogger(__name__)
BUDGET = 240.0  # machine seconds; the schedule comes again after 300
State = Enrollment.State
Why = Enrollment.Why
Progress = Callable[[str, int], None]  # what, and how many so far
BY = "system:advance_campaigns"


def advance(budget: float | None = BUDGET, progress: Progress | None = None) -> dict[str, int]:
    """Moves every running campaign on; counts by what happened. Safe to kill, to repeat and to run twice at once.

    Stops after `budget` machine seconds, None: when nothing is due. What is left waits for the next run.
    """
    deadline = time.monotonic() + budget if budget is not None else float("inf")
    done: Counter[str] = Counter()
    done["ended"], done["paused"] = let_go(), follow_streams()
    for campaign in Campaign.objects.filter(state=Campaign.State.RUNNING).order_by("pk"):
        try:
            done.update(take_in(campaign, progress))
        except SegmentError:
            log.error("campaign %s: its segment makes no sense; nobody was taken in", campaign.pk)
            done["failed"] += 1
    while time.monotonic() < deadline:
        made = make_due_touches()
        done.update(made)
        if not made:
            health.beat(TOUCHES_MADE)
            break
        if progress:
            progress("touches", sum(done[kind] for kind in Touch.Kind.values))
    done["finished"] = finish()
    return {key: count for key, count in done.items() if count}


def let_go() -> int:
    """Ends enrollments whose gap is no longer open or whose patient has died, before any touch is made."""
    active = Enrollment.objects.active()
    now = clock.now()
    with transaction.atomic():
        # Subqueries rather than joins: an UPDATE cannot join on SQLite.
        gone = active.exclude(gap__status=CareGap.Status.OPEN).values("pk")
        ended = active.filter(pk__in=gone).update(state=State.ENDED, why=Why.GAP_CLOSED, ended_at=now)
        over = active.filter(campaign__state__in=(Campaign.State.STOPPED, Campaign.State.FINISHED)).values(
            "pk"
        )
        ended += active.filter(pk__in=over).update(state=State.ENDED, why=Why.CAMPAIGN_STOPPED, ended_at=now)
        dead = active.filter(patient__deceased=True).values("pk")
        ended += active.filter(pk__in=dead).update(state=State.ENDED, why=Why.DECEASED, ended_at=now)
        if ended:
            record(BY, "campaign.let_go", ended=ended)
    return ended


def follow_streams() -> int:
    """Delivery has paused the stream of a running campaign (carriers refuse or filter its texts): it is paused too."""
    stopped = Campaign.objects.filter(state=Campaign.State.RUNNING, stream__state=Stream.State.PAUSED)
    count = 0
    for campaign in stopped:
        actions.pause(
            campaign, BY, "Carriers refuse or filter its texts. Look at the wording, then resume it."
        )
        count += 1
    return count


def take_in(campaign: Campaign, progress: Progress | None = None) -> dict[str, int]:
    """New gaps of a standing campaign, or the first launch of any; people whose reason to stay out has gone."""
    done = Counter[str]()
    if campaign.standing or campaign.launched_at is None:
        done["enrolled"] = enrolling.take_in(
            campaign, (lambda rows: progress("taken in", rows)) if progress else None
        )
        done["readmitted"] = enrolling.readmit(campaign) + reopened(campaign)
        if campaign.launched_at is None:
            campaign.launched_at = clock.now()
            campaign.save(update_fields=["launched_at"])
        ask_for_wording(campaign)
    if any(done.values()):
        record(BY, "campaign.enroll", campaign, **done)
    return done


def reopened(campaign: Campaign) -> int:
    """Enrollments that ended with their gap go on when it is open again (the record was corrected, a delay is over).

    Not while another campaign has taken the gap on meanwhile.
    """
    ended = Enrollment.objects.filter(campaign=campaign, state=State.ENDED, why=Why.GAP_CLOSED)
    elsewhere = Enrollment.objects.active().filter(gap=OuterRef("gap"))
    again = ended.filter(~Exists(elsewhere), gap__status=CareGap.Status.OPEN, patient__deceased=False)
    return Enrollment.objects.filter(pk__in=again.values("pk")).update(
        state=State.ACTIVE, why="", ended_at=None, due_at=clock.now()
    )


def ask_for_wording(campaign: Campaign) -> None:
    """One task per clinic for people left out because nobody has approved wording in their language; closed when none is."""
    left = Enrollment.objects.filter(campaign=campaign, state=State.LEFT_OUT, why=Why.NO_LANGUAGE)
    waiting = Counter(left.values_list("clinic", flat=True))
    for clinic in Clinic.objects.filter(pk__in=[pk for pk in waiting if pk]):
        people = waiting[clinic.pk]
        task_actions.open_task(
            reason=Reason.NO_TEMPLATE,
            summary=f"{people} {'person is' if people == 1 else 'people are'} left out of “{campaign.name}”: "
            "it has no approved wording in their language.",
            about=f"campaign:{campaign.pk}:{clinic.pk}",
            due_at=cadence.closing_time(clock.now(), 5, clinic.time_zone),
            clinic=clinic,
            queue=Task.Queue.SUPERVISORS,
            opened_by=f"campaign:{campaign.pk}",
            link=f"/campaigns/{campaign.pk}/",
        )
    asked = Task.objects.open().filter(
        reason=Reason.NO_TEMPLATE, about__startswith=f"campaign:{campaign.pk}:"
    )
    still = {f"campaign:{campaign.pk}:{pk}" for pk in waiting}
    settled = [about for about in asked.values_list("about", flat=True) if about not in still]
    if settled:
        task_actions.close_about(settled, Outcome.BY_SYSTEM, "Nobody waits for wording any more.")


def finish() -> int:
    """Running → finished: nobody is in progress, and the campaign takes nobody new in."""
    busy = Enrollment.objects.active().values("campaign")
    over = Campaign.objects.filter(
        state=Campaign.State.RUNNING, standing=False, launched_at__isnull=False
    ).exclude(pk__in=busy)
    return over.update(state=Campaign.State.FINISHED, ended_at=clock.now())
