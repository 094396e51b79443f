"""The figures of sorting as drawn: each with its interval, its denominator and a sentence on how much it tells."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db.models import Count, F

from engage.console import pictures
from engage.inbox import figures
from engage.inbox.figures import Checked, Detection
from engage.inbox.models import Flag, Level

SAID = F("items__said")
NAMES = {Level.URGENT: "Urgent", Level.SIGNIFICANT: "Needs a person, or urgent"}


def measures(rows: list[Checked], names: dict[str, str]) -> list[dict[str, Any]]:
    """For each level: caught and false alarms, of all and by language."""
    found = []
    for level, title in NAMES.items():
        whole = figures.detection(rows, level)
        groups = [("All", whole)]
        for code, name in names.items():
            mine = [r for r in rows if r.language == code]
            if mine:
                groups.append((name, figures.detection(mine, level)))
        found.append(
            {
                "title": title,
                "level": level,
                "whole": whole,
                "caught": [_caught(name, each) for name, each in groups],
                "alarms": [_alarms(name, each) for name, each in groups],
                "passed": _passed(whole),
                "table": groups,
            }
        )
    return found


def _caught(name: str, of: Detection) -> tuple[pictures.Span, bool]:
    span = of.caught
    note = f"{of.grave} checked"
    if span is None:
        return pictures.span(name, None, 0, 1, note), False
    return pictures.span(name, span.share, span.low, span.high, note), of.tells_caught


def _alarms(name: str, of: Detection) -> tuple[pictures.Span, bool]:
    span, note = of.alarms, f"{of.others} checked"
    if span is None:
        return pictures.span(name, None, 0, 1, note), False
    return pictures.span(name, span.share, span.low, span.high, note), of.tells_alarms


def _passed(of: Detection) -> str:
    """What was found among the replies that were not flagged, and how much may be hidden there."""
    if not of.passed.checked:
        return "None of the replies that were not flagged was checked yet."
    return (
        f"Of {of.passed.checked} checked that were not flagged, {of.passed.hits} should have been. They stand for "
        f"{of.passed.stands_for:,.0f} replies: at worst about {of.missed_at_most:,.0f} of those."
    )


def confusion(rows: list[Checked]) -> list[dict[str, Any]]:
    """What a person said, row by row, against what triage said."""
    return [
        {
            "was": was.label,
            "total": round(sum(weight for _, _, weight in cells)),
            "cells": [
                {"said": said.label, "checked": n, "replies": round(weight), "right": said == was}
                for said, n, weight in cells
            ],
        }
        for was, cells in figures.confusion(rows)
    ]


def trends(rows: list[Checked]) -> list[dict[str, Any]]:
    """Week by week, in percent: sorted right; urgent flags that were right; routine ones that somebody should have seen."""
    kinds = (
        ("Sorted as a person would", lambda r: True, lambda r: r.said == r.was),
        ("Urgent flags that were right", lambda r: r.said == Level.URGENT, lambda r: r.was == Level.URGENT),
        ("Routine that needed a person", lambda r: r.said == Level.ROUTINE, lambda r: r.was < Level.ROUTINE),
    )
    found = []
    for title, among, hit in kinds:
        history: list[tuple[date, figures.Part]] = []
        for day, mine in figures.weeks(rows):
            part = figures.part(filter(among, mine), hit)
            if part.interval:
                history.append((day, part))
        points = [(f"{day:%-d %b}", pictures.percent(p.interval.share)) for day, p in history if p.interval]
        found.append({"title": title, "trend": pictures.trend(points), "history": list(reversed(history))})
    return found


def decisions(clinics: Iterable[int], since: date) -> list[dict[str, Any]]:
    """What people decided about flags in conversations, by level: they are labelled data, though no random sample."""
    flags = Flag.objects.filter(conversation__clinic__in=list(clinics), decided_at__date__gte=since)
    counted: dict[int, dict[str, int]] = {}
    for level, source, state, n in (
        flags.values_list("level", "source", "state").annotate(n=Count("pk")).order_by("level")
    ):
        kind = "added" if source == "staff" else state
        row = counted.setdefault(level, {"confirmed": 0, "dismissed": 0, "added": 0})
        row[kind] = row.get(kind, 0) + n
    return [{"level": Level(level).label, **row} for level, row in counted.items()]
