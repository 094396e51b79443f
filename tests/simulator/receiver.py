"""A clinic's webhook that remembers what it was told and answers as a test wants."""

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
    """`answers` are (status, body, seconds of delay), the last one for ever."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                status, text, delay = outer.take(
                    Told(self.path, dict(parse_qsl(body, keep_blank_values=True)), dict(self.headers))
                )
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
        self.told: list[Told] = []
        self.answers: list[tuple[int, str, float]] = [(200, "<Response/>", 0.0)]

    def take(self, told: Told) -> tuple[int, str, float]:
        with self.lock:
            self.told.append(told)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

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
