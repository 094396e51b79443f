"""Where a figure stands on the scale of our own message: "1 = excellent, 5 = poor" runs the other way."""

import re

from engage.inbox.triage.text import plain
from engage.inbox.triage.vocabulary import VOCABULARY, words_of

MARKED = re.compile(r"(?<![\d:])(10|\d)\s*[=:]\s*[^\W\d]")  # "1 = great, 2 = ok, 3 = bad"
SPAN = re.compile(r"\b([01])\b[^0-9]{0,40}?\b(10|[3-7])\b")  # "1-5", "0 (not at all) to 10"
STARS = re.compile(r"\b([3-7]|10) (?:stars|estrellas)")
DOWNWARD = re.compile(r"\b(10|[3-7])\b[^0-9]{0,40}?\b([01])\b")  # "5 very clean - 1 very dirty"
GOOD = words_of("scale", "good")
BAD = words_of("scale", "bad")
FINE = tuple(VOCABULARY["scale"]["fine"])  # bad words that mean well together: "no trouble"
LONG = 8  # steps of a scale of which the middle one is no complaint


def ends(outbound: str) -> tuple[int, int] | None:
    """The lowest and the highest step of a scale that our message gives, or None."""
    marked = [int(n) for n in MARKED.findall(outbound)]
    if len(set(marked)) > 1:
        return min(marked), max(marked)
    said = plain(outbound)
    found = SPAN.search(said)
    if found:
        steps = [int(n) for n in re.findall(r"\b(?:10|\d)\b", said[found.start() :])]
        low = int(found[1])
        return low, max((n for n in steps if n <= 10), default=int(found[2]))
    down = DOWNWARD.search(said)
    if down:
        return int(down[2]), int(down[1])
    stars = STARS.search(said)
    return (1, int(stars[1])) if stars else None


def is_good(number: float, outbound: str) -> bool:
    """Does a figure stand in the better part of the scale? One of 0 to 10 where our message gives none."""
    low, high = ends(outbound) or (0, 10)
    if not low <= number <= high:
        return number > high
    place = (number - low) / (high - low)
    if _worth(high, outbound) < _worth(low, outbound):  # the highest step is the worst
        place = 1 - place
    return place >= 0.5 if high - low >= LONG else place > 0.5


def _worth(step: int, outbound: str) -> int:
    """1 where the words beside a step are good, -1 where they are bad, 0 where there are none."""
    found = re.search(
        rf"(?<!\d){step}(?!\d)\s*(?:=|:|\)|\(|-|–|is\b|es\b|stars?)?\s*([^\d,;/.)–-]{{2,40}})", outbound
    )
    words = plain(found[1]).split() if found else []
    said = " ".join(words[:5])
    if any(phrase in said for phrase in FINE):
        return 1
    if any(word in BAD for word in words[:5]):
        return -1
    return int(any(word in GOOD for word in words[:5]))
