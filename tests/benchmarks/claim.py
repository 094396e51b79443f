"""How long one claim takes (rows, gate, attempts, commit) with a million rows waiting.

    DATABASE_URL=… python -m tests.benchmarks.claim [--rows 1000000] [--claims 200]

In a database of its own. Target: p95 ≤ 20 ms. Beside it the CPU time of this process, which a busy machine changes less.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from tests.benchmarks import KIND
from tests.benchmarks.launch import fill
from tests.databases import own_database
from tests.messaging.processes import NOON
from tests.webhooks.flood import percentile

WAITING = """INSERT INTO messaging_message (direction, channel, lane, clinic_id, patient_id, contact_point_id, address,
    sender, body, language, key, about, safety, state, state_reason, verdict, error_code, status_conflict, not_before,
    withdrawn, lease_token, attempts_made, created_at, segments)
  SELECT 'out', 'sms', 2, 1, c.patient_id, c.id, c.value, '', 'Hello', 'en', 'k' || c.id, 'caregap:' || c.id, 1 = 0,
    'queued', '', '{}', '', 1 = 0, '2026-03-04 16:00:00', '', '', 0, '2026-03-04 16:00:00', 1
  FROM patients_contactpoint c WHERE c.sms_consent = 'granted' ORDER BY c.id"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--claims", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url, drop = own_database(Path(folder))
        os.environ.update(
            DATABASE_URL=url, DJANGO_SETTINGS_MODULE="engage.settings", LOG_LEVEL="WARNING", NOW=NOON
        )
        try:
            measure(given.rows, given.claims)
        finally:
            drop()


def measure(rows: int, claims: int) -> None:
    import django

    django.setup()
    from django.db import connection

    from engage.accounts.models import Clinic
    from engage.messaging.outbox import BATCH, Sender

    Clinic.objects.create(pk=1, name="Harbor Clinic", slug="harbor", state="MA")
    fill(rows, gaps=False)
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        cursor.execute("ANALYZE")
    sender, times, worked = Sender(), [], time.process_time()
    sender.look()
    for _ in range(claims):
        began = time.perf_counter()
        assert sender.claim().judged == BATCH
        times.append((time.perf_counter() - began) * 1000)
    worked = (time.process_time() - worked) / claims * 1000
    spread = ", ".join(f"p{p} {percentile(times, p / 100):.1f} ms" for p in (50, 95, 99))
    print(
        f"{KIND}, {rows:,} rows: one claim of {BATCH} {spread}; {worked:.1f} ms CPU. load", *os.getloadavg()
    )
    connection.close()


if __name__ == "__main__":
    main()
