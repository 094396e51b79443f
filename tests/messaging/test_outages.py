"""What happens beside the sender: a database restarted or silent in the middle, a queue doubled, flushed or away. The
judge is the carrier's own log; intervals at 1/60."""

import contextlib
import sqlite3
import time

import psycopg
import pytest

from tests.conftest import ON_POSTGRES
from tests.messaging.processes import Senders
from tests.servers import Postgres, Redis
from tests.simulator.harness import Carrier
from tests.stack import wait_for

pytestmark = pytest.mark.slow
GONE_OUT = {"accepted", "sent", "delivered"}


@contextlib.contextmanager
def sending(folder, senders=1, **env):
    """A carrier and senders at work; afterwards they must end well, and every text must have gone once."""
    with Carrier(folder / "carrier", latency_ms=20) as carrier, Senders(folder, carrier, **env) as delivery:
        carrier.settings(callbacks={"off": True})
        running = [delivery.start() for _ in range(senders)]
        yield delivery
        ended = [delivery.end(process) for process in running]
        assert ended == [0] * senders, (folder / "deliver.log").read_text()[-3000:]
        delivery.settle()
        assert set(states := delivery.judge(delivery.queue(0))) <= GONE_OUT, states


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgresql_restarted_under_two_senders(tmp_path, mode):
    """F18: they outlive it, and go on by themselves."""
    with Postgres() as server, sending(tmp_path, senders=2, DATABASE_URL=server.url) as delivery:
        for _ in range(3):
            before = delivery.taken()
            total = delivery.queue(100)
            assert delivery.wait_for(before + 20)
            server.stop(mode)
            time.sleep(2)  # two leases
            server.start()
        assert delivery.wait_for(total, 180), "it did not go on by itself"


@pytest.mark.postgres
def test_started_and_ended_while_postgresql_is_away(tmp_path):
    """F18: after a power cut the sender may be up before its database is; it waits for it, and may be told to end."""
    log = tmp_path / "deliver.log"
    with Postgres() as server, sending(tmp_path, senders=0, DATABASE_URL=server.url) as delivery:
        total = delivery.queue(40)
        server.stop("fast")
        ended = delivery.start()
        wait_for(lambda: "not begun" in log.read_text(), what="the first to look")
        assert delivery.end(ended) == 0
        looked = log.read_text().count("not begun")
        waiting = delivery.start()
        wait_for(lambda: log.read_text().count("not begun") > looked, what="the second to look")
        server.start()
        assert delivery.wait_for(total, 60), "it did not begin by itself"
        server.stop("immediate")
        assert delivery.end(waiting) == 0
        server.start()


def test_a_database_that_says_nothing_for_longer_than_a_lease(tmp_path):
    """F18: "database is locked", in the claim and in the recording."""
    with sending(tmp_path) as delivery:
        for _ in range(3):
            before = delivery.taken()
            total = delivery.queue(80)
            assert delivery.wait_for(before + 10)
            with locked(delivery.env["DATABASE_URL"]):
                time.sleep(3)
        assert delivery.wait_for(total, 180)


def test_the_queue_doubled_flushed_and_away(tmp_path):
    """F16: jobs that come twice at once do nothing twice; without Redis texts go out and doubts are settled all the same."""
    patient = {"HTTP_TIMEOUT": "2", "LEASE": "8"}  # a slow machine's time-outs are not what is tested here
    with Redis() as redis, sending(tmp_path, REDIS_URL=redis.url, **patient) as delivery:
        delivery.manage("setup_schedules")
        jobs = delivery.start("qcluster")
        queue_job(delivery, "cluster_heartbeat")
        wait_for(lambda: last_beat(delivery), 90, "the jobs to begin")
        assert delivery.wait_for(delivery.queue(40), 180), (tmp_path / "deliver.log").read_text()[-2000:]
        for _ in range(3):
            before = delivery.taken()
            delivery.carrier.script(times=20, drop=True)  # taken, and the answer lost
            total = delivery.queue(40)
            delivery.wait_for(before + 20)
            queue_job(delivery, "sweep", times=6)
            redis.stop()
            time.sleep(1)
            redis.start()
        redis.stop()
        total = delivery.queue(40)
        assert delivery.wait_for(total, 180), "it waited for the queue"
        time.sleep(10)  # ten minutes, with what went before
        redis.start()
        back = time.time()
        queue_job(delivery, "cluster_heartbeat")
        wait_for(lambda: last_beat(delivery) > back, 90, "the jobs, with Redis back")
        jobs.terminate()
        jobs.wait(60)


def test_jobs_started_while_redis_is_away(tmp_path):
    """F16: they end with an error, which is what the unit's Restart= goes by, and begin once it answers."""
    with Redis() as redis, sending(tmp_path, senders=0, REDIS_URL=redis.url) as delivery:
        redis.stop()
        assert delivery.start("qcluster").wait(60) != 0
        redis.start()
        delivery.start("qcluster")
        queue_job(delivery, "cluster_heartbeat")
        wait_for(lambda: last_beat(delivery), 90, "the jobs to begin")


def queue_job(delivery, name, times=1):
    job = f"async_task('engage.messaging.jobs.{name}')"
    delivery.manage(
        "shell", "-v0", "-c", f"from django_q.tasks import async_task\nfor _ in range({times}): {job}"
    )


def last_beat(delivery):
    """Of the jobs, in seconds; 0 for none."""
    beats = "sum(h.at.timestamp() for h in Heartbeat.objects.filter(name='cluster'))"
    code = f"from engage.messaging.models import Heartbeat; print('@@', {beats})"
    return float(delivery.manage("shell", "-v0", "-c", code).rsplit("@@", 1)[1])


@contextlib.contextmanager
def locked(url):
    """Nobody else may write."""
    if ON_POSTGRES:
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE messaging_message IN ACCESS EXCLUSIVE MODE")
            yield
        return
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()
