"""Whatever the input, an import ends, and every resource is accounted for."""

import copy
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage.records import actions
from engage.records.models import Event
from tests.databases import ROOT, own_database

EXCERPTS = ROOT / "tests" / "data" / "fhir"
GOOD = [json.loads(line) for name in ("bulk", "sample") for line in (EXCERPTS / f"{name}.ndjson").open()]
GOOD += [
    {
        "resourceType": "Appointment",
        "id": "visit",
        "status": "booked",
        "start": "2026-03-04T09:00:00Z",
        "end": "2026-03-04T09:20:00Z",
        "participant": [{"actor": {"reference": f"Patient/{GOOD[0]['id']}"}}],
    },
    {"resourceType": "Medication", "id": "drug", "code": {"coding": [{"system": "s", "code": "c"}]}},
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(2**80),
    st.floats(),
    st.text(max_size=300),
    st.sampled_from(["\0", "a\0b", "\x7f", "", "0000", "9999-12-31T23:59:59+14:00", "0001-01-01", "x" * 5000, "İ" * 200]),
    st.sampled_from([[], {}, [[]], [None], {"coding": [{}]}, {"reference": "Patient/a\0b"}, {"value": "x"}, {"start": 1}]),
)  # fmt: skip


def spots(value, path=()):
    """The path of every element of a resource."""
    found = [path] if path else []
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        found += spots(part, (*path, key))
    return found


@st.composite
def damaged(draw):
    """One of the good resources with one to three elements replaced by something odd."""
    resource = copy.deepcopy(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(spots(resource)))
        part = resource
        for key in way:
            part = part[key]
        part[last] = copy.deepcopy(draw(JUNK))
        if not isinstance(resource.get("resourceType"), str):
            break
    return resource


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(damaged(), min_size=1, max_size=12))
def test_damage_is_refused_or_stored_and_the_rest_is_not_lost(tmp_path, resources):
    file = tmp_path / "in.ndjson"
    file.write_text("".join(json.dumps(r) + "\n" for r in [*GOOD, *resources]))
    summary = actions.import_paths([file], source=f"fuzz-{time.monotonic_ns()}")
    bundles = [r for r in resources if r.get("resourceType") == "Bundle"]
    assert sum(sum(c.values()) for c in summary.counts.values()) == len(GOOD) + len(resources) - len(bundles)
    assert summary.rejected <= len(resources), summary.rejects
    assert all(row["reason"] for row in summary.rejects)


@pytest.mark.django_db
def test_what_the_database_refuses_is_lost_alone():
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN"
                " RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$ LANGUAGE plpgsql"
            )
            cursor.execute(
                "CREATE TRIGGER t BEFORE INSERT ON records_event FOR EACH ROW"
                " WHEN (NEW.fhir_id = 'poison') EXECUTE FUNCTION refuse()"
            )
        else:
            cursor.execute(
                "CREATE TRIGGER t BEFORE INSERT ON records_event WHEN NEW.fhir_id = 'poison'"
                " BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
    code = {"coding": [{"system": "s", "code": "c"}]}
    facts = [
        {"resourceType": "Procedure", "id": id, "subject": {"reference": "Patient/p"}, "code": code}
        for id in ("a", "poison", "b")
    ]
    patient = {"resourceType": "Patient", "id": "p", "birthDate": "1960-05-01"}
    summary = actions.import_resources([patient, *facts])
    assert set(Event.objects.values_list("fhir_id", flat=True)) == {"a", "b"}
    assert summary.as_dict() == {
        "Patient": {"created": 1, "unchanged": 0, "updated": 0},
        "Procedure": {"created": 2, "unchanged": 0, "updated": 0, "rejected": 1},
    }
    assert [r["reason"] for r in summary.rejects] == ["The database refuses one of its values."]


@pytest.mark.slow
def test_killed_and_repeated_it_ends_the_same(tmp_path, request):
    """A real kill, several times, of a real process; the last run makes good what is missing."""
    file = tmp_path / "in.ndjson"
    with file.open("w") as out:
        for copy_number in range(300):
            for resource in GOOD[:60]:
                text = json.dumps(resource).replace('"id": "', f'"id": "{copy_number}-')
                for kind in ("Patient", "Encounter", "Organization"):
                    text = text.replace(f"{kind}/", f"{kind}/{copy_number}-")
                out.write(text + "\n")
    database, drop = own_database(tmp_path)
    request.addfinalizer(drop)
    env = os.environ | {"DATABASE_URL": database, "ENGAGE_VAR": str(tmp_path)}
    manage = [sys.executable, str(ROOT / "manage.py")]
    command = [*manage, "import_fhir", str(file)]
    killed = 0
    for delay in (1.6, 2.0, 2.4):
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert killed
    last = subprocess.run([*command, "--strict"], env=env, check=True, capture_output=True, text=True).stdout
    again = subprocess.run([*command, "--strict"], env=env, check=True, capture_output=True, text=True).stdout
    assert "Patient created=0 updated=0 unchanged=600 rejected=0" in again
    for line in last.splitlines():
        kind, *found = line.split()
        numbers = dict(part.split("=") for part in found)
        total = sum(int(n) for n in numbers.values())
        assert total == 300 * sum(r["resourceType"] == kind for r in GOOD[:60]), line
        assert numbers.get("updated", "0") == "0"
