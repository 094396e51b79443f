"""Text as a phone carries it: GSM-7 and UCS-2 segments, and the plain form used for matching.

Source for sizes: 3GPP TS 23.038 (GSM 7-bit default alphabet): 160 septets alone, 153 a part; UCS-2 70 alone, 67 a part.
"""

import re
import unicodedata
from dataclasses import dataclass

GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENDED = frozenset("^{}\\[~]|€\f")
LONGEST_NUMBER = 18  # digits; 64 bits hold every number of so many
CONTROLS = {n: None for n in (*range(0x20), *range(0x7F, 0xA0)) if chr(n) not in "\n\t"}
TYPOGRAPHIC = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " ", "\u202f": " "}
)


@dataclass(frozen=True)
class Size:
    """How a text travels: `encoding` is "GSM-7" or "UCS-2"; `units` are septets or UTF-16 units."""

    encoding: str
    units: int
    segments: int


def size(body: str) -> Size:
    """The encoding, units and segments of a text; an empty body is one segment, as carriers bill it."""
    if all(c in GSM7 or c in GSM7_EXTENDED for c in body):
        units = sum(2 if c in GSM7_EXTENDED else 1 for c in body)
        return Size("GSM-7", units, _parts(units, 160, 153))
    units = len(body.encode("utf-16-le")) // 2
    return Size("UCS-2", units, _parts(units, 70, 67))


def _parts(units: int, alone: int, part: int) -> int:
    return 1 if units <= alone else -(-units // part)


def plain_punctuation(body: str) -> str:
    """The same text with typographic quotes, dashes and spaces in their GSM-7 form."""
    return body.translate(TYPOGRAPHIC)


def clean(body: str) -> str:
    """What may be stored and sent: no NUL or other control characters but line breaks and tabs, no lone surrogates."""
    body = body.encode("utf-8", "replace").decode("utf-8")
    return body.translate(CONTROLS)


def number(text: str) -> int | None:
    """The whole number that a form or an address says; None for anything else, and for more than a database keeps."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else None


def fold(text: str) -> str:
    """For searching and matching: NFKC, no diacritics, casefolded, single spaces."""
    stripped = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", stripped)).strip().casefold()
