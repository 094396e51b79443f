"""Triage on sentences that trained nothing: `python -m tests.benchmarks.triage_hard`.

`hard-3.tsv`: urgent in indirect words (u) and everyday next to grave words (n), each under one of four messages of
ours; hard-1 and -2 were scored blind, then became training data (extra-4.jsonl). `general-*.jsonl`: whole replies with
every label; 1 was read after its first scoring and has taught us what was missing, 2 was only ever scored.
docs/triage.md gives the figures of each first scoring.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from engage.inbox.triage import read
from tests.benchmarks.triage import interval, labels, levels

SETS = Path(__file__).parent / "triage_sets"
OUTBOUND = {
    "en": (
        "",
        "Reminder: appointment Tue at 10:20 AM. Reply C to confirm or R to reschedule.",
        "Checking in after your hospital stay. Are you feeling BETTER, SAME or WORSE?",
        "Hi, you've reached the clinic web chat. How can we help?",
    ),
    "es": (
        "",
        "Recordatorio: cita el martes a las 10:20 AM. Responda C para confirmar o R para cambiar.",
        "Queremos saber cómo sigue después del hospital. ¿Se siente MEJOR, IGUAL o PEOR?",
        "Hola, este es el chat de la clínica. ¿En qué le podemos ayudar?",
    ),
}


def hard(path: Path) -> None:
    """Urgent caught and false alarms among near-misses, by language."""
    said: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for n, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        kind, lang, _, text = line.split("\t")
        urgent = read(text, outbound=OUTBOUND[lang][n % 4], lang=lang).level == "urgent"
        total[kind, lang] += 1
        said[kind, lang] += urgent
    print(path.name)
    for kind, name in (("u", "urgent caught"), ("n", "false alarms")):
        for lang in ("en", "es"):
            print(f"  {name:14} {lang} {interval(said[kind, lang], total[kind, lang])}")
        print(
            f"  {name:14} all {interval(said[kind, 'en'] + said[kind, 'es'], total[kind, 'en'] + total[kind, 'es'])}"
        )


def general(path: Path) -> None:
    """Levels and labels, as for the labelled replies."""
    known: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    keys = ("outbound", "context", "channel", "lang")
    pairs = [(r, read(r["text"], **{k: r[k] for k in keys})) for r in known]
    print(f"{path.name}: {len(pairs)} replies")
    levels(pairs)
    print(f"macro-F1 {labels(pairs):.3f}")


def main() -> None:
    for path in sorted(SETS.glob("hard-*.tsv")):
        hard(path)
    for path in sorted(SETS.glob("general-*.jsonl")):
        general(path)


if __name__ == "__main__":
    main()
