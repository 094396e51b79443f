"""Any order of claims, POSTs, crashes, callbacks, stops, clock ticks and reconciliations keeps the promise.

The product's own code runs against a carrier of twenty lines and a clock that the test moves. The judge is what that carrier
took: each message once at most, none after its patient's "stop", and in the end none that nobody knows of.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from unittest import mock

import pytest
from django.conf import settings
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engage.lib import clock
from engage.messaging import actions, outbox, reconcile
from engage.messaging.models import Lane, Message
from engage.messaging.outbox import Sender
from engage.messaging.status import RANK, apply_status
from engage.messaging.transports import Accepted, Doubt, NotAccepted, Refused
from engage.messaging.twilio import Listed
from engage.patients.actions import record_consent
from tests.base import CastTestCase

State = Message.State
STEPS = 50
EXAMPLES = 10 if connection.vendor == "postgresql" else 200  # × STEPS = 10,000 steps on SQLite
REAL, MONOTONIC = clock.machine_now, time.monotonic
ENDED = {State.DELIVERED, State.UNDELIVERED, State.FAILED, State.SUPPRESSED, State.EXPIRED}


@dataclass
class Taken:
    """One text as the carrier keeps it."""

    sid: str
    to: str
    body: str
    token: str
    at: datetime
    visible: datetime  # in its list


class FakeCarrier:
    """Does what the next outcome says: takes it or not, and answers or not."""

    def __init__(self):
        self.taken: list[Taken] = []
        self.outcome, self.lag = "taken", 0

    async def send(self, parcel):
        if self.outcome in ("taken", "taken, answer lost"):
            sid, now = f"SM{len(self.taken):032d}", clock.machine_now()
            shown = now + timedelta(seconds=self.lag)
            self.taken.append(Taken(sid, parcel.to, parcel.body, parcel.token, now, shown))
            return Accepted(sid) if self.outcome == "taken" else Doubt("lost")
        if self.outcome == "refused":
            return Refused("99999", "no")
        if self.outcome == "too many":
            return NotAccepted("slow down", "20429", 429, retry_after=1, slow=True)
        return NotAccepted("unreachable") if self.outcome == "unreachable" else Doubt("503", 503)

    async def close(self): ...

    def listed(self, to):
        now = clock.machine_now()
        return [
            Listed(t.sid, t.to, settings.TWILIO_FROM, "", t.body, t.at, "sent", "", inbound=False)
            for t in self.taken if t.to == to and t.visible <= now
        ]  # fmt: skip


class Delivery(RuleBasedStateMachine):
    people: list = []

    def __init__(self):
        super().__init__()
        self.savepoint = transaction.savepoint()
        self.ahead = 0.0
        self.patches = [
            mock.patch.object(clock, "machine_now", lambda: REAL() + timedelta(seconds=self.ahead)),
            mock.patch.object(time, "monotonic", lambda: MONOTONIC() + self.ahead),
        ]
        for patch in self.patches:
            patch.start()
        self.carrier, self.queued = FakeCarrier(), 0
        self.stopped: dict[str, int] = {}  # number → how many the carrier had taken for it by then
        self.ranks: dict[int, tuple[int, str]] = {}
        self.parcels, self.handed = [], []
        self.restart()

    def restart(self):
        self.sender = Sender()
        self.sender.look()

    # --- what may happen ---

    @rule(person=st.integers(0, 4))
    def queue(self, person):
        self.queued += 1
        body, key = f"Text number {self.queued}", f"m{self.queued}"
        actions.queue(body=body, key=key, patient=self.people[person], lane=Lane.STAFF)

    @rule()
    def claim(self):
        self.parcels += self.sender.claim().parcels

    @precondition(lambda self: self.parcels)
    @rule(
        outcome=st.sampled_from(
            ["taken"] * 4 + ["taken, answer lost", "refused", "too many", "unreachable", "503"]
        ),
        lag=st.sampled_from([0, 0, 30, 59]),
        which=st.integers(0, 100),
    )
    def post(self, outcome, lag, which):
        parcel = self.parcels.pop(which % len(self.parcels))
        self.carrier.outcome, self.carrier.lag = outcome, lag
        self.handed.append(self.hand_over(parcel))

    def hand_over(self, parcel):
        async def go():
            carriers = outbox.Carriers()
            carriers._open["sms"] = self.carrier

            async def refresh():
                pass

            return await outbox.hand_over([parcel], carriers, self.sender.stops, refresh)

        if self.sender.stops.stale():
            self.sender.look()
        return asyncio.run(go())

    @precondition(lambda self: self.handed)
    @rule()
    def record(self):
        handed, self.handed = self.handed, []
        self.sender.turn(handed, ())

    @rule(zombie=st.booleans())
    def crash(self, zombie):
        """The sender is gone, with what it knew; or it only slept, and its parcels will be tried by whoever wakes."""
        self.handed = []
        if not zombie:
            self.parcels = []
        self.restart()

    @precondition(lambda self: self.carrier.taken)
    @rule(
        which=st.integers(0, 100),
        word=st.sampled_from(["queued", "sent", "delivered", "undelivered", "failed"]),
    )
    def callback(self, which, word):
        taken = self.carrier.taken[which % len(self.carrier.taken)]
        code = "99999" if word in ("undelivered", "failed") else ""
        apply_status(taken.token, {"MessageSid": taken.sid, "MessageStatus": word, "ErrorCode": code})

    @rule(person=st.integers(0, 4))
    def stop(self, person):
        number = f"+1617555{1000 + person}"
        record_consent(address=number, channel="sms", decision="revoked", source="patient_text")
        actions.suppress_address(number, "sms", "The patient opted out.")
        self.sender.stops.read()  # a second later at most
        self.stopped.setdefault(number, sum(t.to == number for t in self.carrier.taken))

    @rule(seconds=st.sampled_from([1, 5, 20, 61, 130, 310]))
    def tick(self, seconds):
        self.ahead += seconds

    @rule(readable=st.sampled_from([True, True, True, False]))
    def reconcile(self, readable):
        self.settle(readable)

    def settle(self, readable=True):
        reconcile.expire_leases()
        doubts = reconcile.due()
        seen = {d.to: reconcile.Seen(self.carrier.listed(d.to) if readable else None) for d in doubts}
        reconcile.settle(doubts, seen)

    # --- what must hold ---

    @invariant()
    def each_is_taken_once_at_most(self):
        bodies = [t.body for t in self.carrier.taken]
        assert len(bodies) == len(set(bodies)), "sent twice"

    @invariant()
    def nothing_goes_after_a_stop(self):
        for number, by_then in self.stopped.items():
            assert sum(t.to == number for t in self.carrier.taken) == by_then, "sent after STOP"

    @invariant()
    def an_id_is_the_carriers_and_news_only_move_forward(self):
        known = {t.sid: t.body for t in self.carrier.taken}
        for pk, state, sid, body in Message.objects.values_list("pk", "state", "provider_sid", "body"):
            assert sid is None or known[sid] == body
            rank, was = RANK.get(state, 0), self.ranks.get(pk, (0, ""))
            assert rank >= was[0], f"went back from {was[1]} to {state}"
            assert was[0] < 3 or was[1] == state, "an end was taken back"
            self.ranks[pk] = (rank, state)

    def teardown(self):
        try:
            self.settles_in_the_end()
        finally:
            for patch in self.patches:
                patch.stop()
            transaction.savepoint_rollback(self.savepoint)

    def settles_in_the_end(self):
        """With a carrier that works, everything comes to an end or to a person, and what it took is known."""
        self.carrier.outcome, self.carrier.lag = "taken", 0
        self.sender.turn(self.handed, ())
        for _ in range(14):
            self.ahead += 310
            self.settle()
            batch = self.sender.claim()
            self.sender.turn([self.hand_over(p) for p in batch.parcels], ())
        for sleeper in self.parcels:  # a sender that slept through all of it wakes
            self.hand_over(sleeper)
        rows = {m.body: m for m in Message.objects.filter(direction="out")}
        assert len(rows) == self.queued
        open_states = {State.QUEUED, State.HELD, State.SENDING, State.IN_DOUBT}
        assert {m.body: m.state for m in rows.values() if m.state in open_states} == {}
        for taken in self.carrier.taken:
            row = rows[taken.body]
            assert row.provider_sid == taken.sid or row.state in (State.NEEDS_REVIEW, State.SUPPRESSED), (
                row.state
            )
        self.each_is_taken_once_at_most()
        self.nothing_goes_after_a_stop()


@pytest.mark.slow
class Machine(CastTestCase):
    def test_ten_thousand_steps_in_any_order(self):
        Delivery.people = [self.make_patient(f"P{n}", "Test", f"+1617555{1000 + n}") for n in range(5)]
        chosen = hypothesis_settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize=True, database=None,
            phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        run_state_machine_as_test(Delivery, settings=chosen)
