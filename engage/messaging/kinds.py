"""What each kind of American sender may carry, as data: segments a second, and segments a day.

Source: the registry's and carriers' published tables for registered long codes (a vetting score decides the tier; one
carrier's cap of a day is per brand and ends at midnight Pacific time), the provider's own figures for the others.
Read by settings.py, so this module knows no Django.
"""

from dataclasses import dataclass

TOLL_FREE = ("800", "833", "844", "855", "866", "877", "888")


@dataclass(frozen=True)
class Kind:
    """`rate`: segments a second; `daily`: segments a day. None: no limit."""

    name: str
    rate: float | None
    daily: int | None


KINDS: dict[str, Kind] = {
    "unlimited": Kind("No limit", None, None),
    "short_code": Kind("Short code", 100, None),
    "toll_free": Kind("Toll-free number", 3, None),
    "long_code": Kind("Long code", 1, None),
    "10dlc_sole": Kind("Registered long code, sole proprietor", 0.25, 1_000),
    "10dlc_low": Kind("Registered long code, low volume", 1.25, 2_000),
    "10dlc_basic": Kind("Registered long code, vetting score under 50", 4, 10_000),
    "10dlc_standard": Kind("Registered long code, vetting score 50 to 74", 40, 40_000),
    "10dlc_top": Kind("Registered long code, vetting score 75 or more", 75, 200_000),
}


def likely(service: str, number: str) -> str:
    """The kind a sender most likely is; for a service or a long code the most modest registration."""
    digits = number.lstrip("+")
    if service:
        return "10dlc_low"
    if len(digits) in (5, 6):
        return "short_code"
    return "toll_free" if digits[1:4] in TOLL_FREE else "10dlc_low"
