"""The carrier simulator for other tests: started as the process it is, scripted and judged from outside.

with Carrier(inbound_url="http://127.0.0.1:8000/webhooks/twilio/message") as carrier:
    carrier.script(times=1, drop=True)  # accept the next message, then cut the connection
    …send with carrier.environment()…
    assert [m["to"] for m in carrier.accepted()] == ["+15552220001"]
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
READY = 15  # seconds a start may take on a busy machine


class Carrier:
    """One simulator on a free port of its own; a context manager. Every option is a flag of `engage.simulator`:
    `Carrier(bare=True, latency_ms=50)` runs it with `--bare --latency-ms 50`.
    """

    account = "AC" + "0" * 32
    token = "simulator"
    number = "+15550100000"

    def __init__(self, folder: Path | str | None = None, **options: Any) -> None:
        self._own = None if folder else tempfile.TemporaryDirectory(prefix="carrier-")
        self.folder = Path(folder or self._own.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_path = Path(options.pop("log", self.folder / "carrier.jsonl"))
        self.port = int(options.pop("port", 0))
        self.options = {"account": self.account, "token": self.token, "numbers": self.number} | options
        self.account, self.token = self.options["account"], self.options["token"].split(",")[0]
        self.number = self.options["numbers"].split(",")[0]
        self.process: subprocess.Popen | None = None

    # --- the process ---

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._own:
            self._own.cleanup()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        words = [
            sys.executable,
            "-m",
            "engage.simulator",
            "--port",
            str(self.port),
            "--log",
            str(self.log_path),
        ]
        for name, value in self.options.items():
            flag = f"--{name.replace('_', '-')}"
            words += [flag] if value is True else [] if value in (False, None) else [flag, str(value)]
        return words

    def start(self) -> None:
        """Starts it, on the port it had before when it was stopped, and waits until it listens."""
        errors = (self.folder / "carrier.err").open("ab")
        # Settings of the process under test must not leak into the carrier.
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SIMULATOR_", "TWILIO_"))}
        self.process = subprocess.Popen(
            self._command(),
            cwd=ROOT,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        errors.close()
        ready, _, _ = select.select([self.process.stdout], [], [], READY)
        line = self.process.stdout.readline().decode() if ready else ""
        if "ready on" not in line:
            self.stop()
            raise RuntimeError("no carrier: " + (self.folder / "carrier.err").read_text()[-2000:])
        atexit.register(self.stop)  # a test that forgets, or breaks before its end
        self.port = int(line.split("ready on http://127.0.0.1:")[1].split()[0])

    def stop(self) -> int:
        """Ends it as an operator would; returns its exit status."""
        process, self.process = self.process, None
        atexit.unregister(self.stop)
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(10)
        finally:
            process.stdout.close()

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.process.stdout.close()
        self.process = None

    # --- scripting ---

    def control(self, name: str, facts: dict[str, Any] | None = None) -> Any:
        """One call of the control API; a refusal becomes a ValueError with its sentence."""
        data = None if facts is None else json.dumps(facts).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.base_url}/_control/{name}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode()) from None

    def script(self, **rule: Any) -> None:
        """Adds a fault (engage.simulator.faults.Rule): `times=1, drop=True`, `status=429, retry_after=2, seconds=30`,
        `status=503, accept=True`, `to="+1…", code=21211`, `on="list", status=500`, `delay=20`, `fate="landline"`…
        """
        self.control("script", rule)

    def clear(self) -> None:
        """Takes every rule away; settings and numbers stay."""
        self.control("script", {"rules": [], "replace": True})

    def settings(self, **changed: Any) -> None:
        """Changes what holds for all: latency, rate, list_lag, inbound, sent_after, delivered_after, callbacks={…}."""
        self.control("settings", changed)

    def numbers(self, **fates: str) -> None:
        """Fates by number: `numbers(**{"+15552220001": "unreachable", "*0002": "landline"})`."""
        self.control("numbers", fates)

    def refuse(self, seconds: float) -> None:
        """Connections are refused for so long; returns when that has begun."""
        self.control("refuse", {"seconds": seconds})
        time.sleep(0.05)

    def reset(self) -> None:
        """An empty carrier; `accepted()` and `events()` begin anew."""
        self.control("reset", {})

    def say(self, number: str, text: str, **how: Any) -> dict[str, Any]:
        """The patient's phone writes; `{sid, answers: [{status, tries}]}`. See engage.simulator.inbound.say."""
        return self.control("say", {"from": number, "body": text, **how})

    def callback(self, sid: str, status: str, code: int = 0, **how: Any) -> int:
        """One status callback now; the HTTP status of the answer, 0 without one."""
        return self.control("callback", {"sid": sid, "status": status, "code": code, **how})["answer"]

    # --- judging ---

    def lines(self) -> Iterator[dict[str, Any]]:
        """Every whole line of the log."""
        with self.log_path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """Log lines since the last reset, of these kinds: accepted, rejected, callback, inbound, reply, called, call."""
        found: list[dict[str, Any]] = []
        for line in self.lines():
            if line["event"] == "reset":
                found.clear()
            elif not kinds or line["event"] in kinds:
                found.append(line)
        return found

    def accepted(self) -> list[dict[str, Any]]:
        """What the carrier took, in order, each `{sid, to, sender, service, body, status_callback, answer, at}`. It
        is read from the log, so it also holds while connections are refused and after the process has ended.
        """
        return self.events("accepted")

    def rejected(self) -> list[dict[str, Any]]:
        return self.events("rejected")

    def messages(self) -> list[dict[str, Any]]:
        """The messages as the carrier holds them now, with status, error_code and whether they arrived."""
        return self.control("messages")["messages"]

    def wait(self, holds: Any, seconds: float = 10) -> Any:
        """Waits until `holds()` is true and returns its value; fails aloud when the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := holds():
                return value
            time.sleep(0.02)
        raise AssertionError(f"the carrier did not come to it in {seconds} s")

    def environment(self) -> dict[str, str]:
        """What the product must be told to speak to this carrier."""
        return {
            "CARRIER": "simulator",
            "TWILIO_ACCOUNT_SID": self.account,
            "TWILIO_AUTH_TOKEN": self.token,
            "TWILIO_FROM": self.number,
            "TWILIO_API_BASE_URL": self.base_url,
            "SIMULATOR_PORT": str(self.port),
        }
