"""Forms that several pages share."""

import re
from datetime import date
from typing import Any

from django import forms

from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap, Closure
from engage.caregaps.words import Words
from engage.lib import clock, text

SPANISH = {"ene": 1, "abr": 4, "ago": 8, "dic": 12}  # the beginnings that differ from the English ones
SAID_MONTH = re.compile(
    r"\b(?:in|last|this|of|early|late|since|en|de|desde|pasado|este) (?:early |late |el mes de )?"
    r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|ene|abr|ago|dic)[a-z]*\b(?:,? (?:of |de |del )?(20\d\d))?"
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
COMMON = frozenset({"prueba", "sangre", "screening", "pressure", "presion", "control"})
HOW = "Write it as 2025-03-14, 3/14/2025, March 2025 or 2025."


class ClosureForm(forms.Form):
    """What was done, when, where and how we know: the evidence with which staff close a gap.

    `done_on` accepts a day, a month or a year; `precision` may say that less of it is sure.
    """

    what = forms.ChoiceField(label="What was done")
    done_on = forms.CharField(
        label="When", max_length=30, help_text="A day, a month or only a year: 3/14/2025, March 2025, 2025"
    )
    precision = forms.ChoiceField(
        label="How sure is the date",
        required=False,
        choices=[
            ("", "As written"),
            ("day", "The exact day"),
            ("month", "Only the month"),
            ("year", "Only the year"),
        ],
    )
    place = forms.CharField(label="Where", max_length=160, required=False)
    known_by = forms.ChoiceField(label="How we know", choices=Closure.Known.choices)
    note = forms.CharField(
        label="Note", required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
    )
    message_id = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, gap: CareGap, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gap = gap
        measure = MEASURES.get(gap.measure)
        self.closers = measure.closers_of(gap.group) if measure else []
        self.fields["what"].choices = [(c.slug, c.title["en"]) for c in self.closers]  # type: ignore[attr-defined]

    @classmethod
    def from_words(cls, gap: CareGap, words: str, message_id: int) -> "ClosureForm":
        """Filled in with what the patient's words seem to say, for a person to check."""
        form = cls(gap=gap, auto_id=f"gap{gap.pk}_%s")
        said = text.fold(words)
        named = (c.slug for c in form.closers if any(w in said for w in telling(c.title)))
        form.initial = {"what": next(named, ""), "done_on": said_when(said), "message_id": message_id}
        return form

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        written = cleaned.get("done_on")
        if not isinstance(written, str):
            return cleaned
        try:
            day, precision = read_date(written)
            cleaned["done_on"], cleaned["precision"] = coarser(day, precision, cleaned.get("precision", ""))
            self._check_day(cleaned["done_on"], cleaned.get("what", ""))
        except ValueError as error:
            self.add_error("done_on", str(error))
        return cleaned

    def _check_day(self, day: date, what: str) -> None:
        if day > clock.today():
            raise ValueError("This day is still to come.")
        born = self.gap.patient.birth_date
        if born and day < born.replace(month=1, day=1):
            raise ValueError("This is before the patient was born.")
        closer = next((c for c in self.closers if c.slug == what), None)
        if closer and day.year < self.gap.period_start.year - closer.years:
            first = self.gap.period_start.year - closer.years
            raise ValueError(f"Too long ago: {closer.title['en'].lower()} counts from {first} on.")

    def closure(self) -> dict[str, Any]:
        """The arguments of campaigns.actions.close_gap."""
        names = ("what", "done_on", "precision", "place", "known_by", "note", "message_id")
        return {name: self.cleaned_data[name] for name in names}


def telling(title: Words) -> list[str]:
    """The words of a title that name the procedure, folded: "colonoscopy", "colonoscopia"."""
    return [w for w in re.findall(r"[a-z]{6,}", text.fold(f"{title.en} {title.es}")) if w not in COMMON]


def said_when(said: str) -> str:
    """ "March 2026" for "in March": the last one that is past; "" when no month is named."""
    found = SAID_MONTH.search(said)
    if found is None:
        return ""
    begins, year = found.groups()
    month = SPANISH.get(begins) or MONTHS.index(begins) + 1
    today = clock.today()
    past = today.year if month <= today.month else today.year - 1
    return f"{date(int(year or past), month, 1):%B %Y}"


def read_date(written: str) -> tuple[date, str]:
    """The first day of what was written and its precision. ValueError with a sentence for a person."""
    said = written.strip().lower().replace(",", " ").replace(".", " ")
    if found := re.fullmatch(r"(\d{4})", said):
        return _day(found[1], 1, 1), "year"
    if found := re.fullmatch(r"(\d{4})-(\d{1,2})", said):
        return _day(found[1], found[2], 1), "month"
    if found := re.fullmatch(r"(\d{1,2})/(\d{4})", said):
        return _day(found[2], found[1], 1), "month"
    if found := re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", said):
        return _day(found[1], found[2], found[3]), "day"
    if found := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", said):
        return _day(found[3], found[1], found[2]), "day"
    return _named_month(said.split())


def _named_month(words: list[str]) -> tuple[date, str]:
    names = [w for w in words if w[:3] in MONTHS and w.isalpha()]
    numbers = [w for w in words if w.isdigit()]
    years = [n for n in numbers if len(n) == 4]
    days = [n for n in numbers if len(n) <= 2]
    if len(names) != 1 or len(years) != 1 or len(days) > 1 or len(words) != 2 + len(days):
        raise ValueError(f"This is not a date we can read. {HOW}")
    month = MONTHS.index(names[0][:3]) + 1
    return _day(years[0], month, days[0] if days else 1), "day" if days else "month"


def _day(year: str | int, month: str | int, day: str | int) -> date:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise ValueError(f"There is no such day. {HOW}") from None


def coarser(day: date, written: str, wanted: str) -> tuple[date, str]:
    """The date at the less exact of two precisions, as the first day of what is known."""
    order = ("day", "month", "year")
    precision = max((p for p in (written, wanted) if p), key=order.index)
    if precision == "year":
        return day.replace(month=1, day=1), precision
    return (day.replace(day=1) if precision == "month" else day), precision
