"""What our message asked, and what a reply to it therefore means.

"No" to "do you feel safe at home?" is abuse; "2" to "1 = confirm, 2 = change" is a wish to change.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from engage.inbox.triage import safety, scale
from engage.inbox.triage.reading import Level
from engage.inbox.triage.text import fold, plain
from engage.inbox.triage.vocabulary import VOCABULARY, words_of

Kind = Literal[
    "self_harm", "unsafe", "safe", "danger", "mood", "symptoms", "worse", "pain", "rating", "satisfied", "missed",
    "medicines", "ready", "sugar", "readings", "confirm", "refill", "offer", "result", "missed_visit", "chat", "open", "",
]  # fmt: skip
Value = Literal["yes", "no", "some", "better", "same", "worse", "change", "number", "help", ""]

# First match wins: the gravest questions come first.
KINDS: list[tuple[Kind, str]] = [tuple(row) for row in VOCABULARY["asked"]["kinds"]]
COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in KINDS)
PATTERNS = dict(COMPILED)

YES = words_of("asked", "yes")
NO = words_of("asked", "no")
BETTER = words_of("asked", "better")
SAME = words_of("asked", "same")
WORSE = words_of("asked", "worse")
CHANGE = words_of("asked", "change")
WORDED: dict[str, int] = VOCABULARY["asked"]["worded"]
PHRASES: dict[str, list[tuple[list[str], str]]] = {
    kind: [(phrase.split(" "), value) for phrase, value in rows.items()]
    for kind, rows in VOCABULARY["asked"]["phrases"].items()
}
LEAD = words_of("asked", "lead")
AND_THEN = {
    **dict.fromkeys(("y", "Y"), words_of("asked", "after_and")),
    **dict.fromkeys(("no", "No", "NO"), words_of("asked", "after_no")),
}
TOKEN = re.compile(r"\d+(?:[./]\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\w\s.,!?:;()'\"-]+")
FEW = 3  # words that pick an option and say nothing else
SHORT = 5  # words of an answer that says nothing else
OPTION = re.compile(
    r"\b([1-9])\b\s*(?:=|:|\)|-|–|(?=(?:yes|no|s[ií])\s*(?:[,./0-9]|$))|for|to|if|and|para|si|y)\s*([^,.;0-9]{2,40})",
    re.I,
)
# Any option: "B if you are having chest pain", "4 = emergency", "3 I need help now".
MARKED = re.compile(
    r"(?<![\w/:.$-])(?<!\bat )(?<!\blas )([0-9]|[A-E])\s*(?:=|:|\)|-|–|\s)\s*([^,.;/\n0-9]{2,60}?)"
    r"(?=\s+[0-9]\b|[,.;/\n]|\s+(?:or|o|and|y)\s+[A-E0-9]\b|\s*$)"
)
GRAVE_OPTION = re.compile(VOCABULARY["asked"]["grave_option"])
DENIED = re.compile(r"\b(?:no|not|dont|none|without|sin)\b")
OPTION_WORDS: list[tuple[str, Value]] = [tuple(row) for row in VOCABULARY["asked"]["options"]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply answers: labels it stands for, their level, and where the answer is in the text."""

    kind: Kind
    value: Value
    number: float | None
    labels: tuple[str, ...]
    level: Level
    start: int
    end: int
    reason: str
    whole: bool  # nothing else was said


OPENING = next(
    pattern for kind, pattern in COMPILED if kind == "offer"
)  # something new is offered: "due for", "sooner"
# What a message of unknown words asks, by what it was about; and one of which only "reply yes" is known.
BY_CONTEXT: dict[str, Kind] = {
    "appointment_reminder": "confirm",
    "refill": "refill",
    "screening_reminder": "offer",
    "portal_invite": "offer",
}
NO_OFFER: dict[str, Kind] = {"appointment_reminder": "confirm", "refill": "refill", "survey": ""}


@lru_cache(maxsize=2048)
def kind_of(outbound: str, context: str = "") -> Kind:
    """What an outbound message asks; by what it was about when its words do not tell; "" when neither does."""
    said = plain(outbound)
    kinds = (kind for kind, pattern in COMPILED if pattern.search(said) and _asks(kind, outbound))
    kind: Kind = next(kinds, "")
    if kind == "offer" and context in NO_OFFER and not OPENING.search(said):
        return NO_OFFER[context]
    if kind or not said:
        return kind
    by_context = BY_CONTEXT.get(context, "")
    return by_context if by_context == "confirm" or safety.ANSWERABLE.search(outbound) else ""


def _asks(kind: Kind, outbound: str) -> bool:
    return kind not in safety.KINDS or safety.asks(outbound, kind, PATTERNS[kind])


def answer(body: str, outbound: str, context: str = "", *, understood: bool = True) -> Answer | None:
    """The answer that a reply (quoted parts blanked) gives to our message, or None. Offsets into `body`.

    `understood`: the reply is in a language we read, so that an answer that is not listed can be judged.
    """
    kind = kind_of(outbound, context)
    if kind not in safety.KINDS and (grave := _grave_option(body, outbound)):
        return grave
    if not kind:
        return None
    given = _given(body, kind, outbound)
    return _guarded(body, kind, outbound, given) if understood and kind in safety.KINDS else given


def _grave_option(body: str, outbound: str) -> Answer | None:
    """The option of a danger that a reply picks by its mark alone, whatever else our message asks."""
    tokens = list(TOKEN.finditer(body[:100]))
    named = next((t for t in tokens if len(tokens) == 1 or fold(t.group()) not in LEAD | safety.LEAD), None)
    if named is None or len(tokens) > FEW:
        return None
    options = MARKED.findall(outbound)
    mark = str(WORDED.get(fold(named.group()), fold(named.group())))
    said = next((plain(words) for digit, words in options if fold(digit) == mark), "")
    if len(options) < 2 or not GRAVE_OPTION.search(said) or DENIED.search(said):
        return None
    return _meaning("danger", "yes", None, named.span(), whole=True)


def is_left_open(outbound: str) -> bool:
    """Does our message ask about self-harm or safety, so that a reply without an answer leaves that open?"""
    return kind_of(outbound) in safety.KINDS


def _guarded(body: str, kind: Kind, outbound: str, given: Answer | None) -> Answer | None:
    """On self-harm and safety what is not plainly none counts, however it is worded and whatever the scale."""
    if given is not None and given.number is None:
        taken_back = given.level == "routine" and safety.takes_back(body, kind)
        return _meaning(kind, "some", None, _stretch(body), given.whole) if taken_back else given
    urgent = given is not None and given.level == "urgent"
    said: safety.Said = "some" if safety.takes_back(body, kind) else safety.by_scale(body, kind, outbound)
    said = said or ("some" if urgent else safety.said(body, kind))
    if not said or (said == "some" and urgent):
        return given
    value: Value = "some" if said == "some" else "yes" if kind == "safe" else "no"
    return _meaning(kind, value, None, _stretch(body), len(TOKEN.findall(body[:300])) <= SHORT)


def _stretch(body: str) -> tuple[int, int]:
    """The first sentence."""
    start = len(body) - len(body.lstrip())
    end = re.search(r"[.!?\n]", body[start + 1 :])
    return start, start + 1 + end.start() if end else len(body.rstrip())


def _given(body: str, kind: Kind, outbound: str) -> Answer | None:
    """The answer by the words and options of the question's kind."""
    phrased = _phrased(body, kind)
    if phrased:
        return phrased
    tokens = list(TOKEN.finditer(body[:300]))
    for at, token in enumerate(tokens[:7]):
        value, number = _value(token.group(), kind, outbound)
        following = fold(tokens[at + 1].group()) if at + 1 < len(tokens) else ""
        if following in AND_THEN.get(token.group(), ()) and kind not in safety.KINDS:
            return None  # "y cuánto cuesta" agrees to nothing, "no insurance" declines nothing
        if value:
            whole = len(tokens) <= at + (SHORT if number is None else 1)
            return _meaning(kind, value, number, token.span(), whole, outbound)
        if fold(token.group()) not in LEAD:
            break
    return None


def _phrased(body: str, kind: Kind) -> Answer | None:
    """An answer in several words: "several days", "not always", "más de la mitad"."""
    tokens = [t for t in TOKEN.finditer(body[:300]) if t.group()[0].isalnum()]
    said = [fold(t.group()) for t in tokens]
    led = next((i for i, word in enumerate(said[:5]) if word not in LEAD), 0)
    for at in range(led + 1):  # "i guess sometimes", "pues a veces"
        for phrase, value in PHRASES.get(kind, ()):
            if said[at : at + len(phrase)] == phrase:
                whole = len(said) <= at + len(phrase) + SHORT
                number = float(value) if value.isdigit() else None
                span = tokens[at].start(), tokens[at + len(phrase) - 1].end()
                return _meaning(kind, "number" if number is not None else value, number, span, whole)  # type: ignore[arg-type]
    return None


def _value(raw: str, kind: Kind, outbound: str) -> tuple[Value, float | None]:
    word = raw.casefold().replace("í", "i")
    number = float(word) if re.fullmatch(r"\d+(?:\.\d+)?", word) else None
    if number is None and word in WORDED and kind in ("rating", "pain", "mood", "self_harm"):
        number = float(WORDED[word])
    if number is not None:
        option = (
            _option(int(number), outbound)
            if kind not in ("rating", "pain", "mood", "self_harm", "sugar", "readings")
            else ""
        )
        return (option, None) if option else ("number", number)
    if kind == "worse":
        return _comparison(word), None
    if kind in ("confirm", "missed_visit") and word in CHANGE:
        return "change", None
    if word in ("help", "ayuda") and kind in ("safe", "unsafe", "self_harm", "danger"):
        return "help", None
    yes_no: Value = "yes" if word in YES or word[:1] in "👍✅👌" else "no" if word in NO else ""
    return yes_no, None


def _comparison(word: str) -> Value:
    if word in WORSE:
        return "worse"
    return "same" if word in SAME else "better" if word in BETTER else ""


def _option(number: int, outbound: str) -> Value:
    for digit, words in OPTION.findall(outbound):
        if int(digit) == number:
            return next((value for pattern, value in OPTION_WORDS if re.search(pattern, words, re.I)), "")
    return ""


Rule = tuple[tuple[str, ...], Level, str]
RULES: dict[tuple[Kind, Value], Rule] = {
    ("safe", "no"): (("abuse", "survey_answer"), "urgent", "Answers no to whether they are safe."),
    ("safe", "some"): (("abuse", "survey_answer"), "urgent", "Says less than yes to whether they are safe."),
    ("safe", "help"): (("abuse",), "urgent", "Asks for help when asked whether they are safe."),
    ("safe", "yes"): (("survey_answer",), "routine", "Answers that they are safe."),
    ("unsafe", "yes"): (("abuse", "survey_answer"), "urgent", "Answers yes to whether someone hurts or frightens them."),
    ("unsafe", "some"): (("abuse", "survey_answer"), "urgent", "Says more than no to whether someone hurts them."),
    ("unsafe", "help"): (("abuse",), "urgent", "Asks for help when asked whether someone hurts them."),
    ("unsafe", "no"): (("survey_answer",), "routine", "Answers that nobody hurts or frightens them."),
    ("self_harm", "yes"): (("self_harm", "survey_answer"), "urgent", "Answers yes to a question about self-harm."),
    ("self_harm", "some"): (("self_harm", "survey_answer"), "urgent", "Says more than none about self-harm."),
    ("self_harm", "help"): (("self_harm",), "urgent", "Asks for help when asked about self-harm."),
    ("self_harm", "no"): (("survey_answer",), "routine", "Answers no to a question about self-harm."),
    ("danger", "yes"): (("emergency", "survey_answer"), "urgent", "Answers yes to a question about danger signs."),
    ("danger", "help"): (("emergency",), "urgent", "Asks for help when asked about danger signs."),
    ("danger", "no"): (("survey_answer",), "routine", "Answers no to a question about danger signs."),
    ("mood", "yes"): (("survey_answer",), "significant", "Answers yes to a question about mood."),
    ("mood", "no"): (("survey_answer",), "routine", "Answers no to a question about mood."),
    ("symptoms", "yes"): (("symptom", "survey_answer"), "significant", "Answers yes to new symptoms."),
    ("symptoms", "no"): (("survey_answer",), "routine", "Answers no to new symptoms."),
    ("worse", "worse"): (("symptom", "survey_answer"), "significant", "Answers that they feel worse."),
    ("worse", "same"): (("survey_answer",), "routine", "Answers that they feel the same."),
    ("worse", "better"): (("survey_answer",), "routine", "Answers that they feel better."),
    ("satisfied", "yes"): (("survey_answer",), "routine", "Answers that they were content."),
    ("satisfied", "no"): (("survey_answer",), "significant", "Answers that they were not content."),
    ("missed", "yes"): (("medication", "survey_answer"), "significant", "Answers that they missed doses."),
    ("missed", "no"): (("survey_answer",), "routine", "Answers that they missed no dose."),
    ("medicines", "yes"): (("survey_answer",), "routine", "Answers that they have their medicines."),
    ("medicines", "no"): (("medication", "survey_answer"), "significant", "Answers that they lack medicines."),
    ("confirm", "yes"): (("accept",), "routine", "Confirms the appointment."),
    ("confirm", "no"): (("reschedule",), "significant", "Cannot come as planned."),
    ("confirm", "change"): (("reschedule",), "significant", "Wants to change the appointment."),
    ("confirm", "help"): (("call_me",), "significant", "Wants a call."),
    ("missed_visit", "change"): (("reschedule",), "significant", "Wants a new appointment."),
    ("missed_visit", "yes"): (("reschedule",), "significant", "Wants a new appointment."),
    ("missed_visit", "no"): (("decline",), "significant", "Wants no new appointment."),
    ("refill", "yes"): (("medication", "accept"), "significant", "Asks for the refill."),
    ("refill", "no"): (("decline",), "significant", "Declines the refill."),
    ("offer", "yes"): (("accept",), "significant", "Accepts; a person must book it."),
    ("offer", "no"): (("decline",), "significant", "Declines what was offered."),
    ("offer", "help"): (("call_me",), "significant", "Wants a call."),
    ("offer", "change"): (("reschedule",), "significant", "Wants to change the appointment."),
}  # fmt: skip


def _meaning(
    kind: Kind, value: Value, number: float | None, span: tuple[int, int], whole: bool, outbound: str = ""
) -> Answer | None:
    rule = RULES.get((kind, value)) if number is None else _figure(kind, number, outbound)
    if rule is None:
        return None
    labels, level, reason = rule
    return Answer(kind, value, number, labels, level, *span, reason, whole)


def _figure(kind: Kind, number: float, outbound: str) -> Rule | None:
    if kind == "self_harm":
        if number > 0:
            return (
                ("self_harm", "survey_answer"),
                "urgent",
                "Answers above zero to a question about self-harm.",
            )
        return ("survey_answer",), "routine", "Answers zero to a question about self-harm."
    if kind == "mood":
        bad = number >= 2
        return (
            ("survey_answer",),
            "significant" if bad else "routine",
            f"Answers {number:g} to a question about mood.",
        )
    if kind == "rating" or (kind == "satisfied" and scale.ends(outbound)):
        good = scale.is_good(number, outbound)
        return ("survey_answer",), "routine" if good else "significant", f"Rates {number:g}."
    if kind == "pain":
        labels = ("symptom", "survey_answer") if number >= 7 else ("survey_answer",)
        return labels, "significant" if number >= 7 else "routine", f"Rates the pain {number:g}."
    return None
