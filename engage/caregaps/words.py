"""How the engine speaks of measures and facts, in English and Spanish."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

LANGUAGES = ("en", "es")
MONTHS = {
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    "es": ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"],
}


@dataclass(frozen=True)
class Words:
    """The same thing said in each language; `words["es"]`. An unknown language is answered in English."""

    en: str
    es: str

    def __getitem__(self, language: str) -> str:
        return self.es if language == "es" else self.en

    def format(self, **values: object) -> "Words":
        return Words(self.en.format(**values), self.es.format(**values))


def day_text(day: date, language: str = "en", precision: str = "day") -> str:
    """ "3 Feb 2023", "Feb 2023" or "2023", by what is known."""
    month = MONTHS["es" if language == "es" else "en"][day.month - 1]
    return {"year": f"{day.year}", "month": f"{month} {day.year}"}.get(
        precision, f"{day.day} {month} {day.year}"
    )


def listed(parts: Iterable[str], language: str = "en", word: Words | None = None) -> str:
    """ "a, b or c" (or with another word before the last)."""
    parts = list(parts)
    if len(parts) < 2:
        return "".join(parts)
    last = (word or Words("or", "o"))[language]
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
