"""The smaller pieces of care in the demonstration: most people have what their age or illness asks, some do not."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import TYPE_CHECKING

from engage.records.models import Kind, Status, Trait

if TYPE_CHECKING:
    from engage.demo.population import Person

LOINC, SNOMED, CPT = "http://loinc.org", "http://snomed.info/sct", "http://www.ama-assn.org/go/cpt"
ICD10, RXNORM, CVX = (
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://hl7.org/fhir/sid/cvx",
)
CODES = {
    "pap": (LOINC, "10524-7", "Pap test"),
    "hpv": (LOINC, "21440-3", "HPV test"),
    "eye_exam": (SNOMED, "252779009", "Retinal exam"),
    "egfr": (LOINC, "48642-3", "Kidney function (eGFR)"),
    "uacr": (LOINC, "9318-7", "Urine albumin to creatinine"),
    "falls": (LOINC, "52552-7", "Falls in the past year"),
    "contraceptive": (RXNORM, "1000126", "Contraceptive injection"),
    "chlamydia": (LOINC, "14463-4", "Chlamydia test"),
    "dtap": (CVX, "20", "DTaP vaccine"),
    "polio": (CVX, "10", "Polio vaccine"),
    "mmr": (CVX, "03", "MMR vaccine"),
    "hib": (CVX, "49", "Hib vaccine"),
    "hepatitis_b": (CVX, "08", "Hepatitis B vaccine"),
    "varicella": (CVX, "21", "Chickenpox vaccine"),
    "pneumococcal": (CVX, "133", "Pneumococcal vaccine"),
    "hepatitis_a": (CVX, "83", "Hepatitis A vaccine"),
    "rotavirus": (CVX, "119", "Rotavirus vaccine"),
}
# Days after birth of each dose of the childhood schedule.
SCHEDULE = {
    "dtap": (61, 122, 183, 460),
    "polio": (61, 122, 200),
    "mmr": (370,),
    "hib": (61, 122, 370),
    "hepatitis_b": (1, 61, 200),
    "varicella": (370,),
    "pneumococcal": (61, 122, 183, 370),
    "hepatitis_a": (380,),
    "rotavirus": (61, 122),
    "flu": (200, 560),
}


@dataclass(frozen=True)
class Given:
    """One fact to write: so many days ago."""

    kind: Kind
    name: str
    days: int
    status: Status = Status.FINAL
    traits: int = 0
    value: float | None = None
    unit: str = ""


def lab(name: str, days: int, value: float | None = None, unit: str = "") -> Given:
    traits = Trait.LABORATORY | Trait.HAS_VALUE | (Trait.QUANTITY if value is not None else 0)
    return Given(Kind.OBSERVATION, name, days, traits=traits, value=value, unit=unit)


def plan(person: "Person", diabetic: bool, visits: list[int], today: date, r: Random) -> Iterator[Given]:
    """Everything of this patient, in no order."""
    age = person.age
    if person.female and 22 <= age <= 66 and r.random() < 0.78:
        yield lab("pap" if r.random() < 0.6 else "hpv", r.randrange(20, 1500))
    if person.female and 16 <= age <= 24 and r.random() < 0.45:
        yield from young_woman(r)
    if diabetic:
        yield from diabetes(visits, r)
    if age >= 65:
        yield from falls(visits, r)
    if age <= 3:
        yield from vaccines((today - person.born).days, r)


def young_woman(r: Random) -> Iterator[Given]:
    order = Trait.INTENT_ORDER
    yield Given(Kind.MEDICATION_REQUEST, "contraceptive", r.randrange(5, 60), Status.ACTIVE, order)
    if r.random() < 0.55:
        yield lab("chlamydia", r.randrange(5, 400))


def diabetes(visits: list[int], r: Random) -> Iterator[Given]:
    if r.random() < 0.65:
        yield Given(Kind.OBSERVATION, "eye_exam", r.randrange(10, 600), traits=Trait.EXAM)
    for days in visits:
        if r.random() < 0.55:
            yield lab("egfr", days, float(r.randrange(38, 110)), "mL/min/{1.73_m2}")
            if r.random() < 0.6:
                yield lab("uacr", days, float(r.randrange(4, 60)), "mg/g")


def falls(visits: list[int], r: Random) -> Iterator[Given]:
    traits = Trait.SURVEY | Trait.HAS_VALUE
    yield from (Given(Kind.OBSERVATION, "falls", days, traits=traits) for days in visits if r.random() < 0.55)


def vaccines(lived: int, r: Random) -> Iterator[Given]:
    """The schedule up to today; four of ten children lack something."""
    missing = r.choice(list(SCHEDULE)) if r.random() < 0.4 else ""
    for name, doses in SCHEDULE.items():
        for dose in doses[:-1] if name == missing else doses:
            if dose < lived:
                yield Given(Kind.IMMUNIZATION, name, lived - dose, Status.COMPLETED)
