"""Figures that are dangerous by themselves: blood pressure, sugar, oxygen, temperature, pulse.

Limits: hypertensive crisis 180/120 (ACC/AHA 2017); severe hypoglycaemia 54 mg/dL (ADA); home oximetry 90 %;
fever of an infant under three months 38.0 °C (AAP). With symptoms or not, a person must look.
"""

import re
from dataclasses import dataclass, replace

from engage.inbox.triage.reading import Level
from engage.inbox.triage.text import Word
from engage.inbox.triage.vocabulary import VOCABULARY, words_of

PAIR = re.compile(r"(\d{2,3})/(\d{2,3})")
SUGAR = words_of("vitals", "sugar")
OXYGEN = words_of("vitals", "oxygen")
PULSE = words_of("vitals", "pulse")
HEAT = words_of("vitals", "heat")
NOT_LEVEL = words_of("vitals", "not_level")
AVERAGE = words_of("vitals", "average")  # a percentage over months, no reading
FELT = words_of("vitals", "felt")
OVER = words_of("vitals", "over")  # "230 over 128", "220 con 130"
PRESSURE = words_of("vitals", "pressure")  # "top number 204", "la presion en 190"
PRICE = words_of("vitals", "price")
EXPECTING = words_of("vitals", "expecting")  # with a child or after birth, 160/110 is dangerous (ACOG 2020)
SPOKEN: dict[str, int] = VOCABULARY["vitals"]["spoken"]
AND = frozenset(["and", "y"])
LEAST = 20  # a smaller number in words is an hour, a day or a count


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure that matters: words [first, last), its label and level, what it is."""

    label: str
    level: Level
    first: int
    last: int
    says: str


def figures(words: list[Word], kind: str) -> list[Reading]:
    """The dangerous and notable figures in a text. `kind`: what our message asked (asked.kind_of)."""
    said, places = _in_digits(words)
    found = [r for i, word in enumerate(said) if word.text[:1].isdigit() and (r := _figure(said, i, kind))]
    found = [replace(r, first=places[r.first], last=places[r.last]) for r in found]
    return sorted(found, key=lambda r: r.level != "urgent")[:3]


def _in_digits(words: list[Word]) -> tuple[list[Word], list[int]]:
    """The words with "one ninety eight" as 198, and where each begins (the end of all last)."""
    said: list[Word] = []
    places: list[int] = []
    at = 0
    while at < len(words):
        value, end = _spoken(words, at)
        said.append(replace(words[at], text=str(value)) if end > at else words[at])
        places.append(at)
        at = max(end, at + 1)
    return said, [*places, len(words)]


def _spoken(words: list[Word], at: int) -> tuple[int, int]:
    """The number that begins at a word, of LEAST or more, and where it ends; (0, at) where none does.

    "one ninety eight", "one oh five", "five hundred and eighty", "ciento noventa y ocho".
    """
    value, end, smallest = 0, at, 1000
    while end < len(words) and end < at + 6:
        text = words[end].text
        if text in AND and end > at and end + 1 < len(words) and words[end + 1].text in SPOKEN:
            end += 1
            continue
        part = SPOKEN.get(text)
        if part is None:
            break
        if part == 100 and 0 < value < 10:
            value, smallest = value * 100, 100
        elif 0 < value < 10 and (part >= 10 or part == 0):  # "one ninety", "one oh five"
            value, smallest = value * 100 + part, part or 10
        elif part < smallest and (smallest >= 100 or (smallest % 10 == 0 and part < 10)):
            value, smallest = value + part, part
        else:
            break
        end += 1
    return (value, end) if value >= LEAST else (0, at)


def _figure(words: list[Word], at: int, kind: str) -> Reading | None:
    text = words[at].text.rstrip("%")
    around = {w.text for w in words[max(0, at - 6) : at + 5]}
    pair = PAIR.fullmatch(text)
    if pair:
        return _pressure(int(pair[1]), int(pair[2]), at, kind, {w.text for w in words})
    if not re.fullmatch(r"\d{2,3}(?:\.\d)?", text) or (
        at + 1 < len(words) and words[at + 1].text in NOT_LEVEL
    ):
        return None
    value = float(text)
    spelt = words[at + 1 : at + 3]
    if len(spelt) == 2 and spelt[0].text in OVER and re.fullmatch(r"\d{2,3}", spelt[1].text):
        found = _pressure(int(value), int(spelt[1].text), at, kind, {w.text for w in words})
        return replace(found, last=at + 3) if found else None
    if around & OXYGEN and 50 <= value <= 89:
        return Reading("emergency", "urgent", at, at + 1, "a low oxygen reading")
    if (around & SUGAR or kind == "sugar") and not _is_average(words, at):
        return _sugar(value, at, bool({w.text for w in words} & FELT))
    if around & PULSE and 150 <= value <= 260:
        return Reading("emergency", "urgent", at, at + 1, "a very fast pulse")
    near = {w.text for w in words[max(0, at - 3) : at + 3]}
    if near & PRESSURE and 180 <= value <= 290 and not near & PRICE:
        return Reading("emergency", "urgent", at, at + 1, "a dangerously high blood pressure")
    if around & HEAT and (38.0 <= value <= 43 or 100.4 <= value <= 110):
        grave = value >= 104 or 40 <= value <= 43
        return Reading(
            "emergency" if grave else "symptom", "urgent" if grave else "significant", at, at + 1, "a fever"
        )
    return None


def _is_average(words: list[Word], at: int) -> bool:
    """ "a1c was 11": the tokens are a, 1 and c."""
    before = [w.text for w in words[max(0, at - 7) : at]]
    return bool(AVERAGE & set(before[-4:])) or "a 1 c" in " ".join(before)


def _pressure(high: int, low: int, at: int, kind: str, said: set[str]) -> Reading | None:
    if not (60 <= high <= 290 and 30 <= low <= 190 and high > low):
        return None
    if high >= 180 or low >= 120 or (said & EXPECTING and (high >= 160 or low >= 110)):
        return Reading("emergency", "urgent", at, at + 1, "a dangerously high blood pressure")
    if high < 80 or (high < 90 and said & FELT):
        return Reading("emergency", "urgent", at, at + 1, "a very low blood pressure")
    if high >= 150 or low >= 95 or high < 100:
        return Reading("symptom", "significant", at, at + 1, "a blood pressure out of range")
    return None


def _sugar(value: float, at: int, felt: bool) -> Reading | None:
    if 10 <= value < 54 or (value < 70 and felt) or value >= 500 or (value >= 350 and felt):
        return Reading("emergency", "urgent", at, at + 1, "a dangerous sugar reading")
    if 54 <= value < 70 or 250 <= value < 500:
        return Reading("symptom", "significant", at, at + 1, "a sugar reading out of range")
    return None
