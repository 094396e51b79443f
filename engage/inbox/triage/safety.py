"""Questions about self-harm and safety: every answer counts unless it says none, or plainly answers nothing.

EPDS item 10 in its own words ("hardly ever"), PHQ item 9 by its figures, HITS ("how often does anyone hurt you") and a
plain "are you afraid of anyone?" are one rule: what is not none is more than none.
"""

import re
from typing import Literal

from engage.inbox.triage.text import TOKEN, fold, plain
from engage.inbox.triage.vocabulary import VOCABULARY, words_of

Said = Literal["none", "some", ""]  # "" answers nothing: a question back, thanks, the appointment
Phrase = tuple[str, ...]
KINDS = frozenset({"self_harm", "unsafe", "safe"})
FIRST = 5  # words in which an answer comes, or else it comes last


def _phrases(name: str) -> tuple[Phrase, ...]:
    return tuple(tuple(row.split()) for row in VOCABULARY["safety"][name])


NONE = _phrases("none")
SAFE = _phrases("safe")
ALWAYS = _phrases("always")  # none only where we ask whether they are safe
MORE = _phrases("more")  # takes a none back: "never, well sometimes", "no se"
MORE_UNSAFE = _phrases("more_unsafe")
DENYING = words_of("safety", "denying")
AFFIRMING = words_of("safety", "affirming")  # "daily, never acted on it"
POLITE = words_of("safety", "polite")
ASKING = _phrases("asking")
QUESTION_OPENS = words_of("safety", "question_opens")  # of a question that ends in its mark
ELSEWHERE = words_of("safety", "elsewhere")
LEAD = words_of("safety", "lead")
ADVICE = re.compile(
    r"\b(?:988|911)\b|^\W*(?:if|si|when|cuando)\b.*\b(?:call|dial|text|go|llame|marque|vaya)\b", re.I
)
ANSWERABLE = re.compile(r"\?|\b(?:reply|responda|conteste|answer|never|nunca)\b", re.I)
STEP = re.compile(r"\b(10|[0-9]|[a-e])\s*(?:=|:|\)|\(|-|–|is\b|es\b)\s*([^,.;/0-9)]{2,40})", re.I)
SENTENCE = re.compile(r"[^.!?;\n]+[.!?;\n]*")


def asks(outbound: str, kind: str, pattern: re.Pattern[str]) -> bool:
    """Does our message ask it? "If you think of suicide, call 988" and "the vaccine is safe" only tell."""
    told = kind != "self_harm"  # of items only those may be statements: "I have thought of harming myself"
    sentences = [s for s in SENTENCE.findall(outbound) if pattern.search(plain(s))]
    return not sentences or any(ANSWERABLE.search(s) or not (told or ADVICE.search(s)) for s in sentences)


def said(body: str, kind: str) -> Said:
    """What a reply that takes nothing back says in its own words; by `kind`, to "safe" a yes is none. Linear."""
    words = _words(body)
    if _is_none(words, kind):
        return "none"
    return "" if _answers_nothing(body, words) else "some"


def by_scale(body: str, kind: str, outbound: str) -> Said:
    """What the step of our scale that a reply names stands for, as our message words it; "" where it names none."""
    named = _named(_words(body))
    step = next((label for mark, label in STEP.findall(outbound) if fold(mark) == named), "")
    if step:
        return "none" if _is_none(_words(step), kind) else "some"
    return "none" if _beside(named, _words(outbound), kind) else ""


def _beside(named: str, said: list[str], kind: str) -> bool:
    """Steps without a mark, "1 never - 5 always": does the named one stand right before a word for none?"""
    places = [i for i, word in enumerate(said) if word == named] if named.isdigit() else []
    return any(_is_none(said[i + 1 : i + 3], kind) for i in places)


def takes_back(body: str, kind: str) -> bool:
    """Does the first sentence say more than none after all?"""
    first = next((s for s in SENTENCE.findall(body[:400]) if any(c.isalnum() for c in s)), "")
    words = _words(first)[:20]
    rows = MORE if kind == "self_harm" else (*MORE, *MORE_UNSAFE)
    return any(_at(words, row) for row in rows)


def _words(text: str) -> list[str]:
    return [fold(t.group()) for t in TOKEN.finditer(text[:400]) if any(c.isalnum() for c in t.group())]


def _at(words: list[str], row: Phrase) -> list[int]:
    return [i for i in range(len(words) - len(row) + 1) if tuple(words[i : i + len(row)]) == row]


def _named(words: list[str]) -> str:
    """The step of a scale that a reply names: "a 2", "el 3", "b"."""
    named = next((w for w in words[:FIRST] if w not in LEAD), "")
    return str(VOCABULARY["asked"]["worded"].get(named, named))


def _is_none(words: list[str], kind: str) -> bool:
    if kind == "safe":
        return _says(words, (*SAFE, *ALWAYS), refused=DENYING)
    return _says(words, NONE, refused=AFFIRMING) or (kind == "unsafe" and _says(words, SAFE, refused=DENYING))


def _says(words: list[str], rows: tuple[Phrase, ...], *, refused: frozenset[str]) -> bool:
    """One of the phrases first or last, with no word just before it that turns it round."""
    start = next((i for i, word in enumerate(words) if word not in LEAD), 0)
    return any(
        (i < start + FIRST or i + len(row) == len(words)) and not refused & set(words[max(0, i - 3) : i])
        for row in rows
        for i in _at(words, row)
    )


def _answers_nothing(body: str, words: list[str]) -> bool:
    if not words or set(words) <= POLITE:
        return True
    start = next(i for i, word in enumerate(words) if word not in POLITE)
    asks_back = any(tuple(words[start : start + len(row)]) == row for row in ASKING)
    marked = body.lstrip().startswith("¿") or ("?" in body and words[start] in QUESTION_OPENS)
    return asks_back or marked or not ELSEWHERE.isdisjoint(words)
