"""Figures and speed of triage, by hand: `python -m tests.benchmarks.triage [train|tune|test]`.

Reads the labelled replies of ENGAGE_DATA. Prints aggregates only; the test part is sealed, so look at it rarely.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from math import sqrt
from pathlib import Path
from typing import Any

from engage.inbox.triage import classifier, lexicon, read
from engage.inbox.triage.reading import LABELS, LEVELS
from engage.inbox.triage.split import part

DATA = Path(os.environ.get("ENGAGE_DATA", "../shared/data")) / "replies" / "replies.jsonl"
Pair = tuple[dict[str, Any], Any]  # a labelled reply and our reading of it


def replies(which: str) -> list[dict[str, Any]]:
    return [r for r in map(json.loads, DATA.read_text().splitlines()) if part(r["id"]) == which]


def readings(known: list[dict[str, Any]]) -> list[Pair]:
    keys = ("outbound", "context", "channel", "lang")
    return [(r, read(r["text"], **{k: r[k] or "" for k in keys})) for r in known]


def interval(hits: int, of: int) -> str:
    """A share with its 95 % Wilson interval."""
    if not of:
        return "none"
    p, z = hits / of, 1.96
    middle, half = p + z * z / (2 * of), z * sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    low, high = (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)
    return f"{100 * p:5.1f} % of {of:3} ({100 * low:.1f}-{100 * high:.1f})"


def levels(pairs: list[Pair]) -> None:
    counts = Counter((r["level"], x.level) for r, x in pairs)

    def share(true: Iterable[str], said: Iterable[str]) -> str:
        of = sum(n for (t, _), n in counts.items() if t in true)
        return interval(sum(n for (t, s), n in counts.items() if t in true and s in said), of)

    print("  urgent caught      ", share(["urgent"], ["urgent"]))
    print("  false alarms       ", share(["significant", "routine"], ["urgent"]))
    print("  significant caught ", share(["significant", "urgent"], ["significant", "urgent"]))
    print("  routine kept       ", share(["routine"], ["routine"]))
    for true in LEVELS:
        print(f"  {true:12}", {said: counts[(true, said)] for said in LEVELS})


def labels(pairs: list[Pair]) -> float:
    figures = {}
    for label in LABELS:
        both = sum(label in r["labels"] and label in x.labels for r, x in pairs)
        said, true = sum(label in x.labels for _, x in pairs), sum(label in r["labels"] for r, _ in pairs)
        if true:
            figures[label] = (2 * both / (said + true), both / max(1, said), both / true, true)
    for label, (f1, precision, recall, of) in sorted(figures.items(), key=lambda i: i[1][0]):
        print(f"  {label:15} F1 {f1:.2f}  precision {precision:.2f}  recall {recall:.2f}  n={of}")
    return sum(f[0] for f in figures.values()) / len(figures)


def speed(known: list[dict[str, Any]]) -> None:
    """Per second of processor time, so that a busy machine does not change the figure."""
    for load in (lexicon.load, classifier.load):
        load.cache_clear()
    begin = time.process_time()
    lexicon.load(), classifier.load()
    loaded = time.process_time()
    count = 0
    while time.process_time() - loaded < 2:
        count += len(readings(known))
    used = time.process_time() - loaded
    print(f"loads in {loaded - begin:.2f} s, reads {count / used:.0f} replies per second of one core")


def main() -> None:
    which = sys.argv[1] if len(sys.argv) > 1 else "tune"
    known = replies(which)
    pairs = readings(known)
    print(f"{which}: {len(known)} replies, model {classifier.version()}, lexicon {lexicon.load().version}")
    for name, group in (
        ("all", pairs),
        ("English", [p for p in pairs if p[0]["lang"] == "en"]),
        ("Spanish", [p for p in pairs if p[0]["lang"] == "es"]),
        ("other", [p for p in pairs if p[0]["lang"] not in ("en", "es")]),
    ):
        print(name)
        levels(group)
    print(f"macro-F1 {labels(pairs):.3f}")
    speed(known)


if __name__ == "__main__":
    main()
