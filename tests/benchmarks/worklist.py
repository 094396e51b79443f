"""The worklist with 300,000 open tasks: page, queries, the slowest query and the poll, for several filters.

    python -m tests.benchmarks.worklist [--patients 1000000] [--tasks 300000]

Runs in a database of its own: a temporary SQLite file, or the empty database that DATABASE_URL names.
Target: page p95 ≤ 100 ms, its queries p95 ≤ 15 ms together, at most 12 of them. CPU is this process's own, for machines
that others use at the same time.
"""

import argparse
import os
import statistics
import tempfile
import time
from typing import Any

VIEWS = {
    "the list": "/worklist/",
    "next page": "",
    "a rare reason": "/worklist/?reason=delivery_review",
    "one queue": "/worklist/?queue=nurses",
    "Spanish": "/worklist/?language=es",
    "mine": "/worklist/?mine=1",
    "one clinic": "/worklist/?clinic=2",
    "done": "/worklist/done/",
    "put off": "/worklist/snoozed/",
    "a panel": "",
    "poll": "/poll/counts/?task=1&heard=2026-01-01T00:00:00%2B00:00",
}


def statements(patients: int, tasks: int) -> list[str]:
    """SQL, the same on both databases: patients over three clinics, open tasks, and as many again done."""
    people = f"""WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {patients})
      INSERT INTO patients_patient (id, source, fhir_id, mrn, clinic_id, family, given, search_name, birth_date,
        birth_precision, gender, language, deceased, active, line, city, state, postal_code, time_zone, preferred_channel,
        detail_level, confidential, do_not_call, demo, digest, updated_at)
      SELECT n, 'bench', CAST(n AS text), '', 1 + n % 3, 'Family', 'Given', 'family given', CAST('1960-01-01' AS date),
        'day', 'female', CASE WHEN n % 5 = 0 THEN 'es' ELSE 'en' END, 1 = 0, 1 = 1, '', '', 'MA', '', 'America/New_York',
        'sms', 0, 1 = 0, 1 = 0, 1 = 0, 0, CURRENT_TIMESTAMP FROM numbers"""
    rows = """WITH RECURSIVE numbers(n) AS (SELECT {low} UNION ALL SELECT n + 1 FROM numbers WHERE n < {high})
      INSERT INTO worklist_task (clinic_id, patient_id, reason, summary, about, link, priority, queue, owner_id, state,
        due_at, snoozed_until, outcome, outcome_note, closed_at, created_at, opened_by)
      SELECT 1 + p % 3, p, CASE WHEN n % 5000 = 0 THEN 'delivery_review' WHEN n % 3 = 0 THEN 'reply' ELSE 'call' END,
        'Asks to be called.', 'bench:' || CAST(n AS text), '', CASE WHEN n % 20000 = 0 THEN 0
          WHEN n % 7 = 0 THEN 1 ELSE 2 END,
        CASE WHEN n % 9 = 0 THEN 'nurses' ELSE 'coordinators' END, CASE WHEN n % 1000 = 0 THEN 1 END, {state},
        {due}, CASE WHEN {state} = 'snoozed' THEN {later} END, {outcome}, '', {closed}, {due}, 'bench'
      FROM (SELECT n, 1 + (CAST(n AS bigint) * 7919) % {patients} AS p FROM numbers) AS x"""
    sqlite = not os.environ.get("DATABASE_URL", "").startswith("postgres")
    due = (
        "datetime('now', CAST(n % 43200 - 20000 AS text) || ' minutes')" if sqlite
        else "now() + (n % 43200 - 20000) * interval '1 minute'"
    )  # fmt: skip
    later = "datetime('now', '2 days')" if sqlite else "now() + interval '2 days'"
    parts = {"patients": patients, "due": due, "later": later}
    opened = parts | {"low": 1, "high": tasks, "outcome": "''", "closed": "NULL"}
    opened["state"] = "CASE WHEN n % 50 = 0 THEN 'snoozed' ELSE 'open' END"
    done = parts | {
        "low": tasks + 1,
        "high": 2 * tasks,
        "outcome": "'answered'",
        "closed": due,
        "state": "'done'",
    }
    return [people, rows.format(**opened), rows.format(**done)]


def fill(patients: int, tasks: int) -> None:
    from django.db import connection

    from engage.accounts.models import Clinic, Role, User

    clinics = [Clinic.objects.create(pk=n, name=f"Clinic {n}", slug=f"c{n}") for n in (1, 2, 3)]
    user = User.objects.create_user("bench", password="x", role=Role.COORDINATOR)
    user.clinics.set(clinics)
    with connection.cursor() as cursor:
        for sql in statements(patients, tasks):
            cursor.execute(sql)
        cursor.execute("ANALYZE")


def measure(times: int) -> None:
    from django.test import Client

    from engage.accounts.models import User
    from engage.worklist.board import Asked, page
    from engage.worklist.models import Task

    user = User.objects.get()
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    middle = page(user, Asked(), size=50).next
    VIEWS["next page"] = f"/worklist/?after={middle}"
    VIEWS["a panel"] = f"/worklist/{Task.objects.filter(state='open').order_by('due_at').first().pk}/"
    time_pages(client, VIEWS, times)


def time_pages(client: Any, pages: dict[str, str], times: int) -> None:
    """A line for each page: its time, its CPU time and that of its queries."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for name, address in pages.items():
        took, busy, queries, slowest, number = [], [], [], [], 0
        client.get(address)
        for _ in range(times):
            began, busy_began = time.perf_counter(), time.process_time()
            assert client.get(address).status_code == 200
            took.append(time.perf_counter() - began)
            busy.append(time.process_time() - busy_began)
            with CaptureQueriesContext(connection) as seen:
                client.get(address)
            spent = [float(q["time"]) for q in seen.captured_queries]
            queries.append(sum(spent))
            slowest.append(max(spent))
            number = len(spent)
        print(f"{name:14} {number:2} queries", end="")
        for label, values in (("page", took), ("CPU", busy), ("queries", queries), ("slowest", slowest)):
            median = statistics.median(values) * 1000
            print(f"   {label}: median {median:5.1f}, p95 {p95(values) * 1000:5.1f} ms", end="")
        print()


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--tasks", type=int, default=300_000)
    parser.add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/bench.sqlite3")
        os.environ.setdefault("ENGAGE_VAR", folder)
        os.environ.setdefault("LOG_LEVEL", "WARNING")
        os.environ["DEBUG"] = "0"
        os.environ["DJANGO_SETTINGS_MODULE"] = "engage.settings"
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
        call_command("migrate", verbosity=0)
        began = time.perf_counter()
        fill(asked.patients, asked.tasks)
        print(f"filled in {time.perf_counter() - began:.0f} s")
        measure(asked.times)


if __name__ == "__main__":
    main()
