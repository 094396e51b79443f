"""The care-gap job at size: patients a second for each measure, first run, unchanged second run, rows written.

    python -m tests.benchmarks.find_gaps [--patients 100000] [--loop 300]

Runs in a database of its own: a temporary SQLite file, or the empty database that DATABASE_URL names. About ten facts a
patient, written by SQL: a stated mix (MIX), so that every population, exclusion and numerator has people in it.
The CPU seconds are this process's (on SQLite all of the work), for a machine that others use at the same time.
Targets: ≥ 40,000 patients/s for each measure; a million patients ≤ 60 s PostgreSQL, ≤ 30 s SQLite; second run 0 rows.
"""

import argparse
import os
import resource
import tempfile
import time
from datetime import date

AS_OF = date(2026, 11, 1)
# name: (per mille of patients, facts each, kind, system, code, status, traits, days ago: from, to, minutes, value, value2)
CPT, LOINC, SNOMED, ICD10 = (
    "http://www.ama-assn.org/go/cpt", "http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm",
)  # fmt: skip
HIGH, LOW = "HIGH", "LOW"
FOREVER = -1
MIX = {
    "office visit": (860, 2, 1, CPT, "99213", 1, 1 << 23, 1, 900, 20, None, None),
    "preventive visit": (300, 1, 1, CPT, "99396", 1, 1 << 23, 1, 900, 20, None, None),
    "blood pressure": (800, 2, 3, LOINC, "85354-9", 10, 1 << 20 | 1 << 11, 1, 900, 0, HIGH, LOW),
    "cholesterol": (700, 2, 3, LOINC, "2093-3", 10, 1 << 1 | 1 << 11, 1, 900, 0, "150.0", None),
    "influenza vaccine": (700, 2, 6, "http://hl7.org/fhir/sid/cvx", "140", 15, 0, 1, 1200, 0, None, None),
    "statin": (
        250,
        2,
        7,
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        "617310",
        17,
        1 << 8,
        1,
        700,
        0,
        None,
        None,
    ),
    "hypertension": (280, 1, 2, ICD10, "I10", 17, 1 << 13, 400, 4000, FOREVER, None, None),
    "mammogram": (700, 1, 3, LOINC, "24604-1", 10, 1 << 3, 10, 1600, 0, None, None),
    "colonoscopy": (450, 1, 4, CPT, "45378", 15, 0, 10, 4600, 0, None, None),
    "stool blood test": (150, 1, 3, LOINC, "12503-9", 10, 1 << 1 | 1 << 11, 10, 900, 0, None, None),
    "stool DNA test": (60, 1, 3, LOINC, "77353-1", 10, 1 << 1 | 1 << 11, 10, 1500, 0, None, None),
    "sigmoidoscopy": (20, 1, 4, CPT, "45330", 15, 0, 10, 2500, 0, None, None),
    "hospice": (6, 1, 4, SNOMED, "170935008", 15, 0, 1, 300, 0, None, None),
    "palliative": (8, 1, 2, SNOMED, "305686008", 17, 1 << 13, 1, 600, FOREVER, None, None),
    "frailty": (60, 1, 2, ICD10, "L89.000", 17, 1 << 13, 1, 1200, FOREVER, None, None),
    "advanced illness": (50, 1, 2, ICD10, "A81.00", 17, 1 << 13, 1, 900, FOREVER, None, None),
    "colectomy": (4, 1, 4, CPT, "44150", 15, 0, 10, 4000, 0, None, None),
    "both breasts removed": (5, 1, 2, ICD10, "Z90.13", 17, 1 << 13, 10, 4000, FOREVER, None, None),
    "other diagnoses": (900, 1, 2, ICD10, "J06.9", 27, 1 << 13, 10, 2000, 10, None, None),
}
NUMBERS = "WITH RECURSIVE n(p) AS (SELECT 1 UNION ALL SELECT p + 1 FROM n WHERE p < {count})"


def draw(salt: int, below: int) -> str:
    """SQL: a number that looks random, from the patient's (p), the fact's (k) and a salt."""
    mixed = f"CAST(p AS bigint) * {7919 + salt * 611953} + k * {104729 + salt * 7907}"
    return f"(({mixed}) % 1000003 * CAST(2654435 AS bigint) % 4294967291 / 97 % {below})"


def drawn(value: str | None) -> str:
    """SQL: a value as given, or a systolic of 105 to 165 or a diastolic of 60 to 99."""
    pressures = {HIGH: f"105 + {draw(91, 60)}", LOW: f"60 + {draw(92, 40)}"}
    return pressures.get(value or "", value or "NULL")


def write_people(count: int) -> None:
    from engage.accounts.models import Clinic

    clinics = [
        Clinic.objects.create(name=f"Clinic {n}", slug=f"clinic-{n}", state="MA").pk for n in (1, 2, 3)
    ]
    year = f"({AS_OF.year} - 1 - {draw(90, 92).replace('k *', '0 *')})"
    parts = (year, "(p * 31 % 12 + 1)", "(p * 17 % 28 + 1)")
    vendor = connection.vendor
    born = (
        "make_date({}::int, {}::int, {}::int)"
        if vendor == "postgresql"
        else "printf('%04d-%02d-%02d', {}, {}, {})"
    )
    run(f"""INSERT INTO patients_patient (id, source, fhir_id, mrn, clinic_id, family, given, search_name, birth_date,
        birth_precision, gender, language, deceased, active, line, city, state, postal_code, time_zone, preferred_channel,
        detail_level, confidential, do_not_call, demo, digest, updated_at)
      {NUMBERS.format(count=count)}
      SELECT p, 'bench', CAST(p AS text), '', {clinics[0]} + p % 3, 'Family', 'Given', 'family given',
        {born.format(*parts)}, 'day', CASE WHEN p % 100 < 54 THEN 'female' ELSE 'male' END, 'en', p % 300 = 0, 1 = 1,
        '', '', 'MA', '', 'America/New_York', 'sms', 0, 1 = 0, 1 = 0, 1 = 0, 0, CURRENT_TIMESTAMP FROM n""")
    run(f"""INSERT INTO patients_contactpoint (patient_id, system, use, rank, raw, value, valid, state, state_reason,
        suspect_count, sms_consent, voice_consent, email_consent, source)
      {NUMBERS.format(count=count)}
      SELECT p, 'phone', 'mobile', 1, '', '+1617' || CAST(2000000 + p AS text), 1 = 1, 'active', '', 0,
        'granted', 'granted', 'none', 'ehr' FROM n WHERE p % 50 > 0""")


def write_facts(count: int) -> int:
    from engage.records.models import Coding, Concept, Event, Source

    source = Source.objects.create(name="bench")
    today = (AS_OF.toordinal() - date(1970, 1, 1).toordinal()) * 86_400
    for salt, (name, spec) in enumerate(MIX.items()):
        share, each, kind, system, code, status, traits, near, far, minutes, value, value2 = spec
        concept = Concept.objects.create(key=f"bench-{salt}", display=name)
        Coding.objects.create(concept=concept, system=system, code=code)
        start = f"{today} - 86400 * ({near} + {draw(salt, far - near)}) + 3600 * (8 + k * 3)"
        end = 2**53 if minutes == FOREVER else f"start + {minutes * 60}"
        run(f"""INSERT INTO records_event (source_id, kind, fhir_id, patient_id, concept_id, status, traits,
            start_lo, start_hi,
            end_lo, end_hi, start_offset, end_offset, value, value2, unit, encounter, digest)
          {NUMBERS.format(count=count)}, k(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM k WHERE k < {each}),
          facts AS (SELECT p, k, {start} AS start FROM n, k WHERE {draw(salt + 50, 1000).replace("k *", "0 *")} < {share})
          SELECT {source.pk}, {kind}, '{salt}-' || p || '-' || k, p, {concept.pk}, {status}, {traits},
            start, start, {end}, {end},
            -300, -300, {drawn(value)}, {drawn(value2)}, '', '', 0 FROM facts""")  # fmt: skip
    return Event.objects.count()


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def evaluate(count: int) -> None:
    """Each measure on its own, nothing remembered from another."""
    from engage.caregaps.algebra import Question
    from engage.caregaps.measures import MEASURES
    from engage.caregaps.period import Period

    print(
        f"\n{'measure':8} {'patients/s':>12} {'s':>7} {'CPU s':>7}  population  excluded  numerator       gap"
    )
    for measure in MEASURES.values():
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


def nights() -> None:
    from engage.caregaps.jobs import find_gaps

    for name in ("first run", "second run"):
        began, spent = time.perf_counter(), time.process_time()
        night = find_gaps(as_of=AS_OF, accept=True)
        took, spent = time.perf_counter() - began, time.process_time() - spent
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows = f"{night.written:,} rows written, {night.opened:,} opened"
        print(f"{name:11} {took:7.1f} s (CPU {spent:.1f} s)   {rows}, peak memory {memory:,.0f} MB")


def main() -> None:
    from engage.caregaps.measures import MEASURES
    from engage.records import valuesets

    valuesets.ensure()
    began = time.perf_counter()
    with transaction.atomic():
        write_people(options.patients)
        events = write_facts(options.patients)
    run("ANALYZE")
    each = events / options.patients
    print(f"{connection.vendor}: {options.patients:,} patients, {events:,} facts ({each:.1f} each), built in "
          f"{time.perf_counter() - began:.0f} s; {len(MEASURES)} measures, as of {AS_OF}")  # fmt: skip
    evaluate(options.patients)
    if options.loop:
        print(
            f"\npatient by patient (CMS130, same expressions): {loop(options.patients, options.loop):,.0f} patients/s"
        )
    print()
    nights()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument(
        "--loop", type=int, default=300, metavar="N", help="patients of the loop to compare with"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/bench.sqlite3")
        os.environ["ENGAGE_VAR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "engage.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection, transaction

        call_command("migrate", verbosity=0, skip_checks=True)
        main()
        connection.close()
