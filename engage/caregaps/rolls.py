"""Who was in each population as the last run left it: so that a night that looks at a few can count everybody."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Self

from pyroaring import BitMap

from engage.caregaps.measure import Counted
from engage.caregaps.models import GapRun, Roll
from engage.caregaps.sorting import Sorted

POPULATIONS = ("initial", "denominator", "excluded", "numerator", "excepted")
OPEN = "open"
Sets = dict[str, BitMap]


@dataclass(frozen=True)
class Whole:
    """One group of one measure, over everybody (or over a part of them)."""

    measure: str
    group: int
    counted: Counted
    open: BitMap  # less than the gap: what staff closed is not in it

    @classmethod
    def of(cls, group: Sorted) -> Self:
        return cls(group.measure.id, group.group.number, group.counted, group.open)

    def sets(self) -> Sets:
        return {name: getattr(self.counted, name) for name in POPULATIONS} | {OPEN: self.open}

    def with_sets(self, sets: Sets) -> Self:
        """The same group with other patients in it."""
        populations = {name: sets[name] for name in POPULATIONS}
        counted = Counted(**populations, inverse=self.counted.inverse)
        return replace(self, counted=counted, open=sets[OPEN])

    @property
    def rows(self) -> int:
        """How many rows are open, put off or excluded."""
        return len(self.open) + len(self.counted.excluded) + len(self.counted.excepted)


def joined(parts: Sequence[list[Whole]]) -> list[Whole]:
    """Each group over all parts."""
    return [reduce(both, groups) for groups in zip(*parts, strict=True)]


def both(one: Whole, other: Whole) -> Whole:
    mine, theirs = one.sets(), other.sets()
    return one.with_sets({name: mine[name] | theirs[name] for name in mine})


def over_everybody(groups: list[Whole], before: GapRun | None, asked: BitMap | None) -> list[Whole]:
    """The groups as they were sorted; with `asked`, theirs in place of what the run before had for them."""
    if before is None or asked is None:
        return groups
    known = read(before)
    return [merged(group, known[group.measure, group.group], asked) for group in groups]


def merged(group: Whole, known: Sets, asked: BitMap) -> Whole:
    return group.with_sets({name: (known[name] - asked) | now for name, now in group.sets().items()})


def read(run: GapRun) -> dict[tuple[str, int], Sets]:
    found: dict[tuple[str, int], Sets] = {}
    for measure, group, population, patients in Roll.objects.filter(run=run).values_list(
        "measure", "group", "population", "patients"
    ):
        found.setdefault((measure, group), {})[population] = BitMap.deserialize(bytes(patients))
    return found


def write(run: GapRun, found: Iterable[Whole]) -> None:
    """These are the last run's now. Call it in the transaction in which the run is completed."""
    Roll.objects.all().delete()
    Roll.objects.bulk_create(
        Roll(
            run=run,
            measure=whole.measure,
            group=whole.group,
            population=name,
            patients=patients.serialize(),
        )
        for whole in found
        for name, patients in whole.sets().items()
    )
