"""The classifier alone, out of fold: urgent caught against false alarms, as docs/triage-curve.svg.

`python -m tests.benchmarks.triage_curve` (by hand, needs requirements-dev.txt). Prints the points too.
"""

from pathlib import Path
from typing import Any

import numpy as np

from engage.inbox.triage import classifier, pipeline, train

OUT = Path("docs/triage-curve.svg")
WIDTH, HEIGHT, LEFT, BOTTOM, MOST = 560, 340, 56, 44, 0.20  # MOST: false alarms at the right edge
TITLE = 18


Point = tuple[float, float, float]  # threshold, false alarms, urgent caught


def points() -> tuple[list[Point], list[Point]]:
    """The classifier alone, and with the stages before it, over the real replies of train and tune."""
    known = train.replies()
    rows, wanted = [train.seen(r) for r in known], train.targets(known)
    real = np.flatnonzero([not r["written"] for r in known])
    scores = train.cross_validated(rows, wanted, known)[real, -1]
    urgent = wanted[real][:, -1].astype(bool)
    before = np.array([found_before(known[i]) for i in real])
    steps = np.round(np.arange(0.05, 1.0, 0.025), 3)
    return curve(scores, urgent, steps), curve(np.maximum(scores, before), urgent, steps)


def curve(scores: np.ndarray, urgent: np.ndarray, steps: np.ndarray) -> list[Point]:
    return [
        (float(t), float((scores[~urgent] >= t).mean()), float((scores[urgent] >= t).mean())) for t in steps
    ]


def found_before(reply: dict[str, Any]) -> float:
    """1 when lexicon, figures or question call a reply urgent, else 0."""
    asked: dict[str, Any] = {k: reply.get(k) or "" for k in ("outbound", "context", "channel", "lang")}
    material = pipeline.prepare(reply["text"], **asked)
    return float(any(f.level == "urgent" for stage in pipeline.STAGES[:-1] for f in stage(material)))


def place(alarms: float, caught: float) -> tuple[float, float]:
    return LEFT + alarms / MOST * (WIDTH - LEFT - 16), HEIGHT - BOTTOM - caught * (HEIGHT - BOTTOM - 16)


def drawn(points: list[Point], style: str) -> str:
    shown = [place(a, c) for _, a, c in points if a <= MOST]
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in shown)}" fill="none" {style}/>'


def draw(alone: list[Point], together: list[Point], chosen: float) -> str:
    _, alarms, caught = min(together, key=lambda p: abs(p[0] - chosen))
    x, y = place(alarms, caught)
    grid = "".join(
        f'<line x1="{LEFT}" y1="{place(0, c)[1]:.1f}" x2="{WIDTH - 16}" y2="{place(0, c)[1]:.1f}" stroke="#d9d7d0"/>'
        f'<text x="{LEFT - 8}" y="{place(0, c)[1] + 4:.1f}" text-anchor="end">{c:.0%}</text>'
        for c in (0, 0.25, 0.5, 0.75, 1)
    ) + "".join(
        f'<text x="{place(a, 0)[0]:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{a:.0%}</text>'
        for a in (0, 0.05, 0.1, 0.15, 0.2)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -{TITLE} {WIDTH} {HEIGHT + TITLE}" font-family="sans-serif" '
        f'font-size="12" fill="#1d1c1a"><rect y="-{TITLE}" width="100%" height="100%" fill="#ffffff"/>{grid}'
        + drawn(alone, 'stroke="#85827a" stroke-width="2" stroke-dasharray="5 4"')
        + drawn(together, 'stroke="#1f5f8b" stroke-width="2"')
        + f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#9b1c1c"/>'
        f'<text x="{x + 10:.1f}" y="{y + 16:.1f}">chosen: {chosen:.2f} ({caught:.0%} at {alarms:.1%})</text>'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">false alarms among the others</text>'
        f'<text x="{LEFT}" y="-4">urgent caught: whole triage (line), classifier alone (dashes), out of fold</text></svg>\n'
    )


def main() -> None:
    alone, together = points()
    chosen = classifier.load().thresholds["urgent_alone"]
    for (threshold, alarms, caught), (_, more, all_) in list(zip(alone, together, strict=True))[1::4]:
        print(
            f"{threshold:.2f}  alone {caught:.3f} at {alarms:.3f}  with the others {all_:.3f} at {more:.3f}"
        )
    OUT.write_text(draw(alone, together, chosen))
    print(f"chosen {chosen} -> {OUT}")


if __name__ == "__main__":
    main()
