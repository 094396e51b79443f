"""Observations: values of every kind, blood-pressure panels, and what was not done."""

from typing import Any

from engage.fhir import elements, facts
from engage.fhir.dates import Span
from engage.fhir.elements import NOTHING, Concept
from engage.fhir.facts import BirthOf, Fact, Resource
from engage.fhir.traits import Trait

LOINC = "http://loinc.org"
PANEL, SYSTOLIC, DIASTOLIC = "85354-9", "8480-6", "8462-4"
# One millimetre of mercury, however it is written; nothing else is a blood pressure.
ODD_UNIT = "A blood pressure is in a unit we do not know; it counts as one without a value."
MERCURY = {"mm[Hg]", "mmHg", "mm Hg", "mmhg", "mm[hg]", ""}


def observation(r: Resource, birth: BirthOf) -> list[Fact]:
    span, note = facts.when(r, "effective")
    what = elements.concept(r.get("code"))
    bits = facts.categories(r) | facts.negation(r)
    if "component" in r and (LOINC, PANEL) in what.codings:
        found = [_panel(r, what, span, bits, note)]
    else:
        found = [_single(r, what, span, bits, note)]
    reason = not_done_reason(r)
    if reason is not NOTHING:
        found.append(
            found[0]._replace(kind="ObservationNotDone", span=facts.day(r, "issued"), value_concept=reason)
        )
    return found


def _single(r: Resource, what: Concept, span: Span, bits: int, note: str) -> Fact:
    name = next((k for k in r if k.startswith("value") and r[k] is not None), "")
    if not name:
        return facts.make("Observation", r, what, span, bits, note)
    number, unit, coded, more = value(name, r[name])
    return facts.make(
        "Observation", r, what, span, bits | more, note, value=number, unit=unit, value_concept=coded
    )


def value(name: str, written: Any) -> tuple[float | None, str, Concept, int]:
    """Number, unit, concept and bits of a value[x]."""
    if name == "valueQuantity" and isinstance(written, dict):
        number = elements.number(written.get("value"))
        bits = Trait.HAS_VALUE | (Trait.QUANTITY if number is not None else 0)
        if written.get("comparator"):
            bits |= Trait.COMPARATOR
        return number, elements.quantity_unit(written), NOTHING, bits
    if name == "valueCodeableConcept":
        return None, "", elements.concept(written), Trait.HAS_VALUE
    if name == "valueInteger":
        return elements.number(written), "", NOTHING, Trait.HAS_VALUE
    return None, "", NOTHING, Trait.HAS_VALUE


def _panel(r: Resource, what: Concept, span: Span, bits: int, note: str) -> Fact:
    """A blood pressure: value is the systolic, value2 the diastolic, in mm[Hg]; the lower of two of a kind."""
    top, top_odd = component(r, SYSTOLIC)
    low, low_odd = component(r, DIASTOLIC)
    bits |= Trait.BP_PANEL
    if top is not None or low is not None:
        bits |= Trait.HAS_VALUE
    if top_odd or low_odd:
        bits |= Trait.VALUE_UNIT_ODD
        note = note or ODD_UNIT
    return facts.make("Observation", r, what, span, bits, note, value=top, value2=low, unit="mm[Hg]")


def component(r: Resource, code: str) -> tuple[float | None, bool]:
    """The lowest number of the components of that LOINC code, and whether a unit is not millimetres of mercury."""
    lowest: float | None = None
    odd = False
    for part in elements.things(r.get("component")):
        if code not in elements.codes(part.get("code"), LOINC):
            continue
        quantity = part.get("valueQuantity")
        number = elements.number(quantity.get("value")) if isinstance(quantity, dict) else None
        if number is None or not isinstance(quantity, dict):
            continue
        odd = odd or elements.quantity_unit(quantity) not in MERCURY
        lowest = number if lowest is None else min(lowest, number)
    return lowest, odd


def not_done_reason(r: Resource) -> Concept:
    """Why it was not done (QI-Core's extension at the root), or NOTHING."""
    extensions = r.get("extension")
    if not extensions:
        return NOTHING
    reasons = [
        e.get("valueCodeableConcept")
        for e in elements.things(extensions)
        if str(e.get("url")).endswith("/qicore-notDoneReason")
    ]
    return elements.concept([c for c in reasons if c]) if reasons else NOTHING
