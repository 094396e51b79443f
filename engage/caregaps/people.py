"""Leaves that read the patient and no clinical fact: age and administrative gender."""

from dataclasses import dataclass
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta
from pyroaring import BitMap

from engage.caregaps.algebra import Patients, Question
from engage.caregaps.words import Words, listed
from engage.patients.models import Patient


@dataclass(frozen=True)
class Aged(Patients):
    """Whole years on the period's first or last day; a birth date known only in part must fit as a whole."""

    youngest: int
    oldest: int = 200
    at_end: bool = True

    def evaluate(self, question: Question) -> BitMap:
        first, last = self.born_between(question)
        by_precision = (
            f"(birth_precision = 'day' AND birth_date <= '{last}')"
            f" OR (birth_precision = 'month' AND birth_date <= '{last_whole(last, 'month')}')"
            f" OR (birth_precision = 'year' AND birth_date <= '{last_whole(last, 'year')}')"
        )
        sql = f"SELECT id FROM {question.people}"  # noqa: S608
        sql += f" WHERE birth_date BETWEEN '{first}' AND '{last}' AND ({by_precision})"
        return question.ids(sql + question.only_patients("id"))

    def born_between(self, question: Question) -> tuple[date, date]:
        """First and last birthday of those who are that old."""
        on = question.period.end if self.at_end else question.period.start
        first = on - relativedelta(years=min(self.oldest + 1, on.year - 1)) + timedelta(days=1)
        return first, on - relativedelta(years=self.youngest)

    def turned_up(self, born: date, question: Question) -> date:
        """The first day of the first year in which someone born then is old enough."""
        on = question.period.end if self.at_end else question.period.start
        year = born.year + self.youngest + ((born.month, born.day) > (on.month, on.day))
        return date(year, question.period.start.month, question.period.start.day)

    def sought(self, question: Question, language: str) -> list[str]:
        ages = f"{self.youngest}-{self.oldest}" if self.oldest < 200 else f"{self.youngest}+"
        return [Words(f"aged {ages}", f"edad {ages}")[language]]

    def missing(self, question: Question, language: str) -> list[str]:
        if question.ask(self):
            return []
        told = listed(self.why(question, language), language)
        return [f"{phrase}{f' ({told})' if told else ''}" for phrase in self.sought(question, language)]

    def why(self, question: Question, language: str) -> list[str]:
        if "born" not in question.remembered:
            one = Patient.objects.filter(pk__in=question.patients or ())
            question.remembered["born"] = one.values_list("birth_date", flat=True).first()
        born = question.remembered["born"]
        if born is None:
            return []
        on = question.period.end if self.at_end else question.period.start
        age = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
        when = Words(
            f"at the {'end' if self.at_end else 'start'} of", f"al {'final' if self.at_end else 'inicio'} de"
        )
        return [Words(f"{age} years old {when.en} {on.year}", f"{age} años {when.es} {on.year}")[language]]


@dataclass(frozen=True)
class Female(Patients):
    """Administrative gender female; nothing else is read (measures.md §0.1)."""

    def evaluate(self, question: Question) -> BitMap:
        sql = f"SELECT id FROM {question.people} WHERE gender = 'female'"  # noqa: S608
        return question.ids(sql + question.only_patients("id"))

    def sought(self, question: Question, language: str) -> list[str]:
        return [Words("women", "mujeres")[language]]

    def why(self, question: Question, language: str) -> list[str]:
        return [Words("woman", "mujer")[language]]


@dataclass(frozen=True)
class FemaleBySex(Patients):
    """US Core's sex extension says female (SNOMED 248152002); the gender counts only where the question says so."""

    def evaluate(self, question: Question) -> BitMap:
        by_gender = " OR (sex = '' AND gender = 'female')" if question.gender_for_sex else ""
        sql = f"SELECT id FROM {question.people} WHERE (sex = '{FEMALE_SEX}'{by_gender})"  # noqa: S608
        return question.ids(sql + question.only_patients("id"))

    def sought(self, question: Question, language: str) -> list[str]:
        return Female().sought(question, language)

    def why(self, question: Question, language: str) -> list[str]:
        return Female().why(question, language)


FEMALE_SEX = "248152002"


def last_whole(day: date, precision: str) -> date:
    """The first day of the last month or year that is over by that day."""
    after = day + timedelta(days=1)
    return (
        date(after.year - 1, 1, 1)
        if precision == "year"
        else (after.replace(day=1) - relativedelta(months=1))
    )


def aged_at_end(youngest: int, oldest: int = 200) -> Aged:
    """Whole years on the last day of the period."""
    return Aged(youngest, oldest)


def aged_at_start(youngest: int, oldest: int = 200) -> Aged:
    return Aged(youngest, oldest, at_end=False)


def female() -> Female:
    return Female()


def female_by_sex() -> FemaleBySex:
    return FemaleBySex()
