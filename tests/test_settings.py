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
        ("BUSINESS_TIME_ZONE", "Boston", "give an IANA time zone"),
        ("CARRIER", "pigeon", "use one of simulator, twilio"),
        ("CARRIER", "twilio", "needs TWILIO_ACCOUNT_SID"),
        ("LEASE", "10", "at least 4"),
        ("HTTP_TIMEOUT", "soon", "number of seconds"),
        ("PUBLIC_BASE_URL", "engage.example.org", "give the address the provider calls"),
        ("SENDING_ENABLED", "perhaps", "use one of"),
        ("SECRET_KEY", "short", "at least 32"),
        ("SENDER_KIND", "carrier pigeon", "use one of unlimited"),
        ("SENDER_RATE", "fast", "give a number from 0.01 to 10000"),
        ("SENDER_RATE", "0", "give a number from 0.01"),
        ("SENDER_DAILY", "-5", "give a number from 1"),
        ("SENDER_RESERVE", "100", "give a number from 0 to 90"),
        ("SEGMENT_PRICE", "cheap", "give a number"),
        ("DATABASE_URL", "mysql://localhost/engage", "use sqlite"),
        ("DATABASE_URL", "postgres://h/e?options=-c%20synchronous_commit%3Doff", "must survive a power cut"),
        ("DATABASE_URL", "postgres://h/e?options=-c%20synchronous_commit%3D0", "must survive a power cut"),
    ],
)
def test_an_odd_setting_stops_the_start_with_a_sentence(name, value, says, tmp_path):
    done = start(ENGAGE_VAR=str(tmp_path), **{name: value})
    assert done.returncode != 0
    assert says in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("", "-c synchronous_commit=on"),
        ("?options=-c%20work_mem%3D64MB", "-c synchronous_commit=on -c work_mem=64MB"),
    ],
)
def test_commits_are_durable_whatever_else_the_database_is_asked_for(asked, given):
    code = "from engage.settings import DATABASES; print(DATABASES['default']['OPTIONS']['options'])"
    env = {**os.environ, "DATABASE_URL": f"postgres://h/e{asked}"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert said.stdout.strip() == given, said.stderr


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


@pytest.mark.parametrize(
    ("env", "limits"),
    [
        ({}, "None None"),  # the simulator: only a real carrier has limits
        ({"SENDER_KIND": "10dlc_standard"}, "40 40000"),
        ({"SENDER_KIND": "10dlc_standard", "SENDER_RATE": "unlimited", "SENDER_DAILY": "500"}, "None 500"),
        ({"CARRIER": "twilio", "TWILIO_FROM": "+18335550100"}, "3 None"),
        ({"CARRIER": "twilio", "TWILIO_FROM": "+16175550100"}, "1.25 2000"),
        (
            {"CARRIER": "twilio", "TWILIO_FROM": "+1617555", "TWILIO_API_BASE_URL": "http://127.0.0.1:9"},
            "None None",
        ),
    ],
)
def test_the_limits_of_a_sender(env, limits, tmp_path):
    account = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "t"}
    code = (
        "from django.conf import settings as s; n = lambda v: v if v is None else f'{v:g}'; "
        "print(n(s.SENDER_RATE), n(s.SENDER_DAILY))"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SENDER_", "TWILIO_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **kept,
            **account,
            "DJANGO_SETTINGS_MODULE": "engage.settings",
            "ENGAGE_VAR": str(tmp_path),
            **env,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == limits, done.stderr
