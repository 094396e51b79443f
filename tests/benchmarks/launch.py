"""Launch of a campaign: enrollments a second by set, each exclusion with its reason, and the second launch's rows.

    python -m tests.benchmarks.launch [--gaps 800000]

Runs in a database of its own: a temporary SQLite file, or the empty database that DATABASE_URL names.
Target: 800,000 in ≤ 10 s on SQLite, ≤ 30 s on PostgreSQL; launched again: 0 rows.
"""

import argparse
import os
import tempfile
import time

SHARES = """CASE WHEN n % 100 = 0 THEN 'deceased' WHEN n % 100 = 1 THEN 'confidential' WHEN n % 100 = 2 THEN 'language'
 WHEN n % 100 IN (3, 4) THEN 'opted_out' WHEN n % 100 = 5 THEN 'no_consent' WHEN n % 100 IN (6, 7) THEN 'no_number'
 ELSE 'reached' END"""
EXPECTED = {
    "deceased": 1,
    "confidential": 1,
    "no_language": 1,
    "opted_out": 2,
    "no_consent": 1,
    "no_number": 2,
    "": 92,
}


def statements(count: int) -> list[str]:
    """SQL, the same on both databases, for `count` patients with a phone each and an open gap each."""
    numbers = (
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}),"
        f" shares AS (SELECT n, {SHARES} AS share FROM numbers) "
    )
    patients = f"""INSERT INTO patients_patient (id, source, fhir_id, mrn, clinic_id, family, given, search_name, birth_date,
        birth_precision, gender, language, deceased, active, line, city, state, postal_code, time_zone, preferred_channel,
        detail_level, confidential, do_not_call, demo, digest, updated_at)
      {numbers} SELECT n, 'bench', CAST(n AS text), '', 1, 'Family', 'Given', 'family given',
        CAST('1960-01-01' AS date), 'day', 'female',
        CASE WHEN share = 'language' THEN 'vi' WHEN n % 5 = 0 THEN 'es' ELSE 'en' END,
        share = 'deceased', 1 = 1, '', '', 'MA', '', 'America/New_York', 'sms', 0, share = 'confidential', 1 = 0, 1 = 0, 0,
        CURRENT_TIMESTAMP FROM shares"""
    points = f"""INSERT INTO patients_contactpoint (patient_id, system, use, rank, raw, value, valid, state, state_reason,
        suspect_count, sms_consent, voice_consent, email_consent, source)
      {numbers} SELECT n, 'phone', 'mobile', 1, '', '+1617' || CAST(2000000 + n AS text), 1 = 1, 'active', '', 0,
        CASE share WHEN 'opted_out' THEN 'revoked' WHEN 'no_consent' THEN 'none' ELSE 'granted' END, 'none', 'none', 'ehr'
      FROM shares WHERE share <> 'no_number'"""
    gaps = f"""INSERT INTO caregaps_caregap (patient_id, measure, "group", period_start, rules, status, opened_on, due_since,
        closed_by, evidence, evidence_key, changed_at)
      {numbers} SELECT n, 'CMS130', 1, CAST('2026-01-01' AS date), '2026.1', 'open', CAST('2026-01-01' AS date),
        CAST('2026-01-01' AS date), '', '{{}}', '', CURRENT_TIMESTAMP FROM shares"""
    # SQLite's CAST to date gives a number; its dates are text.
    return [patients, points, gaps]


def fill(count: int, *, gaps: bool = True) -> None:
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements(count)[: 3 if gaps else 2]:
            if connection.vendor == "sqlite":
                statement = statement.replace("CAST('1960-01-01' AS date)", "'1960-01-01'").replace(
                    "CAST('2026-01-01' AS date)", "'2026-01-01'"
                )
            cursor.execute(statement)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def make_campaign():
    from engage.accounts.models import Clinic
    from engage.campaigns import starters
    from engage.campaigns.models import Campaign

    clinic = Clinic.objects.create(pk=1, name="Harbor Clinic", slug="harbor", phone="+16175550100")
    starters.ensure_templates("benchmark")
    campaign = Campaign.objects.create(name="Screening", measure="CMS130")
    campaign.clinics.add(clinic)
    starters.give_cadence(campaign)
    return campaign


def timed(what: str, act):
    began, worked = time.perf_counter(), time.process_time()
    result = act()
    took, worked = time.perf_counter() - began, time.process_time() - worked
    shown = getattr(result, "reached", result)
    print(f"{what}: {shown} in {took:.2f} s ({worked:.2f} s of it this process's own work)", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gaps", type=int, default=800_000)
    count = parser.parse_args().gaps
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/launch.sqlite3")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "engage.settings")
        os.environ.setdefault("LOG_LEVEL", "WARNING")
        run(count)


def run(count: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.db.models import Count

    from engage.campaigns import counts, enrolling
    from engage.campaigns.models import Enrollment

    call_command("migrate", verbosity=0)
    campaign = make_campaign()
    timed("filled", lambda: fill(count))
    timed(f"{connection.vendor}: would be reached (preview)", lambda: counts.preview(campaign))
    began = time.perf_counter()

    def shown(rows: int) -> None:
        print(f"  {rows} after {time.perf_counter() - began:.1f} s", flush=True)

    timed(f"{connection.vendor}: launched, rows", lambda: enrolling.take_in(campaign, shown))
    timed(f"{connection.vendor}: launched again, rows", lambda: enrolling.take_in(campaign))
    timed(f"{connection.vendor}: those left out asked again, rows", lambda: enrolling.readmit(campaign))
    found = dict(Enrollment.objects.values_list("why").annotate(n=Count("pk")).order_by())
    assert found == {why: share * count // 100 for why, share in EXPECTED.items()}, found
    print("each reason as it was made:", {why or "reached": n for why, n in sorted(found.items())})


if __name__ == "__main__":
    main()
