"""Qualifying visits: what lets a patient into a measure."""

from collections.abc import Iterator
from dataclasses import dataclass

from pyroaring import BitMap

from engage.caregaps.algebra import Patients, Proof, Question
from engage.caregaps.facts import Facts, encounter
from engage.caregaps.period import Window
from engage.caregaps.vocabulary import Codes
from engage.caregaps.words import Words
from engage.records.models import Status

RECENT = Words("by a visit of the last 24 months", "por una visita de los últimos 24 meses")


@dataclass(frozen=True)
class RecentVisit(Patients):
    """A qualifying visit during the period; where the question allows it, one of the two years up to the day asked."""

    visit: Facts  # with its time

    @property
    def earlier(self) -> Facts:
        return self.visit.during(Window(months_to_as_of=24))

    def evaluate(self, question: Question) -> BitMap:
        found = question.ask(self.visit)
        return found | question.ask(self.earlier) if question.recent_visits else found

    def sought(self, question: Question, language: str) -> list[str]:
        return (self.earlier if question.recent_visits else self.visit).sought(question, language)

    def why(self, question: Question, language: str) -> list[str]:
        told = self.visit.why(question, language)
        return told or [f"{phrase} ({RECENT[language]})" for phrase in self.earlier.why(question, language)]

    def decided_by(self, question: Question, among: BitMap) -> dict[int, Proof]:
        told = self.visit.decided_by(question, among)
        return self.earlier.decided_by(question, among) | told if question.recent_visits else told

    def facts(self) -> Iterator[Facts]:
        yield self.visit


def finished_visit(*codes: Codes) -> Facts:
    """A visit of the period that is over."""
    return encounter(*codes).status(Status.FINISHED).during(Window())


def qualifying_visit(*codes: Codes) -> RecentVisit:
    return RecentVisit(encounter(*codes).during(Window()))
