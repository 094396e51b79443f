"""What the carrier's error codes mean for a contact point, as a table. "Config" never changes a patient's record.

Source: the provider's error dictionary; the split between what is the patient's number and what is our own set-up.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F, Q
from django.db.models.functions import TruncDate

from engage.accounts.models import Clinic
from engage.lib import clock
from engage.lib.fixed import Fixed
from engage.messaging import actions, losses, pace, safety
from engage.messaging.locks import LOCKS
from engage.messaging.models import Message, Stream
from engage.patients import actions as patients
from engage.patients.models import Consent, ContactPoint
from engage.worklist import actions as worklist
from engage.worklist.models import Reason, Task

log = logging.getLogger(__name__)
BY = "carrier"
FILTERED_OF_LAST, FILTERED_SHARE, FILTERED_LEAST = 200, 0.02, 3
Point = ContactPoint.State


@dataclass(frozen=True)
class Rule:
    """`why` is for a person. `point`: what becomes of the number; `after`: from which failure on; `again`: once more, so
    much later (`next_day`: in the carriers' next day). `operator`: our own set-up, people are told; the sender goes on.
    """

    why: str
    point: str = ""
    after: int = 1
    again: timedelta | None = None
    content: bool = False  # the text or the sender is at fault
    next_day: bool = False
    operator: bool = False


LATER = timedelta(hours=4)
RULES: dict[str, Rule] = {
    "21211": Rule("The number is not a working phone number.", Point.INVALID),
    "21217": Rule("The number is not a working phone number.", Point.INVALID),
    "21214": Rule("The number cannot be reached.", Point.SUSPECT),
    "21610": Rule("The patient has opted out with the carrier.", Point.OPTED_OUT),
    "21614": Rule("The number cannot receive texts.", Point.SMS_INCAPABLE),
    "21635": Rule("The number is a landline.", Point.SMS_INCAPABLE),
    "30003": Rule("The phone could not be reached.", Point.SUSPECT, again=LATER),
    "30004": Rule("The number or its carrier blocks our texts.", Point.BLOCKED),
    "30005": Rule("The number is unknown or no longer in use.", Point.INVALID, after=2),
    "30006": Rule("The number is a landline, or its carrier takes no texts.", Point.SMS_INCAPABLE),
    "30007": Rule("The carrier filtered the text.", content=True),
    "30008": Rule("The carrier does not say why it failed.", Point.SUSPECT, after=2, again=LATER),
    "30001": Rule("The carrier's queue was full.", again=timedelta(hours=1)),
    "30022": Rule("The carrier's rate was exceeded.", again=timedelta(hours=1)),
    "30023": Rule("The day's limit of one carrier was reached.", next_day=True),
    "30036": Rule("It could not be delivered within permitted hours.", again=timedelta(0)),
    "63038": Rule("The account's limit of a day was reached.", again=timedelta(hours=24), operator=True),
    "21216": Rule("The carrier blocks what this account sends to this number.", operator=True),
    "21408": Rule("Texts to this country are not switched on.", operator=True),
    "21608": Rule("The trial account may not text this number.", operator=True),
    "21612": Rule("There is no route from our number to this one.", operator=True),
    "21602": Rule("The text is empty.", content=True),
    "21617": Rule("The text is too long.", content=True),
}
UNKNOWN = Rule("The carrier could not deliver it.")


def rule_for(code: str) -> Rule:
    """The table's rule; a fault of our own and an unknown code leave the number alone."""
    return RULES.get(code) or (Rule(LOCKS[code]) if code in LOCKS else UNKNOWN)


def sentence(code: str) -> str:
    return rule_for(code).why


def take_effect(message: Message, code: str) -> None:
    """What a final failure means beyond the message: for the number, the next try, the campaign. In its transaction."""
    rule = rule_for(code)
    if code == "21610":
        _opted_out(message)
    elif rule.point:
        for point in ContactPoint.objects.filter(value=message.address).select_related("patient__clinic"):
            _mark(point, message, rule)
    if rule.content:
        _content(message)
    if rule.operator:
        tell_operator(code, rule.why, message.clinic)
    if safety.is_alert(message):
        safety.alert_failed(message)
    if code not in LOCKS:  # else it waits for the sender
        losses.tell_author(message)
    if not message.safety and not message.withdrawn:
        _again(message, code, rule)


def _again(message: Message, code: str, rule: Rule) -> None:
    """What the sender is locked for waits for it again, whoever wrote it and however often; a failure that passes is tried
    once more, later, unless a person wrote it or it cannot wait."""
    if code in LOCKS:
        actions.again(message, clock.now(), key=f"{message.key[:100]}:{message.pk}")
    elif (wait := _wait(rule)) is not None and message.author_id is None and not safety.is_alert(message):
        actions.again(message, clock.now() + wait)


def _wait(rule: Rule) -> timedelta | None:
    if rule.next_day:
        machine = clock.machine_now()
        return pace.next_carrier_day(machine) - machine
    return rule.again


def tell_operator(code: str, why: str, clinic: Clinic | None, *, urgent: bool = False) -> None:
    """A fault of our own set-up: supervisors have one task about it while it is open."""
    worklist.open_task(
        reason=Reason.OTHER,
        summary=f"The carrier refuses what we send: {why} [{code}] No patient's record was changed. See Delivery.",
        about=f"carrier:{code}",
        due_at=clock.now() + timedelta(hours=1 if urgent else 8),
        clinic=clinic,
        queue=Task.Queue.SUPERVISORS,
        priority=Task.Priority.URGENT if urgent else Task.Priority.ATTENTION,
        opened_by="delivery",
        link="/delivery/",
    )


def heard(address: str, points: Collection[ContactPoint]) -> None:
    """A number that writes to us works, and a block of our texts has ended. `points`: of everybody on it, just read."""
    if any(p.suspect_count or p.state == Point.BLOCKED for p in points):
        _works(address, Point.SUSPECT, Point.BLOCKED)


def delivered(address: str) -> None:
    """A number that works is no longer suspect."""
    _works(address, Point.SUSPECT)


def _works(address: str, *over: str) -> None:
    """Forgets its failures, and that it was in one of these states."""
    for point in DOUBTED(address=address):
        if point.suspect_count:
            ContactPoint.objects.filter(pk=point.pk).update(suspect_count=0)
        if point.state in over:
            patients.mark_contact_point(point, Point.ACTIVE, "", by=BY)


DOUBTED = Fixed(
    lambda address: ContactPoint.objects.filter(
        Q(suspect_count__gt=0) | Q(state=Point.BLOCKED), value=address
    ).select_related("patient")
)


def _opted_out(message: Message) -> None:
    """The carrier's list says so: the same as the patient's own word, and everything waiting is taken back."""
    patients.record_consent(
        address=message.address,
        channel=message.channel,
        decision=Consent.Decision.REVOKED,
        source=Consent.Source.PROVIDER,
        evidence=f"message:{message.pk}",
    )
    for point in ContactPoint.objects.filter(value=message.address).select_related("patient"):
        patients.mark_contact_point(point, Point.OPTED_OUT, RULES["21610"].why, by=BY)
    actions.suppress_address(message.address, message.channel, RULES["21610"].why)


def _mark(point: ContactPoint, message: Message, rule: Rule) -> None:
    ContactPoint.objects.filter(pk=point.pk).update(suspect_count=F("suspect_count") + 1)
    failures = point.suspect_count + 1
    if point.state not in (Point.ACTIVE, Point.SUSPECT):
        return
    dead = rule.point != Point.SUSPECT and failures >= rule.after
    patients.mark_contact_point(point, rule.point if dead else Point.SUSPECT, rule.why, by=BY)
    if dead or (rule.point == Point.SUSPECT and _bad_days(message) >= 3):
        _fix_phone(point, rule.why)


def _bad_days(message: Message) -> int:
    """On how many different days the number could not be reached in the last 30."""
    rows = Message.objects.filter(
        address=message.address,
        error_code=message.error_code,
        done_at__gt=clock.machine_now() - timedelta(days=30),
    )
    return rows.annotate(day=TruncDate("created_at")).values("day").distinct().count()


def _fix_phone(point: ContactPoint, why: str) -> None:
    worklist.open_task(
        reason=Reason.FIX_PHONE,
        summary=f"Find a number that works: {why}",
        about=f"contact_point:{point.pk}",
        due_at=clock.now() + timedelta(days=3),
        clinic=point.patient.clinic,
        patient=point.patient,
        opened_by="delivery",
        link=f"/patients/{point.patient_id}/",
    )


def _content(message: Message) -> None:
    """Too many texts of one campaign filtered or refused: the wording or the sender is at fault, so the campaign waits."""
    if message.stream is None:
        return
    rows = Message.objects.filter(stream=message.stream, state__in=Message.GONE_OUT).order_by("-id")
    last = list(rows.values_list("error_code", flat=True)[:FILTERED_OF_LAST])
    filtered = sum(rule_for(code).content for code in last if code)
    if filtered < FILTERED_LEAST or filtered <= FILTERED_SHARE * len(last):
        return
    if message.stream.state == Stream.State.ACTIVE:
        log.error(
            "stream %s: paused, %s of %s texts filtered or refused", message.stream_id, filtered, len(last)
        )
        actions.pause_stream(message.stream)
    worklist.open_task(
        reason=Reason.OTHER,
        summary=f"“{message.stream.name}” is paused: {rule_for(message.error_code).why} "
        f"So with {filtered} of the last {len(last)}. Look at the wording, then resume it.",
        about=f"stream:{message.stream_id}",
        due_at=clock.now() + timedelta(hours=8),
        clinic=message.clinic,
        queue=Task.Queue.SUPERVISORS,
        opened_by="delivery",
        link="/campaigns/",
    )
