"""The care-gap job at size: patients a second for each measure, first run, unchanged second run, an incremental night.

    python -m tests.benchmarks.find_gaps [--patients 100000] [--long 1] [--loop 300] [--nights N]

Runs in a database of its own: a temporary SQLite file, or the database that DATABASE_URL names; one that holds such a
population already is used again, without its gaps (remove one whose making was interrupted).
About ten facts a patient (`--long 12`: a hundred), a stated mix
(tests/benchmarks/population.py), so that every population, exclusion and numerator has people in it.
CPU seconds are those of all our processes (of PostgreSQL's none), the memory is that of the largest process so far.
Targets: ≥ 40,000 patients/s for each measure; a million patients ≤ 60 s PostgreSQL, ≤ 30 s SQLite; second run 0 rows in
half of that; a night with 1 % changed in a tenth; ≤ 1 GB.
"""

import argparse
import os
import resource
import tempfile
import time
from datetime import timedelta
from unittest import mock

NIGHTS = ("first run", "second run", "1 % changed")
TEN = ("CMS125", "CMS130", "CMS165", "CMS124", "CMS122", "CMS131", "CMS951", "CMS139", "CMS153", "CMS117")


def evaluate(count: int) -> None:
    """Each measure on its own, nothing remembered from another."""
    from engage.caregaps.algebra import Question
    from engage.caregaps.measures import MEASURES
    from engage.caregaps.period import Period

    print(
        f"\n{'measure':8} {'patients/s':>12} {'s':>7} {'CPU s':>7}  population  excluded  numerator       gap"
    )
    for measure in (MEASURES[name] for name in TEN):
        began, spent = time.perf_counter(), time.process_time()
        question = Question.nightly(Period.of(AS_OF), AS_OF)
        for group in measure.rules(AS_OF.year).groups:
            counted = group.count(question)
        took, spent = time.perf_counter() - began, time.process_time() - spent
        sizes = (len(counted.initial), len(counted.excluded), len(counted.numerator), len(counted.gap))
        shares = "  ".join(f"{100 * size / count:8.1f}%" for size in sizes)
        print(f"{measure.id:8} {count / took:12,.0f} {took:7.2f} {spent:7.2f} {shares}")


def loop(count: int, sample: int) -> float:
    """The same expressions asked patient by patient, as an interpreter does: patients a second for CMS130."""
    from engage.caregaps.algebra import Question
    from engage.caregaps.measures import MEASURES
    from engage.caregaps.period import Period

    group = MEASURES["CMS130"].rules(AS_OF.year).groups[0]
    began = time.perf_counter()
    for number in range(sample):
        one = [1 + number * (count // sample)]
        group.count(Question.nightly(Period.of(AS_OF), AS_OF, patients=one))
    return sample / (time.perf_counter() - began)


def cpu() -> float:
    """Seconds of this process and of those that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def night(name: str, **how) -> float:
    """One run of the job, told in a line; gives its seconds."""
    from engage.caregaps.jobs import find_gaps

    began, spent = time.perf_counter(), cpu()
    with mock.patch("engage.caregaps.jobs.NIGHTLY", TEN):
        run = find_gaps(**{"as_of": AS_OF, "accept": True} | how)
    took, spent = time.perf_counter() - began, cpu() - spent
    memory = (
        max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        / 1024
    )
    print(
        f"{name:12} {took:7.1f} s (CPU {spent:.1f} s)   {run.summary}; peak memory of a process {memory:,.0f} MB",
        flush=True,
    )
    return took


def prepare() -> int:
    """The population, made once; gives the number of patients."""
    from engage.records import valuesets

    valuesets.ensure()
    patients = int(population.one("SELECT COUNT(*) FROM patients_patient"))
    if not patients:
        began = time.perf_counter()
        with population.unguarded():
            population.write(options.patients, options.long)
        population.run("ANALYZE")
        patients = options.patients
        print(f"built in {time.perf_counter() - began:.0f} s")
    else:
        forget()
    events = int(population.one("SELECT COUNT(*) FROM records_event"))
    print(
        f"{connection.vendor}: {patients:,} patients, {events:,} facts ({events / patients:.1f} each), as of {AS_OF}"
    )
    if options.mix:
        print(population.described())
    return patients


def forget() -> None:
    """No gap and no run, as before the first night."""
    population.run("DELETE FROM records_event WHERE fhir_id LIKE 'new-%'")
    population.run("DELETE FROM records_change")
    for table in (
        "caregaps_roll",
        "caregaps_moving",
        "caregaps_countedtogether",
        "caregaps_opentally",
        "caregaps_measuretally",
        "caregaps_closure",
        "caregaps_caregap",
        "caregaps_gaprun",
        "worklist_task",
    ):
        population.run(f"TRUNCATE {table} CASCADE" if population.postgresql() else f"DELETE FROM {table}")
    if population.postgresql():
        population.run("VACUUM ANALYZE")


def change_one_in_a_hundred() -> int:
    """A blood pressure of yesterday for every hundredth patient, as an import would write it; and a day passes."""
    before = int(population.one("SELECT COUNT(*) FROM records_change"))
    day = population.today()
    population.run(
        "INSERT INTO records_event (source_id, kind, fhir_id, patient_id, concept_id, status, traits, start_lo, start_hi,"
        " end_lo, end_hi, start_offset, end_offset, value, value2, unit, encounter, digest)"
        " SELECT source_id, kind, 'new-' || patient_id, patient_id, concept_id, status, traits,"
        f" {day}, {day}, {day}, {day}, 0, 0, 118, 76, '', '', 0 FROM records_event"
        f" WHERE concept_id = {population.concept_id('85354-9')} AND kind = 3 AND patient_id % 100 < 2"
        " AND fhir_id LIKE '%-1'"
    )
    return int(population.one("SELECT COUNT(*) FROM records_change")) - before


def main() -> None:
    patients = prepare()
    if options.measures:
        evaluate(patients)
    if options.loop:
        print(f"\npatient by patient (CMS130): {loop(patients, options.loop):,.0f} patients/s")
    if options.nights:
        first = night(NIGHTS[0], full=True)
        second = night(NIGHTS[1], full=True)
        night("none changed")
        changed = change_one_in_a_hundred()
        few = night(NIGHTS[2], as_of=AS_OF + timedelta(days=1))
        print(
            f"second/first {second / first:.2f}; a night with {changed:,} patients changed / first {few / first:.3f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument(
        "--long", type=int, default=1, metavar="N", help="so many times the visits, readings and tests"
    )
    parser.add_argument(
        "--loop", type=int, default=0, metavar="N", help="patients of the loop to compare with"
    )
    parser.add_argument("--measures", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--nights", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--mix", action="store_true", help="say what the population is made of")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/bench.sqlite3")
        os.environ["ENGAGE_VAR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "engage.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        from tests.benchmarks import population
        from tests.benchmarks.population import AS_OF

        call_command("migrate", verbosity=0, skip_checks=True)
        main()
        connection.close()
