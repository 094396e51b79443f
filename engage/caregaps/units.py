"""Amounts with their units. Compared by what the unit means (UCUM), not by how it is written."""

from dataclasses import dataclass

from engage.records.models import Trait

Factors = tuple[tuple[str, float], ...]  # a unit, and what one of it is in the unit of the measure

# In mg/dL; UCUM writes the liter as L or l.
MASS_PER_VOLUME: Factors = tuple(
    (unit.replace("L", liter), factor)
    for liter in "Ll"
    for unit, factor in (
        ("mg/dL", 1.0), ("g/L", 100.0), ("mg/L", 0.1), ("g/dL", 1000.0), ("mg/mL", 100.0), ("ug/mL", 0.1),
    )
)  # fmt: skip
# In %; no unit is UCUM's unit "1", a fraction.
SHARE: Factors = (("%", 1.0), ("1", 100.0), ("", 100.0))


@dataclass(frozen=True)
class AtLeast:
    """So much or more. A bound ("> 100") is no amount, and one in any other unit cannot be compared: neither holds."""

    amount: float
    factors: Factors

    def sql(self) -> str:
        units = " ".join(f"WHEN '{unit}' THEN {factor}" for unit, factor in self.factors)
        return (
            f"(e.traits & {Trait.QUANTITY | Trait.COMPARATOR}) = {Trait.QUANTITY}"
            f" AND e.value * CASE e.unit {units} END >= {self.amount}"
        )


def mg_per_dl(amount: float) -> AtLeast:
    return AtLeast(amount, MASS_PER_VOLUME)


def percent(amount: float) -> AtLeast:
    return AtLeast(amount, SHARE)
