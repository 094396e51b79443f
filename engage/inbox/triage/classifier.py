"""A small linear classifier in plain Python: labels and level from the features of a reply.

Trained by `python -m engage.inbox.triage.train`; the weights are a file in the tree.
"""

import base64
import gzip
import json
import math
import sys
from array import array
from functools import cache
from operator import add
from pathlib import Path
from typing import Any

from engage.inbox.triage.features import Material, features
from engage.inbox.triage.lexicon import Hit
from engage.inbox.triage.reading import LEVELS, URGENT_LABELS, Level
from engage.inbox.triage.vocabulary import VOCABULARY

PATH = Path(__file__).parent / "data" / "model.json.gz"
QUIET = frozenset({"thanks", "auto_reply", "other", "survey_answer"})  # routine by themselves
EVERYDAY = frozenset(
    {
        "medication",
        "reschedule",
        "contact_update",
        "call_me",
        "preference",
        "barrier",
        "accept",
        "already_done",
    }
)
MOST_MEANT = 60  # words of a reply whose meanings count
FEWEST = 2  # a single word means half as much as a sentence
CONFIRMING = frozenset({"confirm", "missed_visit"})  # an agreement that nobody has to book
WORDS: dict[str, str] = VOCABULARY["classifier"]["labels"]  # as in "Reads like …"
Placed = tuple[str, Level, tuple[int, int] | None]


class Model:
    """Weights of a linear model: outputs in the order of `names`, one row of small integers per feature."""

    def __init__(self, source: dict[str, Any]) -> None:
        self.names: list[str] = source["outputs"]
        self.bias: list[float] = source["bias"]
        self.thresholds: dict[str, float] = source["thresholds"]
        self.version: str = source["version"]
        self.data_sha256: str = source["data_sha256"]
        self._scale: float = source["scale"]
        self._rows = {name: array("h", row) for name, row in source["rows"].items()}
        self._meant = _little_endian(base64.b64decode(source["meant"]))
        self._places = {word: i * len(self.names) for i, word in enumerate(source["words"].split(" "))}

    def scores(self, names: set[str], words: list[str]) -> dict[str, float]:
        """The probability of each output for a set of features and the words whose meanings count."""
        totals: list[float] = self._meaning(words)
        for name in names:
            row = self._rows.get(name)
            if row is not None:
                totals = list(map(add, totals, row))
        return {
            name: 1 / (1 + math.exp(-max(-30.0, min(30.0, total * self._scale + bias))))
            for name, total, bias in zip(self.names, totals, self.bias, strict=True)
        }

    def _meaning(self, words: list[str]) -> list[float]:
        """What the words of a reply mean on the whole, however it is said."""
        width = len(self.names)
        places = [place for word in words if (place := self._places.get(word)) is not None]
        totals = [0] * width
        for place in places:
            totals = list(map(add, totals, self._meant[place : place + width]))
        return [total / max(FEWEST, len(places)) for total in totals]

    def weight(self, feature: str, output: str) -> int:
        """How much a feature speaks for an output."""
        row = self._rows.get(feature)
        return row[self.names.index(output)] if row is not None else 0


def _little_endian(raw: bytes) -> "array[int]":
    found = array("h", raw)
    if sys.byteorder == "big":
        found.byteswap()
    return found


@cache
def load(path: Path = PATH) -> Model:
    """The model in the tree. Raises FileNotFoundError where it is missing: triage then fails loudly."""
    return Model(json.loads(gzip.decompress(path.read_bytes())))


def version() -> str:
    """Which model reads."""
    return load().version


def classify(material: Material) -> list[Placed]:
    """The labels that the model proposes, their level and where their words stand (None: the whole reply)."""
    model = load()
    scores = model.scores(features(material), [word.text for word in material.words[:MOST_MEANT]])
    needed = _needed(material)
    urgent = scores["urgent"] >= model.thresholds[needed]
    plain = [n for n in WORDS if n not in URGENT_LABELS and (material.asked or n != "survey_answer")]
    chosen = [n for n in plain if scores[n] >= model.thresholds[n]]
    if urgent:
        chosen.insert(0, max(sorted(URGENT_LABELS), key=lambda n: scores[n]))
    if not chosen and needed != "urgent":  # an earlier stage has said what it is
        chosen = [max(plain, key=lambda n: scores[n] / model.thresholds[n])]
    quiet = all(n in QUIET or (n == "accept" and material.kind in CONFIRMING) for n in chosen)
    matters = not quiet or scores["significant"] >= model.thresholds["significant"]
    levels = [_level(n, urgent=urgent, matters=matters) for n in chosen]
    if chosen and matters and "significant" not in levels and "urgent" not in levels:
        levels[0] = "significant"
    return [(n, level, _place(material, model, n)) for n, level in zip(chosen, levels, strict=True)]


def _needed(material: Material) -> str:
    """Which threshold calls this reply urgent.

    Out of pills, no ride, another date, expecting a child: such words stand close to grave ones in the training data,
    so the classifier by itself must be surer of them than of anything else.
    """
    said = [h.entry for h in material.hits if not h.held]
    answered = material.answer is not None and material.answer.level == "urgent"
    measured = any(f.level == "urgent" for f in material.figures)
    if answered or measured or material.disguised or any(e.level == "urgent" for e in said):
        return "urgent"
    expecting = any(name == "pregnant" for _, name in material.concepts)
    everyday = expecting or any(e.label in EVERYDAY for e in said)
    return "urgent_everyday" if everyday else "urgent_alone"


def _level(label: str, *, urgent: bool, matters: bool) -> Level:
    if label in URGENT_LABELS:
        return "urgent" if urgent else "significant"
    return "significant" if matters and label not in QUIET else "routine"


def _place(material: Material, model: Model, label: str) -> tuple[int, int] | None:
    """The words that speak most for a label: the lexicon's if it knows them, else the heaviest."""
    hits = [h for h in material.hits if h.entry.label == label and not h.held]
    if hits:
        return _span(material, max(hits, key=lambda h: (LEVELS.index(h.entry.level), h.last - h.first)))
    weights = [(model.weight(f"w:{w.text}", label), -i) for i, w in enumerate(material.words)]
    if not weights or max(weights)[0] <= 0:
        return None
    at = -max(weights)[1]
    first, last = max(0, at - 2), min(len(material.words), at + 3)
    return material.words[first].start, material.words[last - 1].end


def _span(material: Material, hit: Hit) -> tuple[int, int]:
    return material.words[hit.first].start, material.words[hit.last - 1].end
