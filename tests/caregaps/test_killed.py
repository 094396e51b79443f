"""find_gaps as a process of its own, killed without a word, and run again: the same end."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from engage.caregaps.jobs import alive
from tests.stack import ROOT, Stack, wait_for

CODE = """
import os, time, django; django.setup()
from django.db import transaction
from engage.caregaps import jobs, writing
from engage.caregaps.models import GapRun
writing.NEW_ROWS = 100
real = GapRun.beat
def slowly(*args, **more):
    real(*args, **more); transaction.on_commit(step)  # the lock is not held meanwhile
def step():
    os.write(1, b"step %d\\n" % os.getpid()); time.sleep(0.2)  # at once: two processes write here
GapRun.beat = slowly
print(jobs.find_gaps(accept=True).state)
"""
SIDE_BY_SIDE = """
import os
os.cpu_count = lambda: 2
from engage.caregaps import parts
parts.ENOUGH = 500
"""
STATE = """
import json, django; django.setup()
from engage.caregaps.models import CareGap, GapRun
rows = list(CareGap.objects.order_by("measure", "patient_id").values_list("measure", "patient_id", "status", "evidence_key"))
print(json.dumps([rows, list(GapRun.objects.order_by("pk").values_list("state", "written"))]))
"""
PEOPLE = """
import django; django.setup()
from django.db import transaction
from engage.demo.population import Population, make_clinics
from engage.lib import clock
from engage.records import valuesets
valuesets.ensure()
with transaction.atomic():
    Population(7, make_clinics(), clock.today()).write(3000)
"""


SETUP = "import django; django.setup()"
FORGET = """
import django; django.setup()
from engage.caregaps.models import CareGap, GapRun, MeasureTally, OpenTally, Roll
for model in (Roll, MeasureTally, OpenTally, CareGap, GapRun):
    model.objects.all().delete()
"""


def run(stack: Stack, code: str) -> str:
    env = stack.env | {"DJANGO_SETTINGS_MODULE": "engage.settings"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    ).stdout


def start(stack: Stack, code: str) -> subprocess.Popen[str]:
    env = stack.env | {"DJANGO_SETTINGS_MODULE": "engage.settings"}
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_killed_and_run_again_it_ends_the_same(tmp_path):
    with Stack(tmp_path, now="2026-03-04T12:00:00-05:00") as stack:
        run(stack, PEOPLE)
        for steps in (2, 7, 12):  # sorting, the first measure, the second
            killed = start(stack, CODE)
            assert [killed.stdout.readline()[:4] for _ in range(steps)] == ["step"] * steps
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
        assert run(stack, CODE).splitlines()[-1] == "completed"
        rows, runs = json.loads(run(stack, STATE))
        assert [state for state, _ in runs] == ["failed", "failed", "failed", "completed"]
        assert len({(measure, patient) for measure, patient, *_ in rows}) == len(rows) > 1000
        run(stack, CODE)
        again, runs = json.loads(run(stack, STATE))
        assert again == rows and runs[-1] == ["completed", 0]


@pytest.mark.slow
def test_two_processes_end_as_one_does_whoever_of_them_is_killed(tmp_path):
    with Stack(tmp_path, now="2026-03-04T12:00:00-05:00") as stack:
        run(stack, PEOPLE)
        assert run(stack, CODE).splitlines()[-1] == "completed"
        alone, _ = json.loads(run(stack, STATE))
        for victim in ("part", "other part", "whole"):
            run(stack, FORGET)
            job = start(stack, SETUP + SIDE_BY_SIDE + CODE)
            steps: Counter[int] = Counter()
            while len(steps) < 2 or min(steps.values()) < 6:  # three measures sorted, the first begun
                steps[int(job.stdout.readline().split()[1])] += 1
            first, second = sorted(steps)
            os.kill({"part": first, "other part": second, "whole": job.pid}[victim], signal.SIGKILL)
            assert job.wait(60) != 0
            wait_for(lambda pids=tuple(steps): not any(map(alive, pids)), what="the parts to end too")
            half, _ = json.loads(run(stack, STATE))
            assert run(stack, SETUP + SIDE_BY_SIDE + CODE).splitlines()[-1] == "completed"
            rows, runs = json.loads(run(stack, STATE))
            assert rows == alone and 0 < len(half) <= len(alone)
            assert [state for state, _ in runs] == ["failed", "completed"]
