"""The long-lived sender: claims, hands over and records in a pipeline, keeps the heartbeat, reconciles, ends gently.

All database work runs in one thread of its own, all requests in the event loop. A few micro-batches are under way at
once; one place is kept for urgent and staff messages, so that a slow carrier's bulk never fills them all.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from engage.lib import clock
from engage.messaging import breaker, generation, health, outbox, pace, twilio, waiting
from engage.messaging import reconcile as doubt
from engage.messaging.models import Message
from engage.messaging.outbox import ALL_LANES, FIRST_LANES, Batch, Carriers, Handed, Sender

log = logging.getLogger(__name__)
GONE = (OperationalError, InterfaceError)  # the database is away or busy: wait, and connect anew
P = ParamSpec("P")
T = TypeVar("T")
AT_ONCE, KEPT_FREE = 6, 1  # micro-batches under way; places only for urgent and staff messages
POLL = 0.25  # seconds between looks into an idle outbox
DRAIN_SECONDS = 30  # after SIGTERM


class Delivery:
    """One run of the sender. `stop()` ends it after what is under way; `drain` ends it when nothing is due."""

    def __init__(self, *, drain: bool = False, settle: bool = False) -> None:
        self.drain, self.settle = drain, settle
        self.sender = Sender()
        self.carriers = Carriers()
        self.under_way: set[asyncio.Task[None]] = set()
        self.handed: list[Handed] = []  # micro-batches that came back and are not written down yet
        self.stopping = asyncio.Event()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self.refreshing: asyncio.Task[None] | None = None
        self.paused = False

    def stop(self) -> None:
        self.stopping.set()

    async def db(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, lambda: act(*args, **kwargs))

    async def run(self) -> None:
        """Until stopped (or drained)."""
        await self._begin()
        chores = asyncio.create_task(self._chores())
        try:
            await self._loop()
        finally:
            chores.cancel()
            await asyncio.gather(chores, return_exceptions=True)
            await self._end()

    async def _begin(self) -> None:
        """Started before the database is (both after a power cut), it waits; a drain says at once that it cannot."""
        while not self.stopping.is_set():
            try:
                await self.db(self._look_around)
                return
            except GONE as error:
                if self.drain:
                    raise
                log.warning("not begun: the database is away (%s)", type(error).__name__)
                await self.db(_disconnect)
                await self._idle(1)

    def _look_around(self) -> None:
        breaker.unlock(twilio.sender())  # an operator has started us again: one probe decides
        self._beat()
        self.sender.look()

    def _beat(self) -> None:
        self.paused = not generation.advance()
        if self.paused:
            log.error(generation.RESTORED)
        health.beat("deliver", pid=os.getpid(), host=socket.gethostname(), sent=self.sender.sent)

    async def _loop(self) -> None:
        while not self.stopping.is_set():
            batch = await self._turn()
            if batch.parcels:
                self._start(batch)
            elif batch.judged or self.handed:
                continue  # rows were held or suppressed: there may be more behind them
            elif self.under_way:
                await self._wait(POLL)
            elif await self._finished():
                return
            else:
                await self._idle(POLL)

    async def _turn(self) -> Batch:
        """Writes down what came back, and claims while there is room."""
        free = AT_ONCE - len(self.under_way)
        lanes = () if self.paused or free <= 0 else ALL_LANES if free > KEPT_FREE else FIRST_LANES
        handed, self.handed = self.handed, []
        if not lanes and not handed:
            return Batch()
        try:
            return await self.db(self.sender.turn, handed, lanes)
        except GONE as error:
            log.warning("the outbox could not be read (%s)", type(error).__name__)
            await self.db(_disconnect)
            await asyncio.sleep(1)
            return Batch()

    def _start(self, batch: Batch) -> None:
        task = asyncio.create_task(self._deliver(batch))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def _deliver(self, batch: Batch) -> None:
        try:
            answers = await outbox.hand_over(batch.parcels, self.carriers, self.sender.stops, self._refresh)
            self.handed.append(answers)
        except Exception:
            # Their leases run out and they are reconciled; the sender goes on.
            log.exception("a micro-batch of %s could not be finished", len(batch.parcels))

    async def _refresh(self) -> None:
        """Many parcels ask at once; one of them reads."""
        if self.refreshing is None or self.refreshing.done():
            self.refreshing = asyncio.create_task(self.db(self.sender.look))
        await asyncio.gather(asyncio.shield(self.refreshing), return_exceptions=True)

    async def _wait(self, seconds: float) -> None:
        await asyncio.wait(self.under_way, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    async def _idle(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    async def _finished(self) -> bool:
        """Whether a drain has nothing left to do."""
        if not self.drain or self.paused:
            return self.drain
        return not await self.db(self._more_to_do)

    def _more_to_do(self) -> bool:
        """Rows given back a moment ago or waiting for their turn at a rate; and, when settling, rows in doubt and what was
        proven not taken just now."""
        soon = clock.machine_now() + timedelta(seconds=1)
        queued = Message.objects.filter(state=Message.State.QUEUED)
        if queued.filter(retry_at__range=(clock.machine_now(), soon)).exists():
            return True
        if self._waits_for_rate():
            return True
        if not self.settle:
            return False
        states = (Message.State.SENDING, Message.State.IN_DOUBT)
        if Message.objects.filter(state__in=states).exists():
            return True
        return self._anything_due()

    def _waits_for_rate(self) -> bool:
        stops = self.sender.stops
        return pace.soon(twilio.sender(), stops.stream_rates) and self._anything_due(within_allowance=False)

    def _anything_due(self, *, within_allowance: bool = True) -> bool:
        """Whether the next claim would take a row (or would, but for the allowance): what a stop or a full day keeps
        back must not keep a drain from ending."""
        stops = self.sender.stops
        if stops.everything or not settings.SENDING_ENABLED or not self.sender.guard.room(1):
            return False
        with transaction.atomic():
            allowance = pace.hold(twilio.sender(), stops.stream_rates)
            stops.full_streams = allowance.full_streams() if within_allowance else set()
            rows = waiting.due(ALL_LANES, stops, outbox.BATCH)
        return bool(allowance.fit(rows) if within_allowance else rows)

    async def _chores(self) -> None:
        """The heartbeat, the caches and the reconciliation, each in its own time."""
        beat_every, swept = settings.HEARTBEAT_LATE / 12, time.monotonic()
        beaten = time.monotonic()
        while True:
            await asyncio.sleep(min(1.0, beat_every, settings.SWEEP_EVERY))
            try:
                if time.monotonic() - beaten >= beat_every:
                    beaten = time.monotonic()
                    await self.db(self._beat)
                if time.monotonic() - swept >= settings.SWEEP_EVERY:
                    swept = time.monotonic()
                    await self._reconcile()
            except GONE as error:
                log.warning("a chore must wait: %s", type(error).__name__)
                await self.db(_disconnect)
            except Exception:
                log.exception("a chore failed")

    async def _reconcile(self) -> None:
        if not self.drain or self.settle:
            doubts = await self.db(self._doubts)
            if doubts:
                provider = twilio.Provider()
                try:
                    seen = await doubt.look(doubts, provider)
                finally:
                    await provider.close()
                for chunk in doubt.chunks(doubts):
                    log.info("reconciled: %s", await self.db(doubt.settle, chunk, seen))

    @staticmethod
    def _doubts() -> list[doubt.Doubtful]:
        doubt.expire_leases()
        doubt.settle_parked()
        return doubt.due()

    async def _end(self) -> None:
        """What is under way may finish; what has not begun by then, or cannot be written down, is left to its lease."""
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=DRAIN_SECONDS - 2)
        for task in list(self.under_way):
            task.cancel()
        try:
            await self.db(self.sender.turn, self.handed, ())
        except GONE as error:
            log.warning(
                "ended with %s micro-batches not written down (%s)", len(self.handed), type(error).__name__
            )
        await self.carriers.close()
        await self.db(_disconnect)
        self.thread.shutdown(wait=True)


def _disconnect() -> None:
    """In the thread that calls it: `connection` is another object in each."""
    connection.close()


def run(*, drain: bool = False, settle: bool = False) -> Sender:
    """Delivers in this process until SIGTERM or SIGINT, or until the drain is done."""
    import signal

    import uvloop

    async def main() -> Sender:
        delivery = Delivery(drain=drain, settle=settle)
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, delivery.stop)
        await delivery.run()
        return delivery.sender

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())
