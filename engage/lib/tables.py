"""Rows as lines of text: CSV that no spreadsheet takes for formulas, and JSON Lines."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def cell(value: Any) -> str:
    """One cell: lists joined, and a quote before whatever a spreadsheet would compute."""
    if isinstance(value, list | tuple):
        value = " | ".join(str(v) for v in value)
    text = "" if value is None else str(value)
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return f"'{text}" if text.lstrip().startswith(DANGEROUS) and not numeric else text


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A heading and a line for each row."""
    yield _line(columns)
    for row in rows:
        yield _line([cell(row.get(name)) for name in columns])


def _line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def json_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"
