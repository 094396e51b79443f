"""How much a sender and a stream may be given: segments a second and a day, messages a minute.

One row each in the database, locked and written in the claim's own transaction, so that every sender process on every host
draws on the same allowance, and a claim that is rolled back has used none. Without a limit nothing is asked or written.
All of it is machine time; the day is the carriers', which ends at midnight Pacific time.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import F

from engage.lib import clock
from engage.messaging.models import Lane, Message, Usage

PACIFIC = ZoneInfo("America/Los_Angeles")
AHEAD = 1.0  # seconds: bulk may be given so far ahead of its rate; a burst of one second
OVERDRAFT = 30.0  # seconds: urgent and staff messages go at once, and bulk waits until that is paid back
IMPOSSIBLE = 300.0  # seconds: nobody can be so far ahead, so the clock has been put back


@dataclass(frozen=True)
class Limits:
    """Of one sender: segments a second, segments a day (None: no limit), and the share of a day that bulk leaves free."""

    rate: float | None
    daily: int | None
    reserve: float

    @property
    def any(self) -> bool:
        return self.rate is not None or self.daily is not None

    @property
    def bulk_daily(self) -> int | None:
        """What a day has for bulk."""
        return None if self.daily is None else int(self.daily * (1 - self.reserve))


def limits() -> Limits:
    return Limits(settings.SENDER_RATE, settings.SENDER_DAILY, settings.SENDER_RESERVE / 100)


def carrier_day(at: datetime) -> date:
    """The carriers' day that holds a moment."""
    return at.astimezone(PACIFIC).date()


def next_carrier_day(at: datetime) -> datetime:
    """When the next one begins, in UTC; days have 23 or 25 hours twice a year."""
    return datetime.combine(carrier_day(at) + timedelta(days=1), time.min, PACIFIC).astimezone(UTC)


@dataclass
class Meter:
    """One row while a claim holds it. `cost`: seconds one unit (a segment, a stream's message) takes at the rate."""

    row: Usage
    cost: float
    now: datetime
    ahead: float = 0.0  # seconds given in advance
    spent: int = 0

    def __post_init__(self) -> None:
        busy = (self.row.busy_until - self.now).total_seconds() if self.row.busy_until else 0.0
        self.ahead = busy if 0 < busy < IMPOSSIBLE else 0.0

    def may(self, units: int, most: float, more: float = 0.0) -> bool:
        """Whether so many units stay within `most` seconds ahead, `more` being promised already; when idle, any may."""
        ahead = self.ahead + more
        return ahead <= 0 or ahead + units * self.cost <= most

    def take(self, units: int) -> None:
        self.ahead += units * self.cost
        self.spent += units

    def keep(self) -> None:
        """Writes what was taken; the row is locked."""
        if not self.spent:
            return
        day = carrier_day(self.now)
        self.row.used = (self.row.used if self.row.day == day else 0) + self.spent
        self.row.day, self.row.busy_until = day, self.now + timedelta(seconds=self.ahead)
        self.row.save(update_fields=["used", "day", "busy_until"])


@dataclass
class Allowance:
    """What one claim may take. Made by `hold`; `fit` chooses, `spend` counts what really goes."""

    limits: Limits
    sender: Meter | None = None
    streams: dict[int, Meter] = field(default_factory=dict)

    def lanes(self, wanted: Sequence[Lane]) -> list[Lane]:
        """The lanes that have any room now."""
        return [lane for lane in wanted if self._sender_may(lane, 1, 0)]

    def full_streams(self) -> set[int]:
        """Streams that are at their rate: their rows are left where they are, and block nobody."""
        return {pk for pk, meter in self.streams.items() if not meter.may(1, AHEAD)}

    def fit(self, rows: Sequence[Message]) -> list[Message]:
        """The rows that have room, in their order; nothing is counted yet."""
        if self.sender is None and not self.streams:
            return list(rows)
        chosen: list[Message] = []
        given, of_stream = 0, Counter[int]()
        for row in rows:
            if not self._sender_may(Lane(row.lane), row.segments, given):
                continue
            if not self._stream_may(row, of_stream):
                continue
            chosen.append(row)
            given += row.segments
        return chosen

    def _sender_may(self, lane: Lane, segments: int, given: int) -> bool:
        meter = self.sender
        if meter is None:
            return True
        in_time = meter.may(segments, AHEAD if lane == Lane.BULK else OVERDRAFT, given * meter.cost)
        most = self.limits.bulk_daily if lane == Lane.BULK else self.limits.daily
        if most is None or lane == Lane.URGENT:  # an answer to a crisis waits for no accounting of ours
            return in_time
        return in_time and used_today(meter.row, meter.now) + given + segments <= most

    def _stream_may(self, row: Message, given: Counter[int]) -> bool:
        meter = self.streams.get(row.stream_id or 0)
        if meter is None or row.stream_id is None:
            return True
        if not meter.may(1, AHEAD, given[row.stream_id] * meter.cost):
            return False
        given[row.stream_id] += 1
        return True

    def spend(self, messages: Collection[Message]) -> None:
        """Counts what is handed over."""
        if self.sender is not None:
            self.sender.take(sum(m.segments for m in messages))
            self.sender.keep()
        for pk, meter in self.streams.items():
            meter.take(sum(m.stream_id == pk for m in messages))
            meter.keep()


def hold(sender: str, stream_rates: Mapping[int, int]) -> Allowance:
    """The allowance of one claim, locked until its transaction ends; of nothing at all where no limit is set.

    `stream_rates` is stream → messages a minute.
    """
    found = limits()
    names = [sender_name(sender)] if found.any else []
    names += [stream_name(pk) for pk in stream_rates]
    if not names:
        return Allowance(found)
    rows, now = _locked(names), clock.machine_now()
    own = Meter(rows[sender_name(sender)], 1 / found.rate if found.rate else 0.0, now) if found.any else None
    streams = {pk: Meter(rows[stream_name(pk)], 60 / rate, now) for pk, rate in stream_rates.items()}
    return Allowance(found, own, streams)


def give_back(sender: str, segments: int) -> None:
    """What was claimed and then proven not taken counts for no day. Lost in a crash, it costs a little of that day."""
    if segments and limits().daily is not None:
        rows = Usage.objects.filter(name=sender_name(sender), day=carrier_day(clock.machine_now()))
        rows.filter(used__gte=segments).update(used=F("used") - segments)


def _locked(names: list[str]) -> dict[str, Usage]:
    """Rows in the order of their names, so that two claims never wait for each other; made where they are missing."""
    wanted = Usage.objects.select_for_update().filter(name__in=names).order_by("name")
    rows = {row.name: row for row in wanted}
    if len(rows) < len(names):
        Usage.objects.bulk_create([Usage(name=n) for n in names if n not in rows], ignore_conflicts=True)
        rows = {row.name: row for row in wanted.all()}
    return rows


def sender_name(sender: str) -> str:
    return f"sender:{sender}"


def stream_name(pk: int) -> str:
    return f"stream:{pk}"


def used_today(row: Usage | None, now: datetime) -> int:
    """Segments of the carriers' day."""
    return row.used if row is not None and row.day == carrier_day(now) else 0


@dataclass(frozen=True)
class State:
    """A sender's allowance for people to read."""

    limits: Limits
    used: int
    bulk_full: bool
    full: bool
    next_day: datetime
    busy: float  # seconds until bulk may go on


def state_of(sender: str) -> State:
    """Reads; locks and writes nothing."""
    found, now = limits(), clock.machine_now()
    row = Usage.objects.filter(name=sender_name(sender)).first()
    used = used_today(row, now)
    meter = Meter(row, 0.0, now) if row else None
    return State(
        found,
        used,
        found.bulk_daily is not None and used >= found.bulk_daily,
        found.daily is not None and used >= found.daily,
        next_carrier_day(now),
        meter.ahead if meter else 0.0,
    )


def soon(sender: str, stream_rates: Mapping[int, int]) -> bool:
    """Whether what is due may only be waiting for its turn at a rate: a drain goes on then. A full day ends it."""
    if state_of(sender).bulk_full:
        return False
    names, now = [sender_name(sender), *map(stream_name, stream_rates)], clock.machine_now()
    later = now + timedelta(seconds=IMPOSSIBLE)
    return Usage.objects.filter(name__in=names, busy_until__gt=now, busy_until__lt=later).exists()
