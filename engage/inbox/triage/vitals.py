"""Figures that are dangerous by themselves: blood pressure, sugar, oxygen, temperature, pulse.

Limits: hypertensive crisis 180/120 (ACC/AHA 2017); severe hypoglycaemia 54 mg/dL (ADA); home oximetry 90 %;
fever of an infant under three months 38.0 °C (AAP). With symptoms or not, a person must look.
"""

import re
from dataclasses import dataclass, replace

from engage.inbox.triage.reading import Level
from engage.inbox.triage.text import Word
from engage.inbox.triage.vocabulary import words_of

PAIR = re.compile(r"(\d{2,3})/(\d{2,3})")
SUGAR = words_of("vitals", "sugar")
OXYGEN = words_of("vitals", "oxygen")
PULSE = words_of("vitals", "pulse")
HEAT = words_of("vitals", "heat")
NOT_LEVEL = words_of("vitals", "not_level")
FELT = words_of("vitals", "felt")
OVER = words_of("vitals", "over")  # "230 over 128", "220 con 130"


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
    found = [r for i, word in enumerate(words) if word.text[:1].isdigit() and (r := _figure(words, i, kind))]
    return sorted(found, key=lambda r: r.level != "urgent")[:3]


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
    if around & SUGAR:
        return _sugar(value, at, bool({w.text for w in words} & FELT))
    if around & PULSE and 150 <= value <= 260:
        return Reading("emergency", "urgent", at, at + 1, "a very fast pulse")
    if around & HEAT and (38.0 <= value <= 43 or 100.4 <= value <= 110):
        grave = value >= 104 or 40 <= value <= 43
        return Reading(
            "emergency" if grave else "symptom", "urgent" if grave else "significant", at, at + 1, "a fever"
        )
    return None


def _pressure(high: int, low: int, at: int, kind: str, said: set[str]) -> Reading | None:
    if not (60 <= high <= 290 and 30 <= low <= 190 and high > low):
        return None
    if high >= 180 or low >= 120:
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
