"""The campaigns' own job: take in new gaps, let go of closed ones, make the touches that are due."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet

from engage.accounts.models import Clinic
from engage.audit.models import record
from engage.campaigns import cadence, enrolling
from engage.campaigns.actions import message_key
from engage.campaigns.models import Campaign, Enrollment, Touch
from engage.campaigns.segments import SegmentError
from engage.caregaps.models import CareGap
from engage.lib import clock
from engage.messaging import actions as message_actions
from engage.messaging import templates
from engage.messaging.models import Message, Template
from engage.worklist import actions as task_actions
from engage.worklist.models import Outcome, Reason, Task

log = logging.getLogger(__name__)
BATCH = 50  # touches in one transaction: on SQLite nobody else writes meanwhile
BUDGET = 240.0  # machine seconds; the schedule comes again after 300
UNSETTLED = (
    Message.State.QUEUED,
    Message.State.HELD,
    Message.State.SENDING,
    Message.State.IN_DOUBT,
    Message.State.NEEDS_REVIEW,
)
LOOK_AGAIN = timedelta(hours=4)  # when the text before is still waiting to go
AFTER_FAULT = timedelta(hours=1)  # when making a touch failed: it must not hold up the others
CALL_WITHIN = 2  # working days
State = Enrollment.State
Why = Enrollment.Why
Progress = Callable[[str, int], None]  # what, and how many so far
BY = "system:advance_campaigns"
# The gate's refusals as the reason an enrollment ends; anything else: texts are not possible.
ENDS = {
    "opted_out": Why.OPTED_OUT,
    "deceased": Why.DECEASED,
    "confidential": Why.CONFIDENTIAL,
    "no_consent": Why.NO_CONSENT,
    "no_number": Why.NO_NUMBER,
    "number_unusable": Why.NO_NUMBER,
    "number_invalid": Why.NO_NUMBER,
    "gap_cap": Why.RECENT,
}
NOT_MADE = (Message.State.SUPPRESSED, Message.State.FAILED, Message.State.EXPIRED)
SILENT = (Why.OPTED_OUT, Why.DECEASED, Why.CONFIDENTIAL)  # nor does a call come after these


def advance(budget: float | None = BUDGET, progress: Progress | None = None) -> dict[str, int]:
    """Moves every running campaign on; counts by what happened. Safe to kill, to repeat and to run twice at once.

    Stops after `budget` machine seconds, None: when nothing is due. What is left waits for the next run.
    """
    deadline = time.monotonic() + budget if budget is not None else float("inf")
    done: Counter[str] = Counter()
    done["ended"] = let_go()
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
    """Enrollments that ended with their gap go on when it is open again (the record was corrected, a delay is over)."""
    ended = Enrollment.objects.filter(campaign=campaign, state=State.ENDED, why=Why.GAP_CLOSED)
    again = ended.filter(gap__status=CareGap.Status.OPEN, patient__deceased=False).values("pk")
    return Enrollment.objects.filter(pk__in=again).update(
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


def due(limit: int = BATCH) -> QuerySet[Enrollment]:
    """Enrollments with a touch to make now, in running campaigns only."""
    ready = Enrollment.objects.active().filter(
        due_at__lte=clock.now(), campaign__state=Campaign.State.RUNNING, gap__status=CareGap.Status.OPEN
    )
    if connection.features.has_select_for_update_skip_locked:
        ready = ready.select_for_update(skip_locked=True, of=("self",))
    return ready.select_related("campaign__stream", "gap", "patient__clinic").order_by("due_at", "pk")[:limit]


def make_due_touches() -> Counter[str]:
    """One batch in one transaction; empty when nothing is due. A patient whose touch fails is set aside alone."""
    done: Counter[str] = Counter()
    with transaction.atomic():
        batch = list(due())
        waiting = unsettled(batch)
        touches = touches_of(batch)
        for enrollment in batch:
            try:
                with transaction.atomic():
                    done[make(enrollment, touches[enrollment.campaign_id], waiting)] += 1
            except Exception:
                log.exception("enrollment %s: its touch could not be made", enrollment.pk)
                set_aside(enrollment)
                done["failed"] += 1
    return done


def unsettled(batch: Sequence[Enrollment]) -> dict[str, datetime | None]:
    """Keys of the texts before that have not left yet, with the moment before which they cannot."""
    keys = [message_key(e, e.position - back) for e in batch for back in (1, 2) if e.position > back]
    waiting = Message.objects.filter(key__in=keys, state__in=UNSETTLED)
    return dict(waiting.values_list("key", "not_before"))


def touches_of(batch: Sequence[Enrollment]) -> dict[int, list[Touch]]:
    by_campaign: dict[int, list[Touch]] = {e.campaign_id: [] for e in batch}
    for touch in Touch.objects.filter(campaign__in=by_campaign).order_by("position"):
        by_campaign[touch.campaign_id].append(touch)
    return by_campaign


def make(enrollment: Enrollment, touches: list[Touch], waiting: dict[str, datetime | None]) -> str:
    """Makes the touch that is due and sets the date of the next; what happened, as a word to count."""
    ahead = [t for t in touches if t.position >= enrollment.position]
    if not ahead:
        complete(enrollment)
        return "completed"
    touch, enrollment.position = ahead[0], ahead[0].position
    before = [
        key for back in (1, 2) if (key := message_key(enrollment, enrollment.position - back)) in waiting
    ]
    if before:
        postpone(enrollment, max(waiting[before[0]] or clock.now(), clock.now()) + LOOK_AGAIN)
        return "waiting"
    if touch.kind == Touch.Kind.CALL_TASK:
        open_call(enrollment)
    elif template := templates.pick(
        touch.template_key, enrollment.patient.language, enrollment.patient.clinic
    ):
        message = send(enrollment, template)
        if message.state in NOT_MADE:
            return refused(enrollment, message, ahead[1:])
    else:  # never silently in another language
        open_call(enrollment, Reason.NO_TEMPLATE, "there is no approved wording in their language")
    step(enrollment, ahead[1:])
    return str(touch.kind)


def send(enrollment: Enrollment, template: Template) -> Message:
    """The text of the touch that is due, handed to the gate; made once, by its key."""
    patient = enrollment.patient
    return message_actions.queue(
        body=templates.render(template.body, patient, patient.clinic),
        key=message_key(enrollment, enrollment.position),
        patient=patient,
        stream=enrollment.campaign.stream,
        about=enrollment.gap.about,
        language=template.language,
        template=template,
        clinic=patient.clinic,
    )


def refused(enrollment: Enrollment, message: Message, ahead: list[Touch]) -> str:
    """The gate said no for good: a call by staff is next when the cadence has one and the reason allows it."""
    why = ENDS.get(str(message.verdict.get("code", "")), Why.CANNOT_TEXT)
    calls = [t for t in ahead if t.kind == Touch.Kind.CALL_TASK]
    if calls and why not in SILENT and not enrollment.patient.do_not_call:
        enrollment.position, enrollment.due_at = calls[0].position, clock.now()
        enrollment.save(update_fields=["position", "due_at"])
    else:
        enrollment.state, enrollment.why, enrollment.ended_at = State.ENDED, why, clock.now()
        enrollment.save(update_fields=["state", "why", "ended_at"])
    return "refused"


def open_call(
    enrollment: Enrollment, reason: Reason = Reason.CALL, because: str = "texts have had no answer"
) -> None:
    clinic = enrollment.patient.clinic
    zone = clinic.time_zone if clinic else enrolling.zone_of(enrollment.campaign)
    task_actions.open_task(
        reason=reason,
        summary=f"Call about “{enrollment.campaign.name}”: {because}.",
        about=enrollment.gap.about,
        due_at=cadence.closing_time(clock.now(), CALL_WITHIN, zone),
        clinic=clinic,
        patient=enrollment.patient,
        opened_by=f"campaign:{enrollment.campaign_id}",
    )


def step(enrollment: Enrollment, ahead: list[Touch]) -> None:
    """On to the next touch; a wait counts from now, when the touch before was made."""
    if not ahead:
        complete(enrollment)
        return
    clinic = enrollment.patient.clinic
    zone = clinic.time_zone if clinic else enrolling.zone_of(enrollment.campaign)
    enrollment.position, enrollment.due_at = ahead[0].position, cadence.after(clock.now(), ahead[0], zone)
    enrollment.save(update_fields=["position", "due_at"])


def complete(enrollment: Enrollment) -> None:
    enrollment.state, enrollment.ended_at = State.COMPLETED, clock.now()
    enrollment.save(update_fields=["state", "ended_at"])


def postpone(enrollment: Enrollment, until: datetime) -> None:
    enrollment.due_at = until
    enrollment.save(update_fields=["due_at"])


def set_aside(enrollment: Enrollment) -> None:
    """Later again, and a task so that somebody sees it."""
    Enrollment.objects.filter(pk=enrollment.pk).update(due_at=clock.now() + AFTER_FAULT)
    clinic = enrollment.patient.clinic
    task_actions.open_task(
        reason=Reason.OTHER,
        summary=f"The next step of “{enrollment.campaign.name}” could not be made for this patient.",
        about=enrollment.gap.about,
        due_at=cadence.closing_time(clock.now(), CALL_WITHIN, enrolling.zone_of(enrollment.campaign)),
        clinic=clinic,
        patient=enrollment.patient,
        queue=Task.Queue.SUPERVISORS,
        opened_by=f"campaign:{enrollment.campaign_id}",
        link=f"/campaigns/{enrollment.campaign_id}/",
    )


def finish() -> int:
    """Running → finished: nobody is in progress, and the campaign takes nobody new in."""
    busy = Enrollment.objects.active().values("campaign")
    over = Campaign.objects.filter(
        state=Campaign.State.RUNNING, standing=False, launched_at__isnull=False
    ).exclude(pk__in=busy)
    return over.update(state=Campaign.State.FINISHED, ended_at=clock.now())
