"""The words that the stages go by: data in data/vocabulary.json, read once."""

import json
from pathlib import Path
from typing import Any

VOCABULARY: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "vocabulary.json").read_text(encoding="utf-8")
)


def words_of(part: str, name: str) -> frozenset[str]:
    """A set of folded words of one stage. Raises KeyError for an unknown name."""
    found = VOCABULARY[part][name]
    return frozenset(found.split() if isinstance(found, str) else found)
