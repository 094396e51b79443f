"""One POST over a kept connection, tried once, for the sender's bulk.

A library's client costs as much as everything else a text needs (docs/decisions/0013), and decides for itself what to do
about a connection that has just closed. Here it is plain what was written: `Unreachable` means that no byte was, anything
else means that nothing is proven. The requests are the official SDK's own, byte for byte (tests/messaging/test_contract.py).
"""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlsplit

LONGEST_ANSWER = 1 << 20  # bytes; an answer about one text has about 900
END = b"\r\n\r\n"


class Unreachable(Exception):
    """No byte of the request was written: proven not taken."""


class Broken(Exception):
    """It was written, and no whole answer came."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Line(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.Future[Reply] | None = None
        self.heard = bytearray()
        self.ended = False
        self.kept_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.waiting is None:
            return self.close()  # nobody asked: whatever comes next could be taken for the wrong answer
        self.heard += data
        return self._look()

    def eof_received(self) -> None:
        self.ended = True
        if self.waiting is not None:
            self._look()

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self._fail(Broken("the connection was lost"))

    def _look(self) -> None:
        try:
            reply = parsed(self.heard, ended=self.ended)
        except ValueError as error:
            self._fail(Broken(f"the answer is not HTTP: {error}"))
            return self.close()
        if reply is not None and self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(reply)
        return None

    def _fail(self, error: Exception) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(error)

    def usable(self, longest_idle: float) -> bool:
        """Whether it may carry another request: open, and younger than the other side's patience."""
        there = self.transport is not None and not self.transport.is_closing() and not self.ended
        return there and monotonic() - self.kept_at < longest_idle

    def out_of_time(self) -> None:
        self._fail(TimeoutError())

    async def ask(self, request: bytes, seconds: float) -> Reply:
        """Writes a request and waits for its whole answer."""
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        self.waiting, self.heard = loop.create_future(), bytearray()
        timer = loop.call_later(seconds, self.out_of_time)
        answered = False
        try:
            self.transport.write(request)
            reply = await self.waiting
            answered = reply.headers.get("connection", "").lower() != "close"
            return reply
        finally:
            timer.cancel()
            self.waiting = None
            if not answered:
                self.close()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


def parsed(heard: bytearray, *, ended: bool) -> Reply | None:
    """The answer when it is whole, None while more must come; ValueError when it never will be one."""
    if len(heard) > LONGEST_ANSWER:
        raise ValueError("it is too long")
    split = heard.find(END)
    if split < 0:
        _more_to_come(ended)
        return None
    first, *lines = bytes(heard[:split]).decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("no status line")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    status = int(rest[:3])
    if status < 200:
        raise ValueError("a status nobody asked for")
    body = _body(memoryview(heard)[split + len(END) :].tobytes(), status, headers, ended)
    return None if body is None else Reply(status, headers, body)


def _more_to_come(ended: bool) -> None:
    if ended:
        raise ValueError("it ended too soon")


def _body(data: bytes, status: int, headers: dict[str, str], ended: bool) -> bytes | None:
    if status in (204, 304):
        return b""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        whole = _joined(data)
    elif (length := headers.get("content-length")) is not None:
        if not length.isdigit():
            raise ValueError("no length")
        whole = data[: int(length)] if len(data) >= int(length) else None
    else:
        whole = data if ended else None
    if whole is None:
        _more_to_come(ended)
    return whole


def _joined(data: bytes) -> bytes | None:
    """Chunks put together; None while the last is missing."""
    parts: list[bytes] = []
    at = 0
    while (line := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line].split(b";")[0], 16)
        start = line + 2
        if size == 0:
            return b"".join(parts) if data.endswith(b"\r\n\r\n", at) else None
        if len(data) < start + size + 2:
            return None
        parts.append(data[start : start + size])
        at = start + size + 2
    return None


class Wire:
    """Connections to one server, kept between requests; belongs to one event loop."""

    def __init__(self, base: str, headers: dict[str, str], *, seconds: float, keep: float) -> None:
        parts = urlsplit(base)
        self.host, self.prefix = parts.hostname or "", parts.path.rstrip("/")
        self.secure = parts.scheme == "https"
        self.port = parts.port or (443 if self.secure else 80)
        self.seconds, self.keep = seconds, keep
        self.context = ssl.create_default_context() if self.secure else None
        named = {"Host": parts.netloc.rpartition("@")[2], **headers}
        self.head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self.idle: deque[Line] = deque()

    async def post(self, path: str, form: str) -> Reply:
        """One request. Raises Unreachable, or Broken or TimeoutError when nothing is proven."""
        began = monotonic()
        line = self._kept() or await self._opened()
        request = (
            f"POST {self.prefix}{path} HTTP/1.1\r\n{self.head}Content-Length: {len(form)}\r\n\r\n{form}"
        ).encode("ascii")
        reply = await line.ask(request, max(0.001, self.seconds - (monotonic() - began)))
        line.kept_at = monotonic()
        self.idle.append(line)
        return reply

    def _kept(self) -> Line | None:
        while self.idle:
            line = self.idle.pop()  # the one used last: the others may grow old and be let go
            if line.usable(self.keep):
                return line
            line.close()
        return None

    async def _opened(self) -> Line:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.seconds / 2):
                _, line = await loop.create_connection(Line, self.host, self.port, ssl=self.context)
        except (OSError, TimeoutError) as error:  # ssl's errors are OSErrors too
            raise Unreachable(type(error).__name__) from error
        return line

    async def close(self) -> None:
        while self.idle:
            self.idle.pop().close()
