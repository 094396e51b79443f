"""Opt-out, opt-in and help words: read before anything else, in the webhook's own transaction.

Sources: 47 CFR 64.1200(a)(10) (stop, quit, end, revoke, opt out, cancel, unsubscribe, and any reasonable
wording), the provider's default lists (as of May 2025), the carriers' Spanish short-code words.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from engage.inbox.triage.text import fold, plain, set_aside
from engage.inbox.triage.vocabulary import VOCABULARY, words_of

Kind = Literal["stop", "start", "help", "start_ambiguous"]

# What the provider acts upon by itself: the whole message is this one word, in any case.
PROVIDER: dict[str, Kind] = {
    **dict.fromkeys(("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"), "stop"),
    **dict.fromkeys(("start", "unstop"), "start"),
    "yes": "start_ambiguous",
    **dict.fromkeys(("help", "info"), "help"),
}
STOP_EN = words_of("keywords", "stop_en")
STOP_ES = words_of("keywords", "stop_es")
START_ES = frozenset(["inicio", "iniciar", "comenzar"])
HELP_ES = frozenset(["ayuda"])
AMBIGUOUS_ES = frozenset(["alta"])  # "subscribe", but also "discharged" and "tall"; never an opt-in by itself
# Other languages: never the provider's, always ours.
STOP_OTHER = frozenset(map(plain, words_of("keywords", "stop_other")))
# In a short text they are said of messages only; a person decides.
STOP_OTHER_WITHIN = tuple(map(plain, sorted(words_of("keywords", "stop_other_within"))))
SHORT = 60  # characters of such a text
ROUND_WORDS = "'\"“”‘’«»()[]*_~#.,;:!?¡¿…-–—"  # marks that are no part of a word
STOP_SIGN = "\N{OCTAGONAL SIGN}"

# Phrases that a reasonable person reads as a revocation. Each alternative is a fixed row of words, so that
# the search is linear; `…` before and after is anything.


WRONG = re.compile(r"wrong (?:number|nbr|num)\b|numero equivocado")
# "Reply STOP to opt out" is our own sentence coming back; "stop looking for him" and the like are for a person.
NOT_OURS = re.compile(
    r"\b(?:reply|text|send|responda|envie|txt) (?:with )?(?:stop|alto|pare|baja)\b(?: (?:to|para)\b(?: \w+){0,6})?"
)


def _patterns(name: str, around: str) -> re.Pattern[str]:
    """The phrases of the vocabulary as one pattern; <media> and the like stand for its word groups."""
    groups = VOCABULARY["keywords"]
    rows = [re.sub(r"<(\w+)>", lambda found: str(groups[found[1]]), row) for row in groups[name]]
    return re.compile("|".join(around.format(f"(?:{row})") for row in rows))


WHOLE = _patterns("whole", "{}")
WHOLE_ES = _patterns("whole_es", "{}")
ANYWHERE = _patterns("anywhere", r"\b(?:{})")
ANYWHERE_ES = _patterns("anywhere_es", r"\b(?:{})")
# "The bleeding won't stop", "I'll stop by": stop and its like said of something else than messages, or a wish to go on;
# words that make it one of messages all the same; and "you won't stop", which tells us to.
OTHERWISE = _patterns("otherwise", r"\b(?:{})\b")
ABOUT_MESSAGES = _patterns("about_messages", r"\b(?:{})\b")
WE_GO_ON = _patterns("we_go_on", r"\b(?:{})\b")
# "Don't unsubscribe me" and "you never call me back" are no opt-outs, whatever else is.
STILL_WANTED = _patterns("still_wanted", r"\b(?:{})\b")
CANCELS_VISIT = _patterns("cancels_visit", r"\b(?:{})\b")
# "No, stop texting me" answers before it revokes; "don't stop texting me" does not revoke.
ANSWER = re.compile(r"^\s*no\b\s*[,.;:!-]+", re.I)


@dataclass(frozen=True, slots=True)
class Keyword:
    """An opt-out, opt-in or help word, or a phrase that means the same.

    `start_ambiguous` (YES, ALTA): the provider may take it as an opt-in; we follow only after an opt-in question.
    """

    kind: Kind
    words: str  # as compared: folded
    exact: bool  # the whole message is a listed word; otherwise a phrase
    provider_recognises: bool  # the provider has acted (and confirmed) by itself
    lang: str
    may_cancel_visit: bool = False  # CANCEL: an opt-out, and perhaps also meant for the appointment
    wrong_number: bool = False  # remove the contact point, open a privacy task


def keyword(text: str) -> Keyword | None:
    """The opt-out, opt-in or help word of a message, or None. Linear in the length of the text."""
    by_provider = PROVIDER.get(text.strip().casefold())
    body = set_aside(text)
    said = plain(body)
    if by_provider:
        return _exact(by_provider, said, "en", provider=True)
    said = _joined(said)
    return _listed(said) or _listed(_as_typed(body)) or _phrase(said) or _phrase(plain(ANSWER.sub("", body)))


def may_revoke(body: str) -> bool:
    """Whether a text without an opt-out word of the lists most likely is one: a stop sign, another language."""
    if len(body.strip()) > SHORT:
        return False
    said = plain(body)
    return any(word in said for word in STOP_OTHER_WITHIN) if said else STOP_SIGN in body


def is_about_else(body: str) -> bool:
    """Whether stop and the like are plainly said of something else than messages, or of going on with them."""
    said = plain(body)
    left = OTHERWISE.sub(" ", said)
    return left != said and not ABOUT_MESSAGES.search(left) and not WE_GO_ON.search(said)


def _as_typed(body: str) -> str:
    """The text as words between spaces, which keeps "st0p" whole and drops the marks of "_STOP_"."""
    parts = (part.strip(ROUND_WORDS) for part in unicodedata.normalize("NFKC", body).split())
    return " ".join(fold(part) for part in parts if part)


def _joined(said: str) -> str:
    """S T O P and s.t.o.p are one word."""
    parts = said.split(" ")
    spelt = len(parts) > 2 and all(len(p) == 1 for p in parts)
    return "".join(parts) if spelt else said


def _once(said: str) -> str:
    """A word or two said over and over are that word: "stop stop stop", "ya basta ya basta"."""
    parts = said.split(" ")
    for size in (1, 2):
        if parts == parts[:size] * (len(parts) // size):
            return " ".join(parts[:size])
    return said


LISTS: tuple[tuple[frozenset[str], Kind, str], ...] = (
    (STOP_EN, "stop", "en"),
    (STOP_ES, "stop", "es"),
    (STOP_OTHER, "stop", ""),
    (START_ES, "start", "es"),
    (HELP_ES, "help", "es"),
    (AMBIGUOUS_ES, "start_ambiguous", "es"),
)
POLITE = re.compile(
    r"^(?:(?:please|por favor|porfavor|hi|hello|hey|hola|buen[oa]s(?: (?:dias|tardes|noches))?) )+"
    r"|(?: (?:please|por favor|porfavor|gracias|thanks|thank you)){1,3}$"
)


def _listed(said: str) -> Keyword | None:
    bare = _once(POLITE.sub("", said))
    for listed, kind, lang in LISTS:
        if said in listed or (kind == "stop" and bare in listed):
            return _exact(kind, said, lang)
    known = PROVIDER.get(said)
    return _exact(known, said, "en") if known else None


def _exact(kind: Kind, said: str, lang: str, *, provider: bool = False) -> Keyword:
    return Keyword(
        kind=kind,
        words=said,
        exact=True,
        provider_recognises=provider,
        lang=lang,
        may_cancel_visit=kind == "stop" and bool(CANCELS_VISIT.search(said)),
        wrong_number=bool(WRONG.search(said)),
    )


def _phrase(said: str) -> Keyword | None:
    said = STILL_WANTED.sub(" ", NOT_OURS.sub(" ", said)).strip()
    spanish = WHOLE_ES.fullmatch(said) or ANYWHERE_ES.search(said)
    found = spanish or WHOLE.fullmatch(said) or ANYWHERE.search(said)
    if found is None:
        return None
    return Keyword(
        kind="stop",
        words=found.group(),
        exact=False,
        provider_recognises=False,
        lang="es" if spanish else "en",
        may_cancel_visit=bool(CANCELS_VISIT.search(said)),
        wrong_number=bool(WRONG.search(said)),
    )
