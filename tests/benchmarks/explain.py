"""Explaining one patient: all of their gaps, all measures asked, in English and in Spanish.

    python -m tests.benchmarks.explain [--patients 2000] [--sample 300] [--facts 100]

Runs in a database of its own: a temporary SQLite file, or the empty database that DATABASE_URL names. The patients are
those of seed_demo; each of the sample gets facts until the chart is long. Target: ≤ 50 ms a patient. CPU time beside it,
for a machine that others use at the same time.
"""

import argparse
import os
import statistics
import tempfile
import time


def lengthen(patients: list[int], facts: int) -> None:
    """Copies the patient's own facts, a day apart, until the chart is long."""
    from engage.records.models import Event

    rows = []
    for patient in patients:
        own = list(Event.objects.filter(patient=patient))
        for number in range(max(0, facts - len(own)) if own else 0):
            event = own[number % len(own)]
            event.pk, event.fhir_id = None, f"long-{patient}-{number}"
            for column in ("start_lo", "start_hi", "end_lo", "end_hi"):
                second = getattr(event, column)
                setattr(event, column, second - 86_400 if abs(second) < 2**40 else second)
            rows.append(Event(**{f.attname: getattr(event, f.attname) for f in Event._meta.fields}))
    Event.objects.bulk_create(rows, batch_size=5_000)


def measure(patients: list[int]) -> tuple[list[float], list[float], int]:
    """(seconds for each patient, CPU seconds for each, gaps explained); sorted."""
    from engage.caregaps.explain import explain_all
    from engage.caregaps.models import CareGap

    took, spent, gaps = [], [], 0
    for patient in patients:
        began, cpu = time.perf_counter(), time.process_time()
        told = explain_all(CareGap.objects.filter(patient=patient).select_related("patient"), "en", "es")
        took.append(time.perf_counter() - began)
        spent.append(time.process_time() - cpu)
        gaps += len(told)
    return sorted(took), sorted(spent), gaps


def main() -> None:
    from engage.caregaps.jobs import find_gaps
    from engage.caregaps.measures import MEASURES
    from engage.caregaps.models import CareGap
    from engage.records.models import Event

    call_command("seed_demo", patients=options.patients, verbosity=0)
    find_gaps(measures=list(MEASURES), accept=True)
    rows = CareGap.objects.order_by("patient").values_list("patient", flat=True).distinct()
    patients = list(rows[: options.sample])
    lengthen(patients, options.facts)
    find_gaps(measures=list(MEASURES), accept=True)
    events = Event.objects.filter(patient__in=patients).count()
    took, spent, gaps = measure(patients)
    print(
        f"{connection.vendor}: {len(patients)} patients, {gaps / len(patients):.1f} gaps and"
        f" {events / len(patients):.0f} facts each, {len(MEASURES)} measures, both languages\n"
        f"median {1000 * statistics.median(took):.1f} ms, 95 % {1000 * took[int(0.95 * len(took))]:.1f} ms,"
        f" most {1000 * took[-1]:.1f} ms;"
        f" CPU median {1000 * statistics.median(spent):.1f} ms; load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=2_000)
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--facts", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/bench.sqlite3")
        os.environ["ENGAGE_VAR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "engage.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0, skip_checks=True)
        main()
        connection.close()
