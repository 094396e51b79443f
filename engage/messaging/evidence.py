"""What the gate must know beyond the message itself, read for a whole micro-batch in a fixed number of queries."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from engage.messaging.locks import LOCKS
from engage.messaging.models import Message
from engage.messaging.rows import Row, Statement, among, ask_all, moment, several, stored
from engage.patients import reach
from engage.patients.models import Channel, Consent

AGAIN = ":again"  # ends the key of a second try
LOOK_BACK = timedelta(days=90)  # the longest of the gate's memories
IN_FLIGHT = (Message.State.SENDING, Message.State.IN_DOUBT, Message.State.NEEDS_REVIEW)
REACHED = (Message.State.ACCEPTED, Message.State.SENT, Message.State.DELIVERED, Message.State.UNDELIVERED)
OTHERS = tuple(state for state in Message.State if state not in (*IN_FLIGHT, *REACHED))


def listed(states: Iterable[str]) -> str:
    return ", ".join(repr(str(state)) for state in states)


# What has gone out since a moment, or may be about to. Said by what it is not: PostgreSQL would otherwise read every row
# that ever went out from the index of states, when it knows little of the table.
COUNTED = (
    f"m.state NOT IN ({listed(OTHERS)}) AND (m.accepted_at > %s OR m.state IN ({listed(IN_FLIGHT)}))"
    f" AND m.error_code NOT IN ({listed(LOCKS)})"
)
# A phone in a record is a permission, but never takes back what the number's owner has said.
CONSENTS = (
    "SELECT address, channel, patient_id, decision, id FROM patients_consent"
    " WHERE address {one} AND NOT (source = %s AND decision = %s)"
    # Whoever may have stopped on any number of theirs, and records merged into theirs: few, who are then asked about.
    " UNION ALL SELECT '', 'stopped', patient_id, '', 0 FROM patients_contactpoint"
    " WHERE patient_id {other} AND sms_consent = 'revoked'"
    " UNION ALL SELECT '', 'merged', merged_into_id, '', id FROM patients_patient WHERE merged_into_id {other}"
    " ORDER BY id"
)
ON_RECORD = (str(Consent.Source.EHR), str(Consent.Decision.GRANTED))
CONVERSATIONS = (
    "SELECT m.id, m.address, m.direction, m.body, m.created_at, m.accepted_at, t.purpose"  # noqa: S608
    " FROM messaging_message m LEFT JOIN messaging_template t ON t.id = m.template_id"
    f" WHERE m.address {{among}} AND (m.direction = 'in' AND m.created_at > %s OR {COUNTED})"
)
# A campaign's text counts too when a person has sent it again. "+": SQLite, which knows nothing of how many rows have no
# author, must not look for them first.
AUTOMATIC = (
    "m.direction = 'out' AND NOT m.safety AND (+m.author_id IS NULL OR +m.stream_id IS NOT NULL)"
    f" AND ({COUNTED})"
)
TOUCHES = (
    "SELECT m.id, m.patient_id, m.about, m.accepted_at, m.key FROM messaging_message m"  # noqa: S608
    f" WHERE m.patient_id {{among}} AND {AUTOMATIC}"
)


class Touch(NamedTuple):
    """One automated contact with a patient: what it was about, and when (business time)."""

    about: str
    at: datetime
    key: str


class Said(NamedTuple):
    """One text that went to a number in the last 24 hours, for whichever patient."""

    body: str
    at: datetime
    purpose: str  # of its template, "" without one


@dataclass
class Evidence:
    """Facts for the messages it was read for; `admit` adds what the same batch sends, so that it counts too."""

    now: datetime
    # What was said about numbers; of "" by patients who ended texts on any number of their own.
    revoked: dict[tuple[str, str], list[tuple[int | None, str]]] = field(default_factory=dict)
    touches: dict[int, list[Touch]] = field(default_factory=lambda: defaultdict(list))
    said: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    heard: dict[str, datetime] = field(default_factory=dict)  # address → last message from it in 24 hours

    def opted_out(self, address: str, channel: str, patient_id: int | None) -> bool:
        """Whether the last word on the number, by anyone or by this patient, was to stop."""
        words = [d for who, d in self.revoked.get((address, channel), ()) if who in (None, patient_id)]
        return bool(words) and words[-1] == Consent.Decision.REVOKED

    def touched(self, message: Message) -> list[Touch]:
        """The automated contacts with its patient, but for the one that failed and of which it is the second try."""
        touches = self.touches.get(message.patient_id or 0, [])
        if not message.key.endswith(AGAIN):
            return touches
        return [t for t in touches if key_again(t.key) != message.key]

    def admit(self, message: Message) -> None:
        """Counts a message that is about to go."""
        if message.patient_id and (is_automated(message) or message.stream_id):
            self.touches[message.patient_id].append(Touch(message.about, self.now, message.key))
        self.said[message.address].append(Said(message.body, self.now, purpose_of(message)))


def is_automated(message: Message) -> bool:
    """Sent by a program on its own account: not by a person, and not in answer to somebody."""
    return message.author_id is None and not message.safety


def key_again(key: str) -> str:
    """The key of the same words once more, after a failure."""
    return f"{key[:110]}{AGAIN}"


def purpose_of(message: Message) -> str:
    return message.template.purpose if message.template else ""


def gather(messages: Sequence[Message], now: datetime) -> Evidence:
    """Three queries, sent together, whatever the number of messages; one more each where somebody has ended texts on a
    number, or has had another record."""
    found = Evidence(now)
    own = {m.pk for m in messages if m.pk}
    addresses = several({m.address for m in messages if m.address})
    patients = several({m.patient_id for m in messages if m.patient_id})
    day, long_ago = stored(now - timedelta(hours=24)), stored(now - LOOK_BACK)
    consents, conversations, touches = ask_all(
        [
            Statement(
                CONSENTS.format(one=among("text"), other=among()), [addresses, *ON_RECORD, patients, patients]
            ),
            Statement(CONVERSATIONS.format(among=among("text")), [addresses, day, day]),
            Statement(TOUCHES.format(among=among()), [patients, long_ago]),
        ]
    )
    _consents(found, consents)
    _conversations(found, conversations, own)
    _touches(found, touches, own)
    if merged := {pk: patient for _, what, patient, _, pk in consents if what == "merged"}:
        (more,) = ask_all([Statement(TOUCHES.format(among=among()), [several(merged), long_ago])])
        _touches(found, [(pk, merged[patient], *rest) for pk, patient, *rest in more], own)
    return found


def _consents(found: Evidence, rows: Iterable[Row]) -> None:
    perhaps = set()
    for address, channel, patient, decision, _ in rows:
        if address:
            found.revoked.setdefault((address, channel), []).append((patient, decision))
        elif channel == "stopped":
            perhaps.add(patient)
    if perhaps:
        stopped = reach.stopped().filter(patient__in=perhaps).values_list("patient_id", flat=True)
        found.revoked["", str(Channel.SMS)] = [
            (patient, Consent.Decision.REVOKED) for patient in set(stopped)
        ]


def _conversations(found: Evidence, rows: Iterable[Row], own: set[int]) -> None:
    for pk, address, direction, body, created, accepted, purpose in rows:
        if direction == Message.Direction.IN:
            heard = moment(created) or found.now
            found.heard[address] = max(heard, found.heard.get(address, heard))
        elif pk not in own:
            found.said[address].append(Said(body, moment(accepted) or found.now, purpose or ""))


def _touches(found: Evidence, rows: Iterable[Row], own: set[int]) -> None:
    for pk, patient, about, accepted, key in rows:
        if pk not in own:
            found.touches[patient].append(Touch(about, moment(accepted) or found.now, key))
