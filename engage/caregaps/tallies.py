"""What a run counted: one row for each measure, group and clinic, the measure's rate and its trend; and whose gaps are open.

Patients of a kind (clinic, clinician, language, age) are put into cells once, so that each count is a cut of two sets.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from dateutil.relativedelta import relativedelta
from django.db import connection, transaction
from pyroaring import BitMap

from engage.caregaps.models import GapRun, MeasureTally, OpenTally
from engage.caregaps.rolls import Whole

By = OpenTally.By
BANDS = ((0, 17), (18, 39), (40, 49), (50, 59), (60, 69), (70, 79), (80, 130))
UNKNOWN = ""  # the key of those without a clinician or a birth date


@dataclass(frozen=True)
class Cell:
    """Who is counted together."""

    clinic: int | None
    pcp: int | None
    language: str
    band: int  # place in BANDS; -1 without a birth date

    def counts_as(self) -> Iterator[tuple[By, str]]:
        """Under which keys the cell counts."""
        yield By.PCP, UNKNOWN if self.pcp is None else str(self.pcp)
        yield By.LANGUAGE, self.language
        yield By.AGE, UNKNOWN if self.band < 0 else band_key(self.band)


Cells = dict[Cell, BitMap]


def write_tallies(run: GapRun, groups: list[Whole]) -> None:
    """The run's counts; who has the open gaps is kept for the last run only."""
    cells = patients_in_cells(run.as_of)
    clinics: dict[int | None, BitMap] = defaultdict(BitMap)
    for cell, patients in cells.items():
        clinics[cell.clinic] |= patients
    MeasureTally.objects.bulk_create(
        tally(run, group, clinic, patients) for group in groups for clinic, patients in clinics.items()
    )
    with transaction.atomic():
        OpenTally.objects.filter(measure__in={group.sorted.measure.id for group in groups}).delete()
        OpenTally.objects.bulk_create(row for group in groups for row in open_tallies(run, group, cells))


def patients_in_cells(as_of: date) -> Cells:
    """The living patients by who is counted together; read once, in one pass over the table."""
    sql = (
        f"SELECT id, clinic_id, pcp_id, language, {band_sql(as_of)} FROM patients_patient"  # noqa: S608
        " WHERE active AND NOT deceased"
    )
    found: dict[tuple[int | None, int | None, str, int], list[int]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(sql)
        while rows := cursor.fetchmany(20_000):
            for pk, *cell in rows:
                found[tuple(cell)].append(pk)
    return {Cell(*cell): BitMap(patients) for cell, patients in found.items()}


def band_sql(as_of: date) -> str:
    """SQL: the place in BANDS of a patient's whole years on that day."""
    ages = " ".join(
        f"WHEN birth_date > '{as_of - relativedelta(years=oldest + 1)}' THEN {place}"
        for place, (_, oldest) in enumerate(BANDS[:-1])
    )
    return f"CASE WHEN birth_date IS NULL THEN -1 {ages} ELSE {len(BANDS) - 1} END"


def band_key(place: int) -> str:
    """ "40-49", as addresses name it."""
    return "{}-{}".format(*BANDS[place])


def tally(run: GapRun, group: Whole, clinic: int | None, patients: BitMap) -> MeasureTally:
    """A gap that staff closed counts as open nowhere, but is in no numerator: the record does not show it."""
    counted = group.counted
    return MeasureTally(
        run=run,
        clinic_id=clinic,
        measure=group.sorted.measure.id,
        group=group.sorted.group.number,
        initial_population=counted.initial.intersection_cardinality(patients),
        denominator=counted.denominator.intersection_cardinality(patients),
        excluded=counted.excluded.intersection_cardinality(patients),
        excepted=counted.excepted.intersection_cardinality(patients),
        numerator=counted.numerator.intersection_cardinality(patients),
        open_gaps=group.open.intersection_cardinality(patients),
    )


def open_tallies(run: GapRun, group: Whole, cells: Cells) -> Iterator[OpenTally]:
    """The open gaps of each clinic by clinician, language and age."""
    counts: Counter[tuple[int | None, By, str]] = Counter()
    for cell, patients in cells.items():
        if number := group.open.intersection_cardinality(patients):
            for by, key in cell.counts_as():
                counts[cell.clinic, by, key] += number
    for (clinic, by, key), number in counts.items():
        yield OpenTally(
            run=run, clinic_id=clinic, measure=group.sorted.measure.id, group=group.sorted.group.number, by=by, key=key,
            open_gaps=number,
        )  # fmt: skip
