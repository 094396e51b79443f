"""A population for the care-gap benchmarks, written by SQL: who there is and what is in their charts, as a stated mix.

Shares are guesses at an American primary-care panel, so that every population, exclusion and numerator of the ten
measures has people in it. Nothing is random: the same numbers come out on both databases.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from django.db import connection, transaction

from engage.fhir.traits import Trait
from engage.records.models import Kind, Status

AS_OF = date(2026, 11, 1)
CPT, LOINC, SNOMED, ICD10 = (
    "http://www.ama-assn.org/go/cpt", "http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm",
)  # fmt: skip
ICD10PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
CVX, RXNORM = "http://hl7.org/fhir/sid/cvx", "http://www.nlm.nih.gov/research/umls/rxnorm"
FOREVER = -1
LAB = Trait.LABORATORY | Trait.HAS_VALUE
TEST = LAB | Trait.QUANTITY
NUMBERS = "WITH RECURSIVE n(p) AS (SELECT 1 UNION ALL SELECT p + 1 FROM n WHERE p < {count})"


@dataclass(frozen=True)
class Fact:
    """One row of the mix: `share` per mille of those it is about have `each` such facts, `days` ago (from, to)."""

    name: str
    share: int
    kind: int
    system: str
    code: str
    days: tuple[int, int] = (1, 900)
    each: int = 1
    ages: tuple[int, int] = (0, 200)
    women: bool = False
    of: str = ""  # only of those who have this other fact
    status: int = Status.FINAL
    traits: int = 0
    minutes: int = 0
    value: str = "NULL"
    value2: str = "NULL"
    unit: str = ""
    answer: str = ""  # SNOMED code of the value
    doses: tuple[int, ...] = ()  # days after birth, instead of days ago
    more: bool = False  # long charts have more of it


def visit(name: str, share: int, code: str, **more) -> Fact:
    return Fact(
        name, share, Kind.ENCOUNTER, CPT, code, status=Status.FINISHED, traits=Trait.CLASS_AMB, minutes=20, **more
    )  # fmt: skip


def lab(name: str, share: int, code: str, value: str = "100.0", **more) -> Fact:
    return Fact(name, share, Kind.OBSERVATION, LOINC, code, traits=TEST, value=value, **more)


def diagnosis(name: str, share: int, code: str, days: tuple[int, int], **more) -> Fact:
    return Fact(
        name, share, Kind.CONDITION, ICD10, code, days, status=Status.ACTIVE, traits=Trait.VERIFIED, minutes=FOREVER, **more
    )  # fmt: skip


def procedure(name: str, share: int, system: str, code: str, days: tuple[int, int], **more) -> Fact:
    return Fact(name, share, Kind.PROCEDURE, system, code, days, status=Status.COMPLETED, **more)


def vaccine(name: str, code: str, *doses: int) -> Fact:
    of = "" if name == "DTaP" else "DTaP"
    return Fact(
        name, 930, Kind.IMMUNIZATION, CVX, code, ages=(0, 5), status=Status.COMPLETED, doses=doses, each=len(doses), of=of
    )  # fmt: skip


def between(low: int, high: int, salt: int) -> str:
    """SQL: a whole number from low to high."""
    return f"{low} + {draw(salt, high - low)}"


def draw(salt: int, below: int, k: str = "k") -> str:
    """SQL: a number that looks random, from the patient's (p), the fact's (k) and a salt."""
    mixed = f"CAST(p AS bigint) * {7919 + salt * 611953} + {k} * {104729 + salt * 7907}"
    return f"(({mixed}) % 1000003 * CAST(2654435 AS bigint) % 4294967291 / 97 % {below})"


MIX = (
    visit("office visit", 860, "99213", each=2, more=True),
    visit("preventive visit", 300, "99396", ages=(18, 200)),
    visit("child's preventive visit", 700, "99392", ages=(0, 6), each=3),
    Fact(
        "blood pressure", 800, Kind.OBSERVATION, LOINC, "85354-9", each=2, ages=(18, 200),
        traits=Trait.BP_PANEL | Trait.HAS_VALUE | Trait.VITAL_SIGNS, more=True,
        value=between(105, 165, 91), value2=between(60, 99, 92),
    ),
    lab("cholesterol", 700, "2093-3", ages=(20, 200), each=2, more=True),
    lab("blood count", 400, "718-7", more=True),
    Fact("influenza vaccine", 600, Kind.IMMUNIZATION, CVX, "140", (1, 1200), 2, (6, 200), status=Status.COMPLETED),
    Fact(
        "statin", 350, Kind.MEDICATION_REQUEST, RXNORM, "617310", (1, 700), 2, (40, 200),
        status=Status.ACTIVE, traits=Trait.INTENT_ORDER,
    ),
    diagnosis("hypertension", 330, "I10", (400, 4000), ages=(18, 200)),
    diagnosis("diabetes", 130, "E11.9", (200, 4000), ages=(18, 200)),
    lab(
        "HbA1c", 850, "4548-4", f"(55 + {draw(93, 60)}) / 10.0", of="diabetes", ages=(18, 200), each=3, days=(1, 800),
        unit="%",
    ),
    lab("eGFR", 800, "48642-3", of="diabetes", ages=(18, 200), each=2),
    lab("uACR", 550, "14959-1", of="diabetes", ages=(18, 200)),
    Fact("eye exam", 550, Kind.OBSERVATION, SNOMED, "252779009", of="diabetes", ages=(18, 200), traits=Trait.EXAM),
    diagnosis("retinopathy", 150, "E08.311", (200, 3000), of="diabetes", ages=(18, 200)),
    Fact("mammogram", 700, Kind.OBSERVATION, LOINC, "24604-1", (10, 1600), 1, (40, 79), women=True, traits=Trait.IMAGING),
    procedure("colonoscopy", 500, CPT, "45378", (10, 4600), ages=(45, 85)),
    lab("stool blood test", 150, "12503-9", ages=(45, 85)),
    lab("stool DNA test", 60, "77353-1", ages=(45, 85), days=(10, 1500)),
    procedure("sigmoidoscopy", 20, CPT, "45330", (10, 2500), ages=(45, 85)),
    lab("Pap test", 650, "10524-7", ages=(21, 65), women=True, days=(10, 1500)),
    lab("HPV test", 450, "21440-3", ages=(30, 65), women=True, days=(10, 2500)),
    procedure("hysterectomy", 60, ICD10PCS, "0UTC0ZZ", (10, 6000), ages=(40, 200), women=True),
    Fact(
        "contraceptive", 350, Kind.MEDICATION_REQUEST, RXNORM, "1000126", (1, 700), 1, (15, 45), women=True,
        status=Status.ACTIVE, traits=Trait.INTENT_ORDER,
    ),
    lab("chlamydia test", 450, "14463-4", ages=(16, 26), women=True),
    diagnosis("pregnancy", 60, "O09.00", (1, 700), ages=(18, 45), women=True),
    Fact(
        "falls screening", 600, Kind.OBSERVATION, LOINC, "52552-7", (1, 900), 2, (64, 200),
        traits=Trait.SURVEY | Trait.HAS_VALUE,
    ),
    vaccine("DTaP", "106", 60, 120, 180, 450),
    vaccine("polio", "10", 60, 120, 400),
    vaccine("MMR", "03", 370),
    vaccine("Hib", "49", 60, 120, 370),
    vaccine("hepatitis B", "08", 1, 60, 180),
    vaccine("chickenpox", "21", 370),
    vaccine("pneumococcal", "133", 60, 120, 180, 370),
    vaccine("hepatitis A", "83", 370),
    vaccine("rotavirus", "116", 60, 120, 180),
    vaccine("influenza of children", "150", 200, 560),
    procedure("hospice", 10, SNOMED, "170935008", (1, 300), ages=(50, 200)),
    diagnosis("palliative", 10, "Z51.5", (1, 600), ages=(40, 200)),
    diagnosis("frailty", 180, "L89.000", (1, 1200), ages=(65, 200)),
    diagnosis("advanced illness", 120, "A81.00", (1, 900), ages=(60, 200)),
    Fact(
        "nursing home", 40, Kind.OBSERVATION, LOINC, "71802-3", (1, 900), 1, (66, 200),
        traits=Trait.SURVEY | Trait.HAS_VALUE, answer="160734000",
    ),
    diagnosis("kidney failure", 8, "N18.6", (10, 3000), ages=(18, 200)),
    procedure("colectomy", 4, CPT, "44150", (10, 4000), ages=(45, 200)),
    diagnosis("both breasts removed", 8, "Z90.13", (10, 4000), ages=(40, 200), women=True),
    Fact(
        "other diagnoses", 600, Kind.CONDITION, ICD10, "J06.9", (10, 2000), status=Status.RESOLVED, traits=Trait.VERIFIED,
        minutes=14_400, more=True,
    ),
    lab("other tests", 500, "2345-7", days=(10, 2000), more=True),
)  # fmt: skip
SALTS = {fact.name: salt for salt, fact in enumerate(MIX)}


def write(count: int, long: int = 1) -> int:
    """So many patients with their charts; `long` multiplies what long charts have more of. Gives the number of facts."""
    write_people(count)
    with without_indexes("records_event"):
        for fact in MIX:
            write_fact(fact, long)
    return int(one("SELECT COUNT(*) FROM records_event"))


@contextmanager
def unguarded() -> Iterator[None]:
    """One transaction; on SQLite without a journal, of which a big one is slow to read back."""
    if postgresql():
        with transaction.atomic():
            yield
        return
    run("PRAGMA journal_mode=OFF")
    run("PRAGMA synchronous=OFF")
    with transaction.atomic():
        yield
    run("PRAGMA journal_mode=WAL")
    run("PRAGMA synchronous=FULL")


@contextmanager
def without_indexes(table: str) -> Iterator[None]:
    """They are made anew at the end: sorted once, instead of ten million times into the middle."""
    find = (
        f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{table}' AND indexdef LIKE 'CREATE INDEX%'"
        if postgresql()
        else f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = '{table}'"
    )
    with connection.cursor() as cursor:
        cursor.execute(find)
        indexes = cursor.fetchall()
    for name, _ in indexes:
        run(f'DROP INDEX "{name}"')
    yield
    if postgresql():
        run("SET CONSTRAINTS ALL IMMEDIATE")
    for _, definition in indexes:
        run(definition)


def write_people(count: int) -> None:
    from engage.accounts.models import Clinic

    clinics = [
        Clinic.objects.create(name=f"Clinic {n}", slug=f"clinic-{n}", state="MA").pk for n in (1, 2, 3)
    ]
    chance = draw(90, 1000, "0")
    age = (
        f"(CASE WHEN {chance} < 220 THEN {draw(94, 18, '0')} WHEN {chance} < 620 THEN 18 + {draw(95, 32, '0')}"
        f" WHEN {chance} < 850 THEN 50 + {draw(96, 20, '0')} ELSE 70 + {draw(97, 25, '0')} END)"
    )
    parts = (f"({AS_OF.year} - {age})", "(p * 31 % 12 + 1)", "(p * 17 % 28 + 1)")
    born = "make_date({}::int, {}::int, {}::int)" if postgresql() else "printf('%04d-%02d-%02d', {}, {}, {})"
    run(f"""INSERT INTO patients_patient (id, source, fhir_id, mrn, clinic_id, family, given, search_name, birth_date,
        birth_precision, gender, language, deceased, active, line, city, state, postal_code, time_zone, preferred_channel,
        detail_level, confidential, do_not_call, demo, digest, updated_at)
      {NUMBERS.format(count=count)}
      SELECT p, 'bench', CAST(p AS text), '', {clinics[0]} + p % 3, 'Family', 'Given', 'family given',
        {born.format(*parts)}, 'day', CASE WHEN {draw(98, 100, "0")} < 54 THEN 'female' ELSE 'male' END, 'en', p % 300 = 0,
        1 = 1,
        '', '', 'MA', '', 'America/New_York', 'sms', 0, 1 = 0, 1 = 0, 1 = 0, 0, CURRENT_TIMESTAMP FROM n""")
    run(f"""INSERT INTO patients_contactpoint (patient_id, system, use, rank, raw, value, valid, state, state_reason,
        suspect_count, sms_consent, voice_consent, email_consent, source)
      {NUMBERS.format(count=count)}
      SELECT p, 'phone', 'mobile', 1, '', '+1617' || CAST(2000000 + p AS text), 1 = 1, 'active', '', 0,
        'granted', 'granted', 'none', 'ehr' FROM n WHERE p % 50 > 0""")


def write_fact(fact: Fact, long: int) -> None:
    from engage.records.models import Coding, Concept, Source

    source, _ = Source.objects.get_or_create(name="bench")
    salt = SALTS[fact.name]
    concept = concept_of(Coding, Concept, fact.system, fact.code, fact.name)
    answer = concept_of(Coding, Concept, SNOMED, fact.answer, fact.answer) if fact.answer else "NULL"
    each = fact.each * (long if fact.more else 1)
    end = 2**53 if fact.minutes == FOREVER else f"start + {fact.minutes * 60}"
    run(f"""INSERT INTO records_event (source_id, kind, fhir_id, patient_id, concept_id, status, traits, start_lo, start_hi,
        end_lo, end_hi, start_offset, end_offset, value, value2, unit, value_concept_id, encounter, digest)
      WITH RECURSIVE k(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM k WHERE k < {each}),
      who AS (SELECT id AS p, birth_date AS born FROM patients_patient WHERE {about(fact)}),
      facts AS (SELECT p, k, {start(fact, salt, long)} AS start FROM who, k)
      SELECT {source.pk}, {int(fact.kind)}, '{100 + salt}-' || (10000000 + p) || '-' || k, p, {concept}, {int(fact.status)},
        {fact.traits}, start, start, {end}, {end}, -300, -300, {fact.value}, {fact.value2}, '{fact.unit}', {answer}, '', 0
      FROM facts WHERE start <= {today()}""")


def about(fact: Fact) -> str:
    """SQL: whether a patient has this fact."""
    youngest, oldest = fact.ages
    born = f"birth_date BETWEEN '{max(1, AS_OF.year - oldest):04d}-01-01' AND '{AS_OF.year - youngest}-12-31'"
    parts = [born, *(["gender = 'female'"] if fact.women else [])]
    for name in (fact.name, fact.of):
        if name:
            share = next(f.share for f in MIX if f.name == name)
            parts.append(f"{draw(SALTS[name] + 50, 1000, '0').replace('(p ', '(id ')} < {share}")
    return " AND ".join(parts)


def start(fact: Fact, salt: int, long: int) -> str:
    """SQL: the second it began."""
    if fact.doses:
        days = " ".join(f"WHEN {n} THEN {day}" for n, day in enumerate(fact.doses, 1))
        born = (
            "(born - DATE '1970-01-01')" if postgresql() else "CAST(julianday(born) - 2440587.5 AS integer)"
        )
        return f"86400 * CAST({born} + CASE k {days} END AS bigint) + 36000"
    near, far = fact.days
    far = max(far, 3650) if fact.more and long > 1 else far
    return f"{today()} - 86400 * ({near} + {draw(salt, far - near)}) + 3600 * (8 + k % 9)"


def today() -> int:
    return (AS_OF.toordinal() - date(1970, 1, 1).toordinal()) * 86_400


def concept_of(coding, concept, system: str, code: str, name: str) -> int:
    found = coding.objects.filter(system=system, code=code).first()
    if found:
        return found.concept_id
    made = concept.objects.create(key=f"bench-{concept.objects.count()}", display=name)
    coding.objects.create(concept=made, system=system, code=code)
    return made.pk


def concept_id(code: str) -> int:
    from engage.records.models import Coding

    return Coding.objects.get(code=code).concept_id


def postgresql() -> bool:
    return connection.vendor == "postgresql"


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def one(sql: str):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def described() -> str:
    """The mix as it came out: share of the patients with each fact, and facts for each of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.display, COUNT(*), COUNT(DISTINCT e.patient_id) FROM records_event e"
            " JOIN records_concept c ON c.id = e.concept_id GROUP BY c.display ORDER BY COUNT(*) DESC"
        )
        rows = cursor.fetchall()
    patients = int(one("SELECT COUNT(*) FROM patients_patient"))
    parts = [f"{name} {100 * people / patients:.1f} % × {facts / people:.1f}" for name, facts, people in rows]
    return "; ".join(parts)
