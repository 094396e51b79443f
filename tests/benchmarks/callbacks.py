"""The rate that lasts when every text is followed by three reports: sender, carrier and web processes on one machine.

    DATABASE_URL=… python -m tests.benchmarks.callbacks [--messages 5000] [--workers 2]

The carrier (tests/benchmarks/carrier.py) reports each text as queued, sent and delivered, sixteen reports under way at
once, and calls again until it is answered. The rate counts from the first text it took to the last report answered.
"""

import argparse
import os

from tests.benchmarks import KIND
from tests.benchmarks.carrier import REPORTS
from tests.benchmarks.deliver import Bench, cpu
from tests.benchmarks.replies import cpu_of_group, web
from tests.stack import wait_for
from tests.webhooks.flood import percentile

STATES = """
import django
django.setup()
from engage.messaging.models import Message, ProviderEvent
print(Message.objects.filter(state="delivered").count(), ProviderEvent.objects.count())
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2, help="web processes, of eight threads each")
    given = parser.parse_args()
    wanted = given.messages * len(REPORTS)
    with Bench(given.messages, 0, callbacks=True) as bench, web(bench, given.workers) as (_, pid):
        before = cpu_of_group(pid)
        sender = bench.start("manage.py", "deliver")
        try:
            wait_for(lambda: bench.carrier.told() >= wanted, 3600, "the last report")
            own, reported = cpu(sender.pid), cpu_of_group(pid) - before
        finally:
            sender.terminate()
            sender.wait(60)
        found = bench.run("-c", STATES).split()
        assert found == [str(given.messages), str(wanted)], f"{found} delivered and reported, of {wanted}"
        log = bench.carrier.events()
    taken = [r["at"] for r in log if r["event"] == "accepted"]
    told = [r for r in log if r["event"] == "told"]
    times = [r["seconds"] * 1000 for r in told]
    spread = ", ".join(f"p{p} {percentile(times, p / 100):.0f} ms" for p in (50, 95, 99))
    print(
        f"{KIND}, three reports a text: {given.messages / (told[-1]['at'] - taken[0]):,.0f} msg/s lasting"
        f" (the texts alone were out after {taken[-1] - taken[0]:.1f} s); a report {spread};"
        f" CPU ms: sender {own / given.messages * 1000:.2f} a text, web {reported / wanted * 1000:.2f} a report"
    )
    print("load", *os.getloadavg())


if __name__ == "__main__":
    main()
