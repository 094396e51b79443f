"""Messages a second, end to end (claim, gate, POST, record), against a bare carrier; and one job per message beside it.

    DATABASE_URL=… python -m tests.benchmarks.deliver [--messages 10000] [--latency-ms 0 50] [--senders 1 2 4]
        [--naive 300] [--best 600 --redis redis://127.0.0.1:6379/9]

`--naive`: django-q2 with 2 workers and a client of the SDK for each message. `--best`: 8 workers, Redis, one client in
each. Both with save_limit=-1, bulk=1 and queue_limit = workers. The carrier is a process on the same machine; figures are
for comparing, ratios are what counts. Beside the rate stands what one message costs each process in CPU time, which a
busy machine changes less.
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

from tests.benchmarks.carrier import Bare
from tests.databases import ROOT, own_database

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
import sys, django
django.setup()
from django_q.tasks import async_task
from engage.messaging.models import Message
for pk in Message.objects.values_list("pk", flat=True):
    async_task(f"tests.benchmarks.naive.{sys.argv[1]}", pk)
"""
CLUSTER = """
import sys, django
from django.conf import settings
settings.Q_CLUSTER.update(workers=int(sys.argv[1]), queue_limit=int(sys.argv[1]), save_limit=-1, bulk=1)
django.setup()
from django.core.management import call_command
call_command("qcluster")
"""
LEFT = """
import django
django.setup()
from engage.messaging.models import Message
print(Message.objects.exclude(state__in=["accepted", "sent", "delivered"]).count())
"""


class Bench:
    """One database and one carrier for one measurement."""

    def __init__(self, messages: int, latency: float, redis: str = "", *, callbacks: bool = False) -> None:
        self.messages, self.latency, self.redis, self.callbacks = messages, latency, redis, callbacks

    def __enter__(self) -> "Bench":
        self.folder = tempfile.TemporaryDirectory()
        self.carrier = Bare(Path(self.folder.name) / "c", latency_ms=self.latency, callbacks=self.callbacks)
        self.carrier.start()
        url, self.drop = own_database(Path(self.folder.name))
        self.env = os.environ | self.carrier.environment() | {
            "DATABASE_URL": url, "ENGAGE_VAR": f"{self.folder.name}/var", "NOW": "2026-03-04T12:00:00-05:00",
            "LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "engage.settings", "REDIS_URL": self.redis,
            "SECRET_KEY": "for benchmarks only, and long enough to be taken",
        }  # fmt: skip
        self.to_start = self.drained(1)[0]
        self.run("-c", PREPARE, str(self.messages))
        return self

    def __exit__(self, *_: object) -> None:
        self.carrier.stop()
        self.drop()
        self.folder.cleanup()

    def run(self, *words: str) -> str:
        return subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=self.env, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=self.env,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
        )

    def ours(self, senders: int = 1) -> "Figures":
        """So many senders drain the outbox; every row must say so afterwards."""
        before = cpu(self.carrier.process.pid)
        spent, memory = self.drained(senders)
        assert (left := int(self.run("-c", LEFT))) == 0, f"{left} rows do not say that they were sent"
        carriers = cpu(self.carrier.process.pid) - before
        own = (spent - senders * self.to_start) / self.messages
        return Figures(self.rate(), own, carriers / self.messages, memory)

    def drained(self, senders: int) -> tuple[float, float]:
        """So many senders run until nothing is due: CPU seconds of all, memory of the largest in MB."""
        running = [self.start("manage.py", "deliver", "--drain") for _ in range(senders)]
        usage = [os.wait4(process.pid, 0)[2] for process in running]
        return sum(u.ru_utime + u.ru_stime for u in usage), max(u.ru_maxrss for u in usage) / 1024

    def one_job_each(self, workers: int, job: str) -> float:
        self.run("-c", ENQUEUE, job)
        process = self.start("-c", CLUSTER, str(workers))
        end = time.monotonic() + 600
        while time.monotonic() < end and self.carrier.taken() < self.messages:
            time.sleep(0.1)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        return self.rate()

    def rate(self) -> float:
        """Messages a second from the first the carrier took to the last, each once."""
        accepted = self.carrier.accepted()
        assert len({m["to"] for m in accepted}) == len(accepted) == self.messages, (
            f"{len(accepted)} were taken"
        )
        return len(accepted) / max(accepted[-1]["at"] - accepted[0]["at"], 0.001)


class Figures:
    def __init__(self, rate: float, sender: float, carrier: float, memory: float) -> None:
        self.rate, self.sender, self.carrier, self.memory = rate, sender, carrier, memory

    def __str__(self) -> str:
        return (
            f"{self.rate:,.0f} msg/s (CPU µs a message: sender {self.sender * 1e6:.0f} without its start, carrier"
            f" {self.carrier * 1e6:.0f}; sender's memory {self.memory:.0f} MB)"
        )


def cpu(pid: int) -> float:
    """Seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--latency-ms", type=float, nargs="+", default=[0, 50])
    parser.add_argument("--senders", type=int, nargs="+", default=[1])
    parser.add_argument("--naive", type=int, default=300, help="messages for the comparison; 0: leave it out")
    parser.add_argument(
        "--best", type=int, default=0, help="messages for the best of its kind; needs --redis"
    )
    parser.add_argument("--redis", default="", help="an empty database of Redis")
    given = parser.parse_args()
    kind = "PostgreSQL" if os.environ.get("DATABASE_URL", "").startswith("postgres") else "SQLite"
    for latency in given.latency_ms:
        rates: list[float] = []
        for senders in given.senders:
            with Bench(given.messages, latency) as bench:
                ours = bench.ours(senders)
            rates.append(ours.rate)
            print(f"{kind}, carrier {latency:g} ms, {senders} sender(s): {ours}", flush=True)
        for count, redis, workers, job in (
            (given.naive, "", 2, "send"), (given.best if given.redis else 0, given.redis, 8, "send_shared"),
        ):  # fmt: skip
            if count:
                with Bench(count, latency, redis) as bench:
                    beside = bench.one_job_each(workers, job)
                times = ", ".join(f"{rate / beside:.1f} ×" for rate in rates)
                print(
                    f"  one job per message, {workers} workers: {beside:,.0f} msg/s; ours {times}", flush=True
                )
    print("load", *os.getloadavg())


if __name__ == "__main__":
    main()
