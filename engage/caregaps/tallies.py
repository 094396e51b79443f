"""What a run counted: one row for each measure, group and clinic, the measure's rate and its trend; and whose gaps are open.

Patients of a kind (clinic, clinician, language, age) are put into cells once, so that each count is a cut of two sets. A
run keeps its cells: one that looks at a few reads anew those who came to another clinic, clinician, language or age.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date

from dateutil.relativedelta import relativedelta
from django.db import connection
from pyroaring import BitMap

from engage.caregaps.algebra import Span, within
from engage.caregaps.models import CareGap, CountedTogether, GapRun, MeasureTally, OpenTally
from engage.caregaps.rolls import Whole
from engage.lib import bulk
from engage.patients.models import Patient

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


def write_tallies(run: GapRun, groups: list[Whole], cells: Cells) -> None:
    """The run's counts; who has the open gaps is kept for the last run only. What was put off counts as open nowhere.

    Call it in the transaction in which the run is completed.
    """
    later = put_off()
    groups = [replace(one, open=one.open - later[one.measure, one.group]) for one in groups]
    clinics: dict[int | None, BitMap] = defaultdict(BitMap)
    for cell, patients in cells.items():
        clinics[cell.clinic] |= patients
    MeasureTally.objects.bulk_create(
        tally(run, group, clinic, patients) for group in groups for clinic, patients in clinics.items()
    )
    OpenTally.objects.filter(measure__in={group.measure for group in groups}).delete()
    OpenTally.objects.bulk_create(row for group in groups for row in open_tallies(run, group, cells))


def put_off() -> dict[tuple[str, int], BitMap]:
    """(measure, group) → the patients whose gap was put off: a list of open gaps is without them."""
    found: dict[tuple[str, int], BitMap] = defaultdict(BitMap)
    rows = CareGap.objects.filter(status=CareGap.Status.DEFERRED, deferred_until__isnull=False)
    for measure, group, patient in rows.values_list("measure", "group", "patient_id"):
        found[measure, group].add(patient)
    return found


def patients_in_cells(as_of: date, span: Span | None = None, among: BitMap | None = None) -> Cells:
    """The living patients (of a span, or `among` these) by who is counted together; read in one pass."""
    sql = (
        f"SELECT id, clinic_id, pcp_id, language, {band_sql(as_of)} FROM patients_patient"  # noqa: S608
        " WHERE active AND NOT deceased"
    )
    if span:
        sql += f" AND {within(span, 'id')}"
    if among is not None:
        sql += f" AND {bulk.among('id')}"
    found: dict[tuple[int | None, int | None, str, int], list[int]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(sql, [] if among is None else [bulk.listed(among)])
        while rows := cursor.fetchmany(20_000):
            for row in rows:
                found[row[1:]].append(row[0])
    return {Cell(*cell): BitMap(patients) for cell, patients in found.items()}


def brought_up_to_date(since: date, as_of: date, changed: BitMap) -> Cells:
    """The cells of the last run, which was as of `since`, with these patients and those who had a birthday counted anew."""
    anew = changed | come_of_age(since, as_of)
    before = {cell: patients - anew for cell, (_, patients) in kept().items()}
    found = cells_joined([before, patients_in_cells(as_of, among=anew)])
    return {cell: patients for cell, patients in found.items() if patients}


def come_of_age(since: date, as_of: date) -> BitMap:
    """Patients who came to the next of BANDS between these days."""
    found = BitMap()
    for _, oldest in BANDS[:-1]:
        years = relativedelta(years=oldest + 1)
        born = Patient.objects.filter(birth_date__gt=since - years, birth_date__lte=as_of - years)
        found |= BitMap(born.values_list("pk", flat=True))
    return found


def kept() -> dict[Cell, tuple[int, BitMap]]:
    """cell → (its row, its patients), as the last run left them."""
    rows = CountedTogether.objects.values_list("clinic_id", "pcp_id", "language", "band", "pk", "patients")
    return {
        Cell(clinic, pcp, language, band): (pk, BitMap.deserialize(bytes(patients)))
        for clinic, pcp, language, band, pk, patients in rows
    }


def keep(cells: Cells) -> None:
    """These are the last run's now; writes those that differ. Call it in the transaction in which the run is completed."""
    before = kept()
    same = {cell for cell, (_, patients) in before.items() if cells.get(cell) == patients}
    gone = bulk.listed(pk for cell, (pk, _) in before.items() if cell not in same)
    bulk.write_many(f"DELETE FROM caregaps_countedtogether WHERE {bulk.among('id')}", [(gone,)])  # noqa: S608
    CountedTogether.objects.bulk_create(
        CountedTogether(
            clinic_id=cell.clinic,
            pcp_id=cell.pcp,
            language=cell.language,
            band=cell.band,
            patients=patients.serialize(),
        )
        for cell, patients in cells.items()
        if cell not in same
    )


def cells_joined(parts: Iterable[Cells]) -> Cells:
    """The cells of all parts."""
    found: Cells = defaultdict(BitMap)
    for cells in parts:
        for cell, patients in cells.items():
            found[cell] |= patients
    return found


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
    """A gap that staff closed or put off counts as open nowhere, but is in no numerator: the record does not show it."""
    counted = group.counted
    return MeasureTally(
        run=run,
        clinic_id=clinic,
        measure=group.measure,
        group=group.group,
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
            run=run, clinic_id=clinic, measure=group.measure, group=group.group, by=by, key=key,
            open_gaps=number,
        )  # fmt: skip
