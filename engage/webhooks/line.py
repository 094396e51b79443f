"""One webhook after the other where the database has one writer, and one commit for all who wait.

SQLite lets whoever finds it busy sleep and ask again: in a flood some are passed by until the carrier has given up on them.
So webhooks stand in line. Whoever is first takes along those who wait behind it in its process: each is kept by itself or
not, all are committed together, and nobody is answered before. The system's lock lets no process be passed by.
"""

import fcntl
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse

log = logging.getLogger(__name__)


class Spoilt(Exception):
    """One of those in a transaction has spoilt it for all."""


class Turn:
    """One webhook in line. `act` keeps it in a transaction of its own, or in a savepoint of one that is open."""

    def __init__(self, act: Callable[[], HttpResponse]) -> None:
        self.act = act
        self.answer: HttpResponse | None = None
        self.error: BaseException | None = None
        self.called = Event()  # it is done, or its turn to lead

    @property
    def done(self) -> bool:
        return self.answer is not None or self.error is not None

    def take(self) -> None:
        self.answer = self.error = None
        try:
            self.answer = self.act()
        except Exception as error:
            self.error = error

    def result(self) -> HttpResponse:
        if self.answer is None:
            raise self.error or RuntimeError("Nobody has taken this turn.")
        return self.answer


def take_all(turns: Sequence[Turn]) -> None:
    """Takes them in order, each kept or not by itself, and commits once; each with a commit of its own when that fails."""
    if len(turns) > 1:
        try:
            with transaction.atomic():
                for turn in turns:
                    turn.take()
                if connection.needs_rollback:
                    raise Spoilt
            return
        except Exception as error:
            log.warning("%s webhooks are taken one by one (%s)", len(turns), type(error).__name__)
    for turn in turns:
        turn.take()


class Line:
    """The webhooks that wait in this process."""

    def __init__(self) -> None:
        self.guard = Lock()
        self.waiting: list[Turn] = []
        self.led = False

    def stand(self, turn: Turn) -> None:
        """Returns when the turn has been taken, by this thread or another."""
        with self.guard:
            self.waiting.append(turn)
            leads, self.led = not self.led, True
        if not leads:
            turn.called.wait()
        if not turn.done:
            self.lead()

    def lead(self) -> None:
        turns: list[Turn] = []
        try:
            with _first_of_all_processes():
                turns = self.taken()
                take_all(turns)
        except BaseException as error:  # whatever it was: what may not be committed is not answered as kept
            turns = turns or self.taken()
            for turn in turns:
                turn.answer, turn.error = None, error
        finally:
            with self.guard:
                heirs = self.waiting[:1]
                self.led = bool(heirs)
            for turn in (*turns, *heirs):
                turn.called.set()

    def taken(self) -> list[Turn]:
        with self.guard:
            turns, self.waiting = self.waiting, []
        return turns


@contextmanager
def _first_of_all_processes() -> Iterator[None]:
    with (Path(settings.VAR_DIR) / "webhooks.lock").open("w") as line:
        fcntl.flock(line, fcntl.LOCK_EX)
        yield


LINE = Line()


def has_line() -> bool:
    """Whether the database has one writer."""
    return connection.vendor == "sqlite"


def in_line(act: Callable[[], HttpResponse]) -> HttpResponse:
    """What `act` gives, committed; raises what it raises. At once where the database has many writers."""
    if not has_line():
        return act()
    turn = Turn(act)
    LINE.stand(turn)
    return turn.result()
