"""Text as people type it, made comparable: quoted parts set aside, words folded, offsets kept.

Everything works on the original string and blanks parts out instead of cutting them, so that a finding's
offsets always point into what the patient wrote.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from engage.inbox.triage.vocabulary import VOCABULARY, words_of

FILLERS = "\u115f\u1160\u3164\uffa0"  # letters to Unicode, nothing to the eye
UNSEEN = frozenset({"Cf", "Mn", "Me"})  # joiners, overrides, tags; marks above, below and around a letter


def _unseen() -> str:
    """All characters that stand in a word and are no letters of it, escaped for a class; other planes have none."""
    planes = (range(0x20000), range(0xE0000, 0xE0200))
    found = [chr(c) for plane in planes for c in plane if unicodedata.category(chr(c)) in UNSEEN]
    return "".join(map(re.escape, found))


HIDDEN = _unseen() + FILLERS
# Grave words that are no words come first: 9-1-1, SpO2, a-fib. Then digits, so that 100.4, 138/84 and 7:30 stay whole;
# w/ and w/o are words of text-speak.
TOKEN = re.compile(
    r"9-1-1\b|(?:[sS][pP])?[oO]2\b|[aA]-[fF]ib\b"
    rf"|\d+(?:[.,/:]\d+)*%?|[wW]/[oO]?|b/c|(?:[^\W\d_][{HIDDEN}]*)+(?:['’´`ʼ](?:[^\W\d_][{HIDDEN}]*)+)*"
    r"|\w+|[.!?;…¿¡。！？]+|[,:()\n]|[^\w\s]",
)
ECHO = 12  # letters of our message that must come back to be known as ours
HARD = frozenset(".!?;…¿¡。！？")

QUOTE_LINE = re.compile(r"^[ \t]*(?:>|\|).*$", re.M)
QUOTE_HEAD = re.compile(
    r"^[ \t]*(?:on .{1,120} wrote|el .{1,120} escribi[oó]|le .{1,120} a [ée]crit"
    r"|-{2,} ?(?:original|forwarded|mensaje|begin).{0,60}|_{8,}(?=[ \t]*\n[ \t]*(?:from|de):)"
    r"|begin forwarded message)\s*:?[ \t-]*$",
    re.M | re.I,
)
MAIL_HEADER = re.compile(
    r"^(?:from|de):[^\n]{1,200}\n(?:(?:sent|date|to|subject|enviado|fecha|para|asunto):.*\n?)+", re.M | re.I
)
SIGNATURE = re.compile(r"\n[ \t]*-- ?\n.*\Z", re.S)
COMMENT = re.compile(r"<!--[^>]{0,2000}-->")
# What a device signs with, word by word, so that "sent from my wife's phone, I can't breathe" is no signature and what
# follows one on its line is not lost.
DEVICES = (
    r"(?:my|mi|for|para|de|ios|iphone|ipad|ipod|apple|android|outlook|yahoo|gmail|aol|hotmail|e?mail|correo"
    r"|windows|samsung|galaxy|google|pixel|motorola|moto|lg|htc|huawei|xiaomi|redmi|oneplus|nokia|blackberry|note|tablet"
    r"|verizon|t-mobile|at&t|sprint|cricket|metropcs|boost|xfinity|tracfone|4g|5g|lte|wireless|smartphone|phone|cell"
    r"|cellphone|mobile|device|tel[eé]fono|celular|m[oó]vil|dispositivo|tableta|pro|max|plus|ultra|mini|[a-z]{0,2}\d{1,4}[a-z]{0,2})"
)
SIGNED = re.compile(
    rf"^[ \t]*(?:sent from|enviado desde|get outlook for|obtener outlook para)(?:[ \t,/]+{DEVICES}(?![\w'’]))+"
    r"[ \t]*(?:<https?:[^\s<>]{1,200}>)?[ \t]*\.?",
    re.M | re.I,
)
TAPBACK = re.compile(
    r"^\s*(?:liked|loved|disliked|laughed at|emphasized|questioned|reacted .{1,10} to"
    r"|le gust[oó]|le encant[oó]|se ri[oó] de)\s+(?=[“\"«])",
    re.I,
)
TAPPED = re.compile(r"“((?:[^“”]|“[^“”]*”)*)”|[“\"]([^\"”]*)[\"”]|«([^»]*)»")
NAMES_OF_TAGS = (
    "a|abbr|address|article|b|base|big|blockquote|body|br|button|center|code|col|dd|div|dl|dt|em|font|footer|form|h[1-6]|head"
    "|header|hr|html|i|img|input|label|li|link|main|meta|nav|ol|o:p|p|pre|s|script|section|small|span|strike|strong|style|sub"
    "|sup|svg|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul|v:[a-z]+|video|wbr"
)
TAG = re.compile(
    rf"<(?:/?(?:{NAMES_OF_TAGS})"
    r"(?:\s{1,9}[\w:-]{1,40}\s?=\s?(?:\"[^\"<>]{0,400}\"|'[^'<>]{0,400}'|[^\s<>\"']{1,200})){0,20}\s{0,9}/?|!doctype[^<>]{0,200})>",
    re.I,
)

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
        c
        for c in unicodedata.normalize("NFKD", raw)
        if unicodedata.category(c) not in UNSEEN and c not in FILLERS
    )
    plain = plain.casefold()
    for mark in "'’´`ʼ":
        plain = plain.replace(mark, "")
    plain = re.sub(r"([^\W\d_])\1{2,}", r"\1\1", plain)
    return SPEAK.get(plain, plain)


def blank(text: str, start: int, end: int) -> str:
    """The text with a stretch replaced by spaces (line ends kept), so that offsets stay right."""
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


@dataclass(frozen=True, slots=True)
class Parts:
    """A reply taken apart; `body` and `quoted` are as long as the text."""

    body: str  # what the patient wrote this time
    quoted: str  # mail chains, quoted lines, signatures in words: they may be the patient's all the same
    tapped: str  # the message that a tap-back quotes, where the patient goes on after it


def set_aside(text: str, outbound: str = "") -> str:
    """The text with everything the patient did not write this time blanked out; same length.

    Set aside: quoted lines and mail chains, signatures, tags, tap-backs, our own outbound echoed.
    """
    return parts(text, outbound).body


def parts(text: str, outbound: str = "") -> Parts:
    """A text taken apart into what the patient wrote and what seems to be quoted; never a word of both. Linear."""
    text, tapped = _without_tapback(text.replace("\x00", " "), outbound)
    text = _without_echo(text, outbound)
    for pattern in (TAG, SIGNED):
        text = _blank_all(text, pattern)
    body = text
    for pattern in (COMMENT, SIGNATURE, QUOTE_LINE):
        body = _blank_all(body, pattern)
    for pattern in (QUOTE_HEAD, MAIL_HEADER):
        found = pattern.search(body)
        if found:
            above = body[: found.start()].strip()
            body = blank(body, found.start(), len(body) if above else found.end())
            text = blank(text, *found.span()) if pattern is QUOTE_HEAD else text
    pairs = zip(text, body, strict=True)
    quoted = "" if body == text else "".join(c if c == "\n" or c != kept else " " for c, kept in pairs)
    return Parts(body, quoted, tapped)


def is_ours(said: str, outbound: str) -> bool:
    """Are these folded words (as `plain` gives them) a stretch of our own message?"""
    return bool(said) and f" {said} " in f" {plain(outbound)} "


def _without_tapback(text: str, outbound: str) -> tuple[str, str]:
    """The text without the quotation of a tap-back; without its verb too where the patient goes on after it."""
    head = TAPBACK.match(text)
    found = TAPPED.match(text, head.end()) if head else None
    if head is None or found is None:
        return text, ""
    start, end = head.end(), found.end()
    ours = outbound.strip()
    if len(ours) >= ECHO and text[start + 1 :].startswith(ours):  # it may have quotation marks in it
        end = min(len(text), start + 1 + len(ours) + 1)
    if any(c.isalnum() for c in text[end:]):
        return blank(text, 0, end), text[start + 1 : end - 1]
    return blank(text, start + 1, end - 1), ""


def _blank_all(text: str, pattern: re.Pattern[str]) -> str:
    pieces, last = [], 0
    for found in pattern.finditer(text):
        pieces += [text[last : found.start()], re.sub(r"[^\n]", " ", found.group())]
        last = found.end()
    return "".join([*pieces, text[last:]])


def _without_echo(text: str, outbound: str) -> str:
    ours = outbound.strip()
    if len(ours) < ECHO:
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
