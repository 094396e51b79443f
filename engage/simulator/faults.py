"""What the control API has told the carrier to do wrong."""

import random
import time
from collections import deque
from dataclasses import dataclass, field, fields
from typing import Any

ANY_TIME = float("inf")

# Where a message ends: the status and the code of its last callback. Synchronous ones are refused at once.
FATES: dict[str, tuple[str, int]] = {
    "delivered": ("delivered", 0),
    "unreachable": ("undelivered", 30003),
    "blocked": ("undelivered", 30004),
    "unknown": ("undelivered", 30005),
    "landline": ("undelivered", 30006),
    "filtered": ("undelivered", 30007),
    "failed": ("failed", 30008),
    "unregistered": ("undelivered", 30034),
    "unsubscribed": ("failed", 21610),
    "lost": ("sent", 0),
    "stuck": ("queued", 0),
    "slow": ("delivered", 0),
}
REFUSALS = {"invalid": 21211, "opted_out": 21610, "not_mobile": 21614, "no_route": 21612, "no_region": 21408}

# Reserved numbers, in the way of the provider's own test numbers; no demonstration patient has one.
TEST_NUMBERS = {
    "+15005550001": "invalid",
    "+15005550002": "no_route",
    "+15005550003": "no_region",
    "+15005550004": "opted_out",
    "+15005550009": "not_mobile",
    "+15005550303": "unreachable",
    "+15005550304": "blocked",
    "+15005550305": "unknown",
    "+15005550306": "landline",
    "+15005550307": "filtered",
    "+15005550308": "failed",
    "+15005550300": "slow",
}


@dataclass(slots=True)
class Callbacks:
    """How status callbacks go out. `sequence` replaces what is told, as `sent`, `delivered` or `failed:30008`."""

    off: bool = False
    delay: float = 0.0
    duplicates: int = 0
    shuffle: bool = False
    contradict: bool = False
    sequence: list[str] | None = None


@dataclass(slots=True)
class Settings:
    """What holds for every request.

    Times in seconds, `slow` what a slow phone adds; `rate` in accepted messages a second (0: no limit).
    """

    latency: float = 0.0
    rate: float = 0.0
    list_lag: float = 0.0
    inbound: bool = True
    sent_after: float = 0.1
    delivered_after: float = 0.3
    slow: float = 30.0
    callbacks: Callbacks = field(default_factory=Callbacks)


@dataclass(slots=True)
class Rule:
    """One fault: which requests it meets, and what happens to them. The first rule that fits is the one that acts.

    on: create, list, fetch, update, call or any; to: a number, or `*0123` for its last digits; body: words in it.
    after: requests let through first; times: how many are met (None: all); seconds: how long from now.
    hold: seconds before anything; delay: seconds between acceptance and answer; drop: no answer, connection cut.
    status and code: the answer; accept: whether the message is accepted all the same.
    """

    on: str = "create"
    to: str = ""
    body: str = ""
    after: int = 0
    times: int | None = None
    seconds: float = ANY_TIME
    probability: float = 1.0
    hold: float = 0.0
    delay: float = 0.0
    drop: bool = False
    status: int = 0
    code: int = 0
    message: str = ""
    retry_after: float | None = None
    accept: bool | None = None
    list_lag: float | None = None
    fate: str = ""
    answered_by: str = ""
    callbacks: Callbacks | None = None
    began: float = field(default_factory=time.monotonic)
    met: int = 0

    @property
    def accepts(self) -> bool:
        """Unless told, a refusing rule accepts nothing and any other one does."""
        return (self.status < 400 and not self.code) if self.accept is None else self.accept

    @property
    def refuses(self) -> bool:
        return bool(self.status >= 400 or self.code)

    def fits(self, on: str, to: str, body: str) -> bool:
        if self.on not in (on, "any") or self.body not in body:
            return False
        if time.monotonic() - self.began > self.seconds:
            return False
        return not self.to or (to.endswith(self.to[1:]) if self.to.startswith("*") else to == self.to)


def made(kind: type, facts: dict[str, Any]) -> Any:
    """A dataclass from JSON; a name it does not know is a ValueError, so that no script is misspelt in silence."""
    known = {f.name for f in fields(kind)}
    if unknown := sorted(set(facts) - known):
        raise ValueError(f"{kind.__name__} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    facts = dict(facts)
    if isinstance(facts.get("callbacks"), dict):
        facts["callbacks"] = made(Callbacks, facts["callbacks"])
    if (fate := facts.get("fate")) and fate not in FATES and fate not in REFUSALS:
        raise ValueError(f"no fate {fate!r}; there are {', '.join([*FATES, *REFUSALS])}")
    return kind(**facts)


class Script:
    """The rules in force and the fates of numbers; chances come from the seed."""

    def __init__(self, seed: int | None, settings: Settings) -> None:
        self.seed = seed
        self.first = settings
        self.reset()

    def reset(self) -> None:
        self.rules: list[Rule] = []
        self.fates: dict[str, str] = {}
        self.settings = Settings(sent_after=self.first.sent_after, delivered_after=self.first.delivered_after)
        self.settings.latency = self.first.latency
        self.chance = random.Random(self.seed)  # noqa: S311 - faults, not secrets
        self.taken: deque[float] = deque()

    def match(self, on: str, to: str = "", body: str = "") -> Rule | None:
        """The rule that meets this request, counted; None when the request goes well."""
        for rule in self.rules:
            if rule.fits(on, to, body) and self._meets(rule):
                return rule
        return None

    def _meets(self, rule: Rule) -> bool:
        if rule.after > 0:
            rule.after -= 1
            return False
        if rule.times is not None and rule.met >= rule.times:
            return False
        if rule.probability < 1 and self.chance.random() >= rule.probability:
            return False
        rule.met += 1
        return True

    def fate(self, number: str) -> str:
        """The fate scripted for a number, by the whole of it or by its last digits."""
        if found := self.fates.get(number) or TEST_NUMBERS.get(number):
            return found
        ends = (fate for end, fate in self.fates.items() if end.startswith("*") and number.endswith(end[1:]))
        return next(ends, "")

    def wait(self) -> float:
        """Seconds until the rate lets one more message in; 0 and counted when it does now."""
        rate, now = self.settings.rate, time.monotonic()
        if rate <= 0:
            return 0.0
        while self.taken and now - self.taken[0] > 1:
            self.taken.popleft()
        if len(self.taken) >= rate:
            return max(0.05, 1 - (now - self.taken[0]))
        self.taken.append(now)
        return 0.0
