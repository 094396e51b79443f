"""Triage: text in, findings out. Pure Python; knows no models, no network, no clock."""

from engage.inbox.triage.keywords import Keyword, keyword
from engage.inbox.triage.pipeline import PATIENCE, PATIENCE_LATER, attempt, read
from engage.inbox.triage.reading import Attempt, Finding, Level, Reading

__all__ = [
    "PATIENCE",
    "PATIENCE_LATER",
    "Attempt",
    "Finding",
    "Keyword",
    "Level",
    "Reading",
    "attempt",
    "keyword",
    "read",
]
