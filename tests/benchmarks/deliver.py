"""Messages a second, end to end (claim, gate, POST, record), against a bare carrier; and one job per message beside it.

    DATABASE_URL=… python -m tests.benchmarks.deliver [--messages 10000] [--latency-ms 0 50] [--naive 300]

The carrier is a process on the same machine; figures are for comparing, ratios are what counts.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.simulator.harness import Carrier
from tests.stack import ROOT, own_database

PREPARE = """
import sys, django
django.setup()
from django.utils import timezone
from engage.accounts.models import Clinic
from engage.lib import clock
from engage.messaging.models import Message
from engage.patients.models import ContactPoint, Patient
n = int(sys.argv[1])
clinic = Clinic.objects.create(name="Bench", slug="bench", state="MA", time_zone="America/New_York")
people = Patient.objects.bulk_create([Patient(source="b", fhir_id=str(i), clinic=clinic, given="P", state="MA",
    time_zone="America/New_York") for i in range(n)], batch_size=2000)
points = ContactPoint.objects.bulk_create([ContactPoint(patient=p, system="phone", raw="x",
    value=f"+1617{5550000 + i}", sms_consent="granted") for i, p in enumerate(people)], batch_size=2000)
now = clock.now()
Message.objects.bulk_create([Message(patient=p, contact_point=c, address=c.value, clinic=clinic, body=f"Hello {i}",
    key=f"k{i}", about=f"caregap:{i}", not_before=now, created_at=now)
    for i, (p, c) in enumerate(zip(people, points))], batch_size=2000)
"""
ENQUEUE = """
import django
django.setup()
from django_q.tasks import async_task
from engage.messaging.models import Message
for pk in Message.objects.values_list("pk", flat=True):
    async_task("tests.benchmarks.naive.send", pk)
"""


class Bench:
    """One database and one carrier for one measurement."""

    def __init__(self, messages: int, latency: float) -> None:
        self.messages, self.latency = messages, latency

    def __enter__(self) -> "Bench":
        self.folder = tempfile.TemporaryDirectory()
        self.carrier = Carrier(Path(self.folder.name) / "c", bare=True, latency_ms=self.latency, no_sync=True)
        self.carrier.start()
        url, self.drop = own_database(Path(self.folder.name))
        self.env = os.environ | self.carrier.environment() | {
            "DATABASE_URL": url, "ENGAGE_VAR": f"{self.folder.name}/var", "NOW": "2026-03-04T12:00:00-05:00",
            "SENDER_RATE": "unlimited", "SENDER_DAILY": "unlimited",
            "LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "engage.settings", "Q_WORKERS": "2",
            "SECRET_KEY": "for benchmarks only, and long enough to be taken",
        }  # fmt: skip
        self.run("manage.py", "migrate", "-v0")
        self.run("-c", PREPARE, str(self.messages))
        return self

    def __exit__(self, *_: object) -> None:
        self.carrier.stop()
        self.drop()
        self.folder.cleanup()

    def run(self, *words: str) -> None:
        subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=self.env, check=True, stdout=subprocess.DEVNULL
        )

    def taken(self) -> int:
        return (
            self.carrier.log_path.read_bytes().count(b'"accepted"') if self.carrier.log_path.exists() else 0
        )

    def first_to_last(self, *words: str, patience: float = 600) -> float:
        """Messages a second from the first the carrier took to the last; ends the process group."""
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=self.env, start_new_session=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + patience
        while time.monotonic() < end and self.taken() < self.messages:
            time.sleep(0.1)
        if "qcluster" not in words:
            process.wait(60)  # what was taken must be written down too
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        times = [m["at"] for m in self.carrier.accepted()]
        assert len(times) == self.messages, f"only {len(times)} of {self.messages}"
        return len(times) / max(seconds(times[-1]) - seconds(times[0]), 0.001)


def seconds(at: object) -> float:
    from datetime import datetime

    return float(at) if isinstance(at, int | float) else datetime.fromisoformat(str(at)).timestamp()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0, 50])
    parser.add_argument("--naive", type=int, default=300, help="messages for the comparison; 0: leave it out")
    given = parser.parse_args()
    kind = "PostgreSQL" if os.environ.get("DATABASE_URL", "").startswith("postgres") else "SQLite"
    for latency in given.latency_ms:
        with Bench(given.messages, latency) as bench:
            ours = bench.first_to_last("manage.py", "deliver", "--drain")
        line = f"{kind}, carrier {latency:g} ms: {ours:,.0f} msg/s"
        if given.naive:
            with Bench(given.naive, latency) as bench:
                bench.run("-c", ENQUEUE)
                naive = bench.first_to_last("manage.py", "qcluster")
            line += f"; one job per message, 2 workers: {naive:,.0f} msg/s; ratio {ours / naive:.1f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
