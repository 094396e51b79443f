"""What is grave in parts of a reply that may not count: quoted words, and words that are hidden."""

import re

from engage.inbox.triage import lexicon
from engage.inbox.triage.disguise import undisguised
from engage.inbox.triage.features import Spot
from engage.inbox.triage.text import Word, is_ours, parts, plain, words

# What a clinic tells its patients, in a quotation.
ADVICE = re.compile(
    r"\b(?:if|when) (?:you|your|youre)\b|\bsi (?:usted|tiene|siente|piensa|esta)\b|\byourself\b"
)


def taken_apart(text: str, outbound: str) -> tuple[str, str, str]:
    """What the patient wrote, what is quoted, and what a tap-back quotes.

    Where nothing is left but what looks like a quotation, and it is not our own message, it is what they wrote.
    """
    found = parts(text, outbound)
    left = plain(found.quoted)
    if plain(found.body) or not left or is_ours(left, outbound):
        return found.body, found.quoted, found.tapped
    return found.quoted, "", found.tapped


def in_quotation(quoted: str, outbound: str, known: lexicon.Lexicon | None) -> list[Spot]:
    """What is grave in a quoted part, where it is neither our own message nor a clinic's advice."""
    said = words(quoted)
    return [_spot(said, hit) for hit in _urgent(said, known) if not _is_told(said, hit, outbound)]


def in_disguise(body: str, typed: list[Word], known: lexicon.Lexicon | None, *, voice: bool) -> list[Spot]:
    """What is grave in words that are run together or spelt with other signs."""
    said, changed = undisguised(body, typed, voice=voice)
    hits = _urgent(said, known) if changed else []
    return [
        _spot(said, hit)
        for hit in hits
        if not changed.isdisjoint(word.start for word in said[hit.first : hit.last])
    ]


def _urgent(said: list[Word], known: lexicon.Lexicon | None) -> list[lexicon.Hit]:
    hits = (known or lexicon.load()).scan(said) if said else []
    return [hit for hit in hits if hit.entry.level == "urgent" and not hit.held]


def _spot(said: list[Word], hit: lexicon.Hit) -> Spot:
    return Spot(hit.entry.label, hit.entry.says, said[hit.first].start, said[hit.last - 1].end)


def _is_told(said: list[Word], hit: lexicon.Hit, outbound: str) -> bool:
    """Are these words of ours: of the message they answer, or of "if you have chest pain, call 911" in any other?"""
    first, last = said[hit.first].sentence, said[hit.last - 1].sentence
    sentence = " ".join(word.text for word in said if first <= word.sentence <= last)
    return bool(ADVICE.search(sentence)) or is_ours(
        " ".join(word.text for word in said[hit.first : hit.last]), outbound
    )
