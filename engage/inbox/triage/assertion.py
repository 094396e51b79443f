"""Is what a reply mentions also what it says? Negation, time, supposition and figures of speech.

After NegEx (Chapman 2001): a trigger reaches a few words, until the clause turns ("but", a new subject, a
full stop). Everything here is per text and linear in it.
"""

from collections.abc import Callable

from engage.inbox.triage.text import Word

Span = tuple[int, int]
REACH = 7  # words a negation carries
NO = frozenset(
    "no not without denies deny denied never none nothing neither nor dont doesnt didnt isnt arent wasnt werent hasnt havent hadnt aint wouldnt nope nah zero negative sin ni nunca ningun ninguna ninguno tampoco niega jamas cero".split()
)
# Not being able, not knowing and not waiting deny nothing of what follows.
NOT_DENYING = frozenset("know sure wait understand puedo puede podemos pude podia se sabe sabemos aguanto aguanta entiendo deja dejan matter care importa only just even solo solamente".split())
LISTING = frozenset("no sin ni without denies deny nor never ningun ninguna ningun".split())  # these carry over commas
# "no i have chest pain", "no, my chest hurts": an answer, then a sentence of its own.
SUBJECT = frozenset(
    "i im ive my he hes she shes his her we were they their theres there it its mi mis mother mom dad father husband wife".split()
)
TURN = frozenset(
    "but however although though except just only still pero aunque solo nomas nada mas sino excepto todavia sigo sigue".split()
) - {"nada", "mas", "nomas"}
AFTER = frozenset("gone resolved negative better ruled disappeared".split())
LONG_AGO = (
    ("last", "year"), ("last", "yr"), ("years", "ago"), ("year", "ago"), ("yrs", "ago"), ("months", "ago"), ("month", "ago"), ("back", "in"),
    ("used", "to"), ("history", "of"), ("when", "i", "had"), ("when", "he", "had"), ("when", "she", "had"), ("when", "i", "was"), ("when", "he", "was"),
    ("when", "she", "was"), ("in", "the", "past"), ("as", "a", "kid"), ("as", "a", "child"), ("last", "month"), ("last", "summer"), ("last", "winter"), ("last", "spring"),
    ("last", "fall"), ("last", "christmas"), ("over", "a", "year"), ("had", "a", "scare"), ("back", "when"), ("long", "time", "ago"), ("decades", "ago"),
    ("ano", "pasado"), ("mes", "pasado"), ("hace", "anos"), ("hace", "muchos"), ("cuando", "tuve"), ("cuando", "tuvo"), ("cuando", "me", "dio"), ("cuando", "le", "dio"),
    ("cuando", "era"), ("hace", "tiempo"), ("hace", "meses"), ("antes", "tenia"), ("cuando", "el", "infarto"), ("cuando", "estuve"), ("desde", "que", "le", "pusieron"),
    ("desde", "que", "me", "pusieron"), ("since", "they", "put"), ("since", "the", "stent"), ("since", "the", "surgery"),
)  # fmt: skip
# What brings an old thing back to now.
NOW = frozenset(
    "now again today tonight currently keeps still morning yesterday anoche ayer hoy ahora ahorita otra vuelta sigue siguen sigo todavia ago hours minutes horas minutos since lately".split()
) - {"ago", "since"}
IF = frozenset("if whenever case supposing unless".split())
KNOW_IF = frozenset("know see sure idk ask wondering asking wonder check unsure".split())
SUPPOSE = (
    ("en", "caso", "de"), ("que", "hago", "si"), ("que", "pasa", "si"), ("what", "if"), ("should", "i", "get"), ("in", "case"), ("signs", "of"), ("risk", "of"),
    ("chance", "of"), ("chances", "of"), ("can", "cause"), ("does", "it", "cause"), ("will", "it", "cause"), ("could", "cause"), ("causes",), ("prevent",), ("prevents",), ("avoid",),
    ("para", "prevenir"), ("riesgo", "de"), ("puede", "causar"), ("puede", "dar"), ("side", "effects"), ("pamphlet",), ("article",), ("class", "on"), ("training",), ("difference", "between"),
    ("would", "i", "know"), ("how", "do", "you", "know"), ("sintomas", "de"), ("senales", "de"), ("test", "for"), ("screen", "for"), ("screening", "for"), ("do", "i", "call"), ("when", "to"), ("afraid", "of", "getting"), ("scared", "of", "getting"),
    ("miedo", "de", "que", "me", "de"), ("miedo", "que", "me", "de"), ("cuando", "debo"), ("when", "should"), ("si", "es", "una"), ("si", "se", "trata"), ("si", "tiene", "una"), ("can", "i", "overdose"), ("can", "you", "overdose"), ("know", "if", "its"), ("should", "i", "take"), ("can", "i", "take"), ("do", "i", "take"), ("debo", "tomar"), ("puedo", "tomar"), ("make", "me"), ("what", "chest", "pain"), ("si", "llego", "a"), ("si", "llegara"), ("si", "me", "da"), ("si", "me", "dan"),
)  # fmt: skip


class Scope:
    """What surrounds each word of one text: who denies, since when, supposing what, in what figure of speech."""

    def __init__(self, words: list[Word], idioms: list[Span]) -> None:
        self._words = words
        self._texts = [w.text for w in words]
        self._idioms = idioms
        self._past = self._sentences_with(LONG_AGO) | self._sentences_of_years()
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
        return not crossed or word.text in LISTING or self._words[first - 1].clause != self._words[first].clause

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
