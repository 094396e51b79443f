"""Making the touches that are due: texts through the gate, call tasks on the worklist. A batch is one transaction."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from engage.campaigns import cadence, enrolling
from engage.campaigns.actions import message_key
from engage.campaigns.models import Campaign, Enrollment, Touch
from engage.caregaps.models import CareGap
from engage.lib import clock
from engage.messaging import actions as message_actions
from engage.messaging import templates
from engage.messaging.models import Message, Template
from engage.worklist import actions as task_actions
from engage.worklist.models import Reason, Task

log = logging.getLogger(__name__)
BATCH = 100  # touches in one transaction: on SQLite nobody else writes meanwhile
UNSETTLED = (
    Message.State.QUEUED,
    Message.State.HELD,
    Message.State.SENDING,
    Message.State.IN_DOUBT,
    Message.State.NEEDS_REVIEW,
)
LOOK_AGAIN = timedelta(hours=4)  # when the text before is still waiting to go
# The gap's closure takes a text back, so it is of use for long: the caps, a pause or a slow sender must not outlast it.
OF_USE = timedelta(days=90)
AFTER_FAULT = timedelta(hours=1)  # when making a touch failed: it must not hold up the others
CALL_WITHIN = 2  # working days
State = Enrollment.State
Why = Enrollment.Why
CHANGED = ("position", "round", "due_at", "state", "why", "ended_at")
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
WordingKey = tuple[str, str, int | None]  # template key, language, clinic


@dataclass(frozen=True)
class Turn:
    """One enrollment whose touch is due, with its text and the touches after it."""

    enrollment: Enrollment
    message: Message
    ahead: list[Touch]


@dataclass
class Batch:
    """Enrollments locked in this transaction, and everything about them read at once."""

    rows: list[Enrollment]
    touches: dict[int, list[Touch]]  # campaign → its cadence
    waiting: dict[str, datetime | None]  # key of a text that has not left → the moment before which it cannot
    too_old: set[str]  # keys of texts that never left
    wording: dict[WordingKey, Template | None]
    texts: list[Turn] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)


def make_due_touches() -> Counter[str]:
    """One batch in one transaction; empty when nothing is due. A patient whose touch fails is set aside alone."""
    with transaction.atomic():
        batch = read(list(due()))
        for enrollment in batch.rows:
            alone(batch, enrollment, partial(take_turn, batch, enrollment))
        send(batch)
        save(batch.rows)
    return batch.done


def save(rows: list[Enrollment]) -> None:
    """One statement for all that changed alike: most of a batch moves to the same place at the same time."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for row in rows:
        alike.setdefault(tuple(getattr(row, name) for name in CHANGED), []).append(row.pk)
    for values, pks in alike.items():
        Enrollment.objects.filter(pk__in=pks).update(**dict(zip(CHANGED, values, strict=True)))


def due(limit: int | None = None) -> QuerySet[Enrollment]:
    """Enrollments with a touch to make now, in running campaigns only; locked, skipping what another run holds.

    Those about whom staff must first decide something wait.
    """
    waits = enrolling.undecided().filter(patient=OuterRef("patient"))
    ready = Enrollment.objects.active().filter(
        ~Exists(waits),
        due_at__lte=clock.now(),
        campaign__state=Campaign.State.RUNNING,
        gap__status=CareGap.Status.OPEN,
    )
    if connection.features.has_select_for_update_skip_locked:
        ready = ready.select_for_update(skip_locked=True, of=("self",))
    ready = ready.select_related("campaign__stream", "gap", "patient__clinic")
    return ready.prefetch_related("patient__contact_points").order_by("due_at", "pk")[: limit or BATCH]


def read(rows: list[Enrollment]) -> Batch:
    touches: dict[int, list[Touch]] = {e.campaign_id: [] for e in rows}
    for touch in Touch.objects.filter(campaign__in=touches).order_by("position"):
        touches[touch.campaign_id].append(touch)
    waiting, too_old = unsettled(rows)
    return Batch(rows, touches, waiting, too_old, wording_for(rows, touches))


def unsettled(rows: Sequence[Enrollment]) -> tuple[dict[str, datetime | None], set[str]]:
    """Of the texts before: those that have not left with the moment before which they cannot, and those that never will."""
    keys = [message_key(e, e.position - back) for e in rows for back in (1, 2) if e.position > back]
    found = Message.objects.filter(key__in=keys, state__in=(*UNSETTLED, Message.State.EXPIRED))
    states = list(found.values_list("key", "state", "not_before"))
    too_old = {key for key, state, _ in states if state == Message.State.EXPIRED}
    return {key: moment for key, _, moment in states if key not in too_old}, too_old


def wording_for(
    rows: Sequence[Enrollment], touches: dict[int, list[Touch]]
) -> dict[WordingKey, Template | None]:
    """Approved wording for each text, language and clinic in the batch, each looked up once."""
    found: dict[WordingKey, Template | None] = {}
    for e in rows:
        for touch in touches[e.campaign_id]:
            key = wording_key(touch, e)
            if touch.kind == Touch.Kind.TEXT and key not in found:
                found[key] = templates.pick(touch.template_key, e.patient.language, e.patient.clinic)
    return found


def wording_key(touch: Touch, enrollment: Enrollment) -> WordingKey:
    return touch.template_key, enrollment.patient.language, enrollment.patient.clinic_id


def take_turn(batch: Batch, enrollment: Enrollment) -> str:
    """Makes the touch that is due, or drafts its text; what happened, as a word to count, "" when that is open.

    A text before it that grew too old before it could go is made anew first.
    """
    if message_key(enrollment, enrollment.position - 1) in batch.too_old:
        enrollment.position, enrollment.round = enrollment.position - 1, enrollment.round + 1
    ahead = [t for t in batch.touches[enrollment.campaign_id] if t.position >= enrollment.position]
    if not ahead:
        complete(enrollment)
        return "completed"
    touch, enrollment.position = ahead[0], ahead[0].position
    before = [k for back in (1, 2) if (k := message_key(enrollment, touch.position - back)) in batch.waiting]
    if before:
        enrollment.due_at = max(batch.waiting[before[0]] or clock.now(), clock.now()) + LOOK_AGAIN
        return "waiting"
    if touch.kind == Touch.Kind.TEXT and (template := batch.wording[wording_key(touch, enrollment)]):
        batch.texts.append(Turn(enrollment, draft(enrollment, template), ahead[1:]))
        return ""
    if touch.kind == Touch.Kind.TEXT:  # never silently in another language
        open_call(enrollment, Reason.NO_TEMPLATE, "there is no approved wording in their language")
    else:
        open_call(enrollment)
    step(enrollment, ahead[1:])
    return str(Touch.Kind.CALL_TASK)


def draft(enrollment: Enrollment, template: Template) -> Message:
    """The text of the touch that is due; made once, by its key."""
    patient = enrollment.patient
    return message_actions.draft(
        body=templates.render(template.body, patient, patient.clinic),
        key=message_key(enrollment, enrollment.position),
        patient=patient,
        stream=enrollment.campaign.stream,
        about=enrollment.gap.about,
        language=template.language,
        template=template,
        expires_at=clock.now() + OF_USE,
        clinic=patient.clinic,
    )


def send(batch: Batch) -> None:
    """Hands the drafts to the gate, all at once; when that fails, one by one, so that a poisoned one is alone."""
    try:
        with transaction.atomic():
            rows = message_actions.queue_many([turn.message for turn in batch.texts])
    except Exception:
        log.exception("a batch of %s texts could not be queued at once; one by one", len(batch.texts))
        for turn in batch.texts:
            alone(batch, turn.enrollment, partial(queue_alone, turn))
    else:
        for turn, row in zip(batch.texts, rows, strict=True):
            batch.done[settle(turn, row)] += 1


def queue_alone(turn: Turn) -> str:
    return settle(turn, message_actions.queue_many([turn.message])[0])


def settle(turn: Turn, row: Message) -> str:
    if row.state in NOT_MADE:
        return refused(turn.enrollment, row, turn.ahead)
    step(turn.enrollment, turn.ahead)
    return str(Touch.Kind.TEXT)


def alone(batch: Batch, enrollment: Enrollment, act: Callable[[], str]) -> None:
    """Does it in a savepoint; on a fault the enrollment comes again later, and a task lets somebody see it."""
    try:
        with transaction.atomic():
            word = act()
            if word:
                batch.done[word] += 1
    except Exception:
        log.exception("enrollment %s: its touch could not be made", enrollment.pk)
        enrollment.due_at = clock.now() + AFTER_FAULT
        batch.done["failed"] += 1
        open_fault(enrollment)


def refused(enrollment: Enrollment, message: Message, ahead: list[Touch]) -> str:
    """The gate said no for good: a call by staff is next when the cadence has one and the reason allows it."""
    why = ENDS.get(str(message.verdict.get("code", "")), Why.CANNOT_TEXT)
    calls = [t for t in ahead if t.kind == Touch.Kind.CALL_TASK]
    if calls and why not in SILENT and not enrollment.patient.do_not_call:
        enrollment.position, enrollment.due_at = calls[0].position, clock.now()
    else:
        enrollment.state, enrollment.why, enrollment.ended_at = State.ENDED, why, clock.now()
    return "refused"


def step(enrollment: Enrollment, ahead: list[Touch]) -> None:
    """On to the next touch; a wait counts from now, when the touch before was made."""
    if not ahead:
        complete(enrollment)
    else:
        enrollment.position = ahead[0].position
        enrollment.due_at = cadence.after(clock.now(), ahead[0], zone_for(enrollment))


def complete(enrollment: Enrollment) -> None:
    enrollment.state, enrollment.ended_at = State.COMPLETED, clock.now()


def zone_for(enrollment: Enrollment) -> str:
    clinic = enrollment.patient.clinic
    return clinic.time_zone if clinic else enrolling.zone_of(enrollment.campaign)


def open_call(
    enrollment: Enrollment, reason: Reason = Reason.CALL, because: str = "texts have had no answer"
) -> None:
    task_actions.open_task(
        reason=reason,
        summary=f"Call about “{enrollment.campaign.name}”: {because}.",
        about=enrollment.gap.about,
        due_at=cadence.closing_time(clock.now(), CALL_WITHIN, zone_for(enrollment)),
        clinic=enrollment.patient.clinic,
        patient=enrollment.patient,
        opened_by=f"campaign:{enrollment.campaign_id}",
    )


def open_fault(enrollment: Enrollment) -> None:
    task_actions.open_task(
        reason=Reason.OTHER,
        summary=f"The next step of “{enrollment.campaign.name}” could not be made for this patient.",
        about=enrollment.gap.about,
        due_at=cadence.closing_time(clock.now(), CALL_WITHIN, zone_for(enrollment)),
        clinic=enrollment.patient.clinic,
        patient=enrollment.patient,
        queue=Task.Queue.SUPERVISORS,
        opened_by=f"campaign:{enrollment.campaign_id}",
        link=f"/campaigns/{enrollment.campaign_id}/",
    )
