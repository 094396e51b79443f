"""`GET Messages`: filters and pages, newest first, with the lag of a provider whose listing is behind."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from engage.simulator.book import Book, Message
from engage.simulator.errors import ApiError
from engage.simulator.orders import e164
from engage.simulator.resources import page_json

LARGEST = 1000
USUAL = 50
FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")


def whole(text: str, low: int, high: int, name: str) -> int:
    try:
        return min(max(int(text), low), high)
    except ValueError:
        raise ApiError(20001, detail=f"{name} is not a whole number.") from None


def page_of(book: Book, account: str, query: dict[str, str]) -> dict[str, Any]:
    """One page of the messages that match. An unknown filter is passed over, as the provider does."""
    size = whole(query.get("PageSize", str(USUAL)), 1, LARGEST, "PageSize")
    page = whole(query.get("Page", "0"), 0, 10**9, "Page")
    token = query.get("PageToken", "")
    try:
        before = int(token[4:], 16) if token else None
    except ValueError:
        raise ApiError(20001, detail="PageToken is not one of ours.") from None
    found = matching(book, query, before)
    skipped = page * size if before is None else 0
    some = list(islice(found, skipped, skipped + size + 1))
    kept = {name: query[name] for name in FILTERS if name in query}
    return page_json(account, some[:size], size, page, kept, more=len(some) > size)


def matching(book: Book, query: dict[str, str], before: int | None) -> Iterator[Message]:
    """Messages of the filters, each older than the place the last page ended at."""
    to, sender, now = e164(query.get("To", "")), e164(query.get("From", "")), time.time()
    spans = [span(name[8:], query[name]) for name in FILTERS[2:] if query.get(name)]
    asked = [number for number, name in ((to, "To"), (sender, "From")) if query.get(name)]
    if any(number not in book.threads and number not in book.ours for number in asked):
        return
    phone = next((number for number in asked if number in book.threads), "")
    for message in book.newest_first(phone):
        if before is not None and message.number >= before:
            continue
        if message.visible_at > now or (to and message.to != to) or (sender and message.sender != sender):
            continue
        if all(message.sent is not None and low <= message.sent < high for low, high in spans):
            yield message


def span(sign: str, text: str) -> tuple[float, float]:
    """Seconds since the epoch of `DateSent` (that day of UTC), `DateSent<` (up to) or `DateSent>` (from).

    The official client writes a day as its midnight, so the time of a bare `DateSent` means nothing.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(20001, detail=f"{text[:40]!r} is not a date of ISO 8601.") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if sign == "":
        return midnight.timestamp(), (midnight + timedelta(days=1)).timestamp()
    if sign == ">":
        return at.timestamp(), float("inf")
    return float("-inf"), (at + (timedelta(days=1) if len(text) == 10 else timedelta(seconds=1))).timestamp()
