"""The log: one JSON object a line, on disk before anybody is answered. It is the judge of "never twice, never lost"."""

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SYNC = getattr(os, "fdatasync", os.fsync)  # macOS has only the slower one
ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Journal:
    """Appends lines. Callers that arrive while the disk is busy share the next write (a group commit).

    An eager one hands every line to the system at once: safe against a kill, not against a power cut.
    """

    def __init__(self, path: Path, *, sync: bool = True, eager: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The texts in it are somebody's, even when that somebody is made up.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._sync = sync
        self._eager = eager
        self._lines: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._busy = False

    def note(self, event: str, **facts: Any) -> None:
        """Adds a line without waiting for the disk."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._lines.append(ENCODE({"event": event, "at": at, **facts}).encode() + b"\n")
        if self._eager:
            self.settle()
        else:
            self._start()

    async def write(self, event: str, **facts: Any) -> None:
        """Adds a line and returns when it is on disk."""
        self.note(event, **facts)
        await self.written()

    async def written(self) -> None:
        """Returns when every line so far is on disk."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._start()
        await done

    def _start(self) -> None:
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        lines, waiting = self._lines, self._waiting
        self._lines, self._waiting = [], []
        try:
            write_all(self._file, b"".join(lines))
        except OSError as error:  # a full disk: nobody is told that a message was accepted
            self._finish(waiting, error)
            return
        if not (self._sync and waiting):
            self._finish(waiting)
            return
        synced = asyncio.get_running_loop().run_in_executor(None, SYNC, self._file)
        synced.add_done_callback(lambda done: self._finish(waiting, done.exception()))

    def _finish(self, waiting: list["asyncio.Future[None]"], error: BaseException | None = None) -> None:
        for done in waiting:
            if done.done():
                continue
            if error:
                done.set_exception(error)
            else:
                done.set_result(None)
        self._busy = False
        if self._lines or self._waiting:
            self._start()

    def settle(self) -> None:
        """Writes what is waiting now; for a start or an end, when nobody else is served."""
        write_all(self._file, b"".join(self._lines))
        self._lines = []

    def close(self) -> None:
        self.settle()
        os.close(self._file)


def write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal; a last line cut short by a kill is passed over."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield json.loads(line)
