"""A generator that runs in a process of its own: what it yields is read here, and it goes on when it is told to.

By `fork`, so that a worker that may have no children by `multiprocessing` (django-q2's) can use it too. Close every
connection before: two processes cannot share one.
"""

import gc
import os
import pickle
import signal
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self


class Ended(RuntimeError):
    """The process ended without a word."""


class Forked:
    """Begins at once, up to the first yield. A context manager: the process does not outlive it.

    The process of one whose own parent was killed ends at its next yield.
    """

    def __init__(self, steps: Iterator[Any]) -> None:
        self.pipe, theirs = Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.pipe.close()
            run(steps, theirs)
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pipe.close()
        if kind is not None:
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def result(self) -> Any:
        """What it yields next. Raises what it raised, or Ended."""
        try:
            found, error = self.pipe.recv()
        except EOFError:
            raise Ended("A process that took part ended without a word.") from None
        if error is not None:
            raise error
        return found

    def resume(self) -> None:
        """Lets it go on after a yield; does not wait."""
        self.pipe.send(None)


def run(steps: Iterator[Any], pipe: Connection) -> None:
    """The forked process: it never comes back."""
    gc.disable()  # it ends soon, and going through a million rows again and again takes a twentieth of its time
    try:
        for found in steps:
            pipe.send((found, None))
            pipe.recv()
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        pass  # whoever asked is gone
    except BaseException as error:
        pipe.send((None, sendable(error)))
    finally:
        os._exit(0)


def sendable(error: BaseException) -> BaseException:
    """Itself, or what it says when it cannot be put together again on the other side."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class Inline:
    """The same without a process of its own: it goes on when its result is asked for."""

    def __init__(self, steps: Iterator[Any]) -> None:
        self.steps = steps

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def result(self) -> Any:
        return next(self.steps)

    def resume(self) -> None:
        pass
