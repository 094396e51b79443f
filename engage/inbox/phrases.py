"""How people say something, as a clinician reads and writes it; the lexicon's own pattern language is beneath.

my ticker hurts             these words, one after the other
(hurts / is killing me)     one of these
sud*                        any ending
[pain]                      any word of a named group
pain ..3.. arm              up to three other words between
[chest] ~6~ [pain]          within six words of each other, in either order
^ ouch $                    the message begins, ends here
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from engage.inbox.triage.language import SETS
from engage.inbox.triage.text import words

LONGEST = 400  # characters of a phrase
MOST_STEPS, MOST_CHOICES, MOST_NEAR, WIDEST = 14, 60, 3, 20
SHORTEST_STEM = 3  # letters before "*"
TOKEN = re.compile(
    r"\(([^()]*)\)|\[([^\[\]]*)\]|\.\.\s*(\d{1,3})\s*\.\.|~\s*(\d{1,3})\s*~|(\^|\$)|([^\s()\[\]~]+)"
)
COMMON = SETS["en"] | SETS["es"]


class PhraseError(ValueError):
    """A phrase that cannot be read; its text is one sentence for a person."""


@dataclass(frozen=True)
class Part:
    """A piece of a phrase as shown: kind word, any, set, gap, near, begins or ends, and its text."""

    kind: str
    text: str


def plain(pattern: str) -> str:
    """A pattern of the lexicon in the form above."""
    return " ".join(_plain_part(part) for part in pattern.split())


def _plain_part(part: str) -> str:
    if part[0] == "_":
        return f"..{part[1:]}.."
    if part[0] == "~":
        return f"~{part[1:]}~"
    choices = [_plain_choice(c) for c in part.split("|")]
    return choices[0] if len(choices) == 1 else f"({' / '.join(choices)})"


def _plain_choice(choice: str) -> str:
    return f"[{choice[1:]}]" if choice[0] == "@" else choice.replace("+", " ")


def parts(pattern: str) -> list[Part]:
    """A pattern in pieces, each with its meaning in words."""
    return [_part(part) for part in pattern.split()]


def _part(part: str) -> Part:
    if part[0] == "_":
        return Part("gap", f"up to {_words(part[1:])}, then")
    if part[0] == "~":
        return Part("near", f"within {_words(part[1:])}, either order")
    if part in ("^", "$"):
        return Part("edge", "begins with" if part == "^" else "and nothing more")
    kind = "set" if part.startswith("@") and "|" not in part else "any" if "|" in part else "word"
    return Part(kind, " / ".join(_plain_choice(c) for c in part.split("|")))


def _words(number: str) -> str:
    return f"{number} word{'s' if number != '1' else ''}"


def pattern(phrase: str, sets: Iterable[str]) -> str:
    """The lexicon's pattern of a phrase in the form above. PhraseError says what is wrong with it and what to do."""
    phrase = phrase.strip()
    shown = phrase if len(phrase) <= 60 else f"{phrase[:59]}…"
    if len(phrase) > LONGEST:
        raise PhraseError(f"“{shown}” is longer than {LONGEST} characters: make it two phrases.")
    left = TOKEN.sub(" ", phrase).strip()
    if left:
        raise PhraseError(
            f"“{shown}” has “{left[:10]}” without its partner: close each bracket, write ~6~ and ..3.. whole."
        )
    found = [part for match in TOKEN.finditer(phrase) for part in _read(match, shown, frozenset(sets))]
    _check(found, shown)
    return " ".join(found)


def _read(match: re.Match[str], shown: str, sets: frozenset[str]) -> list[str]:
    either, group, gap, near, edge, word = match.groups()
    if edge:
        return [edge]
    if gap or near:
        number = int(gap or near)
        if not 1 <= number <= WIDEST:
            raise PhraseError(f"“{shown}”: between {number} words too much else is said. Use 1 to {WIDEST}.")
        return [f"_{number}" if gap else f"~{number}"]
    if group is not None:
        return [_set(group, shown, sets)]
    if word:
        return _folded(word, shown)
    choices = [c.strip() for c in either.split("/") if c.strip()]
    if not choices:
        raise PhraseError(f"“{shown}” has empty brackets: write what may be said, with / between.")
    if len(choices) > MOST_CHOICES:
        raise PhraseError(f"“{shown}” has more than {MOST_CHOICES} choices: make it two phrases.")
    return ["|".join(_choice(c, shown, sets) for c in choices)]


def _choice(choice: str, shown: str, sets: frozenset[str]) -> str:
    if choice.startswith("[") and choice.endswith("]"):
        return _set(choice[1:-1], shown, sets)
    row = [w for raw in choice.split() for w in _folded(raw, shown)]
    if len(row) > 1 and any(w.endswith("*") for w in row):
        raise PhraseError(f"“{shown}”: “*” goes with a single word only, not in “{choice}”.")
    return "+".join(row)


def _set(name: str, shown: str, sets: frozenset[str]) -> str:
    name = name.strip()
    if name not in sets:
        raise PhraseError(f"“{shown}”: there is no group [{name}]. Groups are {', '.join(sorted(sets))}.")
    return f"@{name}"


def _folded(raw: str, shown: str) -> list[str]:
    """The words as replies are read: without capitals, accents and apostrophes, text-speak written out."""
    stem = raw.removesuffix("*")
    row = [w.text for w in words(stem)]
    if not row or not all(re.fullmatch(r"[^\W_]+(?:[.,/:][^\W_]+)*%?", w) for w in row):
        if stem and stem.isalpha():
            raise PhraseError(
                f"“{shown}”: “{raw}” is left out when replies are read. Write the phrase without it."
            )
        raise PhraseError(
            f"“{shown}”: “{raw}” is no word. Use words, figures and the signs explained beside the form."
        )
    if raw.endswith("*"):
        if len(row) > 1 or len(row[0]) < SHORTEST_STEM:
            raise PhraseError(
                f"“{shown}”: “{raw}” fits too many words. Give at least {SHORTEST_STEM} letters before “*”."
            )
        return [f"{row[0]}*"]
    return row


def _check(found: list[str], shown: str) -> None:
    steps = [p for p in found if p[0] not in "_~^$"]
    if not steps:
        raise PhraseError(f"“{shown}” has no words." if shown else "A phrase has no words.")
    if len(steps) > MOST_STEPS:
        raise PhraseError(
            f"“{shown}” has more than {MOST_STEPS} words one after the other: a part of it will do."
        )
    if sum(p[0] == "~" for p in found) > MOST_NEAR:
        raise PhraseError(f"“{shown}” has more than {MOST_NEAR} “~”: make it two phrases.")
    if "^" in found[1:] or "$" in found[:-1]:
        raise PhraseError(f"“{shown}”: “^” stands only at the beginning and “$” only at the end.")
    inner = [p for p in found if p not in ("^", "$")]
    if inner[0][0] in "_~" or inner[-1][0] in "_~":
        raise PhraseError(f"“{shown}” begins or ends with a distance: put words on both sides of it.")
    if any(a[0] in "_~" and b[0] in "_~" for a, b in pairwise(inner)):
        raise PhraseError(f"“{shown}” has two distances side by side: keep one.")
    if len(steps) < 3 and all(set(p.split("|")) <= COMMON for p in steps):
        raise PhraseError(f"“{shown}” is in many ordinary replies: add the words that make it what you mean.")
