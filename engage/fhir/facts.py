"""Clinical resources as narrow facts. Pure: a resource in, rows out; BadResource says what is wrong with it.

A fact keeps what the measures read (measures.md §0, §13.0) and what a timeline shows, nothing else. Some resources give
several rows; the first stands for the resource.
"""

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from engage.fhir import dates, elements
from engage.fhir.dates import UNKNOWN, Moment, Span
from engage.fhir.elements import NOBODY, NOTHING, Concept, Reference
from engage.fhir.problems import BadResource
from engage.fhir.traits import Trait

Resource = dict[str, Any]
BirthOf = Callable[[Reference], date | None]


class Fact(NamedTuple):
    """One row of the event table, still in FHIR's words and with references instead of ids."""

    kind: str
    id: str
    patient: Reference
    concept: Concept
    status: str
    traits: int
    span: Span
    value: float | None = None
    value2: float | None = None
    unit: str = ""
    value_concept: Concept = NOTHING
    encounter: str = ""
    place: Reference = NOBODY
    medication: Reference = NOBODY
    note: str = ""  # something odd that did not stop it


OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
CATEGORIES = {
    (OBSERVATION_CATEGORY, "survey"): Trait.SURVEY,
    (OBSERVATION_CATEGORY, "laboratory"): Trait.LABORATORY,
    (OBSERVATION_CATEGORY, "exam"): Trait.EXAM,
    (OBSERVATION_CATEGORY, "imaging"): Trait.IMAGING,
    (OBSERVATION_CATEGORY, "vital-signs"): Trait.VITAL_SIGNS,
    (OBSERVATION_CATEGORY, "social-history"): Trait.SOCIAL_HISTORY,
    (CONDITION_CATEGORY, "encounter-diagnosis"): Trait.ENCOUNTER_DIAGNOSIS,
    (CONDITION_CATEGORY, "problem-list-item"): Trait.PROBLEM_LIST,
    (
        "http://hl7.org/fhir/us/core/CodeSystem/condition-category",
        "health-concern",
    ): Trait.HEALTH_CONCERN,
}
CLASSES = {
    "AMB": Trait.CLASS_AMB,
    "EMER": Trait.CLASS_EMER,
    "IMP": Trait.CLASS_IMP,
    "ACUTE": Trait.CLASS_ACUTE,
    "NONAC": Trait.CLASS_NONAC,
    "PRENC": Trait.CLASS_PRENC,
    "SS": Trait.CLASS_SS,
}
INTENTS = {"order": Trait.INTENT_ORDER} | dict.fromkeys(
    ("original-order", "reflex-order", "filler-order", "instance-order"), Trait.INTENT_OTHER_ORDER
)
# "doNotPeform" is how a published version of QI-Core spelled its own URL.
NEGATIONS = ("qicore-doNotPerform", "qicore-doNotPeform", "qicore-notDone")


IN_WORDS = "The time is told in words only; kept without a time."


def patient_of(resource: Resource) -> Reference:
    """Whom the resource is about. Raises BadResource when it does not say."""
    found = elements.reference(resource.get("subject") or resource.get("patient"), "Patient")
    if found.type != "Patient" or not (found.id or found.identifier):
        raise BadResource("The resource does not say which patient it is about.")
    return found


def is_withdrawn(resource: Resource) -> bool:
    """Whether it says of itself that it was entered in error, whatever else is wrong with it."""
    error = "entered-in-error"
    return resource.get("status") == error or bool(
        elements.code_of(resource.get("verificationStatus"), (error,))
    )


def categories(resource: Resource) -> int:
    """The bits of the categories, each of which counts only in its own code system."""
    bits = 0
    for part in elements.things(resource.get("category")):
        for coding in part.get("coding") or ():
            bits |= CATEGORIES.get((coding.get("system"), coding.get("code")), 0)
    return bits


def negation(resource: Resource) -> int:
    """NOT_DONE when an element, a modifier extension or the profile says that it was not to be done."""
    if resource.get("doNotPerform") is True:
        return Trait.NOT_DONE
    if "modifierExtension" not in resource:
        return 0
    for extension in elements.things(resource["modifierExtension"]):
        if extension.get("valueBoolean") is True and str(extension.get("url")).endswith(NEGATIONS):
            return Trait.NOT_DONE
    return 0


def when(resource: Resource, stem: str) -> tuple[Span, str]:
    """The span of `effective[x]`, `performed[x]`, … and a note. Timings and free text give no time."""
    for suffix in ("DateTime", "Instant"):
        if (written := resource.get(stem + suffix)) is not None:
            return dates.at(dates.moment(written)), ""
    if (written := resource.get(stem + "Period")) is not None:
        return dates.period(written)
    return UNKNOWN, IN_WORDS if resource.get(stem + "String") else ""


def day(resource: Resource, name: str) -> Span:
    """The span of a plain dateTime element, unknown when absent."""
    written = resource.get(name)
    return UNKNOWN if written is None else dates.at(dates.moment(written))


def _with_span(bits: int, span: Span) -> int:
    return bits | Trait.NO_START if span.no_start else bits


def make(
    kind: str, resource: Resource, what: Any, span: Span, traits: int = 0, note: str = "", **more: Any
) -> Fact:
    """A fact with what all types share: id, patient, status, encounter."""
    visit = resource.get("encounter")
    return Fact(
        kind,
        elements.resource_id(resource),
        patient_of(resource),
        what if isinstance(what, Concept) else elements.concept(what),
        more.pop("status", None) or str(resource.get("status") or ""),
        _with_span(traits, span),
        span,
        encounter=elements.reference(visit, "Encounter").id[:64] if visit else "",
        note=note,
        **more,
    )


def encounter(r: Resource, birth: BirthOf) -> list[Fact]:
    span, note = dates.period(r["period"]) if r.get("period") is not None else (UNKNOWN, "")
    visit_class = r.get("class")
    code = visit_class.get("code") if isinstance(visit_class, dict) else None
    stay = r.get("hospitalization")
    disposition = stay.get("dischargeDisposition") if isinstance(stay, dict) else None
    fact = make(
        "Encounter",
        r,
        elements.concept(r.get("type")),
        span,
        CLASSES.get(str(code), 0),
        note,
        value_concept=elements.concept(disposition) if disposition else NOTHING,
        place=elements.reference(r.get("serviceProvider"), "Organization"),
    )
    return [fact._replace(encounter="")]


def condition(r: Resource, birth: BirthOf) -> list[Fact]:
    status = clinical_status(r)
    span, note = prevalence(r, status, birth)
    return [
        make(
            "Condition",
            r,
            r.get("code"),
            span,
            categories(r) | verification(r),
            note,
            status=status or "none",
            value_concept=elements.concept(r.get("bodySite")) if r.get("bodySite") else NOTHING,
        )
    ]


CLINICAL = {"active", "recurrence", "relapse", "inactive", "remission", "resolved"}


def clinical_status(r: Resource) -> str:
    """The clinicalStatus code, "" when there is none we know."""
    return elements.code_of(r.get("clinicalStatus"), CLINICAL)


def verification(r: Resource) -> int:
    """VERIFIED unless refuted or entered in error; REFUTED apart, since some measures look for that alone."""
    code = elements.code_of(r.get("verificationStatus"), ("refuted", "entered-in-error"))
    return Trait.REFUTED if code == "refuted" else 0 if code else Trait.VERIFIED


def prevalence(r: Resource, status: str, birth: BirthOf) -> tuple[Span, str]:
    """How long a condition lasts (measures.md §0.5): an inactive one without an end has no period at all."""
    end = abatement(r, birth)
    if end is None and status not in ("active", "recurrence", "relapse"):
        return UNKNOWN, ""
    start = onset(r, birth)
    if start is None:
        if end is None:
            return dates.ALWAYS, ""
        return dates.between(dates.BEGAN, end)._replace(no_start=False), ""
    if end is not None and dates.is_backward(start, end):
        return UNKNOWN, "The condition ends before it begins; kept without a time."
    return dates.between(start, end or dates.ENDS), ""


def onset(r: Resource, birth: BirthOf) -> Moment | None:
    """When a condition began; None when unsaid."""
    if (written := r.get("onsetDateTime")) is not None:
        return dates.moment(written)
    if isinstance(span := r.get("onsetPeriod"), dict) and span.get("start") is not None:
        return dates.moment(span["start"])
    age = r.get("onsetAge") or (r.get("onsetRange") or {}).get("low")
    born = birth(patient_of(r)) if age else None
    return dates.whole_days(dates.after(born, age), 1) if born else None


def abatement(r: Resource, birth: BirthOf) -> Moment | None:
    """The last moment of a condition; None when it has not ended. A Period is read as half-open (measures.md §13.0)."""
    if (written := r.get("abatementDateTime")) is not None:
        return dates.moment(written)
    if isinstance(span := r.get("abatementPeriod"), dict) and span.get("end") is not None:
        return dates.before(dates.moment(span["end"]))
    age = r.get("abatementAge") or (r.get("abatementRange") or {}).get("high")
    born = birth(patient_of(r)) if age else None
    return dates.whole_days(dates.one_year_on(born, age), 1) if born else None


def procedure(r: Resource, birth: BirthOf) -> list[Fact]:
    span, note = when(r, "performed")
    if r.get("performedAge"):
        span = year_of_life(r, r["performedAge"], birth)
    return [make("Procedure", r, r.get("code"), span, negation(r), note)]


def year_of_life(r: Resource, age: Any, birth: BirthOf) -> Span:
    """An age as an interval: that whole year of the patient's life."""
    born = birth(patient_of(r))
    if born is None:
        return UNKNOWN
    return dates.between(
        dates.whole_days(dates.after(born, age), 1), dates.whole_days(dates.one_year_on(born, age), 1)
    )


def diagnostic_report(r: Resource, birth: BirthOf) -> list[Fact]:
    span, note = when(r, "effective")
    lab = "LAB" in elements.codes(r.get("category"), "http://terminology.hl7.org/CodeSystem/v2-0074")
    bits = categories(r) | (Trait.LABORATORY if lab else 0)
    said = elements.concept(r.get("conclusionCode")) if r.get("conclusionCode") else NOTHING
    return [make("DiagnosticReport", r, r.get("code"), span, bits, note, value_concept=said)]


def immunization(r: Resource, birth: BirthOf) -> list[Fact]:
    span, note = when(r, "occurrence")
    bits = Trait.PATIENT_REPORTED if r.get("primarySource") is False else 0
    return [make("Immunization", r, r.get("vaccineCode"), span, bits | negation(r), note)]


def order(kind: str, code: str) -> Callable[[Resource, BirthOf], list[Fact]]:
    """The reader of a request: its time is when it was written."""

    def read(r: Resource, birth: BirthOf) -> list[Fact]:
        bits = INTENTS.get(str(r.get("intent")), 0) | negation(r)
        return [make(kind, r, r.get(code), day(r, "authoredOn"), bits)]

    return read


def allergy(r: Resource, birth: BirthOf) -> list[Fact]:
    span, note = when(r, "onset")
    if r.get("onsetAge"):
        span = year_of_life(r, r["onsetAge"], birth)
    status = clinical_status(r) or "none"
    return [make("AllergyIntolerance", r, r.get("code"), span, verification(r), note, status=status)]


def adverse_event(r: Resource, birth: BirthOf) -> list[Fact]:
    status = str(r.get("actuality") or "none")
    return [make("AdverseEvent", r, r.get("event"), day(r, "recordedDate"), status=status)]
