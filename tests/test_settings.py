"""Settings refuse odd values with one sentence each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def start(**env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "engage.settings", **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("NOW", "yesterday", "give an ISO date and time"),
        ("NOW", "2020-06-01T10:00:00", "the offset is missing"),
        ("CARRIER", "pigeon", "use one of simulator, twilio"),
        ("CARRIER", "twilio", "needs TWILIO_ACCOUNT_SID"),
        ("LEASE", "10", "at least 4"),
        ("HTTP_TIMEOUT", "soon", "number of seconds"),
        ("PUBLIC_BASE_URL", "engage.example.org", "give the address the provider calls"),
        ("SENDING_ENABLED", "perhaps", "use one of"),
        ("SECRET_KEY", "short", "at least 32"),
        ("DATABASE_URL", "mysql://localhost/engage", "use sqlite"),
    ],
)
def test_an_odd_setting_stops_the_start_with_a_sentence(name, value, says, tmp_path):
    done = start(ENGAGE_VAR=str(tmp_path), **{name: value})
    assert done.returncode != 0
    assert says in done.stderr.strip().splitlines()[-1]


def test_nothing_set_starts(tmp_path):
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
    done = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"],
        env={**env, "DJANGO_SETTINGS_MODULE": "engage.settings", "ENGAGE_VAR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
