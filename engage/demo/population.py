"""A population that could be a clinic's: ages, families, languages, phones, and histories with care that is due.

Everything follows from the seed and the day, so two runs of the same size make the same people.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from random import Random
from typing import Any

from engage.accounts.models import Clinic
from engage.demo import bulk, care, names
from engage.demo.care import CPT, CVX, ICD10, LOINC, RXNORM, SNOMED
from engage.lib import clock, text
from engage.patients.models import Consent, ContactPoint, Patient, Practitioner
from engage.records.models import Coding, Concept, Event, Kind, Source, Status, Trait

SOURCE = "demo"
EPOCH = date(1970, 1, 1).toordinal()
CODES = {
    "visit": (CPT, "99213", "Office visit"),
    "checkup": (CPT, "99396", "Preventive visit"),
    "phone_visit": (CPT, "99442", "Telephone visit"),
    "mammogram": (LOINC, "24606-6", "Mammogram, both breasts, screening"),
    "colonoscopy": (CPT, "45378", "Colonoscopy"),
    "fit": (LOINC, "29771-3", "Stool test for hidden blood (FIT)"),
    "stool_dna": (LOINC, "77354-9", "Stool DNA test"),
    "bp": (LOINC, "85354-9", "Blood pressure"),
    "hypertension": (ICD10, "I10", "Essential hypertension"),
    "diabetes": (ICD10, "E11.9", "Type 2 diabetes"),
    "lipids": (SNOMED, "55822004", "High cholesterol"),
    "a1c": (LOINC, "4548-4", "Hemoglobin A1c"),
    "cholesterol": (LOINC, "2093-3", "Cholesterol, total"),
    "flu": (CVX, "140", "Influenza vaccine"),
    "lisinopril": (RXNORM, "314076", "Lisinopril 10 mg tablet"),
    "atorvastatin": (RXNORM, "617310", "Atorvastatin 20 mg tablet"),
    "mastectomy": (SNOMED, "14693006", "Mastectomy, both breasts"),
    "colectomy": (SNOMED, "26390003", "Total colectomy"),
    "hospice": (SNOMED, "385763009", "Hospice care"),
    **care.CODES,
}
EVENT_FIELDS = (
    "id", "source", "kind", "fhir_id", "patient", "concept", "status", "traits", "start_lo", "start_hi", "end_lo",
    "end_hi", "start_offset", "end_offset", "value", "value2", "unit", "value_concept", "encounter", "digest",
)  # fmt: skip
PATIENT_FIELDS = (
    "id", "source", "fhir_id", "mrn", "clinic", "pcp", "family", "given", "search_name", "birth_date",
    "birth_precision", "gender", "language", "deceased", "deceased_on", "active", "line", "city", "state",
    "postal_code", "time_zone", "preferred_channel", "detail_level", "confidential", "do_not_call", "demo", "digest",
    "updated_at",
)  # fmt: skip
POINT_FIELDS = (
    "id", "patient", "system", "use", "rank", "raw", "value", "valid", "state", "state_reason", "suspect_count",
    "sms_consent", "voice_consent", "email_consent", "source",
)  # fmt: skip
CONSENT_FIELDS = (
    "patient",
    "address",
    "channel",
    "topic",
    "decision",
    "source",
    "evidence",
    "at",
    "recorded_at",
)


@dataclass
class Person:
    """What the generator knows of one patient while it writes them."""

    pk: int
    clinic: Clinic
    female: bool
    born: date
    language: str
    age: int
    row: tuple[Any, ...] = ()
    points: list[tuple[Any, ...]] = field(default_factory=list)


class Population:
    """Writes `count` patients from `first_number` on; `today` is the business day."""

    def __init__(self, seed: int, clinics: list[Clinic], today: date) -> None:
        self.random = Random(seed)  # noqa: S311 - a demonstration wants to be repeatable
        self.care = Random(seed + 1)  # noqa: S311 - a stream of its own, so that more care changes nobody else
        self.clinics = clinics
        self.today = today
        self.now = clock.machine_now()
        self.at = datetime.combine(today, datetime.min.time(), UTC) - timedelta(days=200)
        self.source = Source.objects.get_or_create(name=SOURCE)[0]
        self.concepts = make_concepts()
        self.doctors = {c.pk: make_doctors(c, i) for i, c in enumerate(clinics)}
        self.next_point = bulk.next_id(ContactPoint)
        self.next_event = bulk.next_id(Event)
        self.household: tuple[str, str] | None = None  # (family name, phone) that the next person may share

    def write(self, count: int, first_number: int = 1) -> dict[str, int]:
        """Patients, their numbers, consents and histories; gives how many rows of each."""
        totals = dict.fromkeys(("patients", "points", "consents", "events"), 0)
        first_id = bulk.next_id(Patient)
        for offset in range(0, count, 5_000):
            block = range(offset, min(offset + 5_000, count))
            people = [self.person(first_id + i, first_number + i) for i in block]
            totals["patients"] += bulk.insert(Patient, PATIENT_FIELDS, (p.row for p in people))
            points = [point for p in people for point in p.points]
            totals["points"] += bulk.insert(ContactPoint, POINT_FIELDS, points)
            totals["consents"] += bulk.insert(Consent, CONSENT_FIELDS, self.consents(points))
            totals["events"] += bulk.insert_plain(
                Event, EVENT_FIELDS, (e for p in people for e in self.history(p))
            )
        bulk.settle_sequences(Patient, ContactPoint, Consent, Event)
        return totals

    # --- people -------------------------------------------------------------------------------------------
    def person(self, pk: int, number: int) -> Person:
        r = self.random
        clinic = self.clinics[min(r.choices((0, 1, 2), (45, 33, 22))[0], len(self.clinics) - 1)]
        language = r.choices(names.LANGUAGES, names.LANGUAGE_SHARE[clinic.slug])[0]
        female = r.random() < 0.54
        born = self.today - timedelta(
            days=int(365.25 * r.choices((10, 30, 48, 62, 78), (9, 20, 24, 33, 14))[0])
        )
        born -= timedelta(days=r.randrange(-2900, 2900))
        born = min(born, self.today - timedelta(days=40))
        age = self.today.year - born.year - ((self.today.month, self.today.day) < (born.month, born.day))
        person = Person(pk, clinic, female, born, language, age)
        shared = self.household if self.household and r.random() < 0.035 else None
        family = shared[0] if shared else self.family_name(language)
        given = r.choice((names.FEMALE if female else names.MALE)[language].split())
        deceased = age > 70 and r.random() < 0.012
        city, postal_code = r.choice(next(c[6] for c in names.CLINICS if c[1] == clinic.slug))
        mrn = f"{clinic.slug[:2].upper()}{number:07d}"
        person.row = (
            pk, SOURCE, f"demo-{number}", mrn, clinic.pk, r.choice(self.doctors[clinic.pk]), family, given,
            text.fold(f"{family} {given}"), born, "day", "female" if female else "male", language, deceased,
            self.today - timedelta(days=r.randrange(20, 300)) if deceased else None, True,
            f"{r.randrange(2, 980)} {r.choice(names.STREETS.split(';'))}", city, clinic.state, postal_code,
            clinic.time_zone, "sms", int(r.random() < 0.1), r.random() < 0.006, r.random() < 0.01, True, number,
            self.now,
        )  # fmt: skip
        self.phones(person, number, shared[1] if shared else "")
        self.household = (family, person.points[0][6]) if person.points and person.points[0][6] else None
        return person

    def family_name(self, language: str) -> str:
        return self.random.choice(names.FAMILY[language].split())

    def phones(self, person: Person, number: int, shared: str) -> None:
        """Most have a mobile; some a landline, a shared number, a wrong one, or nothing at all."""
        r = self.random
        if r.random() < 0.03:
            return
        value = shared or self.number(person.clinic.slug, number)
        landline = not shared and r.random() < 0.05
        odd = r.random()
        if odd < 0.01:
            self.point(person, "phone", "555-01", "", "invalid", "The number has too few or too many digits.")
        elif odd < 0.02:
            self.point(
                person, "phone", value, value, "invalid", "The carrier says this number is not in service."
            )
        elif landline:
            self.point(person, "phone", value, value, "sms_incapable", "This is a landline.", use="home")
        else:
            self.point(person, "phone", value, value, "active", "", use="mobile")
        if r.random() < 0.35:
            address = f"patient{number}@example.org"
            self.point(person, "email", address, address, "active", "")

    def number(self, slug: str, number: int) -> str:
        """A 555 number that no one else has, up to 200,000 per clinic, then numbers of the 556 exchange, and so on."""
        codes = names.AREA_CODES[slug]
        line, area = number % 9_000 + 1_000, number // 9_000
        exchange = 555 + area // len(codes)
        return f"+1{codes[area % len(codes)]}{exchange}{line:04d}"

    def point(
        self, person: Person, system: str, raw: str, value: str, state: str, why: str, use: str = ""
    ) -> None:
        given = "granted" if value and system == "phone" else "none"
        mail = "granted" if system == "email" and self.random.random() < 0.5 else "none"
        person.points.append(
            (
                self.next_point, person.pk, system, use, 1, raw, value, True, state, why, 0, given, given, mail, "ehr",
            )
        )  # fmt: skip
        self.next_point += 1

    def consents(self, points: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for point in points:
            for channel, state in (("sms", point[11]), ("voice", point[12]), ("email", point[13])):
                if state == "granted":
                    yield (point[1], point[6], channel, "all", "granted", "ehr", "demo", self.at, self.now)

    # --- histories ----------------------------------------------------------------------------------------
    def history(self, person: Person) -> Iterator[tuple[Any, ...]]:
        """About a dozen facts a patient, more for the old and the ill."""
        r, age = self.random, person.age
        hypertensive = age > 35 and r.random() < min(0.6, (age - 30) / 90)
        diabetic = age > 35 and r.random() < 0.13
        yield from self.conditions(person, hypertensive, diabetic)
        visits = self.visits(person)
        for days in visits:
            yield self.event(
                person,
                Kind.ENCOUNTER,
                "visit" if r.random() < 0.75 else "checkup",
                days,
                Status.FINISHED,
                minutes=20,
            )
            if age >= 18:
                yield self.blood_pressure(person, days, hypertensive)
            if diabetic and r.random() < 0.6:
                yield self.lab(person, "a1c", days, round(r.gauss(7.4, 1.3), 1), "%")
            if age > 40 and r.random() < 0.4:
                yield self.lab(person, "cholesterol", days, float(r.randrange(140, 270)), "mg/dL")
            if r.random() < 0.3:
                yield self.event(person, Kind.IMMUNIZATION, "flu", days, Status.COMPLETED)
        yield from self.screenings(person, visits)
        yield from self.exclusions(person)
        for given in care.plan(person, diabetic, visits, self.today, self.care):
            yield self.event(
                person, given.kind, given.name, given.days, given.status, traits=given.traits, value=given.value,
                unit=given.unit, hour=10,
            )  # fmt: skip

    def visits(self, person: Person) -> list[int]:
        """Days ago of the visits of about three years; one in six has not been seen for long."""
        r = self.random
        if r.random() < 0.16:
            return sorted(r.sample(range(760, 1500), 2))
        return sorted(r.sample(range(3, 1095), r.randrange(2, 4 + person.age // 18)))

    def conditions(self, person: Person, hypertensive: bool, diabetic: bool) -> Iterator[tuple[Any, ...]]:
        r = self.random
        found = [
            ("hypertension", hypertensive),
            ("diabetes", diabetic),
            ("lipids", person.age > 45 and r.random() < 0.3),
        ]
        for name, has in found:
            if has:
                yield self.event(
                    person,
                    Kind.CONDITION,
                    name,
                    r.randrange(400, 4000),
                    Status.ACTIVE,
                    traits=Trait.VERIFIED | Trait.PROBLEM_LIST,
                    open_end=True,
                )
        if hypertensive and r.random() < 0.6:
            yield self.event(
                person, Kind.MEDICATION_REQUEST, "lisinopril", r.randrange(20, 300), Status.ACTIVE
            )
        if found[2][1]:
            yield self.event(
                person, Kind.MEDICATION_REQUEST, "atorvastatin", r.randrange(20, 300), Status.ACTIVE
            )

    def screenings(self, person: Person, visits: list[int]) -> Iterator[tuple[Any, ...]]:
        r, age = self.random, person.age
        if person.female and age >= 42 and r.random() < 0.72:
            days = r.randrange(30, 1500)
            yield self.event(person, Kind.OBSERVATION, "mammogram", days, Status.FINAL, traits=Trait.IMAGING)
        if age >= 46 and r.random() < 0.62:
            kind = r.random()
            if kind < 0.55:
                yield self.event(
                    person, Kind.PROCEDURE, "colonoscopy", r.randrange(60, 4600), Status.COMPLETED
                )
            elif kind < 0.85:
                yield self.lab(person, "fit", r.randrange(20, 900), None, "")
            else:
                yield self.lab(person, "stool_dna", r.randrange(20, 1300), None, "")

    def exclusions(self, person: Person) -> Iterator[tuple[Any, ...]]:
        r = self.random
        if person.female and person.age > 45 and r.random() < 0.008:
            yield self.event(person, Kind.PROCEDURE, "mastectomy", r.randrange(300, 3000), Status.COMPLETED)
        if person.age > 46 and r.random() < 0.005:
            yield self.event(person, Kind.PROCEDURE, "colectomy", r.randrange(300, 3000), Status.COMPLETED)
        if person.age > 75 and r.random() < 0.02:
            yield self.event(person, Kind.PROCEDURE, "hospice", r.randrange(5, 120), Status.COMPLETED)

    def blood_pressure(self, person: Person, days: int, hypertensive: bool) -> tuple[Any, ...]:
        r = self.random
        high = hypertensive and r.random() < 0.4
        top, low = (
            (r.randrange(140, 172), r.randrange(84, 102))
            if high
            else (r.randrange(108, 139), r.randrange(64, 89))
        )
        traits = Trait.BP_PANEL | Trait.VITAL_SIGNS | Trait.HAS_VALUE
        return self.event(
            person, Kind.OBSERVATION, "bp", days, Status.FINAL, traits=traits, value=float(top), value2=float(low),
            unit="mm[Hg]",
        )  # fmt: skip

    def lab(self, person: Person, name: str, days: int, value: float | None, unit: str) -> tuple[Any, ...]:
        traits = Trait.LABORATORY | Trait.HAS_VALUE | (Trait.QUANTITY if value is not None else 0)
        return self.event(
            person, Kind.OBSERVATION, name, days, Status.FINAL, traits=traits, value=value, unit=unit
        )

    def event(
        self, person: Person, kind: Kind, name: str, days: int, status: Status, *, traits: int = 0,
        value: float | None = None, value2: float | None = None, unit: str = "", minutes: int = 0,
        open_end: bool = False, hour: int | None = None,
    ) -> tuple[Any, ...]:  # fmt: skip
        """One row: `days` ago, at an hour when clinics are open."""
        hour = self.random.randrange(8, 17) if hour is None else hour
        pk, self.next_event = self.next_event, self.next_event + 1
        start = (self.today.toordinal() - EPOCH - days) * 86_400 + hour * 3_600
        end = 2**53 if open_end else start + minutes * 60
        offset = -300 if person.clinic.state != "AZ" else -420
        return (
            pk, self.source.pk, int(kind), f"demo-{pk}", person.pk, self.concepts[name], int(status), traits, start,
            start, end, end, offset, offset, value, value2, unit, None, "", pk,
        )  # fmt: skip


def make_concepts() -> dict[str, int]:
    """The interned concepts of the codes used here: name → id."""
    found = {}
    for name, (system, code, display) in CODES.items():
        concept = Concept.objects.filter(codings__system=system, codings__code=code).first()
        if concept is None:
            key = blake2b(f"{system}|{code}".encode(), digest_size=16).hexdigest()
            concept = Concept.objects.create(key=key, display=display)
            Coding.objects.create(concept=concept, system=system, code=code)
        found[name] = concept.pk
    return found


def make_doctors(clinic: Clinic, place: int) -> list[int]:
    """Four clinicians who answer for the clinic's patients."""
    mine = names.DOCTORS.split(";")[place * 4 : place * 4 + 4]
    return [
        Practitioner.objects.get_or_create(
            source=SOURCE, fhir_id=f"{clinic.slug}-{i}", defaults={"name": name, "clinic": clinic}
        )[0].pk
        for i, name in enumerate(mine)
    ]


def make_clinics() -> list[Clinic]:
    """The three clinics, as they are or newly made."""
    fields = ("name", "slug", "state", "time_zone", "phone", "on_call_number")
    return [
        Clinic.objects.get_or_create(slug=row[1], defaults=dict(zip(fields, row[:6], strict=True)))[0]
        for row in names.CLINICS
    ]
