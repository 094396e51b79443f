"""Who was in each population as the last run left it: so that a night that looks at a few can count everybody."""

from collections.abc import Iterable
from dataclasses import dataclass

from pyroaring import BitMap

from engage.caregaps.measure import Counted
from engage.caregaps.models import GapRun, Roll
from engage.caregaps.sorting import Sorted

POPULATIONS = ("initial", "denominator", "excluded", "numerator", "excepted")
OPEN = "open"
Sets = dict[str, BitMap]


@dataclass(frozen=True)
class Whole:
    """One group of one measure, over everybody."""

    sorted: Sorted
    counted: Counted
    open: BitMap  # less than the gap: what staff closed is not in it

    def sets(self) -> Sets:
        return {name: getattr(self.counted, name) for name in POPULATIONS} | {OPEN: self.open}

    @property
    def rows(self) -> int:
        """How many rows are open, put off or excluded."""
        return len(self.open) + len(self.counted.excluded) + len(self.counted.excepted)


def wholes(groups: Iterable[Sorted], before: GapRun | None, asked: BitMap | None) -> list[Whole]:
    """The groups as they were sorted; with `asked`, theirs in place of what the run before had for them."""
    if before is None or asked is None:
        return [Whole(group, group.counted, group.open) for group in groups]
    known = read(before)
    return [merged(group, known[group.measure.id, group.group.number], asked) for group in groups]


def merged(group: Sorted, known: Sets, asked: BitMap) -> Whole:
    now = Whole(group, group.counted, group.open).sets()
    sets = {name: (known[name] - asked) | now[name] for name in now}
    opened = sets.pop(OPEN)
    return Whole(group, Counted(**sets, inverse=group.group.inverse), opened)


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
            measure=whole.sorted.measure.id,
            group=whole.sorted.group.number,
            population=name,
            patients=patients.serialize(),
        )
        for whole in found
        for name, patients in whole.sets().items()
    )
