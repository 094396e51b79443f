"""One fact soon after another, by the calendar days as written."""

from collections.abc import Iterator
from dataclasses import dataclass

from pyroaring import BitMap

from engage.caregaps.algebra import Patients, Question
from engage.caregaps.facts import Facts


@dataclass(frozen=True)
class FollowedBy(Patients):
    """Patients with the second fact on the day of the first or up to so many days later (days on which they begin)."""

    first: Facts
    second: Facts
    days: int

    def evaluate(self, question: Question) -> BitMap:
        first, second = self.first.source(question), self.second.source(question)
        if not first or not second:
            return BitMap()
        day = "SELECT e.patient_id, e.start_lo / 86400 AS day"
        return question.ids(
            f"SELECT one.patient_id FROM ({day} {first}) one JOIN ({day} {second}) two"  # noqa: S608 - integers only
            f" ON two.patient_id = one.patient_id AND two.day BETWEEN one.day AND one.day + {self.days}"
        )

    def sought(self, question: Question, language: str) -> list[str]:
        return self.second.sought(question, language)

    def why(self, question: Question, language: str) -> list[str]:
        return [*self.first.why(question, language), *self.second.why(question, language)]

    def facts(self) -> Iterator[Facts]:
        yield self.first
        yield self.second


def followed_by(first: Facts, second: Facts, days: int) -> FollowedBy:
    return FollowedBy(first, second, days)
