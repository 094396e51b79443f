"""The words that the stages go by: data in data/vocabulary.json and data/revocations.json, read once."""

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def _read() -> dict[str, Any]:
    """The vocabulary that the model was trained beside, and opt-outs learnt since: it need not know them."""
    read = json.loads((DATA / "vocabulary.json").read_text(encoding="utf-8"))
    more = json.loads((DATA / "revocations.json").read_text(encoding="utf-8"))["keywords"]
    known = read["keywords"]
    read["keywords"] |= {
        name: words if isinstance(words, str) else [*known.get(name, []), *words]
        for name, words in more.items()
    }
    return dict(read)


VOCABULARY: dict[str, Any] = _read()


def words_of(part: str, name: str) -> frozenset[str]:
    """A set of folded words of one stage. Raises KeyError for an unknown name."""
    found = VOCABULARY[part][name]
    return frozenset(found.split() if isinstance(found, str) else found)
