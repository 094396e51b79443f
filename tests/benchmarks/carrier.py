"""A bare carrier for benchmarks: takes texts, writes each down, answers. No faults, no list; status callbacks if asked.

Leaner than the simulator, so that on a machine of two cores what is measured is the sender. Every text it takes is a line
in its log before it is answered, as the simulator's are; with `--callbacks` each is then reported queued, sent and
delivered, signed, one report after the other, and each answer is a line too.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from time import time
from urllib.parse import parse_qs

import aiohttp
import orjson
from twilio.request_validator import RequestValidator

from tests.simulator.harness import Carrier

ANSWER = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n%s"
REPORTS = ("queued", "sent", "delivered")
CALLERS = 16  # reports under way at once


class Bare(Carrier):
    """The harness of the simulator with this process in its place; knows `latency_ms` and `callbacks`."""

    def _command(self) -> list[str]:
        latency = str(self.options.get("latency_ms", 0))
        words = ["-m", "tests.benchmarks.carrier", "--port", str(self.port), "--latency-ms", latency]
        words += ["--callbacks"] if self.options.get("callbacks") else []
        return [sys.executable, *words, "--log", str(self.log_path)]

    def taken(self) -> int:
        return self._lines(b'"accepted"')

    def told(self) -> int:
        """How many reports were answered with success."""
        return self._lines(b'"told"')

    def _lines(self, event: bytes) -> int:
        return self.log_path.read_bytes().count(event) if self.log_path.exists() else 0


class Line(asyncio.Protocol):
    count = 0
    log = 0
    latency = 0.0
    reports: asyncio.Queue[tuple[str, str, str]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.heard = transport, b""

    def data_received(self, data: bytes) -> None:
        self.heard += data
        while (split := self.heard.find(b"\r\n\r\n")) >= 0:
            head = self.heard[:split].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            end = split + 4 + length
            if len(self.heard) < end:
                return
            form, self.heard = parse_qs(self.heard[split + 4 : end].decode()), self.heard[end:]
            self.take(form)

    def take(self, form: dict[str, list[str]]) -> None:
        Line.count += 1
        sid = f"SM{Line.count:032x}"
        facts = {"event": "accepted", "at": time(), "sid": sid, "to": form["To"][0], "body": form["Body"][0]}
        os.write(Line.log, orjson.dumps(facts) + b"\n")
        if Line.reports is not None:
            Line.reports.put_nowait((form["StatusCallback"][0], sid, form["To"][0]))
        body = f'{{"sid": "{sid}", "status": "queued", "to": "{form["To"][0]}"}}'
        answer = (ANSWER % (len(body), body)).encode()
        if Line.latency:
            asyncio.get_running_loop().call_later(Line.latency, self.answer, answer)
        else:
            self.answer(answer)

    def answer(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


async def report(reports: asyncio.Queue[tuple[str, str, str]], session: aiohttp.ClientSession) -> None:
    """One text after the other, each report until it is taken."""
    proof = RequestValidator(Carrier.token)
    while True:
        url, sid, to = await reports.get()
        for word in REPORTS:
            form = {
                "MessageSid": sid, "SmsSid": sid, "MessageStatus": word, "SmsStatus": word, "To": to,
                "From": Carrier.number, "AccountSid": Carrier.account, "ApiVersion": "2010-04-01",
            }  # fmt: skip
            headers = {"X-Twilio-Signature": proof.compute_signature(url, form)}
            status, began = 0, time()
            while not 200 <= status < 300:
                async with session.post(url, data=form, headers=headers) as answer:
                    status = answer.status
            facts = {"event": "told", "at": time(), "sid": sid, "word": word, "seconds": time() - began}
            os.write(Line.log, orjson.dumps(facts) + b"\n")


async def serve(port: int, *, callbacks: bool) -> None:
    if callbacks:
        Line.reports = asyncio.Queue()
        session = aiohttp.ClientSession()
        callers = [asyncio.create_task(report(Line.reports, session)) for _ in range(CALLERS)]
        for caller in callers:
            caller.add_done_callback(lambda done: done.result())
    server = await asyncio.get_running_loop().create_server(Line, "127.0.0.1", port, backlog=1024)
    print(f"ready on http://127.0.0.1:{server.sockets[0].getsockname()[1]} ", flush=True)
    await server.serve_forever()


def main() -> None:
    import uvloop

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--callbacks", action="store_true")
    parser.add_argument("--log", type=Path, required=True)
    given = parser.parse_args()
    Line.latency = given.latency_ms / 1000
    Line.log = os.open(given.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    uvloop.run(serve(given.port, callbacks=given.callbacks))


if __name__ == "__main__":
    main()
