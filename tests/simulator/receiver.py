"""A clinic's webhook that remembers what it was told and answers as a test wants."""

import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl


@dataclass
class Told:
    path: str
    form: dict[str, str]
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)


class Receiver:
    """`answers` are (status, body, seconds of delay), the last one for ever.

    Each test has addresses of its own, so that what is still under way when one ends is not heard by the next.
    """

    def __init__(self) -> None:
        outer, self.turn = self, 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                turn, path = outer.split(self.path)
                told = Told(path, dict(parse_qsl(body, keep_blank_values=True)), dict(self.headers))
                status, text, delay = outer.take(told, turn)
                time.sleep(delay)
                data = text.encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.turn += 1
            self.told: list[Told] = []
            self.answers: list[tuple[int, str, float]] = [(200, "<Response/>", 0.0)]

    def take(self, told: Told, turn: int) -> tuple[int, str, float]:
        with self.lock:
            if turn != self.turn:
                return 200, "<Response/>", 0.0
            self.told.append(told)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def split(self, path: str) -> tuple[int, str]:
        """The test that an address belongs to (the present one where it names none), and what it was given for."""
        found = re.fullmatch(r"/turn-(\d+)(/.*)", path)
        return (int(found[1]), found[2]) if found else (self.turn, path)

    def url(self, path: str) -> str:
        return f"{self._root}/turn-{self.turn}{path}"

    @property
    def inbound(self) -> str:
        """Where the one carrier of all tests brings replies; a test waits for each of its own."""
        return f"{self._root}/message"

    @property
    def _root(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def at(self, path: str) -> list[Told]:
        with self.lock:
            return [one for one in self.told if one.path == path]

    def statuses(self, path: str) -> list[str]:
        return [one.form["MessageStatus"] for one in self.at(path)]

    def __enter__(self) -> Self:
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
