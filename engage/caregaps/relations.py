"""A fact beside another fact of the same patient: a screening in the days before a visit, a reason given during one.

In the SQL here `e` is the fact and `o` the other. Days are compared as written, instants in UTC. A value less precise
than a second is the range it covers, and a relation holds only if it holds for the whole range (measures.md §0.4, §13.0).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from engage.caregaps.timing import has_start
from engage.records.models import NEVER_ENDS, Kind

if TYPE_CHECKING:
    from engage.caregaps.algebra import Question
    from engage.caregaps.facts import Facts

DAY = 86_400


@dataclass(frozen=True)
class Beside:
    """Such another fact exists, or (`is_there` False) none does."""

    relation: str
    other: "Facts"
    is_there: bool = True

    def sql(self, question: "Question") -> str:
        source = self.other.source(question)
        if not source:
            return "1 = 0" if self.is_there else "1 = 1"
        others = f"SELECT 1 FROM (SELECT e.* {source}) o"  # noqa: S608 - integers only
        exists = f"EXISTS ({others} WHERE o.patient_id = e.patient_id AND {self.relation})"
        return exists if self.is_there else f"NOT {exists}"


class Related:
    """What a fact may ask of another one."""

    kind: Kind
    beside: tuple[Beside, ...]

    # --- by the day ---------------------------------------------------------------------------------------
    def followed_by(self, other: "Facts", days: int) -> Self:
        """The other begins on the day this begins, or up to so many days later."""
        return self.next_to(up_to_days_later("o.start", "e.start", days), other)

    def shortly_before(self, other: "Facts", days: int) -> Self:
        """It ends on the day the other begins, or up to so many days earlier."""
        return self.next_to(up_to_days_later("o.start", "e.end", days), other)

    def after_which(self, other: "Facts", days: int) -> Self:
        """The other begins on the day this ends, or up to so many days later."""
        return self.next_to(up_to_days_later("o.start", "e.end", days), other)

    def on_no_day_of(self, other: "Facts") -> Self:
        """Its last day is no day of any such other, from the day that begins to the day it ends."""
        return self.next_to(ON_A_DAY_OF, other, is_there=False)

    # --- by the instant -----------------------------------------------------------------------------------
    def begun_before(self, other: "Facts") -> Self:
        """It begins before the other does."""
        return self.next_to(f"{before('e.start', 'o.start')} AND {has_start(self.kind)}", other)

    def begun_during(self, other: "Facts") -> Self:
        """It begins while the other lasts, both ends included."""
        return self.next_to(while_it_lasts("e", "o"), other)

    def during_which(self, other: "Facts") -> Self:
        """The other begins while this lasts, both ends included."""
        return self.next_to(while_it_lasts("o", "e"), other)

    def next_to(self, relation: str, other: "Facts", *, is_there: bool = True) -> Self:
        return replace(self, beside=(*self.beside, Beside(relation, other, is_there)))  # type: ignore[type-var]


def up_to_days_later(later: str, earlier: str, days: int) -> str:
    """`later` lies on the day of `earlier` or up to so many days after it."""
    return (
        f"{later}_lo >= {earlier}_hi / {DAY} * {DAY}"
        f" AND {later}_hi < ({earlier}_lo / {DAY} + {days + 1}) * {DAY}"
    )


def instant(edge: str, bound: str) -> str:
    return f"{edge}_{bound} - 60 * {edge}_offset"


def before(first: str, second: str) -> str:
    return f"{instant(first, 'hi')} < {instant(second, 'lo')}"


def not_after(first: str, second: str) -> str:
    """The same moment, known as precisely, is not after itself."""
    same = f"{instant(first, 'lo')} = {instant(second, 'lo')} AND {instant(first, 'hi')} = {instant(second, 'hi')}"
    return f"({before(first, second)} OR ({same}))"


def while_it_lasts(short: str, long: str) -> str:
    return f"{not_after(f'{long}.start', f'{short}.start')} AND {not_after(f'{short}.start', f'{long}.end')}"


LAST_MOMENT = f"CASE WHEN e.end_lo < {NEVER_ENDS} THEN e.end_lo ELSE e.start_lo END"
ON_A_DAY_OF = f"o.start_lo / {DAY} <= ({LAST_MOMENT}) / {DAY} AND o.end_hi / {DAY} >= ({LAST_MOMENT}) / {DAY}"
