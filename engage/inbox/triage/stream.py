"""JSON Lines in, JSON Lines out: what `triage_replies` prints."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from engage.inbox.triage.pipeline import read
from engage.inbox.triage.reading import Reading

ASKED = ("outbound", "context", "channel", "lang")


def lines(source: Iterable[str]) -> Iterator[str]:
    """One JSON object per reply: id, labels, level, findings, lang.

    A line that is no reply yields {"id": null, "error": …, "line": n}, and the rest goes on. Blank lines are passed over.
    """
    for number, line in enumerate(source, 1):
        if line.strip():
            yield json.dumps(_one(line, number), ensure_ascii=False)


def _one(line: str, number: int) -> dict[str, Any]:
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        return _broken(number, "not JSON")
    if not isinstance(reply, dict):
        return _broken(number, "not a JSON object")
    if not isinstance(reply.get("text"), str):
        return _broken(number, "no text")
    asked: dict[str, Any] = {k: str(reply.get(k) or "") for k in ASKED}
    return _answer(reply.get("id"), read(reply["text"], **asked))


def _answer(id_: Any, reading: Reading) -> dict[str, Any]:
    return {
        "id": id_,
        "labels": list(reading.labels),
        "level": reading.level,
        "findings": [
            {"label": f.label, "evidence": f.evidence, "source": f.source} for f in reading.findings
        ],
        "lang": reading.lang,
    }


def _broken(number: int, why: str) -> dict[str, Any]:
    return {"id": None, "error": f"line {number}: {why}", "line": number}
