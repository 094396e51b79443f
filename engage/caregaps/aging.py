"""How old the patient was on the days of a fact."""

from dataclasses import dataclass

from django.db import connection

from engage.caregaps.marks import known, latest_second
from engage.records.models import Kind


@dataclass(frozen=True)
class Aging:
    """Whole years of the patient on the last (or first) day of a fact. Days and birth dates known only in part must fit
    as a whole. Dates are numbers YYYYMMDD here, so that years are a difference by 10,000."""

    youngest: int
    oldest: int
    at_start: bool = False

    def sql(self, kind: Kind) -> str:
        first, last = (
            (known(f"e.start_{bound}") if self.at_start else latest_second(kind, bound))
            for bound in ("lo", "hi")
        )
        born = date_number("who.birth_date")
        vague = "CASE who.birth_precision WHEN 'year' THEN 1130 WHEN 'month' THEN 30 ELSE 0 END"
        old_enough = f"({day_number(first)} - {born} - {vague}) / 10000 >= {self.youngest}"
        not_too_old = f"({day_number(last)} - {born}) / 10000 <= {self.oldest}"
        who = "SELECT 1 FROM patients_patient who WHERE who.id = e.patient_id"
        return f"EXISTS ({who} AND {old_enough} AND {not_too_old})"


def day_number(second: str) -> str:
    """SQL: the local day of a second as YYYYMMDD."""
    if connection.vendor == "postgresql":
        return f"CAST(to_char(to_timestamp({second}) AT TIME ZONE 'UTC', 'YYYYMMDD') AS integer)"
    return f"CAST(strftime('%Y%m%d', {second}, 'unixepoch') AS integer)"


def date_number(column: str) -> str:
    """SQL: a date as YYYYMMDD."""
    if connection.vendor == "postgresql":
        return f"CAST(to_char({column}, 'YYYYMMDD') AS integer)"
    return f"CAST(strftime('%Y%m%d', {column}) AS integer)"
