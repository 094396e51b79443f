"""What stops a message between its claim and its POST: a cache at most OPT_OUT_CACHE seconds old, read before each POST.

It can only stop, never allow: whatever it does not know, the gate has checked in the claim.
"""

import time

from django.conf import settings
from django.db.models import Max, Q

from engage.accounts.models import Clinic
from engage.messaging.models import Message, SendingStop, Stream
from engage.messaging.transports import Parcel
from engage.patients.models import Consent

OVERLAP = 1000  # ids read again: a lower id may be committed after a higher one


class Stops:
    """Opt-outs since the sender began, streams and clinics that do not run, messages withdrawn in flight."""

    def __init__(self) -> None:
        self.read_at = float("-inf")
        self.seen: int | None = None
        self.said: dict[
            tuple[str, str, int | None], tuple[int, bool]
        ] = {}  # (address, channel, patient or all)
        self.streams: set[int] = set()
        self.paused_streams: set[int] = set()
        self.stream_rates: dict[int, int] = {}  # messages a minute, of those that have a rate
        self.full_streams: set[int] = set()  # at their rate in this claim
        self.paused_clinics: set[int] = set()
        self.withdrawn: set[int] = set()
        self.everything = False  # an operator has stopped all sending

    def stale(self) -> bool:
        return time.monotonic() - self.read_at > settings.OPT_OUT_CACHE

    def read(self) -> None:
        """Five small queries."""
        asked = time.monotonic()
        self.everything = SendingStop.objects.filter(ended_at=None).exists()
        self._consents()
        special = Stream.objects.filter(~Q(state=Stream.State.ACTIVE) | Q(rate_per_minute__gt=0))
        rows = list(special.values_list("pk", "state", "rate_per_minute"))
        states = {pk: state for pk, state, _ in rows if state != Stream.State.ACTIVE}
        self.streams = set(states)
        self.stream_rates = {pk: rate for pk, _, rate in rows if rate and pk not in states}
        self.paused_streams = {pk for pk, state in states.items() if state == Stream.State.PAUSED}
        self.paused_clinics = set(Clinic.objects.filter(sending_paused=True).values_list("pk", flat=True))
        gone = Message.objects.filter(state=Message.State.SENDING).exclude(withdrawn="")
        self.withdrawn = set(gone.values_list("pk", flat=True))
        self.read_at = asked

    def _consents(self) -> None:
        # What was said before the first read is known to the gate, which runs in every claim after it.
        if self.seen is None:
            self.seen = Consent.objects.aggregate(last=Max("pk"))["last"] or 0
            return
        rows = Consent.objects.filter(pk__gt=self.seen - OVERLAP).exclude(
            source=Consent.Source.EHR, decision=Consent.Decision.GRANTED
        )
        for pk, address, channel, patient, decision in rows.order_by("pk").values_list(
            "pk", "address", "channel", "patient_id", "decision"
        ):
            self.said[address, channel, patient] = pk, decision == Consent.Decision.REVOKED
            self.seen = max(self.seen, pk)

    def why(self, parcel: Parcel) -> str:
        """Why this parcel must be given back, "" when nothing is known against it."""
        if self.stale():
            return "Nobody could say whether it may still go."
        if self.everything:
            return "All sending has just been stopped."
        if not parcel.safety and self._ended(parcel):
            return "The patient has just opted out."
        if parcel.stream_id in self.streams:
            return "What it belongs to has just been stopped."
        if parcel.automated and parcel.lane and parcel.clinic_id in self.paused_clinics:
            return "The clinic has just stopped automatic messages."
        return "It has just been withdrawn." if parcel.message_id in self.withdrawn else ""

    def _ended(self, parcel: Parcel) -> bool:
        """Whether the last word was to stop, as the gate has it; a number of staff gives no consent and ends none."""
        if parcel.patient_id is None:
            return False
        words = (self.said.get((parcel.to, parcel.channel, who)) for who in (None, parcel.patient_id))
        return max((word for word in words if word), default=(0, False))[1]
