"""Trains the classifier: `python -m engage.inbox.triage.train` (needs requirements-dev.txt).

Data: `data/replies-*.jsonl` (the training and tuning parts of the labelled replies) and `data/extra-*.jsonl`
(written for thin classes, marked as such; never in a test). Same data, same code: same figures.
"""

import gzip
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, diags
from sklearn.linear_model import LogisticRegression

from engage.inbox.triage.classifier import PATH, WORDS
from engage.inbox.triage.features import features
from engage.inbox.triage.pipeline import prepare
from engage.inbox.triage.reading import URGENT_LABELS

DATA = PATH.parent
OUTPUTS = (*WORDS, "significant", "urgent")
# "I ran out of pills" is no graver under a reminder than under a refill: what our message asked is judged by
# the question stage, and the classifier calls urgent by the patient's words alone.
BY_WORDS = URGENT_LABELS | {"urgent"}
ASKED = ("kind:", "context:", "unanswered:", "GK:", "channel:")
FOLDS = 5
RARE = 2  # a feature seen less often is left out
STRENGTH = 1.0  # inverse regularisation (C), chosen on the tuning part
EXTRA_WEIGHT = 1.0  # of a written reply against a real one
SCALE = 1 / 2048  # weights are stored as 16-bit integers
FALSE_URGENT = 0.025  # share of others that the model may call urgent where an earlier stage does too
ALONE = 0.7  # where the model calls urgent with no earlier stage beside it
EVERYDAY = 0.8  # the same, in a reply that speaks of medicines, rides, dates or the like
QUIET = 0.35  # where a reply whose every label is routine by itself matters all the same
FALLBACK = 0.3  # what thresholds of labels are drawn towards, since each is chosen on few replies

Reply = dict[str, Any]


def replies() -> list[Reply]:
    """All training replies of the tree, real ones first, in the order of their files."""
    paths = [*sorted(DATA.glob("replies-*.jsonl")), *sorted(DATA.glob("extra-*.jsonl"))]
    found = []
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            found.append({**json.loads(line), "written": path.name.startswith("extra")})
    return found


def data_sha256() -> str:
    """The hash that ties a model to its data, lexicon included."""
    digest = hashlib.sha256()
    for pattern in ("replies-*.jsonl", "extra-*.jsonl", "lexicon.json", "vocabulary.json"):
        for path in sorted(DATA.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def seen(reply: Reply) -> set[str]:
    """The features of one reply."""
    asked: dict[str, Any] = {k: reply.get(k) or "" for k in ("outbound", "context", "channel", "lang")}
    return features(prepare(reply["text"], **asked))


def targets(replies: list[Reply]) -> np.ndarray:
    """One row per reply, one 0/1 column per output."""
    return np.array([[_target(reply, name) for name in OUTPUTS] for reply in replies], dtype=np.int8)


def _target(reply: Reply, name: str) -> int:
    if name == "significant":
        return int(reply["level"] != "routine")
    return int(reply["level"] == "urgent") if name == "urgent" else int(name in reply["labels"])


def matrix(rows: list[set[str]], vocabulary: dict[str, int]) -> csr_matrix:
    """Binary features as a sparse matrix."""
    pairs = [(i, vocabulary[f]) for i, row in enumerate(rows) for f in sorted(row) if f in vocabulary]
    data: np.ndarray = np.ones(len(pairs), dtype=np.float64)
    where = ([p[0] for p in pairs], [p[1] for p in pairs])
    return csr_matrix((data, where), shape=(len(rows), len(vocabulary)))


def fit(
    rows: list[set[str]], wanted: np.ndarray, weights: np.ndarray
) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    """The vocabulary, the weights (feature by output) and the biases."""
    counts = Counter(f for row in rows for f in row)
    vocabulary = {f: i for i, f in enumerate(sorted(f for f, n in counts.items() if n >= RARE))}
    known = matrix(rows, vocabulary)
    words_only = known @ diags([float(not f.startswith(ASKED)) for f in sorted(vocabulary)])
    columns, biases = [], []
    for j, name in enumerate(OUTPUTS):
        model = LogisticRegression(C=STRENGTH, solver="liblinear", random_state=0, max_iter=300)
        model.fit(words_only if name in BY_WORDS else known, wanted[:, j], sample_weight=weights)
        columns.append(model.coef_[0])
        biases.append(model.intercept_[0])
    return vocabulary, np.array(columns).T, np.array(biases)


def predict(rows: list[set[str]], fitted: tuple[dict[str, int], np.ndarray, np.ndarray]) -> np.ndarray:
    """Probabilities, one row per reply."""
    vocabulary, weights, biases = fitted
    return 1 / (1 + np.exp(-(matrix(rows, vocabulary) @ weights + biases)))


def cross_validated(rows: list[set[str]], wanted: np.ndarray, replies: list[Reply]) -> np.ndarray:
    """Out-of-fold probabilities of the real replies; written ones only ever train."""
    weights = sample_weights(replies)
    folds = np.array([-1 if r["written"] else _fold(r["id"]) for r in replies])
    result = np.zeros((len(replies), len(OUTPUTS)))
    for fold in range(FOLDS):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        fitted = fit([rows[i] for i in inside], wanted[inside], weights[inside])
        result[outside] = predict([rows[i] for i in outside], fitted)
    real = np.flatnonzero(folds >= 0)
    return result[real]


def _fold(id_: str) -> int:
    return int(hashlib.sha256(f"fold:{id_}".encode()).hexdigest(), 16) % FOLDS


def sample_weights(replies: list[Reply]) -> np.ndarray:
    """How much each reply counts."""
    return np.array([EXTRA_WEIGHT if r["written"] else 1.0 for r in replies])


def thresholds(scores: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Where each output says yes, from out-of-fold scores."""
    chosen = {}
    for j, name in enumerate(OUTPUTS):
        truth: np.ndarray = wanted[:, j].astype(bool)
        given = scores[:, j]
        if name == "significant":
            value = QUIET
        elif name == "urgent":
            value = float(np.quantile(given[~truth], 1 - FALSE_URGENT))
        else:
            value = (_best(given, truth) + FALLBACK) / 2
        chosen[name] = round(value, 3)
    chosen["urgent_alone"] = max(chosen["urgent"], ALONE)
    chosen["urgent_everyday"] = max(chosen["urgent"], EVERYDAY)
    return chosen


def _best(given: np.ndarray, truth: np.ndarray) -> float:
    grid = np.arange(0.1, 0.75, 0.025)
    return float(max(grid, key=lambda t: (_f1(given >= t, truth), -abs(t - FALLBACK))))


def _f1(said: np.ndarray, truth: np.ndarray) -> float:
    both = int((said & truth).sum())
    return 2 * both / max(1, int(said.sum()) + int(truth.sum()))


def save(
    fitted: tuple[dict[str, int], np.ndarray, np.ndarray], chosen: dict[str, float], path: Path = PATH
) -> None:
    """Writes the model: the same bytes for the same data and figures."""
    vocabulary, weights, biases = fitted
    whole = np.clip(np.rint(weights / SCALE), -32767, 32767).astype(int)
    rows = {name: whole[i].tolist() for name, i in vocabulary.items() if np.abs(whole[i]).max() > 40}
    digest = data_sha256()
    model = {
        "version": digest[:8],
        "data_sha256": digest,
        "outputs": list(OUTPUTS),
        "bias": [round(float(b), 4) for b in biases],
        "thresholds": chosen,
        "scale": SCALE,
        "rows": rows,
    }
    path.write_bytes(gzip.compress(json.dumps(model, sort_keys=True).encode(), mtime=0))


def main() -> None:
    """Cross-validates, prints the figures, trains on everything, writes the model."""
    known = replies()
    rows = [seen(reply) for reply in known]
    wanted = targets(known)
    real = np.flatnonzero([not r["written"] for r in known])
    scores = cross_validated(rows, wanted, known)
    chosen = thresholds(scores, wanted[real])
    for j, name in enumerate(OUTPUTS):
        truth = wanted[real][:, j].astype(bool)
        f1 = _f1(scores[:, j] >= chosen[name], truth)
        sys.stdout.write(f"{name:16} n={int(truth.sum()):4} threshold={chosen[name]:.3f} F1={f1:.3f}\n")
    save(fit(rows, wanted, sample_weights(known)), chosen)
    sys.stdout.write(f"{len(known)} replies ({len(real)} real) -> {PATH.name} {PATH.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
