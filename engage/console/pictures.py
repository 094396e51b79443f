"""Geometry for the pictures that templates draw in SVG: numbers in, coordinates out. No style, no markup."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """One horizontal bar: `width` in percent of the longest, `note` says what it is a part of."""

    name: str
    count: int
    note: str
    width: float
    href: str = ""


def bars(rows: Iterable[tuple[str, int, str]], most: int | None = None) -> list[Bar]:
    """Bars for (name, count, note), as long as their share of the greatest (or of `most`)."""
    rows = list(rows)
    top = most if most is not None else max((count for _, count, _ in rows), default=0)
    return [Bar(name, count, note, round(100 * count / top, 1) if top else 0) for name, count, note in rows]


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    value: float
    label: str


@dataclass(frozen=True)
class Trend:
    """A line of percentages in a box of `width` × `height`; the scale is `low` to `high` percent."""

    dots: list[Dot]
    width: int
    height: int
    low: int
    high: int

    @property
    def points(self) -> str:
        """For an SVG polyline."""
        return " ".join(f"{d.x},{d.y}" for d in self.dots)

    @property
    def floor(self) -> int:
        """The height of the lower edge of the scale."""
        return self.height - 8

    @property
    def first(self) -> Dot | None:
        return self.dots[0] if self.dots else None

    @property
    def last(self) -> Dot | None:
        return self.dots[-1] if self.dots else None


def trend(values: Sequence[tuple[str, float]], width: int = 240, height: int = 64, margin: int = 8) -> Trend:
    """A line through (label, percent), its scale rounded out to tens so that a small change is not made a cliff."""
    if not values:
        return Trend([], width, height, 0, 100)
    low = int(min(v for _, v in values) // 10 * 10)
    high = int(-(-max(v for _, v in values) // 10) * 10)
    high = high if high > low else low + 10
    step = (width - 2 * margin) / max(len(values) - 1, 1)
    inside = height - 2 * margin
    dots = [
        Dot(round(margin + i * step, 1), round(margin + inside * (1 - (v - low) / (high - low)), 1), v, label)
        for i, (label, v) in enumerate(values)
    ]
    return Trend(dots, width, height, low, high)


@dataclass(frozen=True)
class Span:
    """A share with its interval, all in percent of the width; nothing drawn where `known` is False."""

    name: str
    share: float
    low: float
    high: float
    note: str
    known: bool = True

    @property
    def width(self) -> float:
        return round(self.high - self.low, 1)


def span(name: str, share: float | None, low: float, high: float, note: str) -> Span:
    """From shares of 0 to 1."""
    return Span(name, percent(share or 0.0), percent(low), percent(high), note, share is not None)


def percent(share: float) -> float:
    return round(100 * share, 1)
