"""What the content published for 2026 changes in every measure (measures.md §12): its status filters.

A visit must be finished; surveys and laboratory results need no category; every kind of order counts; a diagnosis must not
be refuted or entered in error. What a measure changes besides stands in its own file.
"""

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from engage.caregaps.facts import ENCOUNTER_PERFORMED, Facts
from engage.caregaps.measure import RuleSet
from engage.records.models import Kind, Status, Trait

CATEGORIES = Trait.SURVEY | Trait.LABORATORY
Expression = TypeVar("Expression")
ORDERS = Trait.INTENT_ORDER | Trait.INTENT_OTHER_ORDER


def in_2026(expression: Expression) -> Expression:
    """The same expression, exclusion or tuple of exclusions with each of its leaves read as in 2026."""
    return changed(expression)


def rules_of_2026(rules: RuleSet) -> RuleSet:
    """The rules of 2025 with these filters, for a measure of which §12 says no more."""
    return replace(in_2026(rules), version="2026.1", artifact=rules.artifact.partition("|")[0])


def changed(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(changed(part) for part in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    new = replace(value, **{f.name: changed(getattr(value, f.name)) for f in fields(value)})
    return leaf_in_2026(new) if isinstance(new, Facts) else new


def leaf_in_2026(facts: Facts) -> Facts:
    if facts.statuses == ENCOUNTER_PERFORMED:
        facts = facts.status(Status.FINISHED)
    if facts.kind == Kind.OBSERVATION:
        facts = replace(facts, needs=facts.needs & ~CATEGORIES)
    if facts.kind == Kind.CONDITION:
        facts = replace(facts, needs=facts.needs | Trait.VERIFIED)
    if facts.needs & Trait.INTENT_ORDER:
        facts = replace(facts, needs=facts.needs & ~Trait.INTENT_ORDER, needs_any=facts.needs_any | ORDERS)
    return facts
