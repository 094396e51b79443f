"""Small charts as FHIR, through the import: one patient for each scenario, with the populations it must be in."""

from dataclasses import dataclass, field

from engage.patients.models import Patient
from engage.records import valuesets
from engage.records.actions import import_resources
from tests.caregaps.cases import found

SNOMED, LOINC, CPT = "http://snomed.info/sct", "http://loinc.org", "http://www.ama-assn.org/go/cpt"
ICD10, RXNORM = "http://hl7.org/fhir/sid/icd-10-cm", "http://www.nlm.nih.gov/research/umls/rxnorm"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
YEAR = {"start": "2025-01-01", "end": "2025-12-31"}

# What is expected of a patient: which populations they are in. APART: in the population, not in the denominator.
IN, EXCLUDED, MET, OUT, EXCEPTED, APART = "in", "excluded", "met", "out", "excepted", "apart"
EXPECTED = {
    IN: (1, 1, 0, 0, 0),
    EXCLUDED: (1, 1, 1, 0, 0),
    MET: (1, 1, 0, 1, 0),
    OUT: (0, 0, 0, 0, 0),
    EXCEPTED: (1, 1, 0, 0, 1),
    APART: (1, 0, 0, 0, 0),
}
CODES = ("initial-population", "denominator", "denominator-exclusion", "numerator", "denominator-exception")


@dataclass
class Chart:
    """One scenario: `expected` is one of the words above, or one for each group of the measure."""

    name: str
    expected: str | tuple[str, ...]
    facts: list[dict]
    born: str = "1965-06-15"
    gender: str = "female"
    more: dict = field(default_factory=dict)

    def resources(self, who: str) -> list[dict]:
        patient = {
            "resourceType": "Patient",
            "id": who,
            "gender": self.gender,
            "birthDate": self.born,
        } | self.more
        owned = []
        for place, fact in enumerate(self.facts):
            fact = {"id": f"{who}-{place}"} | fact
            owned.append(fact | {"subject": {"reference": f"Patient/{who}"}})
        return [patient, *owned]


def wrong(measure: str, charts: list[Chart], period: dict = YEAR, **switches) -> list[str]:
    """What differs from what is expected, one line for each chart."""
    valuesets.ensure()
    before = Patient.objects.filter(source="charts").count()
    names = [f"p{before + number}" for number in range(len(charts))]
    import_resources(
        (r for name, chart in zip(names, charts, strict=True) for r in chart.resources(name)), source="charts"
    )
    results = found(measure, period, **switches)
    lines = []
    for name, chart in zip(names, charts, strict=True):
        expected = (chart.expected,) if isinstance(chart.expected, str) else chart.expected
        for number, (group, word) in enumerate(zip(results[name], expected, strict=True), 1):
            if tuple(group[code] for code in CODES) != EXPECTED[word]:
                lines.append(f"{chart.name}, group {number}: expected {word}, got {group}")
    return lines


# --- facts ----------------------------------------------------------------------------------------------------------
def concept(system: str, code: str) -> dict:
    return {"coding": [{"system": system, "code": code}]}


def span(start: str | None, end: str | None = None) -> dict:
    return {key: value for key, value in (("start", start), ("end", end)) if value}


def visit(
    start="2025-03-03T10:00:00Z", end="same", code="99213", system=CPT, status="finished", **more
) -> dict:
    end = start if end == "same" else end
    return {
        "resourceType": "Encounter", "status": status, "type": [concept(system, code)],
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": more.pop("kind", "AMB")},
        "period": span(start, end),
    } | more  # fmt: skip


def observation(code, when, value=None, category=None, system=LOINC, status="final", **more) -> dict:
    made = {"resourceType": "Observation", "status": status, "code": concept(system, code)}
    made |= {"effectivePeriod": when} if isinstance(when, dict) else {"effectiveDateTime": when}
    made |= {"category": [concept(CATEGORY, category)]} if category else {}
    return made | (value or {}) | more


def lab(code, when, value={"valueString": "negative"}, **more) -> dict:
    return observation(code, when, value, more.pop("category", "laboratory"), **more)


def survey(code, when, answer=None, system=SNOMED, **more) -> dict:
    value = {"valueCodeableConcept": concept(system, answer)} if answer else {}
    return observation(code, when, value, "survey", **more)


def procedure(code, when, system=SNOMED, status="completed", **more) -> dict:
    made = {"resourceType": "Procedure", "status": status, "code": concept(system, code)}
    return (
        made | ({"performedPeriod": when} if isinstance(when, dict) else {"performedDateTime": when}) | more
    )


def condition(code, onset=None, system=SNOMED, clinical="active", abatement=None, **more) -> dict:
    made = {"resourceType": "Condition", "code": concept(system, code)}
    made |= {"clinicalStatus": concept(CLINICAL, clinical)} if clinical else {}
    made |= {"onsetDateTime": onset} if onset else {}
    return made | ({"abatementDateTime": abatement} if abatement else {}) | more


def blood_pressure(when, systolic=None, diastolic=None, unit="mm[Hg]", **more) -> dict:
    def component(code, value):
        quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
        return {"code": concept(LOINC, code), "valueQuantity": quantity}

    pairs = (("8480-6", systolic), ("8462-4", diastolic))
    components = [component(code, value) for code, value in pairs if value is not None]
    return observation("85354-9", when, {"component": components}, "vital-signs", **more)


def device_order(when="2025-05-05", code="183240000", status="active", intent="order", **more) -> dict:
    return {
        "resourceType": "DeviceRequest", "status": status, "intent": intent, "authoredOn": when,
        "codeCodeableConcept": concept(SNOMED, code),
    } | more  # fmt: skip


def service_order(code, when, status="active", intent="order", system=SNOMED, **more) -> dict:
    return {
        "resourceType": "ServiceRequest", "status": status, "intent": intent, "authoredOn": when,
        "code": concept(system, code),
    } | more  # fmt: skip


def prescription(code, when, days=None, status="active", intent="order", **more) -> dict:
    duration = {"value": days, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"}
    supply = {"dispenseRequest": {"expectedSupplyDuration": duration}} if days else {}
    return {
        "resourceType": "MedicationRequest", "status": status, "intent": intent, "authoredOn": when,
        "medicationCodeableConcept": concept(RXNORM, code),
    } | supply | more  # fmt: skip


def problem(code, onset=None, system=ICD10, **more) -> dict:
    """A condition of the problem list."""
    category = {
        "category": [concept("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item")]
    }
    return condition(code, onset, system, **(category | more))


def quantity(value, unit="%", **more) -> dict:
    code = {"unit": unit, "system": "http://unitsofmeasure.org", "code": unit} if unit else {}
    return {"valueQuantity": {"value": value} | code | more}
