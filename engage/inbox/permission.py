"""What opt-out, opt-in and help words do, before anything else is made of a reply.

Sources: 47 CFR 64.1200(a)(10)-(12) (any reasonable wording, one confirmation within 5 minutes), and the carrier's own
word lists, on which it acts (and answers) without us.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from engage.accounts.models import User
from engage.campaigns import actions as campaigns
from engage.campaigns.models import Enrollment
from engage.inbox import deadlines
from engage.inbox.models import Conversation
from engage.inbox.senders import Sender, identify
from engage.inbox.triage.keywords import Keyword
from engage.lib import clock
from engage.lib.fixed import Fixed
from engage.messaging import actions as messaging
from engage.messaging import safety
from engage.messaging.models import Message, Template
from engage.patients import actions as patients
from engage.patients.models import Channel, Consent, ContactPoint
from engage.records.models import Appointment
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome, Reason

OPT_IN_QUESTION = "opt_in_question"  # the template whose YES is an opt-in
HELP_AGAIN_AFTER = timedelta(hours=24)
OF_US = (
    ContactPoint.State.ACTIVE,
    ContactPoint.State.SUSPECT,
    ContactPoint.State.BLOCKED,
)  # until somebody says stop


def obey(
    message: Message, sender: Sender, conversation: Conversation, word: Keyword, labels: Collection[str]
) -> None:
    """Carries out one word. `labels` are triage's: what a machine wrote is not answered by a machine."""
    automatic = "auto_reply" in labels
    if word.kind == "stop":
        stop(message, sender, word, confirm=not automatic)
        if word.may_cancel_visit:
            _may_cancel(message, sender, conversation, asked="reschedule" in labels)
    elif word.kind == "help" and not automatic:
        answer_help(message)
    elif word.kind == "start" or (word.kind == "start_ambiguous" and _answers_opt_in(sender)):
        start(message, sender, conversation, confirm=not automatic and not _by_carrier(word))
    elif word.kind == "start_ambiguous" and opted_out(sender.address):
        _ask_a_person(message, conversation, "Answered YES after opting out; ask whether messages may go on")


OBEYED = Fixed(
    lambda address, evidence: Consent.objects.filter(address=address, evidence=evidence).values_list("pk")[:1]
)


def stop(message: Message, sender: Sender, word: Keyword, *, confirm: bool) -> None:
    """Ends consent for the number, and all that was on its way to it; repeatable."""
    if OBEYED(address=message.address, evidence=f"message:{message.pk}"):
        return
    already = opted_out(sender.address)
    _revoke(
        sender,
        Consent.Source.PATIENT_TEXT,
        f"message:{message.pk}",
        "The patient opted out by text.",
        "patient",
    )
    if confirm and not already and not _by_carrier(word):
        safety.opt_out_confirmation(message)


def _by_carrier(word: Keyword) -> bool:
    """Whether the carrier answers the word by itself; a second answer would be one too many."""
    return settings.OPT_OUT_CONFIRMATION == "provider" and word.provider_recognises


def _revoke(sender: Sender, source: str, evidence: str, why: str, by: User | str) -> None:
    # A revocation by text ends calls by machine too (FCC 24-24): consent is to be contacted, not to a medium.
    for channel in (Channel.SMS, Channel.VOICE):
        patients.record_consent(
            address=sender.address,
            channel=channel,
            decision=Consent.Decision.REVOKED,
            source=source,
            evidence=evidence,
            by=by,
        )
        messaging.suppress_address(sender.address, channel, why)
    for patient in sender.theirs:
        campaigns.end_for_patient(patient, Enrollment.Why.OPTED_OUT, by=by)


def _may_cancel(message: Message, sender: Sender, conversation: Conversation, *, asked: bool) -> None:
    """CANCEL is an opt-out word; somebody with a visit ahead, or asked about one, may have meant the visit."""
    ahead = Appointment.objects.filter(
        patient__in=sender.everyone,
        starts_at__gt=clock.now(),
        status__in=("proposed", "pending", "booked", "waitlist"),
    )
    if asked or ahead.exists():
        worklist.open_task(
            reason=Reason.MAY_CANCEL,
            summary=f"Wrote “{message.body.strip()[:40]}” and messages were stopped: "
            "ask whether a booked visit was meant.",
            about=conversation.about,
            due_at=deadlines.after_working_hours(message.created_at, conversation.clinic, 4),
            clinic=conversation.clinic,
            patient=conversation.patient,
            opened_by="triage",
            link=conversation.link,
            source=f"message:{message.pk}",
        )


def start(message: Message, sender: Sender, conversation: Conversation, *, confirm: bool) -> None:
    """Restores consent to texts, on the patient's own number only: a shared one is for a person, and so is one that has
    said stop since (a START that was lost for a while, or is done again after a match)."""
    if OBEYED(address=message.address, evidence=f"message:{message.pk}"):
        return
    if sender.patient is None or len(identify(sender.address, message.created_at).candidates) > 1:
        _ask_a_person(message, conversation, "Asks on a shared or unknown number for messages to start again")
        return
    if _stopped_since(message):
        _ask_a_person(message, conversation, "Asked for messages to start again, and to stop after that")
        return
    was_out = opted_out(sender.address)
    patients.record_consent(
        address=sender.address,
        channel=Channel.SMS,
        decision=Consent.Decision.GRANTED,
        source=Consent.Source.PATIENT_TEXT,
        evidence=f"message:{message.pk}",
    )
    for point in sender.points:
        if point.state == ContactPoint.State.OPTED_OUT:
            patients.mark_contact_point(point, ContactPoint.State.ACTIVE, "", by="patient")
    if confirm and was_out:
        safety.opt_in_confirmation(message)


def _stopped_since(message: Message) -> bool:
    """Whether the number has said stop after this message was written."""
    stops = Consent.objects.filter(
        address=message.address, channel=Channel.SMS, decision=Consent.Decision.REVOKED
    )
    return any(_said_at(stop) > (message.created_at, message.pk) for stop in stops)


def _said_at(consent: Consent) -> tuple[datetime, int]:
    """When, and of two at the same moment in which order."""
    kind, _, pk = consent.evidence.partition(":")
    said = Message.objects.filter(pk=pk).first() if kind == "message" and pk.isdigit() else None
    return (said.created_at, said.pk) if said else (consent.at, 0)


def answer_help(message: Message) -> None:
    """Says who we are and how to stop, once a day at most."""
    if not safety.answered(message, Template.Purpose.HELP, HELP_AGAIN_AFTER):
        safety.help_reply(message)


def suspend(message: Message, sender: Sender, conversation: Conversation) -> None:
    """Probably a revocation: nothing automatic goes to the number until a person has decided, within a business day.

    Nothing is done where texts to the number have ended already.
    """
    if opted_out(sender.address):
        return
    messaging.suppress_address(sender.address, Channel.SMS, ContactPoint.DOUBT)
    for point in sender.points:
        if point.state in OF_US:
            patients.mark_contact_point(point, ContactPoint.State.OPTED_OUT, ContactPoint.DOUBT, by="patient")
    worklist.open_task(
        reason=Reason.OPT_OUT_DOUBT,
        summary=f"May want messages to stop; nothing automatic is sent until you decide: “{message.body.strip()[:160]}”",
        about=conversation.about,
        due_at=deadlines.after_working_hours(message.created_at, conversation.clinic, deadlines.DAY),
        clinic=conversation.clinic,
        patient=conversation.patient,
        opened_by="triage",
        link=conversation.link,
        source=f"message:{message.pk}",
    )


def doubted(conversation: Conversation) -> list[ContactPoint]:
    """The contact points with the numbers a person has to decide about."""
    waiting = ContactPoint.objects.filter(state=ContactPoint.State.OPTED_OUT, state_reason=ContactPoint.DOUBT)
    theirs = waiting.filter(patient=conversation.patient).values("value")
    return list(waiting.filter(Q(value=conversation.address) | Q(value__in=theirs)))


def decide_doubt(conversation: Conversation, *, stop: bool, by: User) -> None:
    """Ends the doubt whether a patient wants messages to stop: an opt-out told to staff, or sending goes on.

    It is about the number that raised it, from wherever the patient has written since.
    """
    points = doubted(conversation)
    with transaction.atomic():
        for point in points:
            patients.mark_contact_point(point, ContactPoint.State.ACTIVE, "", by=by)
        if stop:
            for address in sorted({p.value for p in points}) or [conversation.address]:
                _end_texts(address, conversation, by)
        outcome, note = (
            (Outcome.DECLINED, "Wants no messages.") if stop else (Outcome.NOT_SIGNIFICANT, "Messages go on.")
        )
        worklist.close_about(conversation.about, outcome, note, by=by, reasons=[Reason.OPT_OUT_DOUBT])


def _end_texts(address: str, conversation: Conversation, by: User) -> None:
    """The patient told us, in whatever words, that messages must stop: same as the word STOP."""
    sender = identify(address, clock.now())
    _revoke(sender, Consent.Source.STAFF, conversation.about, "The patient opted out, told to staff.", by)


def opted_out(address: str) -> bool:
    """Whether the last word about texts to this number was to end them."""
    return LAST_WORD.first(address=address) == (Consent.Decision.REVOKED,)


LAST_WORD = Fixed(
    lambda address: (
        Consent.objects.filter(address=address, channel=Channel.SMS)
        .order_by("-id")
        .values_list("decision")[:1]
    )
)


def _answers_opt_in(sender: Sender) -> bool:
    asked = sender.outbound.template if sender.outbound else None
    return asked is not None and asked.key == OPT_IN_QUESTION


def _ask_a_person(message: Message, conversation: Conversation, sentence: str) -> None:
    worklist.open_task(
        reason=Reason.OTHER,
        summary=f"{sentence}: “{message.body.strip()[:120]}”",
        about=conversation.about,
        due_at=deadlines.after_working_hours(message.created_at, conversation.clinic, deadlines.DAY),
        clinic=conversation.clinic,
        patient=conversation.patient,
        opened_by="triage",
        link=conversation.link,
        source=f"message:{message.pk}",
    )
