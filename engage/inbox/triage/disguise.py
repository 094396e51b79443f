"""Grave words that are hidden: run together, in letters of another alphabet, with figures for letters.

"iwanttodie", "suiсide" with a Cyrillic letter, "pa1n". A second pass that only ever adds to what the words as typed say.
"""

import re
from dataclasses import replace

from engage.inbox.triage.text import Word, words
from engage.inbox.triage.vocabulary import VOCABULARY

JOINED = {phrase.replace(" ", ""): phrase.split(" ") for phrase in VOCABULARY["text"]["joined"]}
SHORTEST = min(map(len, JOINED))
RUN = re.compile("|".join(sorted(JOINED, key=len, reverse=True)))
DENIAL = re.compile(r"(?:dont|didnt|not|never|no|sin|nunca)$")
LOOK_ALIKES: dict[str, str] = VOCABULARY["text"]["look_alikes"]
FIGURES: dict[str, str] = VOCABULARY["text"]["figure_letters"]
TYPED = re.compile(r"[^\W\d_]\w+")
FIGURED = re.compile(r"[^\W\d_]\d+[^\W\d_]")
LATIN = re.compile(r"[a-z]", re.I)


def undisguised(body: str, said: list[Word], *, voice: bool) -> tuple[list[Word], set[int]]:
    """The words of a text as they may be meant, and where in the text those begin that are typed otherwise."""
    spelt = body
    if not body.isascii() or FIGURED.search(body):
        spelt = TYPED.sub(lambda found: _spelt(found.group()), body)
    result, changed = [], set()
    for word in said if spelt == body else words(spelt, voice=voice):
        parts = _apart(word)
        if len(parts) > 1 or spelt[word.start : word.end] != body[word.start : word.end]:
            changed.add(word.start)
        result += parts
    return result, changed


def _spelt(typed: str) -> str:
    """A word of letters and figures, or of two alphabets, in Latin letters; as long as it was."""
    if typed.isascii() and typed.isalpha():
        return typed
    if not LATIN.search(typed):
        return typed
    letters = FIGURES if typed[-1].isalpha() else {}
    return "".join(LOOK_ALIKES.get(c.lower(), letters.get(c, c)) for c in typed)


def _apart(word: Word) -> list[Word]:
    """A word that several were run together to, as these; by itself any other."""
    found = RUN.search(word.text) if len(word.text) >= SHORTEST else None
    if found is None:
        return [word]
    before, after = word.text[: found.start()], word.text[found.end() :]
    denied = DENIAL.search(before)
    first = [before[: denied.start()], denied.group()] if denied else [before]
    return [replace(word, text=text) for text in (*first, *JOINED[found.group()], after) if text]
