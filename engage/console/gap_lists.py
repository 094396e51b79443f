"""The patients behind a picture of the measures page: what the address asks for, as a filter and in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, QueryDict

from engage.accounts.models import Clinic, User
from engage.campaigns.segments import OLDEST, years_before
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap, CareGapQuerySet
from engage.caregaps.reports import line
from engage.caregaps.words import day_text
from engage.console.measuring import NOT_KNOWN, UNASSIGNED, age_name
from engage.console.templatetags.words import language_name
from engage.lib import clock
from engage.patients.models import Practitioner

SHOWN = 50  # on a page
MOST = 10_000  # that a list counts, leafs through or writes into a file
NONE = "none"


@dataclass(frozen=True)
class Choice:
    """Which open gaps of a measure: of a clinic, a clinician, a language, an age; each "" when it does not matter."""

    measure: str
    clinic: str = ""
    pcp: str = ""
    language: str = ""
    age: str = ""

    @classmethod
    def read(cls, measure: str, asked: QueryDict) -> "Choice":
        """404 for what makes no sense."""
        for name in ("clinic", "pcp"):
            if (value := asked.get(name, "")) not in ("", NONE):
                whole(value)
        if (age := asked.get("age", "")) not in ("", NONE):
            band(age)
        return cls(measure, *(asked.get(name, "") for name in ("clinic", "pcp", "language", "age")))

    @property
    def query(self) -> str:
        parts = {name: getattr(self, name) for name in ("clinic", "pcp", "language", "age")}
        return urlencode({name: value for name, value in parts.items() if value})

    def gaps(self, user: User) -> CareGapQuerySet:
        """The open gaps that this person may see, longest due first."""
        wanted: dict[str, Any] = {}
        for name in ("clinic", "pcp"):
            if value := getattr(self, name):
                wanted |= (
                    {f"patient__{name}__isnull": True}
                    if value == NONE
                    else {f"patient__{name}": whole(value)}
                )
        if self.language:
            wanted["patient__language"] = "" if self.language == NONE else self.language
        if self.age:
            wanted |= {"patient__birth_date": None} if self.age == NONE else born(*band(self.age))
        rows = CareGap.objects.filter(measure=self.measure).open().visible_to(user).filter(**wanted)
        return rows.order_by("due_since", "pk")

    def words(self, user: User) -> list[str]:
        """ "speaking Spanish", "aged 60 to 69"; a clinic that is not the person's is not named."""
        said = []
        if self.clinic:
            said.append(f"clinic {self.clinic_name(user)}")
        if self.pcp:
            doctor = None if self.pcp == NONE else Practitioner.objects.filter(pk=whole(self.pcp)).first()
            said.append(f"clinician {doctor.name if doctor else 'none'}")
        if self.language:
            said.append(
                f"speaking {language_name(self.language) if self.language != NONE else NOT_KNOWN.lower()}"
            )
        if self.age:
            said.append("of unknown age" if self.age == NONE else f"aged {age_name(self.age).lower()}")
        return said

    def clinic_name(self, user: User) -> str:
        if self.clinic == NONE:
            return UNASSIGNED.lower()
        mine = Clinic.objects.filter(pk__in=user.clinic_ids(), pk=whole(self.clinic))
        return mine.values_list("name", flat=True).first() or "of others"


def whole(value: str, most: int = 2**62) -> int:
    if not (value.isascii() and value.isdecimal()) or int(value[:20]) > most:
        raise Http404
    return int(value)


def band(age: str) -> tuple[int, int]:
    low, _, high = age.partition("-")
    return whole(low, OLDEST), whole(high, OLDEST)


def born(low: int, high: int) -> dict[str, date]:
    """The filter for whole years of age today."""
    today = clock.today()
    return {
        "patient__birth_date__lte": years_before(today, low),
        "patient__birth_date__gt": years_before(today, high + 1),
    }


def table(gaps: list[CareGap]) -> Iterator[str]:
    """Lines of CSV for people: who is due, and since when."""
    yield line(
        ["Patient", "Born", "Record number", "Measure", "Due since", "Clinic", "Clinician", "Language"]
    )
    for gap in gaps:
        who = gap.patient
        yield line(
            [
                who.listed_name, who.birth_text, who.mrn, MEASURES[gap.measure].title.en,
                day_text(gap.due_since) if gap.due_since else "", str(who.clinic or UNASSIGNED), str(who.pcp or ""),
                language_name(who.language),
            ]
        )  # fmt: skip
