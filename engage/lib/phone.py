"""Phone numbers: what the record said, made E.164, with what is wrong said in a sentence."""

from dataclasses import dataclass
from functools import lru_cache

import phonenumbers


@dataclass(frozen=True)
class Number:
    """`e164` is "" when the text is no number at all; `problem` is "" when the number is valid."""

    e164: str
    problem: str

    @property
    def possible(self) -> bool:
        return bool(self.e164)


@lru_cache(maxsize=65536)
def parse(text: str, region: str = "US") -> Number:
    """Reads a number as written in a record, such as "555-123-4567"."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return Number("", "This is not a phone number.")
    if not phonenumbers.is_possible_number(number):
        return Number("", "The number has too few or too many digits.")
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not phonenumbers.is_valid_number(number):
        return Number(e164, "No phone company has given out this number.")
    return Number(e164, "")


@lru_cache(maxsize=65536)
def display(e164: str) -> str:
    """A number as people read it: (617) 555-0123 at home, +44 20 7946 0000 abroad; other text unchanged."""
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    style = (
        phonenumbers.PhoneNumberFormat.NATIONAL
        if number.country_code == 1
        else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    )
    return phonenumbers.format_number(number, style)


@lru_cache(maxsize=65536)
def zones(e164: str) -> tuple[str, ...]:
    """The IANA zones the number may be in, by its area code; () when that says nothing (toll-free, unknown)."""
    from phonenumbers import timezone

    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return ()
    found: tuple[str, ...] = timezone.time_zones_for_number(number)
    return () if len(found) > 4 or phonenumbers.timezone.UNKNOWN_TIMEZONE in found else found
