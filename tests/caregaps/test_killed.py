"""find_gaps as a process of its own, killed without a word, and run again: the same end."""

import json
import signal
import subprocess
import sys

import pytest

from tests.stack import ROOT, Stack

CODE = """
import time, django; django.setup()
from engage.caregaps import jobs, writing
writing.NEW_ROWS = 100
real = jobs.beat
def slowly(*args, **more):
    real(*args, **more); print("step", flush=True); time.sleep(0.2)
jobs.beat = slowly
print(jobs.find_gaps(accept=True).state)
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


def run(stack: Stack, code: str) -> str:
    env = stack.env | {"DJANGO_SETTINGS_MODULE": "engage.settings"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.slow
def test_killed_and_run_again_it_ends_the_same(tmp_path):
    with Stack(tmp_path, now="2026-03-04T12:00:00-05:00") as stack:
        run(stack, PEOPLE)
        env = stack.env | {"DJANGO_SETTINGS_MODULE": "engage.settings"}
        for steps in (2, 7, 12):  # sorting, the first measure, the second
            killed = subprocess.Popen(
                [sys.executable, "-c", CODE], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
            )
            assert [killed.stdout.readline() for _ in range(steps)] == ["step\n"] * steps
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
        assert run(stack, CODE).splitlines()[-1] == "completed"
        rows, runs = json.loads(run(stack, STATE))
        assert [state for state, _ in runs] == ["failed", "failed", "failed", "completed"]
        assert len({(measure, patient) for measure, patient, *_ in rows}) == len(rows) > 1000
        run(stack, CODE)
        again, runs = json.loads(run(stack, STATE))
        assert again == rows and runs[-1] == ["completed", 0]
