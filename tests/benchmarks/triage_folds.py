"""Triage out of fold: every training reply read by a model that did not see it (or the same words).

`python -m tests.benchmarks.triage_folds` (by hand, five minutes of one core, needs requirements-dev.txt). The word list
has seen these replies, so that the figures flatter; those of the test part and of other authors do not.
"""

from unittest import mock

from engage.inbox.triage import classifier, read, train
from tests.benchmarks.triage import Pair, labels, levels


class Decided(classifier.Model):
    """The model of the tree, with scores that were found out of fold."""

    given: dict[str, float]

    def scores(self, names: set[str], words: list[str]) -> dict[str, float]:
        return self.given


def readings(known: list[train.Reply]) -> list[Pair]:
    """Each reply and what triage makes of it with out-of-fold scores."""
    seen = [train.seen(reply) for reply in known]
    scores = train.cross_validated(seen, train.targets(known), known)
    model = classifier.load()
    decided = Decided.__new__(Decided)
    decided.__dict__.update(model.__dict__)
    keys = ("outbound", "context", "channel", "lang")
    found: list[Pair] = []
    with mock.patch.object(classifier, "load", lambda: decided):
        for reply, row in zip(known, scores, strict=True):
            decided.given = dict(zip(train.OUTPUTS, map(float, row), strict=True))
            found.append((reply, read(reply["text"], **{k: reply.get(k) or "" for k in keys})))
    return found


def main() -> None:
    pairs = readings(train.replies())
    real = [p for p in pairs if not p[0]["written"]]
    whole = [p for p in pairs if p[0]["whole"]]
    for name, group in (
        ("real replies of train and tune", real),
        ("English", [p for p in real if p[0]["lang"] == "en"]),
        ("Spanish", [p for p in real if p[0]["lang"] == "es"]),
        ("written with every label", whole),
    ):
        print(f"{name}: {len(group)}")
        levels(group)
        print(f"macro-F1 {labels(group):.3f}")


if __name__ == "__main__":
    main()
