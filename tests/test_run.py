"""`make run`: what is left of a process that died is ended before it is started again."""

import importlib.util
import os
import signal
import sys
from pathlib import Path

from tests.stack import wait_for

ROOT = Path(__file__).resolve().parents[1]
HEAD = """
import pathlib, subprocess, sys, time
pathlib.Path(sys.argv[1]).write_text(str(subprocess.Popen(["sleep", "60"]).pid))
time.sleep(60)
"""


def load():
    spec = importlib.util.spec_from_file_location("engage_run", ROOT / "scripts" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def running(pid: int) -> bool:
    """Whether a process lives; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_workers_of_a_killed_head_do_not_live_on(tmp_path):
    run, note = load(), tmp_path / "pid"
    head = run.start([sys.executable, "-c", HEAD, str(note)], dict(os.environ))
    worker = int(wait_for(lambda: note.exists() and note.read_text().strip(), what="the worker"))
    head.send_signal(signal.SIGKILL)
    head.wait(10)
    assert running(worker)
    run.clear(head)
    wait_for(lambda: not running(worker), 10, "the worker's end")
    run.clear(head)  # nothing is left to end: no error
