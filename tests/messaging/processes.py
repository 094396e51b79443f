"""The sender as the process it is, for tests that kill it: its own database, the carrier's log as the judge.

Intervals are those of production at 1/60; the code is the same.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.databases import ROOT, own_database
from tests.simulator.harness import Carrier
from tests.stack import wait_for

SIXTIETH = {
    "HTTP_TIMEOUT": "0.25", "LEASE": "1", "SETTLE": "1", "LISTING_GAP": "5", "SWEEP_EVERY": "1",
    "BREAKER_OPEN": "1", "OPT_OUT_CACHE": "0.5", "HEARTBEAT_LATE": "2",
}  # fmt: skip
NOON = "2026-03-04T12:00:00-05:00"
# Queues messages on demand, each to a patient of its own: "5" on a line queues five more and answers with the total.
FEEDER = """
import sys, django
django.setup()
from django.db import connection, transaction
from engage.accounts.models import Clinic
from engage.messaging import actions
from engage.patients.models import ContactPoint, Patient
clinic = Clinic.objects.create(name="Harbor", slug="harbor", state="MA", time_zone="America/New_York")
total = 0
for line in sys.stdin:
    with transaction.atomic():
        for n in range(total, total + int(line)):
            patient = Patient.objects.create(source="t", fhir_id=str(n), clinic=clinic, given="P", state="MA",
                                             time_zone="America/New_York")
            number = f"+1617555{n:04d}"
            point = ContactPoint.objects.create(patient=patient, system="phone", raw=number, value=number,
                                                sms_consent="granted")
            actions.queue(body=f"Hello number {n}", key=f"k{n}", patient=patient, contact_point=point)
    total += int(line)
    connection.close()
    print(total, flush=True)
"""


def catches(pid: int, sign: signal.Signals) -> bool:
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (sign - 1) & 1)


class Senders:
    """A database, a carrier and as many senders as one likes; a context manager. `env` may name a database, if it has its
    tables."""

    def __init__(self, folder: Path, carrier: Carrier, **env: str) -> None:
        self.folder, self.carrier = folder, carrier
        self.drop: Callable[[], object] = lambda: None
        if "DATABASE_URL" not in env:
            env["DATABASE_URL"], self.drop = own_database(folder)
        kept = {k: v for k, v in os.environ.items() if k not in ("NOW", "SEND_ALLOWLIST", "REDIS_URL")}
        self.env = kept | SIXTIETH | carrier.environment() | {
            "ENGAGE_VAR": str(folder / "var"), "NOW": NOON, "LOG_LEVEL": "WARNING",
            "SECRET_KEY": "for tests only, and long enough to be taken", "DJANGO_SETTINGS_MODULE": "engage.settings",
            "PYTHONUNBUFFERED": "1",
        } | env  # fmt: skip
        self.feeder: subprocess.Popen | None = None
        self.running: list[subprocess.Popen] = []
        self.counted, self.accepted = 0, 0  # bytes and texts of the carrier's log

    def __enter__(self) -> "Senders":
        self.feeder = subprocess.Popen(
            [sys.executable, "-c", FEEDER], cwd=ROOT, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):  # its group: a killed cluster leaves workers behind
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        if self.feeder:
            self.feeder.stdin.close()
            self.feeder.wait(10)
            self.feeder.stdout.close()
        self.drop()

    def manage(self, *words: str, timeout: float = 300) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=self.env, capture_output=True, text=True,
            timeout=timeout,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def queue(self, count: int) -> int:
        self.feeder.stdin.write(f"{count}\n")
        self.feeder.stdin.flush()
        return int(self.feeder.stdout.readline())

    def start(self, command: str = "deliver") -> subprocess.Popen:
        log = (self.folder / f"{command}.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "manage.py", command], cwd=ROOT, env=self.env, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        log.close()
        self.running.append(process)
        return process

    def end(self, process: subprocess.Popen) -> int:
        """Tells it to end, once it can be told (until it has begun, SIGTERM just kills it), and gives its exit code."""
        wait_for(
            lambda: process.poll() is not None or catches(process.pid, signal.SIGTERM), what="its beginning"
        )
        process.terminate()
        return process.wait(40)

    def kill(self, process: subprocess.Popen) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def taken(self) -> int:
        """How many lines the carrier's log has; cheap, for waiting: what was counted is not read again."""
        if self.carrier.log_path.exists():
            with self.carrier.log_path.open("rb") as log:
                log.seek(self.counted)
                fresh = log.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self.counted += len(whole)
            self.accepted += whole.count(b'"accepted"')
        return self.accepted

    def wait_for(self, count: int, seconds: float = 60) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.taken() >= count:
                return True
            time.sleep(0.002)
        return False

    def settle(self, timeout: float = 240) -> None:
        self.manage("deliver", "--drain", "--settle", timeout=timeout)

    def rows(self) -> list[dict]:
        """Every attempt with its message, as the product has them."""
        code = (
            "import json; from engage.messaging.models import Message\n"
            "print('@@' + json.dumps(list(Message.objects.values('address', 'state', 'provider_sid',"
            " 'attempts__http_status').order_by('id'))))"
        )
        return json.loads(self.manage("shell", "-v0", "-c", code).rsplit("@@", 1)[1])

    def judge(self, count: int) -> Counter:
        """0 twice, 0 lost, and our ids are the carrier's ids; the states, for what the test adds."""
        accepted = self.carrier.accepted()
        times = Counter(m["to"] for m in accepted)
        assert {to: n for to, n in times.items() if n > 1} == {}, "sent twice"
        rows = self.rows()
        assert len({r["address"] for r in rows}) == count
        assert {r["address"] for r in rows} - set(times) == set(), "lost"
        assert {r["provider_sid"] for r in rows} == {m["sid"] for m in accepted}
        return Counter(r["state"] for r in rows)
