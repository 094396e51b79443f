"""Triage on replies that trained nothing: `python -m tests.benchmarks.triage_hard [file …]`.

`triage_sets/general-*.jsonl`: whole replies with every label, 4 to 7 and 9 to 14 by authors of their own; only ever
scored. 1, 3, 8 and the sets hard-1 to hard-5 were scored blind, then became training data (extra-4, 5, 8, 9, 12 and 17).
Prints aggregates only, so that a set stays unread.
docs/triage.md gives the figures of each first scoring.
"""

import json
import sys
from pathlib import Path
from typing import Any

from engage.inbox.triage import read
from tests.benchmarks.triage import Pair, labels, levels

SETS = Path(__file__).parent / "triage_sets"
ASKED = ("outbound", "context", "channel", "lang")


def readings(path: Path) -> list[Pair]:
    known: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(r, read(r["text"], **{k: r.get(k) or "" for k in ASKED})) for r in known]


def general(path: Path) -> None:
    """Levels by language, and labels, as for the labelled replies."""
    pairs = readings(path)
    print(f"{path.name}: {len(pairs)} replies")
    for lang in ("en", "es"):
        group = [p for p in pairs if p[0]["lang"] == lang]
        print(f"{lang}: {len(group)}")
        levels(group)
    print("all")
    levels(pairs)
    print(f"macro-F1 {labels(pairs):.3f}")


def main() -> None:
    for path in map(Path, sys.argv[1:] or sorted(map(str, SETS.glob("general-*.jsonl")))):
        general(path)


if __name__ == "__main__":
    main()
