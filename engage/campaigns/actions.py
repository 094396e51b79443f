"""What staff and replies do to campaigns: start, pause, stop, close a gap, end outreach for one patient."""

from collections.abc import Iterable
from datetime import date

from django.db import transaction
from django.db.models import Q, QuerySet
from django_q.tasks import async_task

from engage.accounts.models import Clinic, User
from engage.audit.models import record
from engage.campaigns.counts import preview as preview
from engage.campaigns.models import Campaign, Enrollment
from engage.campaigns.segments import Segment, SegmentError
from engage.caregaps import actions as gap_actions
from engage.caregaps.models import CareGap, Closure
from engage.lib import clock
from engage.messaging import actions as message_actions
from engage.messaging import templates
from engage.messaging.models import Message, Stream
from engage.patients.models import Patient
from engage.worklist import actions as task_actions
from engage.worklist.models import Outcome, Reason, Task

State = Enrollment.State
Why = Enrollment.Why
# What becomes of an open call task when outreach to a patient ends; a reason not named leaves the task to its owner.
CALL_OUTCOMES = {
    Why.GAP_CLOSED: Outcome.NO_LONGER_NEEDED,
    Why.REPLIED: Outcome.BY_SYSTEM,
    Why.DECLINED: Outcome.DECLINED,
    Why.DECEASED: Outcome.DECEASED,
}
# Outreach that had ended of itself, while there is still something to do: an answer holds for it too.
OF_ITSELF = (Why.GAP_CLOSED, Why.CAMPAIGN_STOPPED)
STILL_DUE = (CareGap.Status.OPEN, CareGap.Status.DEFERRED)


class CampaignError(ValueError):
    """An act that the campaign's state or content does not allow; its text is one sentence for a person."""


def close_gap(
    gap: CareGap,
    *,
    what: str,
    done_on: date,
    precision: str,
    place: str,
    known_by: str,
    note: str,
    by: User,
    message_id: int | None = None,
) -> Closure:
    """Records what staff know, closes the gap and everything that was under way because of it, in one transaction.

    Enrollments end, unsent messages about the gap are suppressed, open tasks about it are closed as already done.
    """
    with transaction.atomic():
        closure = gap_actions.close_by_staff(
            gap,
            what=what,
            done_on=done_on,
            precision=precision,
            place=place,
            known_by=known_by,
            note=note,
            by=by,
            message_id=message_id,
        )
        _end(Enrollment.objects.filter(gap=gap), Why.GAP_CLOSED)
        message_actions.suppress_about(gap.about, "The care gap was closed by staff.")
        task_actions.close_about(gap.about, Outcome.ALREADY_DONE, "Closed with the care gap.", by=by)
    return closure


def reopen_gap(closure: Closure, *, by: User) -> None:
    """Takes a closure back: the gap is open again, its outreach goes on, tasks closed with it are open again.

    A text that the closure kept from being sent is made anew.
    """
    with transaction.atomic():
        gap_actions.withdraw_closure(closure, by)
        gap = CareGap.objects.get(pk=closure.gap_id)
        if gap.status != CareGap.Status.OPEN:
            return
        ended = Enrollment.objects.select_for_update().filter(
            gap=gap,
            state=State.ENDED,
            why=Why.GAP_CLOSED,
            campaign__state__in=(Campaign.State.RUNNING, Campaign.State.PAUSED),
        )
        for enrollment in ended.filter(ended_at__gte=closure.recorded_at):
            revive(enrollment)
        _reopen_tasks(gap, closure, by)


def revive(enrollment: Enrollment) -> None:
    """Back into the campaign where it was; one touch back when the last text never left."""
    due = max(enrollment.due_at or clock.now(), clock.now())
    back = enrollment.position - 1
    if Message.objects.filter(key=message_key(enrollment, back), state=Message.State.SUPPRESSED).exists():
        enrollment.position, due = back, clock.now()
    enrollment.round += 1
    enrollment.state, enrollment.why, enrollment.ended_at, enrollment.due_at = State.ACTIVE, "", None, due
    enrollment.save(update_fields=["position", "round", "state", "why", "ended_at", "due_at"])


def _reopen_tasks(gap: CareGap, closure: Closure, by: User) -> None:
    closed = Task.objects.filter(
        about=gap.about,
        state=Task.State.DONE,
        outcome=Outcome.ALREADY_DONE,
        closed_by=closure.recorded_by,
        closed_at__gte=closure.recorded_at,
    )
    open_reasons = set(Task.objects.open().filter(about=gap.about).values_list("reason", flat=True))
    for task in closed.exclude(reason__in=open_reasons).order_by("reason", "-closed_at"):
        if task.reason not in open_reasons:
            open_reasons.add(task.reason)
            task_actions.reopen(task, by=by)


def message_key(enrollment: Enrollment, position: int) -> str:
    """The key that keeps a touch from being made twice."""
    key = f"campaign:{enrollment.campaign_id}:{enrollment.gap_id}:{position}"
    return key if enrollment.round == 1 else f"{key}:{enrollment.round}"


def end_for_patient(patient: Patient, why: str, *, by: User | str, gap: CareGap | None = None) -> int:
    """Ends outreach to a patient, for one gap or for all; the number of enrollments ended.

    `why` is an Enrollment.Why. Their campaign texts are suppressed, or not tried again; what staff wrote stays. An answer
    (Enrollment.ANSWERS) is also kept where all touches were made, the gap is put off or the campaign was stopped.
    """
    wanted = Q(gap=gap) if gap else Q()
    concerned = Q(state__in=(State.ACTIVE, State.COMPLETED))
    if why in Enrollment.ANSWERS:
        concerned |= Q(state=State.ENDED, why__in=OF_ITSELF, gap__in=_still_due(patient))
    with transaction.atomic():
        mine = Enrollment.objects.filter(wanted, concerned, patient=patient)
        abouts = [f"caregap:{pk}" for pk in mine.values_list("gap_id", flat=True)]
        if not abouts:
            return 0
        ended = _end(mine, why)
        if why in Enrollment.ANSWERS:
            over = mine.filter(gap__in=_still_due(patient))
            ended += over.update(state=State.ENDED, why=why, ended_at=clock.now())
        automatic = Message.objects.filter(patient=patient, stream__campaign__isnull=False)
        message_actions.suppress(automatic.filter(about__in=abouts), f"{Why(why).label}.")
        if why in CALL_OUTCOMES:
            note = f"{Why(why).label}."
            task_actions.close_about(abouts, CALL_OUTCOMES[Why(why)], note, by=by, reasons=[Reason.CALL])
        if ended:
            record(by, "campaign.end", patient, patient_id=patient.pk, why=str(why), ended=ended)
    return ended


def _still_due(patient: Patient) -> QuerySet[CareGap]:
    return CareGap.objects.filter(patient=patient, status__in=STILL_DUE)


def _end(enrollments: QuerySet[Enrollment], why: str) -> int:
    return enrollments.filter(state=State.ACTIVE).update(state=State.ENDED, why=why, ended_at=clock.now())


def start(campaign: Campaign, by: User | str) -> None:
    """Draft → running; raises CampaignError with a sentence when it cannot. People are taken in by a job."""
    problems = unready(campaign)
    if problems:
        raise CampaignError(problems[0])
    with transaction.atomic():
        _move(campaign, (Campaign.State.DRAFT,), Campaign.State.RUNNING)
        campaign.stream = Stream.objects.create(
            name=campaign.name, clinic=_only_clinic(campaign), rate_per_minute=campaign.texts_per_minute
        )
        campaign.started_at = clock.now()
        campaign.save(update_fields=["stream", "started_at"])
        record(by, "campaign.start", campaign, **_where(campaign))
        transaction.on_commit(nudge, robust=True)


def unready(campaign: Campaign) -> list[str]:
    """What must be done before a campaign can start, in sentences."""
    problems = [] if campaign.clinics.exists() else ["Choose at least one clinic."]
    touches = list(campaign.touches.all())
    if not touches:
        problems.append("Add at least one touch.")
    try:
        Segment.parse(campaign.segment)
    except SegmentError as error:
        problems.append(str(error))
    for touch in touches:
        if touch.kind == touch.Kind.TEXT and not templates.languages(touch.template_key):
            problems.append(f"Touch {touch.position} has no approved wording.")
    return problems


def pause(campaign: Campaign, by: User | str, why: str = "") -> None:
    """Running → paused: nobody is taken in, no touch is made, what is queued waits."""
    with transaction.atomic():
        _move(campaign, (Campaign.State.RUNNING,), Campaign.State.PAUSED)
        campaign.pause_reason = why[:200]
        campaign.save(update_fields=["pause_reason"])
        message_actions.pause_stream(_stream(campaign))
        record(by, "campaign.pause", campaign, **_where(campaign))


def resume(campaign: Campaign, by: User | str) -> None:
    """Paused → running."""
    with transaction.atomic():
        _move(campaign, (Campaign.State.PAUSED,), Campaign.State.RUNNING)
        campaign.pause_reason = ""
        campaign.save(update_fields=["pause_reason"])
        message_actions.resume_stream(_stream(campaign))
        record(by, "campaign.resume", campaign, **_where(campaign))
        transaction.on_commit(nudge, robust=True)


def stop(campaign: Campaign, by: User | str) -> int:
    """Running or paused → stopped for good: enrollments end, what is queued is suppressed, its call tasks close."""
    with transaction.atomic():
        _move(campaign, (Campaign.State.RUNNING, Campaign.State.PAUSED), Campaign.State.STOPPED)
        campaign.ended_at = clock.now()
        campaign.save(update_fields=["ended_at"])
        ended = _end(Enrollment.objects.filter(campaign=campaign), Why.CAMPAIGN_STOPPED)
        message_actions.cancel_stream(_stream(campaign), "The campaign was stopped.")
        calls = Task.objects.open().filter(opened_by=f"campaign:{campaign.pk}", reason=Reason.CALL)
        close_calls(calls.values_list("about", flat=True), Why.CAMPAIGN_STOPPED, by)
        record(by, "campaign.stop", campaign, ended=ended, **_where(campaign))
    return ended


def close_calls(abouts: Iterable[str], why: Why, by: User | str) -> int:
    """Closes the open call tasks about these gaps as no longer needed."""
    wanted = list(abouts)
    if not wanted:
        return 0
    note = f"{why.label}."
    return task_actions.close_about(wanted, Outcome.NO_LONGER_NEEDED, note, by=by, reasons=[Reason.CALL])


def _move(campaign: Campaign, before: tuple[str, ...], after: str) -> None:
    """Changes the state if nobody else has; two people pressing at once cannot both succeed."""
    if not Campaign.objects.filter(pk=campaign.pk, state__in=before).update(state=after):
        campaign.refresh_from_db(fields=["state"])
        raise CampaignError(
            f"The campaign is {campaign.get_state_display().lower()}: this is not possible now."
        )
    campaign.state = after


def _stream(campaign: Campaign) -> Stream:
    if campaign.stream is None:
        raise CampaignError("The campaign has never been started.")
    return campaign.stream


def _only_clinic(campaign: Campaign) -> Clinic | None:
    clinics = list(campaign.clinics.all()[:2])
    return clinics[0] if len(clinics) == 1 else None


def _where(campaign: Campaign) -> dict[str, int]:
    clinic = campaign.clinics.order_by("pk").first()
    return {"clinic_id": clinic.pk} if clinic else {}


def nudge() -> None:
    """A wake-up for the job that takes people in; the schedule finds what a lost one left."""
    async_task("engage.campaigns.jobs.advance", timeout=1800)
