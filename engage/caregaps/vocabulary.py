"""Codes a measure asks for, and the small integers they are on this database.

A fact has one interned concept; a concept is in a value set when any of its codings is, by system and code.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import connection

from engage.caregaps.words import Words
from engage.records.models import ValueSet

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
CVX = "http://hl7.org/fhir/sid/cvx"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
ICD10PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
CPT = "http://www.ama-assn.org/go/cpt"


@dataclass(frozen=True)
class Codes:
    """A value set by its OID, or one code of a system; with what a person calls it."""

    words: Words
    oid: str = ""
    system: str = ""
    code: str = ""


def value_set(oid: str, en: str, es: str) -> Codes:
    """A value set by OID (names are not unique), in the words of a person."""
    return Codes(Words(en, es), oid=oid)


def loinc(code: str, en: str, es: str) -> Codes:
    return Codes(Words(en, es), system=LOINC, code=code)


def snomed(code: str, en: str, es: str) -> Codes:
    return Codes(Words(en, es), system=SNOMED, code=code)


def cpt(code: str, en: str, es: str) -> Codes:
    return Codes(Words(en, es), system=CPT, code=code)


def cvx(code: str, en: str, es: str) -> Codes:
    return Codes(Words(en, es), system=CVX, code=code)


def icd10(code: str, en: str, es: str) -> Codes:
    return Codes(Words(en, es), system=ICD10, code=code)


def icd10pcs(code: str, en: str, es: str) -> Codes:
    return Codes(Words(en, es), system=ICD10PCS, code=code)


class MissingValueSet(LookupError):
    """A measure needs a value set that is not loaded; the text names it."""


class Vocabulary:
    """Which concepts of this database are in which value set or carry which code; two queries, read once."""

    def __init__(self, patients: Collection[int] | None = None) -> None:
        self.loaded = set(ValueSet.objects.values_list("oid", flat=True))
        self.by_oid: dict[str, set[int]] = defaultdict(set)
        self.by_code: dict[tuple[str, str], set[int]] = defaultdict(set)
        only = self._only(patients)
        self._read(SETS_OF_CONCEPTS + only, self.by_oid)
        self._read(CODES_OF_CONCEPTS + only, self.by_code)

    @staticmethod
    def _only(patients: Collection[int] | None) -> str:
        if patients is None:
            return ""
        ids = ",".join(str(int(p)) for p in patients) or "NULL"
        return f" WHERE coding.concept_id IN ({CONCEPTS_OF_PATIENTS.format(ids=ids)})"

    @staticmethod
    def _read(sql: str, into: dict) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            for concept, *key in cursor:
                into[key[0] if len(key) == 1 else tuple(key)].add(concept)

    def concepts(self, codes: Iterable[Codes]) -> set[int]:
        """Ids of the concepts that match any of these. MissingValueSet names one that is not loaded."""
        found: set[int] = set()
        for wanted in codes:
            if wanted.oid and wanted.oid not in self.loaded:
                raise MissingValueSet(
                    f"The value set “{wanted.words.en}” ({wanted.oid}) is not loaded: run load_valuesets."
                )
            one = (wanted.system, wanted.code)
            found |= self.by_oid.get(wanted.oid, NOTHING) if wanted.oid else self.by_code.get(one, NOTHING)
        return found


NOTHING: set[int] = set()
CODES_OF_CONCEPTS = "SELECT coding.concept_id, coding.system, coding.code FROM records_coding coding"
SETS_OF_CONCEPTS = (
    "SELECT coding.concept_id, named.oid FROM records_coding coding"
    " JOIN records_valuesetcode listed ON listed.system = coding.system AND listed.code = coding.code"
    " JOIN records_valueset named ON named.id = listed.value_set_id"
)
CONCEPTS_OF_PATIENTS = (
    "SELECT concept_id FROM records_event WHERE patient_id IN ({ids})"
    " UNION SELECT value_concept_id FROM records_event WHERE patient_id IN ({ids}) AND value_concept_id IS NOT NULL"
)
