"""50 kills of a sender in 4,000 sends and 20 sleeps past the lease, judged from the carrier's log.

    DATABASE_URL=… python -m tests.benchmarks.kills [--messages 4000] [--kills 50] [--sleeps 20] [--senders 2]

Intervals are those of production at 1/60. On SQLite one sender at a time (and another while one sleeps), on PostgreSQL two
that share the outbox. The carrier's list works, so all four figures must be 0.
"""

import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.benchmarks import KIND
from tests.messaging.processes import Senders
from tests.simulator.harness import Carrier


def kill(senders: Senders, running: list, count: int, each: int, chance: random.Random) -> None:
    """SIGKILL anywhere: around a claim, between two answers, while they are written; another takes its place."""
    for _ in range(count):
        before = senders.taken()
        senders.queue(each)
        senders.wait_for(before + chance.randint(0, each * 2 // 3))
        time.sleep(chance.random() * 0.05)
        victim = running.pop(chance.randrange(len(running)))
        senders.kill(victim)
        running.append(senders.start())


def sleep(senders: Senders, running: list, count: int, each: int, chance: random.Random) -> None:
    """SIGSTOP in the middle, for longer than the lease, while another sends; then SIGCONT."""
    while len(running) < 2:
        running.append(senders.start())
    for _ in range(count):
        before = senders.taken()
        senders.queue(each)
        senders.wait_for(before + chance.randint(1, each // 2))
        sleeper = chance.choice(running)
        sleeper.send_signal(signal.SIGSTOP)
        time.sleep(1.2 + chance.random() * 2)
        sleeper.send_signal(signal.SIGCONT)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--sleeps", type=int, default=20)
    parser.add_argument("--senders", type=int, default=2 if KIND == "PostgreSQL" else 1)
    given = parser.parse_args()
    each, chance = given.messages // (given.kills + given.sleeps), random.Random(50)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Carrier(folder / "c", latency_ms=20) as carrier, Senders(folder, carrier) as senders:
            carrier.settings(callbacks={"off": True})
            running = [senders.start() for _ in range(given.senders)]
            kill(senders, running, given.kills, each, chance)
            sleep(senders, running, given.sleeps, each, chance)
            total = senders.queue(given.messages - each * (given.kills + given.sleeps))
            for process in running:
                process.terminate()
                process.wait(60)
            senders.settle(1800)
            say(given, total, Counter(m["to"] for m in carrier.accepted()), senders.rows())


def say(given: argparse.Namespace, total: int, times: Counter, rows: list[dict]) -> None:
    twice = sum(n - 1 for n in times.values())
    lost = total - len(times)
    states = Counter({r["address"]: r["state"] for r in rows}.values())
    doubts = sum(r["attempts__http_status"] is None for r in rows)
    what = f"{given.kills} kills and {given.sleeps} sleeps past the lease in {total} sends, {given.senders} sender(s)"
    print(f"{KIND}, {what}:"
          f" {twice} twice, {lost} lost, {states['needs_review']} in review, {states['expired']} expired"
          f" ({doubts} tries ended without an answer). load", *os.getloadavg())  # fmt: skip


if __name__ == "__main__":
    main()
