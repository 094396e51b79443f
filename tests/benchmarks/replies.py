"""Webhooks a second and their p99; that none is lost; and how long an urgent reply waits for its answer while bulk drains.

    DATABASE_URL=… python -m tests.benchmarks.replies [--replies 10000] [--callbacks 10000] [--rate 300] [--workers 2]
        [--backlog 100000 --urgent 200]

Three parts. The first pours replies, each to a text of ours, at a rate that waits for nobody: latencies count from the
moment each was due. The second pours the carrier's reports of texts, first "sent", then "delivered". The third lets a
sender drain `--backlog` texts, has `--urgent` patients write of chest pain meanwhile, and reads in the carrier's log when
it accepted the answer to each. Targets: 300/s with p99 ≤ 100 ms, none lost; answers p99 ≤ 2 s.
"""

import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import KIND
from tests.benchmarks.deliver import Bench, cpu
from tests.stack import answers, free_port, wait_for
from tests.webhooks.flood import URGENT, Answered, Reply, Report, percentile, pour, replies, sid

PEOPLE = """
import sys, django
django.setup()
from engage.accounts.models import Clinic
from engage.lib import clock, signing
from engage.messaging.models import Attempt, Message
from engage.messaging.status import TOKEN
from engage.patients.models import ContactPoint, Patient
from tests.webhooks.flood import sid
clinic, _ = Clinic.objects.get_or_create(slug="bench", defaults={"name": "Bench", "state": "MA"})
people = Patient.objects.bulk_create([Patient(source="r", fhir_id=str(i), clinic=clinic, given="R", state="MA",
    time_zone="America/New_York") for i in range(int(sys.argv[1]))], batch_size=2000)
points = ContactPoint.objects.bulk_create([ContactPoint(patient=p, system="phone", raw="x", value=f"+1508{5550000 + i}",
    sms_consent="granted") for i, p in enumerate(people)], batch_size=2000)
texts = Message.objects.bulk_create([Message(patient=c.patient, contact_point=c, address=c.value, clinic=clinic,
    body="Hi, this is Bench. You are due for a health screening. Reply 1 and we will call you. Reply STOP to opt out",
    key=f"r{i}", about=f"caregap:{i}", state="accepted", attempts_made=1, provider_sid=sid(10**9 + i),
    created_at=clock.now(), accepted_at=clock.now()) for i, c in enumerate(points)], batch_size=2000)
Attempt.objects.bulk_create([Attempt(message=m, number=1, token_digest=signing.digest(f"token{i}", TOKEN),
    deadline=clock.machine_now(), outcome="accepted", provider_sid=m.provider_sid) for i, m in enumerate(texts)],
    batch_size=2000)
"""
HEARD = """
import django
django.setup()
from engage.messaging.models import Message
print(Message.objects.filter(direction="in").count())
"""
REPORTED = """
import django
django.setup()
from engage.messaging.models import Message, ProviderEvent
print(Message.objects.filter(state="delivered").count(), ProviderEvent.objects.count())
"""


@contextmanager
def web(bench: Bench, workers: int) -> Iterator[tuple[str, int]]:
    """The web processes as they are run in production: their address and the first one's id."""
    port = free_port()
    bench.env["PUBLIC_BASE_URL"] = url = f"http://127.0.0.1:{port}"
    words = [
        "--bind",
        f"127.0.0.1:{port}",
        "--worker-class",
        "gthread",
        "--workers",
        str(workers),
        "--threads",
        "8",
    ]
    process = bench.start(
        "-m", "gunicorn", "engage.wsgi", *words, "--log-level", "warning", "--no-control-socket"
    )
    try:
        wait_for(lambda: answers(f"{url}/healthz"), 60, "the web processes")
        yield url, process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(40)


def numbers(count: int) -> list[str]:
    return [f"+1508{5550000 + n}" for n in range(count)]


def flood(count: int, rate: float, workers: int) -> tuple[list[Answered], float]:
    """Fails when one is lost; otherwise the answers, and the CPU seconds of the web processes."""
    people = min(count, 5000)
    with Bench(0, 0) as bench:
        bench.run("-c", PEOPLE, str(people))
        with web(bench, workers) as (url, pid):
            pour(url, replies(numbers(people), 50, 10**6), 20)  # everything is loaded and compiled
            before = cpu_of_group(pid)
            said = pour(url, replies(numbers(people), count), rate)
            spent = cpu_of_group(pid) - before
        heard = int(bench.run("-c", HEARD)) - 50
    kept = sum(a.status == 200 for a in said)
    assert kept == heard == count, f"{kept} answered, {heard} kept of {count}"
    return said, spent


def callbacks(count: int, rate: float, workers: int) -> tuple[list[Answered], float]:
    """As `flood`, for two reports on each of half as many texts; each report is kept and each text delivered in the end."""
    texts, warming = count // 2, 25
    with Bench(0, 0) as bench:
        bench.run("-c", PEOPLE, str(texts + warming))
        with web(bench, workers) as (url, pid):
            pour(url, reports(range(texts, texts + warming)), 20)
            before = cpu_of_group(pid)
            said = pour(url, reports(range(texts)), rate)
            spent = cpu_of_group(pid) - before
        found = bench.run("-c", REPORTED).split()
    kept = sum(a.status == 204 for a in said)
    assert kept == 2 * texts, f"{kept} answered of {2 * texts}"
    assert found == [str(texts + warming), str(2 * (texts + warming))], f"{found} delivered and reported"
    return said, spent


def reports(texts: range) -> list[Report]:
    return [Report(sid(10**9 + n), f"token{n}", word) for word in ("sent", "delivered") for n in texts]


def urgent(backlog: int, count: int, workers: int, latency: float) -> list[tuple[float, int]]:
    """For each urgent reply: seconds from when it was due until the carrier took the answer, and how many texts of the
    backlog it took from the webhook's answer until then."""
    with Bench(backlog, latency) as bench:
        bench.run("-c", PEOPLE, str(count))
        with web(bench, workers) as (url, _):
            sender = bench.start("manage.py", "deliver")
            try:
                wait_for(lambda: bench.carrier.taken() > min(1000, backlog // 10), 120, "the sender")
                asked = [Reply(sid(n), to, URGENT) for n, to in enumerate(numbers(count))]
                said = pour(url, asked, per_second=5)
                assert all(a.status == 200 for a in said), "a reply was not kept"
                drained = bench.carrier.taken()
                wait_for(lambda: count <= len(answered(bench)), 120, "the answers")
            finally:
                sender.terminate()
                sender.wait(60)
        at, bulk = answered(bench), [r["at"] for r in bench.carrier.accepted() if r["to"].startswith("+1617")]
    assert drained < backlog, f"the backlog of {backlog} was drained too soon to say anything"
    ends = [(a.due, a.due + a.seconds, at[r.number]) for r, a in zip(asked, said, strict=True)]
    return [(end - due, sum(heard < t < end for t in bulk)) for due, heard, end in ends]


def answered(bench: Bench) -> dict[str, float]:
    """When the carrier took the first text to each of those who wrote."""
    at: dict[str, float] = {}
    for row in bench.carrier.accepted():
        if row["to"].startswith("+1508"):
            at.setdefault(row["to"], row["at"])
    return at


def cpu_of_group(leader: int) -> float:
    """Seconds used by a process and its children."""
    children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
    return cpu(leader) + sum(cpu(int(pid)) for pid in children)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replies", type=int, default=10_000, help="0: leave this part out")
    parser.add_argument("--callbacks", type=int, default=10_000, help="0: leave this part out")
    parser.add_argument("--rate", type=float, nargs="+", default=[300])
    parser.add_argument("--workers", type=int, default=2, help="web processes, of eight threads each")
    parser.add_argument("--urgent", type=int, default=200, help="0: leave this part out")
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument("--latency-ms", type=float, default=0)
    given = parser.parse_args()
    for part, count in ((flood, given.replies), (callbacks, given.callbacks)):
        for rate in given.rate if count else []:
            said, spent = part(count, rate, given.workers)
            took = max(a.due + a.seconds for a in said) - min(a.due for a in said)
            times = [a.seconds * 1000 for a in said]
            spread = ", ".join(f"p{p} {percentile(times, p / 100):.0f} ms" for p in (50, 95, 99))
            print(
                f"{KIND}: {'replies' if part is flood else 'callbacks'} at {rate:g}/s, none of {len(said)} lost:"
                f" {len(said) / took:.0f}/s answered, {spread}; CPU of the web processes"
                f" {spent / len(said) * 1000:.1f} ms each; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    if given.urgent:
        found = urgent(given.backlog, given.urgent, given.workers, given.latency_ms)
        waits, passed = [w for w, _ in found], [n for _, n in found]
        print(
            f"{KIND}: {given.urgent} urgent replies while {given.backlog} drain: the answer accepted p50"
            f" {percentile(waits, 0.5):.2f} s, p99 {percentile(waits, 0.99):.2f} s, after {percentile(passed, 0.99)} texts"
            " of the backlog at most (p99)",
            flush=True,
        )
    print("load", *os.getloadavg())


if __name__ == "__main__":
    main()
