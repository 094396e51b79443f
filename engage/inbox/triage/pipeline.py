"""The stages of triage in their order. A later stage may add a finding or raise the level, never lower it."""

import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from typing import Any, Literal

from engage.inbox.triage import asked, classifier, lexicon, vitals
from engage.inbox.triage.features import Material, Spot
from engage.inbox.triage.gravest import gravest
from engage.inbox.triage.keywords import Keyword, is_about_else, keyword, may_revoke
from engage.inbox.triage.language import NAMES, language
from engage.inbox.triage.reading import LABELS, LEVELS, Attempt, Finding, Reading, highest
from engage.inbox.triage.spots import in_disguise, in_quotation, taken_apart
from engage.inbox.triage.text import Word, words

CODE_VERSION = "2"
LONGEST = 20_000  # characters read; what follows makes a reply significant instead of being ignored
EVIDENCE = 300
PATIENCE = (
    0.25  # seconds for all stages in the webhook's transaction: a hundred times what a text message takes
)
PATIENCE_LATER = 5.0  # where nobody waits; enough for the longest message on a slow machine
READ = frozenset({"en", "es", ""})  # languages that the lexicon and the classifier know
WRITTEN_IN = "Is written in"
MAY_REVOKE = "May mean that messages should stop."
ABOUT_ELSE = "Mentions that something should stop, but not messages."
ELSEWHERE = frozenset({"opt_out", "wrong_person", "language", "auto_reply"})  # answers no question of ours
SHORT = 3  # words of thanks that say nothing else
BOOKING = frozenset({"confirm", "offer", "refill", "missed_visit"})


def read(
    text: str,
    *,
    outbound: str = "",
    context: str = "",
    channel: str = "sms",
    lang: str = "",
    known: lexicon.Lexicon | None = None,
) -> Reading:
    """What a reply seems to say.

    `outbound` is our message that it answers, `context` the purpose of that message, `lang` the patient's
    language on record, `known` the lexicon to read with (the one in the tree when absent).
    Deterministic. Raises nothing for any text; a broken installation raises at once.
    """
    material = prepare(text, outbound=outbound, context=context, channel=channel, lang=lang, known=known)
    found = [f for stage in STAGES for f in stage(material)]
    return _reading(material, found, _version(material))


def attempt(
    text: str,
    *,
    outbound: str = "",
    context: str = "",
    channel: str = "sms",
    lang: str = "",
    known: lexicon.Lexicon | None = None,
    patience: float | None = None,
) -> Attempt:
    """As `read`, but a stage that raises, hangs or is missing loses none of the others; which failed is said.

    `patience` is the seconds that all stages together may take (PATIENCE when absent), not counting the loading of
    lexicon and model, which a process does once. Python code is really ended then; a pattern matching in C cannot be,
    which is why texts are cut at LONGEST and the tests hold every pattern to linear time. Raises nothing.
    """
    for load in (lexicon.load, classifier.load):
        with suppress(Exception):  # the stage that needs it says so
            load()
    progress = _Progress()
    asked = {"outbound": outbound, "context": context, "channel": channel, "lang": lang, "known": known}
    worker = _worker()
    if worker.finishes(
        partial(_stage_by_stage, text, asked, progress), PATIENCE if patience is None else patience
    ):
        _idle.append(worker)
    else:
        progress = progress.stopped()
        worker.end()
    material = progress.material
    reading = _reading(material, progress.found, "") if material is not None else None
    if reading is not None and material is not None and not progress.failures:
        reading = replace(reading, version=_version(material))
    return Attempt(reading, tuple(progress.failures))


class _Worker(threading.Thread):
    """A thread that is kept, since to start one costs a quarter of what reading a reply does."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.given: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.done = threading.Semaphore(0)
        self.start()

    def finishes(self, act: Callable[[], None], seconds: float) -> bool:
        self.given.put(act)
        return self.done.acquire(timeout=seconds)

    def run(self) -> None:
        with suppress(SystemExit):
            while act := self.given.get():
                act()
                self.done.release()

    def end(self) -> None:
        """At its next step in Python, so that it does not take the processor from all later replies."""
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self.ident or 0), ctypes.py_object(SystemExit)
        )
        self.given.put(None)


_idle: list[_Worker] = []
os.register_at_fork(after_in_child=_idle.clear)  # a child has none of these threads


def _worker() -> _Worker:
    with suppress(IndexError):  # to look first would not do: another thread may take it in between
        return _idle.pop()
    return _Worker()


@dataclass
class _Progress:
    """How far the stages over one reply have come; shared with the thread that runs them."""

    material: Material | None = None
    found: list[Finding] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stage: str = "preparation"

    def stopped(self) -> "_Progress":
        """What there is by now, with the stage that hangs; the thread's later words are not waited for."""
        return _Progress(self.material, [*self.found], [*self.failures, f"{self.stage}: took too long"])


def _stage_by_stage(text: str, asked: dict[str, Any], progress: _Progress) -> None:
    for blind in (False, True):
        try:
            progress.material = prepare(text, blind=blind, **asked)
            break
        except Exception as error:
            progress.failures.append(f"preparation: {type(error).__name__}")
    if progress.material is None:
        return
    for stage in STAGES:
        progress.stage = stage.__name__.strip("_")
        try:
            progress.found += stage(progress.material)
        except Exception as error:
            progress.failures.append(f"{progress.stage}: {type(error).__name__}")


Known = tuple[list[lexicon.Hit], list[tuple[int, str]], str]  # hits, concepts, version of the lexicon


def _found(said: list[Word], known: lexicon.Lexicon | None, *, blind: bool) -> Known:
    if blind:  # in place of a broken lexicon, so that the other stages can run
        return [], [], "none"
    known = known or lexicon.load()
    places = known.positions(said)
    return known.scan(said, places), known.concepts(places), known.version


def prepare(
    text: str,
    *,
    outbound: str,
    context: str,
    channel: str,
    lang: str,
    known: lexicon.Lexicon | None = None,
    blind: bool = False,
) -> Material:
    """Everything the stages look at, worked out once."""
    body, quoted, tapped = taken_apart(text[:LONGEST], outbound)
    outbound = outbound if outbound.strip() else tapped
    voice = channel in ("voice", "phone")
    said = words(body, voice=voice)
    hits, concepts, version = _found(said, known, blind=blind)
    spoken, word = language(body, said, lang), keyword(body)
    elsewhere = (word is not None and word.kind == "stop") or any(
        not hit.held and hit.entry.label in ELSEWHERE for hit in hits
    )
    return Material(
        text=text,
        body=body,
        words=said,
        hits=hits,
        concepts=concepts,
        answer=asked.answer(body, outbound, context, understood=spoken in READ and not elsewhere),
        kind=asked.kind_of(outbound, context),
        left_open=asked.is_left_open(outbound),
        asked=bool(outbound.strip()),
        figures=vitals.figures(said, asked.kind_of(outbound)),
        keyword=word,
        context=context,
        channel=channel,
        lang=spoken,
        known_lang=lang,
        lexicon=version,
        quoted=[] if blind else in_quotation(quoted, outbound, known),
        disguised=[] if blind else in_disguise(body, said, known, voice=voice),
    )


def _opt_out(material: Material) -> list[Finding]:
    word = material.keyword
    start, end = _edges(material.body)
    if word is None and may_revoke(material.body):
        return [_finding(material, "opt_out", "significant", start, end, "optout", MAY_REVOKE)]
    if word is None or word.kind != "stop":
        return []
    label = "wrong_person" if word.wrong_number else "opt_out"
    says = "that the number is wrong" if word.wrong_number else "that messages should stop"
    found = [_finding(material, label, "significant", start, end, "optout", f"Mentions {says}.")]
    if word.may_cancel_visit and material.kind in ("confirm", "missed_visit"):
        reason = "May want to cancel the appointment; the word is also an opt-out."
        found.append(_finding(material, "reschedule", "significant", start, end, "optout", reason))
    return found


def _lexicon(material: Material) -> list[Finding]:
    found = []
    for hit in material.hits:
        if not hit.held and hit.entry.level != "routine":
            start, end = material.words[hit.first].start, material.words[hit.last - 1].end
            reason = f"Mentions {hit.entry.says}."
            found.append(_finding(material, hit.entry.label, hit.entry.level, start, end, "lexicon", reason))
    for figure in material.figures:
        start, end = material.words[figure.first].start, material.words[figure.last - 1].end
        reason = f"Mentions {figure.says}."
        found.append(_finding(material, figure.label, figure.level, start, end, "lexicon", reason))
    return found


def _beside(material: Material) -> list[Finding]:
    """What is grave in a quoted part, where a person decides whose words it is, and in disguised words."""
    return [
        *(_of_spot(material, s, "significant", "in a quoted part") for s in material.quoted),
        *(_of_spot(material, s, "urgent", "as it may be meant") for s in material.disguised),
    ]


def _of_spot(material: Material, spot: Spot, level: str, how: str) -> Finding:
    reason = f"Mentions {spot.says}, {how}."
    return _finding(material, spot.label, level, spot.start, spot.end, "lexicon", reason)


def _languages(material: Material) -> list[Finding]:
    """Languages we don't read: the gravest phrases are known in any reply; all else waits for someone who does."""
    spoken = {material.lang, material.known_lang} - READ
    start, end = _edges(material.body)
    grave = gravest(material.body, spoken)
    found = [
        _finding(material, label, level, at, to, "lexicon", f"Mentions {says}, in another language.")
        for label, level, says, at, to in grave
    ]
    if material.lang in READ:
        return found
    told = any(level != "routine" or _is_all(material, at, to) for _, level, _, at, to in grave)
    understood = told or (material.answer and material.answer.whole)
    if understood:
        return found
    name = NAMES.get(material.lang, "another language")
    reason = f"{WRITTEN_IN} {name}."
    return [*found, _finding(material, "language", "significant", start, end, "lexicon", reason)]


def _is_all(material: Material, start: int, end: int) -> bool:
    """Do these characters make up a reply, but for a word or two? Scripts without spaces count as one word."""
    return len(material.words) <= SHORT and 3 * (end - start) >= len(material.body.strip())


def _question(material: Material) -> list[Finding]:
    given = material.answer
    if given is None and material.words and material.left_open and not material.keyword:
        reason = "Leaves a question about self-harm or safety unanswered."
        return [_finding(material, "other", "significant", *_edges(material.body), "question", reason)]
    if given is None or not (given.whole or given.level == "urgent" or given.kind not in BOOKING):
        return []  # "yes hello, I only wanted to ask…" agrees to nothing: the classifier reads on
    return [
        _finding(material, label, given.level, given.start, given.end, "question", given.reason)
        for label in given.labels
    ]


def _is_understood(material: Material) -> bool:
    """One word that answers our question, or a keyword: there is nothing left to classify."""
    word, given = material.keyword, material.answer
    listed = word is not None and word.exact and word.kind != "start_ambiguous"
    doubted = word is None and may_revoke(material.body)
    return listed or doubted or (given is not None and len(material.words) == 1)


def _classifier(material: Material) -> list[Finding]:
    if _is_understood(material):
        return []
    start, end = _edges(material.body)
    found = []
    for label, level, at in classifier.classify(material):
        first, last = at or (start, end)
        reason = f"Reads like {classifier.WORDS[label]}."
        found.append(_finding(material, label, level, first, last, "classifier", reason))
    if len(material.text) > LONGEST:
        reason = "Is too long to be read whole."
        found.append(_finding(material, "other", "significant", start, end, "classifier", reason))
    return found


STAGES: tuple[Callable[[Material], list[Finding]], ...] = (
    _opt_out,
    _lexicon,
    _beside,
    _languages,
    _question,
    _classifier,
)


def _finding(
    material: Material, label: str, level: str, start: int, end: int, source: str, reason: str
) -> Finding:
    end = min(end, start + EVIDENCE)
    return Finding(label, level, material.text[start:end], start, end, source, reason)  # type: ignore[arg-type]


def _edges(body: str) -> tuple[int, int]:
    start = len(body) - len(body.lstrip())
    return start, max(start, len(body.rstrip()))


def _version(material: Material) -> str:
    return f"{CODE_VERSION}/{material.lexicon}/{classifier.version()}"


def _reading(material: Material, found: list[Finding], version: str) -> Reading:
    kept = _distinct(_undoubted(material, found))
    if any(f.label == "emergency" and f.level == "urgent" for f in kept):
        kept = [f for f in kept if f.label != "symptom"]  # an emergency is what the symptom is
    rank = {label: i for i, label in enumerate(LABELS)}
    best: dict[str, int] = {}
    for finding in kept:
        best[finding.label] = max(best.get(finding.label, 0), LEVELS.index(finding.level))
    labels = tuple(sorted(best, key=lambda label: (-best[label], rank[label])))
    if not _asks_for_language(material, found) and len(labels) > 1:
        labels = tuple(label for label in labels if label != "language")
    word = material.keyword
    stop = word is not None and word.kind == "stop"
    return Reading(
        labels=labels or ("other",),
        level=highest([f.level for f in kept]),
        findings=tuple(kept),
        lang=material.lang,
        keyword=_plain_keyword(word),
        suspect_opt_out="opt_out" in labels and not stop,
        version=version,
    )


def _undoubted(material: Material, found: list[Finding]) -> list[Finding]:
    """Where stop is said of something else, a guess that messages should stop is only something to be looked at."""
    guesses = [f for f in found if f.label == "opt_out" and f.source != "optout"]
    if not guesses or not is_about_else(material.body):
        return found
    left = [f for f in found if f not in guesses]
    if highest([f.level for f in left]) == "routine":
        left += [replace(f, label="other", reason=ABOUT_ELSE) for f in guesses]
    return left


def _asks_for_language(material: Material, found: list[Finding]) -> bool:
    """Whoever writes in a language we don't read says something in it: that it is one is a finding, not what they mean."""
    return material.lang in READ or any(
        f.label == "language" and not f.reason.startswith(WRITTEN_IN) for f in found
    )


def _plain_keyword(word: Keyword | None) -> Literal["stop", "start", "help"] | None:
    return None if word is None or word.kind == "start_ambiguous" else word.kind


def _distinct(found: list[Finding]) -> list[Finding]:
    """The gravest finding per label and stretch first; at most three per label."""
    kept: list[Finding] = []
    for finding in sorted(found, key=lambda f: -LEVELS.index(f.level)):
        same = [k for k in kept if k.label == finding.label]
        if len(same) < 3 and not any(k.start < finding.end and finding.start < k.end for k in same):
            kept.append(finding)
    return kept
