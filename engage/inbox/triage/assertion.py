"""Is what a reply mentions also what it says? Negation, time, supposition and figures of speech.

After NegEx (Chapman 2001): a trigger reaches a few words, until the clause turns ("but", a new subject, a
full stop). Everything here is per text and linear in it.
"""

from collections.abc import Callable

from engage.inbox.triage.text import Word
from engage.inbox.triage.vocabulary import VOCABULARY, words_of

Span = tuple[int, int]
REACH = 7  # words a negation carries
NO = words_of("assertion", "no")
# Not being able, not knowing and not waiting deny nothing of what follows.
NOT_DENYING = words_of("assertion", "not_denying")
LISTING = words_of("assertion", "listing")
# "no i have chest pain", "no, my chest hurts": an answer, then a sentence of its own.
SUBJECT = words_of("assertion", "subject")
TURN = words_of("assertion", "turn")
AFTER = frozenset(["gone", "resolved", "negative", "better", "ruled", "disappeared"])
LONG_AGO = tuple(tuple(row.split()) for row in VOCABULARY["assertion"]["long_ago"])
# What brings an old thing back to now.
NOW = words_of("assertion", "now")
IF = words_of("assertion", "if")
KNOW_IF = words_of("assertion", "know_if")
SUPPOSE = tuple(tuple(row.split()) for row in VOCABULARY["assertion"]["suppose"])


class Scope:
    """What surrounds each word of one text: who denies, since when, supposing what, in what figure of speech."""

    def __init__(self, words: list[Word], idioms: list[Span]) -> None:
        self._words = words
        self._texts = [w.text for w in words]
        self._idioms = idioms
        self._past = self._sentences_with(LONG_AGO) | self._sentences_of_years() | self._sentences_of_hace()
        self._present = {w.sentence for w in words if w.text in NOW}
        self._suppose = self._starts(SUPPOSE)

    def held(self, first: int, last: int, used: list[Span], holds: frozenset[str]) -> str:
        """Why the words [first, last) do not count as said: "", idiom, negated, hypothetical or past."""
        tests: tuple[tuple[str, Callable[[], bool]], ...] = (
            ("idiom", lambda: self._is_idiom(first, last)),
            ("negated", lambda: self._is_negated(first, last, used)),
            ("hypothetical", lambda: self._is_supposed(first)),
            ("past", lambda: self._is_past(first)),
        )
        return next((name for name, test in tests if name in holds and test()), "")

    def _is_idiom(self, first: int, last: int) -> bool:
        return any(start < last and first < end for start, end in self._idioms)

    def _is_negated(self, first: int, last: int, used: list[Span]) -> bool:
        inside = {i for start, end in used for i in range(start, end)}
        between = [i for i in range(first, last) if i not in inside and self._texts[i] in NO]
        if any(self._texts[i + 1] not in NOT_DENYING for i in between):
            return True
        return self._denied_before(first) or self._denied_after(last)

    def _denied_before(self, first: int) -> bool:
        here = self._words[first]
        for i in range(first - 1, max(-1, first - 1 - REACH), -1):
            word = self._words[i]
            if word.sentence != here.sentence or word.text in TURN:
                return False
            if word.text in NO:
                return self._denies(i, first)
            if word.text in SUBJECT and not self._goes_on(i):
                return False
        return False

    def _denies(self, at: int, first: int) -> bool:
        """Does the negation at `at` reach the match? An answer ("no, my chest hurts") and a wish do not."""
        word, after = self._words[at], self._texts[at + 1 : at + 2]
        if after and after[0] in NOT_DENYING:
            return False
        crossed = self._words[first].clause - word.clause
        if crossed and at == 0 and self._words[at + 1].clause != word.clause:
            return self._texts[at + 1] in LISTING
        return (
            not crossed or word.text in LISTING or self._words[first - 1].clause != self._words[first].clause
        )

    def _goes_on(self, at: int) -> bool:
        """A subject inside the reach: "that i have…", "no he pensado", "no mi pecho"."""
        before, after = self._texts[at - 1 : at], self._texts[at + 1 : at + 2]
        if at and before[0] in ("that", "que"):
            return True
        spanish = bool(after) and after[0].endswith(("ado", "ido", "cho", "sto"))
        return self._texts[at] == "he" and bool(before) and before[0] in NO and spanish

    def _denied_after(self, last: int) -> bool:
        tail = self._texts[last : last + 4]
        if any(t in NO for t in tail[:2]) and any(
            t in ("more", "longer", "anymore", "problem", "problems", "issue", "issues") for t in tail
        ):
            return True
        return tail[:2] in (["is", "gone"], ["went", "away"], ["has", "stopped"], ["se", "me"]) and (
            tail[1] in ("gone", "away", "stopped") or "quito" in tail
        )

    def _is_supposed(self, first: int) -> bool:
        here = self._words[first].sentence
        for i in range(first, max(-1, first - 10), -1):
            if self._words[i].sentence != here:
                return False
            if i in self._suppose or (
                i < first and self._texts[i] in IF and self._texts[i - 1] not in KNOW_IF
            ):
                return True
        return False

    def _is_past(self, first: int) -> bool:
        here = self._words[first].sentence
        return here in self._past and here not in self._present

    def _starts(self, rows: tuple[tuple[str, ...], ...]) -> set[int]:
        by_first: dict[str, list[tuple[str, ...]]] = {}
        for row in rows:
            by_first.setdefault(row[0], []).append(row)
        texts = self._texts
        return {
            i
            for i, text in enumerate(texts)
            for row in by_first.get(text, ())
            if tuple(texts[i : i + len(row)]) == row
        }

    def _sentences_with(self, rows: tuple[tuple[str, ...], ...]) -> set[int]:
        return {self._words[i].sentence for i in self._starts(rows)}

    def _sentences_of_hace(self) -> set[int]:
        """ "hace dos años": long ago; "hace dos horas" is not."""
        return {
            word.sentence
            for i, word in enumerate(self._words)
            if word.text == "hace" and {"ano", "anos", "meses"} & set(self._texts[i + 1 : i + 4])
        }

    def _sentences_of_years(self) -> set[int]:
        return {
            w.sentence
            for i, w in enumerate(self._words)
            if len(w.text) == 4
            and w.text[:2] in ("19", "20")
            and w.text.isdigit()
            and i
            and self._texts[i - 1] in ("in", "en", "since", "desde", "del", "el")
        }
