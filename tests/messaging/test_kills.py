"""A sender killed in the middle, again and again: nobody is texted twice, nobody is forgotten. On the database of
DATABASE_URL; the judge is the carrier's own log."""

import random
import signal
import time

import pytest

from tests.messaging.processes import Senders
from tests.simulator.harness import Carrier

pytestmark = pytest.mark.slow
KILLS, MESSAGES = 20, 1000


def test_twenty_kills_during_a_thousand_sends(tmp_path):
    chance = random.Random(20)
    with Carrier(tmp_path / "carrier", latency_ms=20) as carrier, Senders(tmp_path, carrier) as senders:
        carrier.settings(callbacks={"off": True})
        warm_up = 1.0  # seconds from the start of a process to its first POST, as measured
        for life in range(KILLS):
            senders.queue(MESSAGES // KILLS)
            before, began = senders.taken(), time.monotonic()
            process = senders.start()
            if life % 3 == 2:  # around the claim, before the first POST
                time.sleep(max(0.0, warm_up - chance.random() * 0.1))
            else:  # anywhere from the first POST to the last, or while the answers are written
                assert senders.wait_for(before + 1), (tmp_path / "deliver.log").read_text()[-2000:]
                warm_up = time.monotonic() - began
                senders.wait_for(before + chance.randint(1, 45), 0.2)
                time.sleep(chance.random() * 0.03)
            senders.kill(process)
        senders.settle()
        assert set(states := senders.judge(MESSAGES)) <= {"accepted", "sent", "delivered"}, states
        unanswered = sum(r["attempts__http_status"] is None for r in senders.rows())
        assert unanswered >= KILLS, f"the kills met only {unanswered} messages under way"


def test_a_sender_that_slept_past_its_lease_sends_nothing_more(tmp_path):
    chance = random.Random(5)
    with Carrier(tmp_path / "carrier", latency_ms=20) as carrier, Senders(tmp_path, carrier) as senders:
        carrier.settings(callbacks={"off": True})
        for _ in range(4):
            senders.queue(50)
            before = senders.taken()
            sleeper = senders.start()
            assert senders.wait_for(before + chance.randint(1, 30))
            sleeper.send_signal(signal.SIGSTOP)
            other = senders.start()
            time.sleep(4)  # four leases
            sleeper.send_signal(signal.SIGCONT)
            time.sleep(0.5)
            for process in (sleeper, other):
                assert senders.end(process) == 0
        senders.settle()
        assert set(senders.judge(200)) <= {"accepted", "sent", "delivered"}


def test_told_to_end_it_leaves_nothing_in_doubt(tmp_path):
    patient = {
        "HTTP_TIMEOUT": "10",
        "LEASE": "60",
    }  # so that a slow machine's time-outs are not taken for ours
    with (
        Carrier(tmp_path / "carrier", latency_ms=50) as carrier,
        Senders(tmp_path, carrier, **patient) as senders,
    ):
        carrier.settings(callbacks={"off": True})
        senders.queue(300)
        process = senders.start()
        assert senders.wait_for(20)
        began = time.monotonic()
        process.terminate()
        assert process.wait(30) == 0
        assert time.monotonic() - began < 30
        states = {r["state"] for r in senders.rows()}
        assert not states & {"sending", "in_doubt"}
        senders.settle()
        assert set(senders.judge(300)) <= {"accepted", "sent", "delivered"}
