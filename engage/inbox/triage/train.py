"""Trains the classifier: `python -m engage.inbox.triage.train` (needs requirements-dev.txt).

Data: `data/replies-*.jsonl` (the training and tuning parts of the labelled replies) and `data/extra-*.jsonl`
(written for thin classes, marked as such; never in a test). Same data, same code: same figures.
"""

import base64
import gzip
import hashlib
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # sums in one order, whatever the machine: the same bytes

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags, hstack

from engage.inbox.triage import meanings
from engage.inbox.triage.classifier import MOST_MEANT, PATH, WORDS
from engage.inbox.triage.features import features
from engage.inbox.triage.pipeline import prepare
from engage.inbox.triage.reading import URGENT_LABELS
from engage.inbox.triage.text import plain

DATA = PATH.parent
OUTPUTS = (*WORDS, "significant", "urgent")
# "I ran out of pills" is no graver under a reminder than under a refill: what our message asked is judged by
# the question stage, and the classifier calls urgent by the patient's words alone.
BY_WORDS = URGENT_LABELS | {"urgent"}
ASKED = ("kind:", "context:", "unanswered:", "GK:", "channel:")
FOLDS = 5
TIED = ("replies-*.jsonl", "extra-*.jsonl", "lexicon.json", "vocabulary.json", "meanings.json.gz")
WHOLE = frozenset(
    {f"extra-{number}.jsonl" for number in (3, 6, 7, *range(9, 21))}
)  # written as answers to our messages, with every label that applies
RARE = 2  # a feature seen less often is left out
STRENGTH = 2.0  # inverse regularisation (C), chosen on authors left out
MEANT = 0.35  # how far meanings of words weigh against the words themselves, chosen out of fold
STEPS = 150  # of the optimiser; more change no figure
ONE_HAND = frozenset({f"extra-{number}.jsonl" for number in (*range(1, 9), 20)})  # a third, in few voices
ONE_HAND_WEIGHT = 0.25  # of one of those against any other, chosen on authors left out
SCALE = 1 / 2048  # weights are stored as 16-bit integers
SMALLEST = 40  # a feature that nowhere weighs more is left out
BESIDE = 0.3  # where the model calls urgent beside an earlier stage that does too: it costs nobody anything
ALONE = 0.35  # where it calls urgent with no earlier stage beside it; the curve is in docs/triage.md
EVERYDAY = 0.5  # the same, in a reply that speaks of medicines, rides, dates or the like
QUIET = 0.5  # where a reply whose every label is routine by itself matters all the same
FALLBACK = 0.35  # what thresholds of labels are drawn towards, since each is chosen on few replies
ONE_LABEL = frozenset(
    {"extra-4.jsonl", "extra-5.jsonl", "extra-8.jsonl"}
)  # written to be urgent or nearly so, with their main label only

Reply = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What the classifier sees of a reply: named features, and the words whose meanings count."""

    names: set[str]
    words: list[str]


@dataclass(frozen=True)
class Fitted:
    """Weights by feature (the meanings last) and output, and the biases."""

    vocabulary: dict[str, int]
    weights: np.ndarray
    biases: np.ndarray


def replies() -> list[Reply]:
    """All training replies of the tree, real ones first, in the order of their files."""
    paths = [*sorted(DATA.glob("replies-*.jsonl")), *sorted(DATA.glob("extra-*.jsonl"))]
    found = []
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            written = path.name.startswith("extra")
            found.append(
                {
                    **json.loads(line),
                    "written": written,
                    "whole": path.name in WHOLE,
                    "one_label": path.name in ONE_LABEL,
                    "one_hand": path.name in ONE_HAND,
                }
            )
    return found


def data_sha256() -> str:
    """The hash that ties a model to its data, lexicon included."""
    digest = hashlib.sha256()
    for pattern in TIED:
        for path in sorted(DATA.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def seen(reply: Reply) -> Seen:
    """The features of one reply."""
    asked: dict[str, Any] = {k: reply.get(k) or "" for k in ("outbound", "context", "channel", "lang")}
    material = prepare(reply["text"], **asked)
    return Seen(features(material), [word.text for word in material.words[:MOST_MEANT]])


def targets(replies: list[Reply]) -> np.ndarray:
    """One row per reply, one 0/1 column per output."""
    return np.array([[_target(reply, name) for name in OUTPUTS] for reply in replies], dtype=np.int8)


def _target(reply: Reply, name: str) -> int:
    if name == "significant":
        return int(reply["level"] != "routine")
    return int(reply["level"] == "urgent") if name == "urgent" else int(name in reply["labels"])


def matrix(rows: list[Seen], vocabulary: dict[str, int]) -> csr_matrix:
    """Binary features as a sparse matrix, then the meanings."""
    pairs = [(i, vocabulary[f]) for i, row in enumerate(rows) for f in sorted(row.names) if f in vocabulary]
    data: np.ndarray = np.ones(len(pairs), dtype=np.float64)
    where = ([p[0] for p in pairs], [p[1] for p in pairs])
    named = csr_matrix((data, where), shape=(len(rows), len(vocabulary)))
    meant = csr_matrix(np.array([meanings.of_text(row.words) for row in rows]) * MEANT)
    return csr_matrix(hstack([named, meant]))


def fit(rows: list[Seen], wanted: np.ndarray, weights: np.ndarray) -> Fitted:
    """Logistic regressions, one per output, together. `weights`: for the urgent outputs, and for the others."""
    counts = Counter(f for row in rows for f in row.names)
    vocabulary = {f: i for i, f in enumerate(sorted(f for f, n in counts.items() if n >= RARE))}
    known = matrix(rows, vocabulary)
    words_only = known @ diags(
        [*(float(not f.startswith(ASKED)) for f in vocabulary), *[1.0] * meanings.SIZE]
    )
    found: np.ndarray = np.zeros((known.shape[1] + 1, len(OUTPUTS)))
    for by_words, shown in ((True, words_only), (False, known)):
        columns = [j for j, name in enumerate(OUTPUTS) if (name in BY_WORDS) == by_words]
        weight = weights[:, 0 if by_words else 1]
        found[:, columns] = _minimised(shown, wanted[:, columns].astype(np.float64), weight)
    return Fitted(vocabulary, found[:-1], found[-1])


def _minimised(rows: csr_matrix, wanted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """L2-regularised logistic loss at its minimum; the last row of the answer holds the biases."""
    shape = (rows.shape[1] + 1, wanted.shape[1])
    sign: np.ndarray = 2 * wanted - 1
    turned, weight = rows.T.tocsr(), weights[:, None] * STRENGTH

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        found = flat.reshape(shape)
        margin = sign * (rows @ found[:-1] + found[-1])
        pull = -sign / (1 + np.exp(np.clip(margin, -40, 40))) * weight
        slope = np.vstack([turned @ pull + found[:-1], pull.sum(axis=0)])
        value = (weight * np.logaddexp(0, -margin)).sum() + (found[:-1] ** 2).sum() / 2
        return float(value), slope.ravel()

    start: np.ndarray = np.zeros(shape[0] * shape[1])
    return np.asarray(
        minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    ).reshape(shape)


def predict(rows: list[Seen], fitted: Fitted) -> np.ndarray:
    """Probabilities, one row per reply."""
    return np.asarray(1 / (1 + np.exp(-(matrix(rows, fitted.vocabulary) @ fitted.weights + fitted.biases))))


def cross_validated(rows: list[Seen], wanted: np.ndarray, replies: list[Reply]) -> np.ndarray:
    """Out-of-fold probabilities of every reply. The same words under another question are in the same fold."""
    weights = sample_weights(replies)
    folds = np.array([_fold(fold_key(r)) for r in replies])
    result = np.zeros((len(replies), len(OUTPUTS)))
    for fold in range(FOLDS):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        fitted = fit([rows[i] for i in inside], wanted[inside], weights[inside])
        result[outside] = predict([rows[i] for i in outside], fitted)
    return result


def fold_key(reply: Reply) -> str:
    """What may not be on both sides of a split."""
    return plain(reply["text"]) or str(reply["id"])


def _fold(key: str) -> int:
    return int(hashlib.sha256(f"fold:{key}".encode()).hexdigest(), 16) % FOLDS


def sample_weights(replies: list[Reply]) -> np.ndarray:
    """How much each reply counts for the urgent outputs and for the others, on which one label alone teaches nothing."""
    rows = []
    for reply in replies:
        weight = ONE_HAND_WEIGHT if reply["one_hand"] else 1.0
        rows.append((weight, 0.0 if reply["one_label"] else weight))
    return np.array(rows)


def judged(replies: list[Reply]) -> np.ndarray:
    """The replies that thresholds are chosen on: real ones and those written as whole conversations."""
    return np.flatnonzero([not r["written"] or r["whole"] for r in replies])


def thresholds(scores: np.ndarray, wanted: np.ndarray, replies: list[Reply]) -> dict[str, float]:
    """Where each output says yes, from out-of-fold scores."""
    shown = judged(replies)
    chosen = {"significant": QUIET, "urgent": BESIDE, "urgent_alone": ALONE, "urgent_everyday": EVERYDAY}
    for j, name in enumerate(OUTPUTS):
        if name not in chosen:
            best = _best(scores[shown, j], wanted[shown, j].astype(bool))
            chosen[name] = round((best + FALLBACK) / 2, 3)
    return chosen


def _best(given: np.ndarray, truth: np.ndarray) -> float:
    grid = np.arange(0.1, 0.75, 0.025)
    return float(max(grid, key=lambda t: (_f1(given >= t, truth), -abs(t - FALLBACK))))


def _f1(said: np.ndarray, truth: np.ndarray) -> float:
    both = int((said & truth).sum())
    return 2 * both / max(1, int(said.sum()) + int(truth.sum()))


def save(fitted: Fitted, chosen: dict[str, float], path: Path = PATH) -> None:
    """Writes the model: the same bytes for the same data and figures.

    Meanings become one row of weights per word, so that reading a reply needs no vectors.
    """
    whole = np.clip(np.rint(fitted.weights / SCALE), -32767, 32767).astype(int)
    rows = {
        name: whole[i].tolist() for name, i in fitted.vocabulary.items() if np.abs(whole[i]).max() > SMALLEST
    }
    index, vectors = meanings.load()
    meant = np.rint(vectors @ fitted.weights[len(fitted.vocabulary) :] * MEANT / SCALE)
    digest = data_sha256()
    model = {
        "version": digest[:8],
        "data_sha256": digest,
        "outputs": list(OUTPUTS),
        "bias": [round(float(b), 4) for b in fitted.biases],
        "thresholds": chosen,
        "scale": SCALE,
        "rows": rows,
        "words": " ".join(index),
        "meant": base64.b64encode(np.clip(meant, -32767, 32767).astype("<i2").tobytes()).decode(),
    }
    path.write_bytes(gzip.compress(json.dumps(model, sort_keys=True).encode(), mtime=0))


def main() -> None:
    """Cross-validates, prints the figures, trains on everything, writes the model."""
    known = replies()
    rows = [seen(reply) for reply in known]
    wanted = targets(known)
    scores = cross_validated(rows, wanted, known)
    chosen = thresholds(scores, wanted, known)
    real = np.flatnonzero([not r["written"] for r in known])
    for j, name in enumerate(OUTPUTS):
        truth = wanted[real, j].astype(bool)
        f1 = _f1(scores[real, j] >= chosen[name], truth)
        sys.stdout.write(f"{name:16} n={int(truth.sum()):4} threshold={chosen[name]:.3f} F1={f1:.3f}\n")
    save(fit(rows, wanted, sample_weights(known)), chosen)
    sys.stdout.write(f"{len(known)} replies ({len(real)} real) -> {PATH.name} {PATH.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
