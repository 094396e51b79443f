"""The process: its own, its log on disk before any answer, its state over restarts, its memory bounded."""

import ast
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from .conftest import client_of
from .harness import ROOT, Carrier
from .test_api import TO, listing, post

SOURCE = ROOT / "engage" / "simulator"


def test_it_imports_nothing_of_the_product():
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] != "django", f"{path}: {name}"
                assert not name.startswith("engage.") or name.startswith("engage.simulator"), (
                    f"{path}: {name}"
                )


def test_it_runs_where_django_is_not_configured():
    code = "import engage.simulator.process, sys; print([m for m in sys.modules if m.startswith('django')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_it_listens_on_the_loopback_address_only(carrier):
    inode = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]}
    port = f"{carrier.port:04X}"
    assert {
        address for address in inode if address.endswith(f":{port}") and address[:8] != "0100007F"
    } == set()


def test_sigterm_ends_it_cleanly(tmp_path):
    carrier = Carrier(tmp_path)
    carrier.start()
    post(carrier)
    assert carrier.stop() == 0
    assert (tmp_path / "carrier.err").read_text() == ""


def test_a_taken_port_is_told(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(RuntimeError, match="cannot start on port"):
            Carrier(tmp_path, port=other.getsockname()[1]).start()


def test_whatever_was_answered_is_in_the_log_after_a_kill(tmp_path):
    carrier = Carrier(tmp_path)
    carrier.start()
    answered: list[str] = []

    def send(n: int) -> None:
        try:
            while True:
                answered.append(post(carrier, To=f"+1555444{n:04d}").json()["sid"])
        except requests.ConnectionError:
            pass

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    carrier.wait(lambda: len(answered) > 50)
    carrier.kill()
    for thread in threads:
        thread.join()
    logged = [line["sid"] for line in carrier.accepted()]
    assert set(answered) <= set(logged) and len(logged) == len(set(logged))


def test_state_survives_a_stop_and_a_kill(tmp_path, receiver):
    carrier = Carrier(tmp_path, state=tmp_path / "state.jsonl", inbound_url=receiver.url("/message"))
    carrier.start()
    sid = post(carrier).json()["sid"]
    carrier.wait(lambda: carrier.messages()[0]["status"] == "delivered")
    carrier.say("+15552220002", "STOP")
    carrier.stop()
    port = carrier.port
    carrier.start()
    assert carrier.port == port
    assert [m["sid"] for m in listing(carrier, To=TO).json()["messages"]] == [sid]
    assert post(carrier, To="+15552220002").json()["code"] == 21610
    carrier.say("+15552220002", "START")
    carrier.kill()
    with (tmp_path / "state.jsonl").open("a") as state:
        state.write('{"event":"message","sid":"SM')  # a line cut short by the kill
    carrier.start()
    assert post(carrier, To="+15552220002").status_code == 201
    assert "STOP" in requests.get(f"{carrier.base_url}/phones/+15552220002/").text
    carrier.stop()


def test_what_was_on_its_way_goes_on_after_a_restart(tmp_path, receiver):
    with Carrier(tmp_path, state=tmp_path / "state.jsonl", sent_after=0.3, delivered_after=0.6) as carrier:
        post(carrier, StatusCallback=receiver.url("/status/r"))
        carrier.kill()
        carrier.start()
        carrier.wait(lambda: receiver.statuses("/status/r")[-1:] == ["delivered"])


def test_a_seed_never_repeats_a_sid_after_a_restart(tmp_path):
    carrier = Carrier(tmp_path, state=tmp_path / "state.jsonl", seed=5)
    sids = []
    for _ in range(2):
        carrier.start()
        sids += [post(carrier).json()["sid"] for _ in range(3)]
        carrier.stop()
    assert len(set(sids)) == 6


def test_the_book_is_bounded_and_the_log_is_not():
    with Carrier(keep=10) as carrier:
        for n in range(25):
            post(carrier, To=f"+1555444{n:04d}")
        assert carrier.control("health") == {"messages": 10, "phones": 10}
        assert len(carrier.accepted()) == 25


def test_bare_accepts_and_logs_and_nothing_else(receiver):
    with Carrier(bare=True, latency_ms=100) as carrier:
        answer = post(carrier, StatusCallback=receiver.url("/status/b"))
        assert answer.status_code == 201 and answer.elapsed.total_seconds() >= 0.1
        assert post(carrier, To="12").status_code == 400
        assert len(carrier.accepted()) == 1 and carrier.control("health")["messages"] == 0
        assert receiver.told == []


def test_everything_by_environment(tmp_path, monkeypatch):
    values = {
        "SIMULATOR_PORT": "0",
        "SIMULATOR_LOG": str(tmp_path / "log.jsonl"),
        "SIMULATOR_SEED": "1",
        "TWILIO_ACCOUNT_SID": "AC" + "5" * 32,
        "TWILIO_AUTH_TOKEN": "one,two",
        "TWILIO_FROM": "+15550100009",
        "PUBLIC_BASE_URL": "http://127.0.0.1:1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    from engage.simulator.options import parse

    options = parse([])
    assert (options.port, options.seed, options.account) == (0, 1, "AC" + "5" * 32)
    assert (options.tokens, options.numbers) == (("one", "two"), ("+15550100009",))
    assert options.inbound_url == "http://127.0.0.1:1/webhooks/twilio/message"
    assert options.log == tmp_path / "log.jsonl" and options.state is None


def test_with_nothing_set(tmp_path, monkeypatch):
    clean = {"PATH": "/usr/bin:/bin", "ENGAGE_VAR": str(tmp_path), "SIMULATOR_PORT": "0"}
    words = [sys.executable, "-m", "engage.simulator"]
    with subprocess.Popen(words, cwd=ROOT, env=clean, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert line.startswith("simulator ready on http://127.0.0.1:")
    assert (tmp_path / "simulator.jsonl").exists()


def test_a_broken_line_of_the_state_is_not_read_as_one(tmp_path):
    from engage.simulator.journal import read

    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"event": "counter", "value": 3}) + "\n" + '{"event":')
    assert list(read(path)) == [{"event": "counter", "value": 3}]


def test_calls_and_texts_by_the_official_client_have_other_sids(carrier):
    made = client_of(carrier).messages.create(
        to=TO, from_=carrier.number, body="x", media_url=["http://a.example/b.png"]
    )
    assert made.sid.startswith("MM") and made.num_media == "1"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_accepts_nothing():
    with Carrier(log="/dev/full", no_sync=True) as carrier:
        assert post(carrier).status_code == 500
        assert carrier.messages() == []
