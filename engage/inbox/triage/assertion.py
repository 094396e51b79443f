"""Is what a reply mentions also what it says? Negation, time, supposition and figures of speech.

After NegEx (Chapman 2001): a trigger reaches a few words, until the clause turns ("but", a new subject, a
full stop). Everything here is per text and linear in it.
"""

from collections.abc import Callable

from engage.inbox.triage.text import Word, fold
from engage.inbox.triage.vocabulary import VOCABULARY, words_of

Span = tuple[int, int]
REACH = 7  # words a negation carries
NO = words_of("assertion", "no")
# Not being able, not knowing and not waiting deny nothing of what follows.
NOT_DENYING = words_of("assertion", "not_denying")
LISTING = words_of("assertion", "listing")
# "no i have chest pain", "no, my chest hurts": an answer, then a sentence of its own.
SUBJECT = words_of("assertion", "subject")
# "no voy a poder", "not coming": a refusal of the appointment denies nothing after it.
REFUSED = frozenset(tuple(map(fold, row.split())) for row in VOCABULARY["assertion"]["refused"])
LONGEST_REFUSAL = max(map(len, REFUSED))
CLITICS = frozenset(["me", "te", "se", "lo", "la", "le", "nos", "les"])
TURN = words_of("assertion", "turn")
# "nobody hits me", but not "nobody helps me and he hits me": it denies the next words only.
NOBODY = frozenset(["nobody", "noone", "nadie"])
NOBODY_REACH = 3
WITHOUT = frozenset(["without", "sin"])  # "cant walk without gasping" is no denial
UNABLE = words_of("assertion", "no") | {"cant", "couldnt", "barely", "hardly", "unable", "apenas"}
LONG_AGO = tuple(tuple(row.split()) for row in VOCABULARY["assertion"]["long_ago"])
# What brings an old thing back to now: NOW beside it or in a clause of its own ("had a stroke last year, now my face is
# numb", but not "had it in 2015, do i still need the test"), AGAIN wherever it stands.
NOW = words_of("assertion", "now")
AGAIN = words_of("assertion", "again")
IF = words_of("assertion", "if")
KNOW_IF = words_of("assertion", "know_if")
MONTHS = words_of("assertion", "months")
HAPPENED = words_of("assertion", "happened")  # verbs of what is over
TO_COME = words_of("assertion", "to_come")  # a visit in a month to come, or what lasts since
DATED = 8  # words that a month or a short year reaches back: "bitten in june", not what follows
OF_LENGTH = words_of("assertion", "of_length")  # "in 98 degrees" is no year
SUPPOSE = tuple(tuple(row.split()) for row in VOCABULARY["assertion"]["suppose"])


class Scope:
    """What surrounds each word of one text: who denies, since when, supposing what, in what figure of speech."""

    def __init__(self, words: list[Word], idioms: list[Span]) -> None:
        self._words = words
        self._texts = [w.text for w in words]
        self._idioms = idioms
        past = {*self._starts(LONG_AGO), *self._years(), *self._hace()}
        self._past = {words[i].sentence for i in past}
        self._past_clauses = {words[i].clause for i in past}
        self._present = {w.sentence for w in words if w.text in NOW}
        self._present_clauses = {w.clause for w in words if w.text in NOW}
        self._again = {w.sentence for w in words if w.text in AGAIN}
        self._dated = self._dates()
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

    def denies(self, at: int) -> bool:
        """Is this one word denied?"""
        return self._is_negated(at, at + 1, [(at, at + 1)])

    def _is_idiom(self, first: int, last: int) -> bool:
        return any(start < last and first < end for start, end in self._idioms)

    def _is_negated(self, first: int, last: int, used: list[Span]) -> bool:
        inside = {i for start, end in used for i in range(start, end)}
        between = [i for i in range(first, last) if i not in inside and self._texts[i] in NO]
        if any(i + 1 < len(self._texts) and not self._is_unable(i) for i in between):
            return True
        return self._denied_before(first) or (
            self._denied_after(last) and not any(t in UNABLE for t in self._texts[first:last])
        )

    def _denied_before(self, first: int) -> bool:
        here = self._words[first]
        for i in range(first - 1, max(-1, first - 1 - REACH), -1):
            word = self._words[i]
            if word.sentence != here.sentence or word.text in TURN:
                return False
            if word.text in NO and self._is_refusal(i):
                continue
            if word.text in NO:
                return self._denies(i, first)
            if word.text in NOBODY and first - i <= NOBODY_REACH:
                return word.clause == here.clause
            if word.text in SUBJECT and not self._goes_on(i):
                return False
        return False

    def _denies(self, at: int, first: int) -> bool:
        """Does the negation at `at` reach the match? An answer ("no, my chest hurts") and a wish do not."""
        word = self._words[at]
        if self._is_unable(at) or self._is_denied_itself(at):
            return False
        crossed = self._words[first].clause - word.clause
        if crossed and at == 0 and self._words[at + 1].clause != word.clause:
            return self._texts[at + 1] in LISTING
        return (
            not crossed or word.text in LISTING or self._words[first - 1].clause != self._words[first].clause
        )

    def _is_unable(self, at: int) -> bool:
        """Not being able, not knowing: "no puedo", "ni me puedo enderezar"."""
        after = self._texts[at + 1 : at + 3]
        if len(after) == 2 and after[0] in CLITICS and after[1] in ("puedo", "puede", "podemos", "pude"):
            return True
        return bool(after) and after[0] in NOT_DENYING

    def _is_refusal(self, at: int) -> bool:
        after = tuple(self._texts[at + 1 : at + 1 + LONGEST_REFUSAL])
        return any(after[:length] in REFUSED for length in range(1, len(after) + 1))

    def _is_denied_itself(self, at: int) -> bool:
        """Two denials: "cant get to the mailbox without gasping", "no puedo caminar sin ahogarme"."""
        if self._texts[at] not in WITHOUT:
            return False
        near = range(max(0, at - REACH), at)
        return any(self._texts[i] in UNABLE and self._words[i].clause == self._words[at].clause for i in near)

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
        word = self._words[first]
        if any(first <= i <= first + DATED and self._words[i].clause == word.clause for i in self._dated):
            return word.clause not in self._present_clauses and word.sentence not in self._again
        if word.sentence not in self._past or word.sentence in self._again:
            return False
        if word.clause in self._past_clauses:
            return word.clause not in self._present_clauses
        return word.sentence not in self._present

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

    def _hace(self) -> set[int]:
        """ "hace dos años": long ago; "hace dos horas" is not."""
        return {
            i
            for i, word in enumerate(self._words)
            if word.text == "hace" and {"ano", "anos", "meses"} & set(self._texts[i + 1 : i + 4])
        }

    def _dates(self) -> list[int]:
        """Months with a verb of the past before them ("was bitten in june", not "surgery in june"), years as "in 98"."""
        return [i for i in range(1, len(self._words)) if self._is_past_month(i) or self._is_short_year(i)]

    def _is_past_month(self, at: int) -> bool:
        before = self._texts[max(0, at - 6) : at]
        return (
            self._texts[at] in MONTHS
            and before[-1] in ("in", "en", "from")
            and not HAPPENED.isdisjoint(before)
            and TO_COME.isdisjoint(before)
        )

    def _is_short_year(self, at: int) -> bool:
        text, before, after = self._texts[at], self._texts[max(0, at - 2) : at], self._texts[at + 1 : at + 2]
        dated = len(text) == 2 and text.isdigit() and (before[-1] == "in" or before == ["en", "el"])
        return dated and (text[0] == "0" or int(text) >= 70) and OF_LENGTH.isdisjoint(after)

    def _years(self) -> set[int]:
        return {
            i
            for i, w in enumerate(self._words)
            if len(w.text) == 4
            and w.text[:2] in ("19", "20")
            and w.text.isdigit()
            and i
            and self._texts[i - 1] in ("in", "en", "since", "desde", "del", "el")
        }
