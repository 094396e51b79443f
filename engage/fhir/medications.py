"""Prescriptions: the order, how long its supply lasts, and the bounds of its dosage."""

from typing import Any

from engage.fhir import dates, elements, facts
from engage.fhir.dates import DAY, Moment
from engage.fhir.elements import NOBODY, NOTHING, Concept, Reference
from engage.fhir.facts import BirthOf, Fact, Resource
from engage.fhir.traits import Trait

DAYS_IN = {"s": 1 / 86_400, "min": 1 / 1440, "h": 1 / 24, "d": 1.0, "wk": 7.0, "mo": 30.0, "a": 365.0}
NOT_REQUESTED = ("qicore-mednotrequested", "qicore-medicationnotrequested")
WORDS = {"day": "d", "week": "wk", "month": "mo", "year": "a"}  # records write them where UCUM belongs


def medication_request(r: Resource, birth: BirthOf) -> list[Fact]:
    """The order first; then its supply as a period, and one row for each dosage that has bounds."""
    what, source, bits = medicine(r)
    bits |= facts.INTENTS.get(str(r.get("intent")), 0) | negation(r)
    if r.get("reportedBoolean") is True:
        bits |= Trait.PATIENT_REPORTED
    reasons = elements.concept(r.get("reasonCode")) if r.get("reasonCode") else NOTHING
    order = facts.make(
        "MedicationRequest",
        r,
        what,
        facts.day(r, "authoredOn"),
        bits,
        value_concept=reasons,
        medication=source,
    )
    found, bounds = [order], list(dosage_bounds(r))
    supply = supply_period(r)
    if supply:
        found.append(order._replace(kind="MedicationPeriod", span=supply))
    for number, span in enumerate(bounds, 1):
        own_id = order.id if number == 1 else f"{order.id}#{number}"
        traits = order.traits | (Trait.NO_START if span.no_start else 0)
        found.append(order._replace(kind="MedicationBounds", id=own_id, span=span, traits=traits))
    return found


def medicine(r: Resource) -> tuple[Concept, Reference, int]:
    """The drug: its concept, or the Medication it refers to, marked since measures do not follow references."""
    coded = r.get("medicationCodeableConcept")
    if coded is not None:
        return elements.concept(coded), NOBODY, 0
    named = elements.reference(r.get("medicationReference"), "Medication")
    bits = Trait.MEDICATION_BY_REFERENCE
    if named.contained:
        return elements.concept(elements.contained(r, named.contained).get("code")), NOBODY, bits
    return Concept((), named.display), named if named.id else NOBODY, bits


def negation(r: Resource) -> int:
    """Not to be taken: by element, or by the QI-Core profile "not requested" (measures.md §13.0; renamed in QI-Core 5)."""
    bits = facts.negation(r)
    meta = r.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    if isinstance(profiles, list) and any(name in str(p) for p in profiles for name in NOT_REQUESTED):
        bits |= Trait.NOT_DONE | Trait.NOT_DONE_BY_PROFILE
    return bits


def dosages(r: Resource) -> list[dict[str, Any]]:
    return list(elements.things(r.get("dosageInstruction")))


def repeat_of(dosage: dict[str, Any]) -> dict[str, Any]:
    timing = dosage.get("timing")
    repeat = timing.get("repeat") if isinstance(timing, dict) else None
    return repeat if isinstance(repeat, dict) else {}


def dosage_bounds(r: Resource) -> list[dates.Span]:
    """The boundsPeriods of all dosages that have a start or an end."""
    spans = [dates.period(b)[0] for d in dosages(r) if (b := repeat_of(d).get("boundsPeriod")) is not None]
    return [s for s in spans if s is not dates.UNKNOWN]


def supply_period(r: Resource) -> dates.Span | None:
    """From the first day of the supply to its last (measures.md §0.11), in whole days; None when it can't be told."""
    first = next(iter(dosages(r)), {})
    bounds = repeat_of(first).get("boundsPeriod")
    dispense = r.get("dispenseRequest")
    dispense = dispense if isinstance(dispense, dict) else {}
    start = supply_start(bounds, r.get("authoredOn"), dispense.get("validityPeriod"))
    if start is None:
        return None
    days = supply_days(r, first, dispense)
    if days is not None:
        return dates.between(start, shifted(start, int(days) - 1)) if days >= 1 else None
    if isinstance(bounds, dict) and bounds.get("end") is not None:
        end = whole_day(dates.moment(bounds["end"]))
        return None if dates.is_backward(start, end) else dates.between(start, end)
    return None


def supply_start(bounds: Any, authored: Any, validity: Any) -> Moment | None:
    """The first of: start of the dosage's bounds, the order's day, start of its validity."""
    for written in (
        bounds.get("start") if isinstance(bounds, dict) else None,
        authored,
        validity.get("start") if isinstance(validity, dict) else None,
    ):
        if written is not None:
            return whole_day(dates.moment(written))
    return None


def whole_day(when: Moment) -> Moment:
    """The day, or days, a moment lies in: measures take the date of it, without a zone."""
    return Moment(when.lo // DAY * DAY, when.hi // DAY * DAY + DAY - 1)


def shifted(when: Moment, days: int) -> Moment:
    return Moment(when.lo + days * DAY, when.hi + days * DAY)


def supply_days(r: Resource, dosage: dict[str, Any], dispense: dict[str, Any]) -> float | None:
    """Days of supply with all repeats; None when neither said nor to be computed."""
    repeats = elements.number(dispense.get("numberOfRepeatsAllowed"), "number of repeats") or 0
    said = dispense.get("expectedSupplyDuration")
    if isinstance(said, dict) and (days := in_days(said)) is not None:
        return days * (1 + repeats)
    quantity = dispense.get("quantity")
    amount = elements.number(quantity.get("value"), "quantity") if isinstance(quantity, dict) else None
    daily = daily_amount(dosage) if len(dosages(r)) == 1 else None
    return amount / daily * (1 + repeats) if amount and daily else None


def in_days(duration: dict[str, Any]) -> float | None:
    value = elements.number(duration.get("value"), "supply duration")
    written = str(duration.get("code") or duration.get("unit") or "d")
    unit = DAYS_IN.get(WORDS.get(written.rstrip("s"), written))
    return value * unit if value is not None and unit else None


def daily_amount(dosage: dict[str, Any]) -> float | None:
    """The dose times how often a day it is taken."""
    rates = list(elements.things(dosage.get("doseAndRate")))
    dose = rates[0].get("doseQuantity") if len(rates) == 1 else None
    amount = elements.number(dose.get("value"), "dose") if isinstance(dose, dict) else None
    return amount * doses_per_day(repeat_of(dosage)) if amount else None


def doses_per_day(repeat: dict[str, Any]) -> float:
    """Frequency (the highest given) per period, else the times of day, else once."""
    often = elements.number(repeat.get("frequencyMax") or repeat.get("frequency"), "frequency")
    unit = DAYS_IN.get(str(repeat.get("periodUnit")))
    length = elements.number(repeat.get("period"), "period")
    if often and unit and length:
        return often / (length * unit)
    times = repeat.get("timeOfDay")
    return float(len(times)) if isinstance(times, list) and times else 1.0
