"""What is to happen later: one heap instead of a task per message, and a few hands for what waits on a network."""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

Act = Callable[[], None]
Call = Callable[[], Awaitable[None]]


class Agenda:
    """Acts at their time, in order; calls are handed to `hands` workers so that a slow webhook delays no status."""

    def __init__(self, hands: int = 50) -> None:
        self._heap: list[tuple[float, int, Act]] = []
        self._order = itertools.count()
        self._news = asyncio.Event()
        self._calls: asyncio.Queue[Call] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._keep_time())]
        self._tasks += [asyncio.create_task(self._work()) for _ in range(hands)]

    def later(self, seconds: float, act: Act) -> None:
        """Runs `act` after so many seconds."""
        due = asyncio.get_running_loop().time() + seconds
        heapq.heappush(self._heap, (due, next(self._order), act))
        if self._heap[0][0] == due:
            self._news.set()

    def call(self, call: Call) -> None:
        """Awaits `call` as soon as a hand is free."""
        self._calls.put_nowait(call)

    def clear(self) -> None:
        self._heap.clear()
        while not self._calls.empty():
            self._calls.get_nowait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_time(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            wait = self._heap[0][0] - loop.time() if self._heap else None
            if wait is not None and wait <= 0:
                for _ in range(200):  # then let the requests have their turn
                    if not self._heap or self._heap[0][0] > loop.time():
                        break
                    heapq.heappop(self._heap)[2]()
                await asyncio.sleep(0)
                continue
            try:
                await asyncio.wait_for(self._news.wait(), wait)
            except TimeoutError:
                continue

    async def _work(self) -> None:
        while True:
            call = await self._calls.get()
            try:
                await call()
            except Exception:  # one callback that broke must not take its hand with it
                log.exception("a call of the agenda broke")
