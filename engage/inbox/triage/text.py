"""Text as people type it, made comparable: quoted parts set aside, words folded, offsets kept.

Everything works on the original string and blanks parts out instead of cutting them, so that a finding's
offsets always point into what the patient wrote.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from engage.inbox.triage.vocabulary import VOCABULARY, words_of

MARKS = r"\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u064b-\u065f"
INVISIBLE = r"\u200b-\u200f\u2060-\u2064\ufeff\u00ad"
# Grave words that are no words come first: 9-1-1, SpO2, a-fib. Then digits, so that 100.4, 138/84 and 7:30 stay whole;
# w/ and w/o are words of text-speak.
TOKEN = re.compile(
    r"9-1-1\b|(?:[sS][pP])?[oO]2\b|[aA]-[fF]ib\b"
    rf"|\d+(?:[.,/:]\d+)*%?|[wW]/[oO]?|b/c|(?:[^\W\d_][{MARKS}{INVISIBLE}]*)+(?:['’´`ʼ][^\W\d_{MARKS}]+)*"
    r"|\w+|[.!?;…¿¡。！？]+|[,:()\n]|[^\w\s]",
)
HARD = frozenset(".!?;…¿¡。！？")

QUOTE_LINE = re.compile(r"^[ \t]*(?:>|\|).*$", re.M)
QUOTE_HEAD = re.compile(
    r"^[ \t]*(?:on .{1,120} wrote|el .{1,120} escribi[oó]|le .{1,120} a [ée]crit"
    r"|-{2,} ?(?:original|forwarded|mensaje|begin).{0,60}|_{8,}|begin forwarded message)\s*:?[ \t-]*$",
    re.M | re.I,
)
MAIL_HEADER = re.compile(
    r"^(?:from|de):[^\n]{1,200}\n(?:(?:sent|date|to|subject|enviado|fecha|para|asunto):.*\n?)+", re.M | re.I
)
SIGNATURE = re.compile(
    r"(?:\n[ \t]*-- ?\n.*\Z)|(?:^[ \t]*(?:sent from my|enviado desde mi|get outlook for)\b.*$)",
    re.M | re.I | re.S,
)
TAPBACK = re.compile(
    r"^\s*(?:liked|loved|disliked|laughed at|emphasized|questioned|reacted .{1,10} to"
    r"|le gust[oó]|le encant[oó]|se ri[oó] de)\s+[“\"«](.*)[”\"»]?\s*$",
    re.I | re.S,
)
TAG = re.compile(r"<!--[^>]{0,2000}-->|</?[a-zA-Z][^<>]{0,500}>")

SPEAK: dict[str, str] = VOCABULARY["text"]["speak"]
FILLER = words_of("text", "filler")
FILLER_SOFT = words_of("text", "filler_in_speech")  # words elsewhere; dropped in voice only


@dataclass(frozen=True, slots=True)
class Word:
    """One folded word and where it stands in the original text."""

    text: str
    start: int
    end: int
    sentence: int  # rises at . ! ? ;
    clause: int  # rises at those and at commas, colons, brackets, line ends


@lru_cache(maxsize=20_000)
def fold(raw: str) -> str:
    """A word without case, diacritics, apostrophes, invisible characters and drawn-out letters."""
    plain = "".join(
        c for c in unicodedata.normalize("NFKD", raw) if unicodedata.category(c) not in ("Mn", "Cf")
    )
    plain = plain.casefold()
    for mark in "'’´`ʼ":
        plain = plain.replace(mark, "")
    plain = re.sub(r"([^\W\d_])\1{2,}", r"\1\1", plain)
    return SPEAK.get(plain, plain)


def blank(text: str, start: int, end: int) -> str:
    """The text with a stretch replaced by spaces (line ends kept), so that offsets stay right."""
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def set_aside(text: str, outbound: str = "") -> str:
    """The text with everything the patient did not write this time blanked out; same length.

    Set aside: quoted lines and mail chains, signatures, tags, tap-backs, our own outbound echoed.
    """
    found = TAPBACK.match(text)
    if found:
        text = blank(text, *found.span(1))
    text = text.replace("\x00", " ")
    for pattern in (TAG, SIGNATURE, QUOTE_LINE):
        text = _blank_all(text, pattern)
    for pattern in (QUOTE_HEAD, MAIL_HEADER):
        found = pattern.search(text)
        if found and text[: found.start()].strip():
            text = blank(text, found.start(), len(text))
        elif found:
            text = blank(text, found.start(), found.end())
    return _without_echo(text, outbound)


def _blank_all(text: str, pattern: re.Pattern[str]) -> str:
    pieces, last = [], 0
    for found in pattern.finditer(text):
        pieces += [text[last : found.start()], re.sub(r"[^\n]", " ", found.group())]
        last = found.end()
    return "".join([*pieces, text[last:]])


def _without_echo(text: str, outbound: str) -> str:
    ours = outbound.strip()
    if len(ours) < 12:
        return text
    at = text.casefold().find(ours.casefold())
    if at >= 0 and len(text.casefold()) == len(text):
        return blank(text, at, at + len(ours))
    return text


def words(text: str, *, voice: bool = False) -> list[Word]:
    """The folded words of a text, fillers and stammered repeats left out."""
    result: list[Word] = []
    sentence = clause = 0
    for found in TOKEN.finditer(text):
        raw = found.group()
        if raw[0] in HARD:
            sentence, clause = sentence + 1, clause + 1
        elif raw in ",:()\n":
            clause += 1
        else:
            _add(result, Word(fold(raw), found.start(), found.end(), sentence, clause), voice)
    return result


def _add(result: list[Word], word: Word, voice: bool) -> None:
    if not word.text or (word.text in FILLER and (voice or word.text not in FILLER_SOFT)):
        return
    repeated = result and result[-1].text == word.text and word.text.isalpha() and word.text != "no"
    if not (repeated and result[-1].clause == word.clause):
        result.append(word)


def plain(text: str) -> str:
    """Only the folded words and figures of a text, one space between: what keywords are compared with."""
    spelt = unicodedata.normalize("NFKC", text).replace("#", " number ")
    return " ".join(
        folded
        for found in TOKEN.finditer(spelt)
        if any(c.isalnum() for c in found.group()) and (folded := fold(found.group()))
    )
