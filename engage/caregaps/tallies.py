"""What a run counted: one row for each measure, group and clinic, the measure's rate and its trend."""

from collections import defaultdict

from pyroaring import BitMap

from engage.caregaps.models import GapRun, MeasureTally
from engage.caregaps.sorting import Sorted
from engage.patients.models import Patient


def write_tallies(run: GapRun, groups: list[Sorted]) -> None:
    clinics = patients_of_clinics()
    MeasureTally.objects.bulk_create(
        tally(run, group, clinic, patients) for group in groups for clinic, patients in clinics.items()
    )


def patients_of_clinics() -> dict[int | None, BitMap]:
    """clinic id (None: unassigned) → its patients."""
    found: dict[int | None, BitMap] = defaultdict(BitMap)
    for pk, clinic in Patient.objects.living().order_by().values_list("pk", "clinic_id").iterator(20_000):
        found[clinic].add(pk)
    return found


def tally(run: GapRun, group: Sorted, clinic: int | None, patients: BitMap) -> MeasureTally:
    """A gap that staff closed counts as open nowhere, but is in no numerator: the record does not show it."""
    counted = group.counted
    return MeasureTally(
        run=run,
        clinic_id=clinic,
        measure=group.measure.id,
        group=group.group.number,
        initial_population=counted.initial.intersection_cardinality(patients),
        denominator=counted.denominator.intersection_cardinality(patients),
        excluded=counted.excluded.intersection_cardinality(patients),
        excepted=counted.excepted.intersection_cardinality(patients),
        numerator=counted.numerator.intersection_cardinality(patients),
        open_gaps=group.open.intersection_cardinality(patients),
    )
