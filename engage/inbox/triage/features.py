"""What the classifier sees of a reply: its words, what the lexicon found, and what was asked."""

from collections.abc import Iterator
from dataclasses import dataclass

from engage.inbox.triage.asked import Answer
from engage.inbox.triage.assertion import Scope
from engage.inbox.triage.keywords import Keyword
from engage.inbox.triage.lexicon import Hit
from engage.inbox.triage.text import Word
from engage.inbox.triage.vitals import Reading as Figure

MOST_WORDS = 150  # the classifier reads the beginning; the lexicon reads everything
NEAREST = 120  # concepts looked at
SHORTEST = 4  # letters of a word that is worth knowing as denied


@dataclass(frozen=True, slots=True)
class Spot:
    """Something grave that stands in a part which may not count, or can be read in other words."""

    label: str
    says: str  # after "mentions"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Material:
    """A reply with everything worked out that the stages look at. `body` is as long as `text`."""

    text: str
    body: str
    words: list[Word]
    hits: list[Hit]
    concepts: list[tuple[int, str]]  # word number, name of a set of the lexicon
    answer: Answer | None
    kind: str
    left_open: bool  # our message asks about self-harm or safety
    asked: bool  # there is a message of ours that it may answer
    figures: list[Figure]
    keyword: Keyword | None
    context: str
    channel: str
    lang: str  # read from the text
    known_lang: str  # on record
    lexicon: str  # version of the lexicon that found the hits
    quoted: list[Spot]
    disguised: list[Spot]


def features(material: Material) -> set[str]:
    """Names of the binary features of one reply."""
    scope = Scope(material.words, [])
    return {
        *_of_words(material, scope),
        *_of_concepts(material, scope),
        *_of_findings(material),
        *_of_question(material),
        *_of_form(material),
    }


def _of_words(material: Material, scope: Scope) -> Iterator[str]:
    texts = [_shape(w.text) for w in material.words[:MOST_WORDS]]
    for i, text in enumerate(texts):
        yield f"w:{text}"
        if len(text) >= SHORTEST and scope.denies(i):
            yield f"no:{text}"
        if len(text) > 6:
            yield f"p:{text[:5]}"
        if i:
            yield f"b:{texts[i - 1]}_{text}"
    if texts:
        yield f"first:{texts[0]}"
        yield f"first:{'_'.join(texts[:2])}"
        yield f"last:{texts[-1]}"


def _shape(text: str) -> str:
    if text[:1].isdigit():
        return "#" if text.isdigit() and len(text) > 1 else "#." if len(text) > 1 else text
    return text


def _of_concepts(material: Material, scope: Scope) -> Iterator[str]:
    """Meanings instead of words. The urgent entries are left out on purpose: a second reader must be its own.

    What is denied is another meaning: "ya no me duele el pecho ni me falta el aire".
    """
    near = [(i, f"no {name}" if scope.denies(i) else name) for i, name in material.concepts[:NEAREST]]
    for i, (place, name) in enumerate(near):
        yield f"c:{name}"
        if name.startswith("no "):
            yield f"c:{name[3:]}?"
        for other, another in near[i + 1 : i + 8]:
            if other - place > 4:
                break
            if other != place and name != another:
                yield f"cc:{name}+{another}"


def _of_findings(material: Material) -> Iterator[str]:
    labels = set()
    for hit in material.hits:
        if hit.held:
            yield f"held:{hit.held}"
        elif hit.entry.level != "urgent":
            yield f"L:{hit.entry.id}"
            labels.add(hit.entry.label)
    yield from (f"G:{label}" for label in labels)
    yield from (f"GK:{label}:{material.kind}" for label in labels)
    yield from (f"figure:{f.label}:{f.level}" for f in material.figures)
    if material.keyword:
        yield f"keyword:{material.keyword.kind}"


def _of_question(material: Material) -> Iterator[str]:
    given = material.answer
    yield f"kind:{material.kind}"
    yield f"context:{material.context}"
    if given is None:
        yield f"unanswered:{material.kind}"
        return
    yield f"answer:{given.kind}:{given.value}"
    yield f"value:{given.value}"
    if given.whole:
        yield f"whole:{given.kind}:{given.value}"
    for label in given.labels:
        yield f"A:{label}:{given.level}"


def _of_form(material: Material) -> Iterator[str]:
    count = len(material.words)
    yield f"words:{min(count, 3) if count < 4 else 5 if count < 8 else 10 if count < 16 else 20 if count < 40 else 40}"
    yield f"channel:{material.channel}"
    yield f"lang:{material.lang if material.lang in ('en', 'es', '') else 'other'}"
    if "?" in material.body or "¿" in material.body:
        yield "mark:?"
    if "!" in material.body:
        yield "mark:!"
    if not count:
        yield "mark:empty"
