"""The gate's checks, one function each: what is wrong with a message, in a code for programs and a sentence for people.

Sources: 47 CFR 64.1200(a)(9)-(12) (consent, revocation, one message a day and three a week), 45 CFR 164.522(b)
(confidential communication). Numbers and words are data, so that counsel can change them without touching code.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings

from engage.lib import phone
from engage.messaging.evidence import Evidence, Touch, is_automated, purpose_of
from engage.messaging.models import Lane, Message, Stream, Template
from engage.messaging.windows import Place, is_open, own_week
from engage.patients import area_codes, zones
from engage.patients.models import ContactPoint

LONGEST_BODY = 1600  # characters; the carrier refuses more
# Automated contacts, all campaigns and channels together: how many within how long.
CAPS = ((1, timedelta(hours=24), "24 hours"), (3, timedelta(days=7), "7 days"))
BETWEEN_GAP_TOUCHES = timedelta(hours=72)
PER_GAP, PER_GAP_DAYS = 4, 90
SAME_BODY = 2  # the third identical text to a number within 24 hours is held
REPLY_WITHIN = timedelta(hours=24)
# How long after the patient's own message an automatic answer still answers it (confirmation: 64.1200(a)(12)).
ANSWER_WITHIN = {
    Template.Purpose.STOPPED: timedelta(minutes=5),
    Template.Purpose.CRISIS: timedelta(minutes=15),
}
DESPITE_OPT_OUT = (Template.Purpose.STOPPED, Template.Purpose.CRISIS)
CONSENT = {"sms": "sms_consent", "voice": "voice_consent", "email": "email_consent"}
WITH_TRANSPORT = ("sms",)
UNPLACED = ("America/New_York", "America/Los_Angeles")  # nothing is known at all: both coasts must be open


class Found(NamedTuple):
    """One check's finding. `refuses` or `holds` is the verdict's code; neither: the check was passed."""

    check: str
    found: str
    refuses: str = ""
    holds: str = ""
    until: datetime | None = None


def refused(check: str, code: str, found: str) -> Found:
    return Found(check, found, refuses=code)


def body(message: Message, evidence: Evidence) -> Found | None:
    if not message.body.strip():
        return refused("wording", "empty", "There is nothing to send: the text is empty.")
    if len(message.body) > LONGEST_BODY:
        return refused(
            "wording", "too_long", f"The text has {len(message.body)} characters; {LONGEST_BODY} is the most."
        )
    if "\x00" in message.body:
        return refused("wording", "unprintable", "The text holds a character no phone can show.")
    template = message.template
    if template is None:
        return None
    # With the simulator nobody reads it, so safety texts work before anyone has signed them off.
    harmless = settings.CARRIER == "simulator" and template.purpose != Template.Purpose.CAMPAIGN
    if template.approved_at is None and not harmless:
        return refused("wording", "not_approved", "Nobody has approved this wording yet.")
    return Found("wording", f"Wording {template} is approved.")


def channel(message: Message, evidence: Evidence) -> Found | None:
    if message.channel not in WITH_TRANSPORT:
        return refused(
            "channel", "no_transport", f"Nothing is sent by {message.get_channel_display().lower()} yet."
        )
    return None


def withdrawn(message: Message, evidence: Evidence) -> Found | None:
    return refused("withdrawn", "withdrawn", message.withdrawn) if message.withdrawn else None


def expiry(message: Message, evidence: Evidence) -> Found | None:
    if message.expires_at is None:
        return None
    if message.expires_at <= evidence.now:
        return refused("age", "expired", "It is too old to be of use.")
    return Found("age", f"Of use until {message.expires_at:%-d %b %Y, %H:%M} UTC.")


def not_before(message: Message, evidence: Evidence) -> Found | None:
    if message.not_before is None or message.not_before <= evidence.now:
        return None
    found = f"Asked for not before {message.not_before:%-d %b %Y, %H:%M} UTC."
    return Found("age", found, holds="not_before", until=message.not_before)


def stream(message: Message, evidence: Evidence) -> Found | None:
    if message.stream is None:
        return None
    if message.stream.state == Stream.State.CANCELLED:
        return refused("campaign", "stream_cancelled", "What it belongs to was stopped.")
    if message.stream.state == Stream.State.PAUSED:
        return Found("campaign", "What it belongs to is paused.", holds="stream_paused")
    return Found("campaign", "What it belongs to is running.")


def clinic(message: Message, evidence: Evidence) -> Found | None:
    """A clinic's own stop holds what programs send, not what its people write."""
    if message.clinic is None or not message.clinic.sending_paused or not is_automated(message):
        return None
    if message.lane == Lane.URGENT:
        return None
    return Found("clinic", "The clinic has stopped automatic messages.", holds="clinic_paused")


def patient(message: Message, evidence: Evidence) -> Found | None:
    """Whoever has just written is answered, whatever the record says about the patient."""
    person = message.patient
    if person is None or message.safety:
        return None
    if person.deceased:
        return refused("patient", "deceased", "The patient has died.")
    if person.merged_into_id is not None:
        return refused("patient", "merged", "The patient's record was merged into another.")
    if not person.active:
        return refused("patient", "inactive", "The patient is no longer active in the record.")
    if person.confidential and not _answers_same_number(message, evidence):
        return refused(
            "patient", "confidential", "The patient asked to be contacted only in the way they chose."
        )
    return Found("patient", "The patient is active.")


def _answers_same_number(message: Message, evidence: Evidence) -> bool:
    """A person's answer to the number the patient wrote from is the way the patient chose."""
    if is_automated(message):
        return False
    answered = message.reply_to
    return (answered is not None and answered.address == message.address) or message.address in evidence.heard


def recipient(message: Message, evidence: Evidence) -> Found | None:
    """The number belongs to the patient and works; staff numbers and answers have their own rule. Fails closed."""
    if not on_allow_list(message.address):
        return refused("number", "not_on_allow_list", "The number is not on the allow-list.")
    if message.safety:
        return _answering(message)
    if message.patient is None:
        return _on_call(message)
    point = message.contact_point
    if point is None or not message.address:
        return refused("number", "no_number", "The record has no number for texts.")
    if point.patient_id != message.patient_id or point.value != message.address:
        return refused("number", "number_changed", "The number no longer belongs to this patient.")
    if point.in_doubt and not is_automated(message):
        return Found("number", "The patient may want messages to stop; a person answers them.")
    return point_problem(point) or Found("number", "The number can be used.")


def _answering(message: Message) -> Found:
    answered = message.reply_to
    if answered is None or answered.address != message.address:
        return refused(
            "number", "answers_nobody", "An automatic answer must answer a message from the number."
        )
    return Found("number", "It answers the number that has just written.")


def _on_call(message: Message) -> Found:
    clinic_ = message.clinic
    known = (clinic_.on_call_number, clinic_.backup_number) if clinic_ else ()
    if message.lane == Lane.URGENT and message.address and message.address in known:
        return Found("number", "It is the clinic's own on-call number.")
    return refused("number", "unknown_number", "The number belongs to nobody we know.")


def on_allow_list(address: str) -> bool:
    listed: list[str] = settings.SEND_ALLOWLIST
    return not listed or any(address.startswith(prefix) for prefix in listed)


def point_problem(point: ContactPoint) -> Found | None:
    """Why a contact point cannot be used, or None."""
    if not point.value:
        return refused("number", "no_number", point.state_reason or "The number cannot be read.")
    if point.state == ContactPoint.State.OPTED_OUT:
        return refused("number", "opted_out", point.state_reason or "The patient opted out.")
    if point.state not in (ContactPoint.State.ACTIVE, ContactPoint.State.SUSPECT):
        reason = point.state_reason or ContactPoint.State(point.state).label
        return refused("number", "number_unusable", f"The number is not usable: {reason}"[:300])
    listed = bool(settings.SEND_ALLOWLIST) and on_allow_list(point.value)
    if not point.valid and not listed and settings.CARRIER != "simulator":
        return refused(
            "number", "number_invalid", point.state_reason or "No phone company has given out this number."
        )
    return None


def permitted(point: ContactPoint, channel: str) -> bool:
    field = CONSENT.get(channel)
    return bool(field) and getattr(point, str(field)) == ContactPoint.Permission.GRANTED


def consent(message: Message, evidence: Evidence) -> Found | None:
    """Consent as recorded, and the opt-out of the number, which covers everyone on it and binds staff too."""
    if message.patient is None and not message.safety:
        return None  # a member of staff
    point = message.contact_point if not message.safety else None
    given = getattr(point, CONSENT[message.channel]) if point else ""
    stopped = evidence.opted_out(message.address, message.channel, message.patient_id)
    if given == ContactPoint.Permission.REVOKED or stopped:
        return _despite_opt_out(message, evidence)
    if message.safety:
        return _once(message, evidence) or Found("consent", "The patient has just written.")
    if is_automated(message) and evidence.opted_out("", message.channel, message.patient_id):
        return refused(
            "consent", "opted_out", "The patient opted out on another number: a person must decide."
        )
    if given == ContactPoint.Permission.GRANTED:
        return Found("consent", "Consent is on record.")
    if not is_automated(message) and message.address in evidence.heard:
        return Found("consent", "The patient wrote within the last 24 hours; this answers them.")
    return refused("consent", "no_consent", "No consent for this number is on record.")


def _despite_opt_out(message: Message, evidence: Evidence) -> Found:
    """After an opt-out only one confirmation, and the crisis answer to a message just received."""
    if message.safety and purpose_of(message) in DESPITE_OPT_OUT:
        return _once(message, evidence) or Found("consent", "Opted out; this answer alone may still go.")
    return refused("consent", "opted_out", "The patient opted out.")


def _once(message: Message, evidence: Evidence) -> Found | None:
    """An answer that is late or has been given already."""
    purpose, answered = purpose_of(message), message.reply_to
    limit = ANSWER_WITHIN.get(purpose, REPLY_WITHIN)  # type: ignore[call-overload]
    if answered is None or evidence.now - answered.created_at > limit:
        return refused("consent", "answer_late", "It would come too late to answer the patient's message.")
    said = evidence.said.get(message.address, ())
    if purpose == Template.Purpose.STOPPED and any(s.purpose == purpose for s in said):
        return refused("consent", "answered_already", "The opt-out has been confirmed already.")
    return None


def capped(message: Message) -> bool:
    """Whether frequency counts: what programs send in bulk."""
    return message.lane == Lane.BULK and is_automated(message) and message.patient_id is not None


def frequency(message: Message, evidence: Evidence) -> Found | None:
    if not capped(message):
        return None
    touches = evidence.touched(message)
    for most, within, word in CAPS:
        until = _room(touches, most, within, evidence.now)
        if until is not None:
            found = f"{most} automatic message{'s' if most > 1 else ''} in {word} is the most."
            return Found("frequency", found, holds="frequency", until=until)
    return Found("frequency", "Fewer than one automatic message in 24 hours and three in 7 days.")


def gap_touches(message: Message, evidence: Evidence) -> Found | None:
    if not capped(message) or not message.about.startswith("caregap:"):
        return None
    touches = [t for t in evidence.touched(message) if t.about.startswith("caregap:")]
    same = [t for t in touches if t.about == message.about]
    if len(same) >= PER_GAP:
        found = f"{PER_GAP} messages about one care gap in {PER_GAP_DAYS} days is the most."
        return refused("care gap", "gap_cap", found)
    until = _room(touches, 1, BETWEEN_GAP_TOUCHES, evidence.now)
    if until is not None:
        return Found("care gap", "72 hours between messages about care gaps.", holds="gap_pause", until=until)
    return Found("care gap", f"{len(same)} of {PER_GAP} messages about this gap in {PER_GAP_DAYS} days.")


def _room(touches: list[Touch], most: int, within: timedelta, now: datetime) -> datetime | None:
    """When the next one may go, None: now."""
    if len(touches) < most:
        return None
    recent = sorted(t.at for t in touches if t.at > now - within)
    return recent[-most] + within if len(recent) >= most else None


def repetition(message: Message, evidence: Evidence) -> Found | None:
    """A loop's breaker: the same words to the same number again and again."""
    if message.lane != Lane.BULK or message.safety:
        return None
    same = sorted(s.at for s in evidence.said.get(message.address, ()) if s.body == message.body)
    if len(same) < SAME_BODY:
        return None
    until = same[-SAME_BODY] + timedelta(hours=24)
    return Found(
        "repetition", "The same text went to this number twice in 24 hours.", holds="repetition", until=until
    )


ALL: tuple[Callable[[Message, Evidence], Found | None], ...] = (
    body,
    channel,
    withdrawn,
    expiry,
    stream,
    patient,
    recipient,
    consent,
    clinic,
    not_before,
    gap_touches,
    frequency,
    repetition,
)


def place_of(message: Message, evidence: Evidence) -> Place | None:
    """Whose hours count; None when hours do not apply: answers the patient has just asked for, and staff's own phones."""
    if message.safety or message.patient is None:
        return None
    place = _place(message)
    return None if _answer_out_of_hours(message, evidence, place) else place


def _answer_out_of_hours(message: Message, evidence: Evidence, place: Place) -> bool:
    """A person's answer within 24 hours to somebody who wrote outside the hours."""
    if message.author_id is None or message.lane != Lane.STAFF:
        return False
    heard = evidence.heard.get(message.address)
    return heard is not None and evidence.now - heard <= REPLY_WITHIN and not is_open(place, heard)


def _place(message: Message) -> Place:
    person, clinic_ = message.patient, message.clinic
    state = (person.state if person else "") or (clinic_.state if clinic_ else "")
    sunday = bool(clinic_ and clinic_.sunday_sending)
    # A clinic narrows what its programs send, not what its people write.
    own = own_week(clinic_.sending_hours) if clinic_ and is_automated(message) else None
    home, of = (person.time_zone, person.state) if person else ("", "")
    found = zones_of(home, message.address, of)
    known = found or ((clinic_.time_zone,) if clinic_ else UNPLACED)
    return Place(known, state, sunday, not found, own, area_codes.state_of(message.address))


def zones_of(home: str, address: str, state: str = "") -> tuple[str, ...]:
    """The zones that must be open: the address's, or every one of its state's where it does not say which, and the
    number's where it says something else."""
    number = number_zones(address[:8]) if american(address) else phone.zones(address)
    if home in number:
        return (home,)
    return tuple(dict.fromkeys((*((home,) if home else zones.possible(state)), *number)))


def american(address: str) -> bool:
    return address.startswith("+1") and len(address) == 12


@lru_cache(maxsize=65536)
def number_zones(exchange: str) -> tuple[str, ...]:
    """The zones of an American exchange ("+1617555"): the last four digits never decide, and looking up is slow."""
    return phone.zones(f"{exchange}0100")


@lru_cache(maxsize=4096)  # many of a micro-batch share their hours
def local(moment: datetime, place: Place) -> str:
    return f"{moment.astimezone(ZoneInfo(place.zones[0])):%a %-d %b, %H:%M}"


def quiet(starts: datetime, place: Place) -> str:
    return f"Quiet hours: goes {local(starts, place)}."
