"""Stops a sender whose carrier fails, probes it, and slows down when the carrier asks for it.

closed → open (5 failures in a row, or more than half of 20) → half_open (one probe) → closed;
locked: our own set-up is at fault, until an operator starts the sender again. Machine time throughout.
"""

import logging
import time
from collections import deque
from datetime import datetime, timedelta

from django.conf import settings

from engage.lib import clock
from engage.messaging.models import Breaker
from engage.messaging.transports import Accepted, Answer, Doubt, NotAccepted, NotAttempted, Refused
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome, Reason, Task

log = logging.getLogger(__name__)
IN_A_ROW, WINDOW = 5, 20
LOCKED_ABOUT = "carrier:locked"  # the task's key
State = Breaker.State


def row_of(sender: str) -> Breaker:
    return Breaker.objects.get_or_create(sender=sender)[0]


def change(sender: str, state: str, reason: str = "", until: datetime | None = None) -> None:
    """Writes a state for every process that shares the sender."""
    row_of(sender)
    Breaker.objects.filter(sender=sender).update(
        state=state, reason=reason[:200], until=until, changed_at=clock.machine_now()
    )
    log.warning("breaker %s%s", state, f": {reason}" if reason else "")


def lock(sender: str, reason: str) -> None:
    """Our own set-up is at fault: nothing goes, nothing fails, every page says so, and supervisors have a task."""
    change(sender, State.LOCKED, reason)
    worklist.open_task(
        reason=Reason.OTHER,
        summary=f"Sending has stopped: {reason} Mend it, then try one message on the delivery page.",
        about=LOCKED_ABOUT,
        due_at=clock.now() + timedelta(hours=1),
        clinic=None,
        queue=Task.Queue.SUPERVISORS,
        priority=Task.Priority.URGENT,
        opened_by="delivery",
        link="/delivery/",
    )


def unlock(sender: str) -> None:
    """An operator has seen to it: one probe decides."""
    worklist.close_about(LOCKED_ABOUT, Outcome.BY_SYSTEM, "An operator let the sender try again.")
    Breaker.objects.filter(sender=sender, state=State.LOCKED).update(
        state=State.OPEN, until=clock.machine_now(), changed_at=clock.machine_now()
    )


class Guard:
    """One process's view of a sender. `load` and `note` touch the database; `room` does not."""

    def __init__(self, sender: str) -> None:
        self.sender = sender
        self.state: str = State.CLOSED
        self.until: datetime | None = None
        self.recent: deque[bool] = deque(maxlen=WINDOW)
        self.in_a_row = 0
        self.probing = False
        self.pace = Pace()

    def load(self) -> None:
        """Takes over what other processes have found."""
        row = Breaker.objects.filter(sender=self.sender).first()
        self.state, self.until = (row.state, row.until) if row else (State.CLOSED, None)

    def room(self, most: int) -> int:
        """How many may be claimed now."""
        if self.state == State.LOCKED:
            return 0
        if self.state == State.CLOSED:
            return self.pace.room(most)
        left = (self.until - clock.machine_now()).total_seconds() if self.until is not None else 0.0
        # More than it can ever be left: the clock has been put back.
        if self.probing or 0 < left <= settings.BREAKER_OPEN:
            return 0
        return 1

    def claimed(self, count: int) -> None:
        self.pace.take(count)
        self.probing = self.state != State.CLOSED and count > 0
        if self.probing:
            change(self.sender, State.HALF_OPEN, "Trying one message.", self.until)

    def note(self, answers: list[Answer]) -> None:
        """Learns from the answers of one micro-batch."""
        self.probing = False
        for answer in answers:
            if isinstance(answer, NotAccepted) and answer.slow:
                self.pace.slow(answer.retry_after)
            elif isinstance(answer, NotAccepted) and answer.lock:
                return self._lock(answer.lock)
            elif not isinstance(answer, NotAttempted):
                self._count(failed=isinstance(answer, Doubt | NotAccepted))
        self._judge([a for a in answers if isinstance(a, Accepted | Refused)])
        return None

    def _count(self, *, failed: bool) -> None:
        self.recent.append(failed)
        self.in_a_row = self.in_a_row + 1 if failed else 0

    def _lock(self, reason: str) -> None:
        self.state = State.LOCKED
        lock(self.sender, reason)

    def _judge(self, good: list[Answer]) -> None:
        if self.state == State.LOCKED:
            return
        mostly = len(self.recent) == WINDOW and sum(self.recent) > WINDOW / 2
        if self.in_a_row >= IN_A_ROW or mostly or (self.state != State.CLOSED and self.in_a_row):
            self._open()
        elif self.state != State.CLOSED and good:
            self.state, self.until = State.CLOSED, None
            self.recent.clear()
            change(self.sender, State.CLOSED)

    def _open(self) -> None:
        self.state = State.OPEN
        self.until = clock.machine_now() + timedelta(seconds=settings.BREAKER_OPEN)
        self.recent.clear()
        change(self.sender, State.OPEN, "The carrier does not answer.", self.until)


class Pace:
    """Messages a second, halved by each "too many requests" and grown back within a minute; no limit at first."""

    GROWTH, FREE_AFTER = 1.1, 60.0

    def __init__(self) -> None:
        self.rate: float | None = None
        self.tokens = 0.0
        self.at = time.monotonic()
        self.silent_until = 0.0
        self.slowed_at = 0.0
        self.taken: deque[tuple[float, int]] = deque()

    def room(self, most: int) -> int:
        now = time.monotonic()
        if now < self.silent_until:
            return 0
        self._refill(now)
        return most if self.rate is None else min(most, int(self.tokens))

    def _refill(self, now: float) -> None:
        if self.rate is None:
            return
        passed, self.at = now - self.at, now
        self.rate *= self.GROWTH ** min(passed, 10)
        self.tokens = min(self.tokens + self.rate * passed, max(1.0, self.rate))
        if now - self.slowed_at > self.FREE_AFTER:
            self.rate = None

    def take(self, count: int) -> None:
        now = time.monotonic()
        self.tokens -= count
        self.taken.append((now, count))
        while self.taken and now - self.taken[0][0] > 1:
            self.taken.popleft()

    def slow(self, retry_after: float | None) -> None:
        """Halves once per second at most: one burst of refusals is one message from the carrier."""
        now = time.monotonic()
        self.silent_until = max(self.silent_until, now + (retry_after or 1.0))
        if now - self.slowed_at < 1:
            return
        current = self.rate or max(2.0, float(sum(n for _, n in self.taken)))
        self.rate, self.slowed_at = max(1.0, current / 2), now
        self.tokens, self.at = 0.0, self.silent_until
