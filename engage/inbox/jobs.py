"""What runs by itself: unfinished triage is tried again, what was put off comes back, moves are followed, samples drawn."""

import logging

from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Coalesce

from engage.accounts.models import Clinic
from engage.audit.models import AuditEvent, event
from engage.inbox import actions, arrival, escalation, sampling, secondreading
from engage.inbox.consequences import all_read
from engage.inbox.models import Conversation, Level, Reading
from engage.inbox.run import Earlier
from engage.inbox.senders import Sender, answered_by_reply, identify
from engage.inbox.triage import PATIENCE_LATER
from engage.lib import clock
from engage.messaging.models import Message
from engage.patients.models import Patient
from engage.worklist import actions as worklist
from engage.worklist.models import Reason, Task

log = logging.getLogger(__name__)
AT_ONCE = 200


def finish_unsorted() -> int:
    """Runs the stages again over each reply where one failed; the number that are now complete.

    Those not tried for longest first, so that none starves behind others that go on failing.
    """
    settle_handled()
    rows = Reading.objects.filter(complete=False).values_list("message_id", flat=True)
    tried = list(rows.order_by(F("tried_at").asc(nulls_first=True), "pk")[:AT_ONCE])
    finished = sum(_finish(pk) for pk in tried)
    if tried and not rows.exists():
        all_read()
    return finished


def settle_handled() -> None:
    """Conversations still marked urgent although their urgent task has its outcome."""
    urgent = Conversation.objects.open().filter(level=Level.URGENT)
    abouts = {c.about for c in urgent.only("pk")[:1000]}
    reasons = Task.objects.filter(reason=Reason.URGENT_REPLY, about__in=abouts)
    for about in abouts - set(reasons.open().values_list("about", flat=True)):
        if reasons.filter(about=about).exists():
            actions.settle_urgent(about)


def _finish(message_id: int) -> bool:
    """One that cannot be tried at all holds up no other."""
    try:
        with transaction.atomic():
            return _finished(message_id)
    except Exception as error:
        log.error("message %s: could not be tried again (%s)", message_id, type(error).__name__)
        Reading.objects.filter(message=message_id).update(tried_at=clock.machine_now())
        return False


def _finished(message_id: int) -> bool:
    message = Message.objects.select_related("patient__clinic").get(pk=message_id)
    conversation = Conversation.of(message).lock()
    sender, earlier = _sender(message), Earlier.of(message)
    return arrival.process(message, conversation, sender, patience=PATIENCE_LATER, earlier=earlier).complete


def _sender(message: Message) -> Sender:
    """As it was understood on arrival, or as a person matched it since."""
    known = identify(message.address, message.created_at)
    if message.patient is None:
        return Sender(message.address, None, known.points, known.outbound)
    mine = [p for p in known.points if p.patient_id == message.patient_id]
    answered = answered_by_reply(message.address, message.patient, message.created_at)
    return Sender(message.address, message.patient, mine, answered)


def reopen_unanswered() -> int:
    """Each minute: what was answered with a text that did not arrive waits for a person again; how many."""
    return actions.reopen_unanswered()


def escalate() -> int:
    """Each minute: urgent replies that nobody has taken go to the next person, then to the supervisors."""
    return escalation.climb()


def ask_second_reader() -> int:
    """The optional language model reads what waits for it; the number answered. Does nothing when it is off."""
    return secondreading.ask_all()


def wake_snoozed() -> int:
    """Snoozed conversations whose time has come are open again; the number woken."""
    due = Conversation.objects.filter(state=Conversation.State.SNOOZED, snoozed_until__lte=clock.now())
    with transaction.atomic():
        rows = list(due.select_for_update()[:5000])
        woken = Conversation.objects.filter(pk__in=[r.pk for r in rows]).update(
            state=Conversation.State.OPEN,
            waiting_since=Coalesce("waiting_since", "snoozed_until"),
            snoozed_until=None,
        )
        AuditEvent.objects.bulk_create(event("system:wake_snoozed", "conversation.wake", row) for row in rows)
    return woken


def follow_moves() -> int:
    """What waits goes along with patients who have come to another clinic, and is let go where staff have left.

    An import may not know of either, so this looks each minute. Gives how many conversations and tasks.
    """
    moved = follow_patients() + worklist.follow_patients()
    return moved + release_the_gone() + worklist.release_the_gone()


def follow_patients() -> int:
    """Conversations of patients with a clinic that is another one by now; nobody there has taken them yet."""
    away = Conversation.objects.filter(patient__clinic__isnull=False).exclude(clinic=F("patient__clinic"))
    with transaction.atomic():
        rows = list(away.select_related("patient").order_by("pk")[:5000])
        now = Patient.objects.filter(pk=OuterRef("patient")).values("clinic")
        Conversation.objects.filter(pk__in=[r.pk for r in rows]).update(clinic=Subquery(now), owner=None)
        AuditEvent.objects.bulk_create(
            event(
                "system:follow_moves",
                "conversation.change_clinic",
                row,
                clinic_id=row.patient.clinic_id if row.patient else None,
                before=row.clinic_id,
            )
            for row in rows
        )
    return len(rows)


def release_the_gone() -> int:
    """Conversations of those whose account has ended are everybody's again."""
    with transaction.atomic():
        rows = list(Conversation.objects.filter(owner__is_active=False).order_by("pk")[:5000])
        Conversation.objects.filter(pk__in=[r.pk for r in rows]).update(owner=None)
        AuditEvent.objects.bulk_create(
            event("system:follow_moves", "conversation.release", row, before=row.owner_id) for row in rows
        )
    return len(rows)


def draw_samples() -> int:
    """The last whole week's sample of every clinic, once; repeated each hour, it finds them drawn."""
    return sampling.draw_all(Clinic.objects.all())
