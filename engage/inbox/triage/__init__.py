"""Triage: text in, findings out. Pure Python; knows no models, no network, no clock."""

from engage.inbox.triage.keywords import Keyword, keyword
from engage.inbox.triage.pipeline import read
from engage.inbox.triage.reading import Finding, Level, Reading

__all__ = ["Finding", "Keyword", "Level", "Reading", "keyword", "read"]
