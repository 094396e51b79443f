"""The whole product as processes of their own: web, sender and simulator, with a database that nothing else uses.

Used by tests that need what a user has: commits, several processes, the carrier's own log.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

from tests.databases import ROOT, own_database

PASSWORD = "a demonstration password"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers_on(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, seconds=30.0, what="it"):
    """Asks again until the answer is true; gives the answer, or fails saying what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds:g} s for {what}")


class Stack:
    """Context manager: `.url` of the console, `.phone_url` of the simulator, `.manage(…)`, `.at(now)` to move the clock."""

    def __init__(self, folder: Path, now: str = "", **env: str) -> None:
        self.folder = folder
        self.port, self.carrier_port = free_port(), free_port()
        self.url, self.phone_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.carrier_port}"
        self.log = folder / "carrier.jsonl"
        self.processes: dict[str, subprocess.Popen] = {}
        self.database, self.drop = own_database(folder)
        self.env = {
            **{k: v for k, v in os.environ.items() if k not in ("DJANGO_SETTINGS_MODULE", "NOW")},
            "DATABASE_URL": self.database, "ENGAGE_VAR": str(folder / "var"), "PUBLIC_BASE_URL": self.url,
            "SIMULATOR_PORT": str(self.carrier_port), "DEMO_PASSWORD": PASSWORD, "PYTHONUNBUFFERED": "1",
            "SECRET_KEY": "for tests only, and long enough to be taken", "DEBUG": "1", "LOG_LEVEL": "WARNING", **env,
        }  # fmt: skip
        if now:
            self.env["NOW"] = now

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.drop()

    def manage(self, *words: str, ok: bool = True, stdin: str | None = None) -> str:
        """Runs a command and gives what it printed; fails when the command does (unless ok is False)."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=self.env, capture_output=True, text=True,
            input=stdin, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0 or not ok, f"{words}: {done.stderr[-3000:]}{done.stdout[-1000:]}"
        return done.stdout

    def start(self, *names: str) -> None:
        """Starts web, deliver and simulator, or those named; returns when web and simulator answer."""
        wanted = names or ("simulator", "web", "deliver")
        commands = {
            "web": ["-m", "gunicorn", "engage.wsgi", "--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread",
                    "--workers", "1", "--threads", "8", "--log-level", "warning", "--no-control-socket"],
            "deliver": ["manage.py", "deliver"],
            "simulator": ["-m", "engage.simulator", "--port", str(self.carrier_port), "--log", str(self.log),
                          "--inbound-url", f"{self.url}/webhooks/twilio/message"],
        }  # fmt: skip
        for name in wanted:
            output = (self.folder / f"{name}.log").open("ab")
            self.processes[name] = subprocess.Popen(
                [sys.executable, *commands[name]], cwd=ROOT, env=self.env, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        if "web" in wanted:
            wait_for(lambda: answers(f"{self.url}/healthz"), what=f"the web process: {self.said('web')}")
        if "simulator" in wanted:
            wait_for(lambda: answers(self.phone_url), what=f"the simulator: {self.said('simulator')}")

    def said(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text()[-2000:] if path.exists() else ""

    def stop(self, *names: str) -> None:
        for name in names or tuple(self.processes):
            process = self.processes.pop(name, None)
            if process is None:
                continue
            for sign in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, sign)
                    process.wait(20)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
                break

    def at(self, now: str) -> None:
        """Starts web and sender again with a later business time; the carrier lives on."""
        running = [n for n in ("web", "deliver") if n in self.processes]
        self.stop(*running)
        self.env["NOW"] = now
        self.start(*running)

    def accepted(self, to: str = "") -> list[dict]:
        """What the carrier's own log says it accepted (and for whom)."""
        if not self.log.exists():
            return []
        rows = [json.loads(line) for line in self.log.read_text().splitlines() if line.strip()]
        taken = [r for r in rows if r.get("event") == "accepted"]
        return [r for r in taken if not to or r.get("to") == to]

    def say(self, number: str, words: str) -> None:
        """The patient texts, through the simulator's handset."""
        body = urllib.parse.urlencode({"body": words}).encode()
        urllib.request.urlopen(
            f"{self.phone_url}/phones/{urllib.parse.quote(number)}/", body, timeout=20
        ).read()

    def query(self, python: str) -> object:
        """Evaluates an expression over the models and gives it back through JSON."""
        setup = (
            "import json\nfrom django.apps import apps\n"
            "for m in apps.get_models(): globals()[m.__name__] = m\n"
            f"print('\\n@@' + json.dumps({python}, default=str))"
        )
        return json.loads(self.manage("shell", "-v0", "-c", setup).rsplit("@@", 1)[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status < 500
    except OSError:
        return False
