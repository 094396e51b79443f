"""What a campaign will still cost, and when it will be through: its cadence, the permitted hours, the carriers' limits.

An estimate from above: nobody answers, and the allowance of campaigns is this one's alone once what waits before it has
gone. The frequency limits of single patients are not in it.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate

from engage.campaigns import cadence
from engage.campaigns.counts import Preview, segments_of_touch
from engage.campaigns.enrolling import zone_of
from engage.campaigns.models import Campaign, Enrollment, Touch
from engage.lib import clock
from engage.messaging import pace, receipts, twilio, windows
from engage.messaging.models import Lane, Message

LONGEST = 730  # days looked ahead
NOON = time(12)


@dataclass(frozen=True)
class Estimate:
    """`segments` and `dollars` still to come, dollars already `spent`. `finish` None: nothing is to come, or it takes longer
    than two years (`endless`). `limit` says in words what decides the end when it is not the cadence, else "".
    """

    segments: int
    dollars: float
    spent: float
    finish: date | None
    limit: str = ""
    endless: bool = False


def still_to_come(campaign: Campaign) -> Estimate:
    """Of a campaign that has been started: those in it now, each with the touches they have not had."""
    return _estimate(campaign, _due(campaign))


def if_started(campaign: Campaign, preview: Preview) -> Estimate:
    """Of those a preview would take in, from now on."""
    people = {spoken.language: spoken.people for spoken in preview.languages}
    due: Counter[date] = Counter()
    zone, moment = zone_of(campaign), clock.now()
    for touch in campaign.touches.all():
        moment = cadence.after(moment, touch, zone)
        if touch.kind == Touch.Kind.TEXT:
            due[_day(moment, zone)] += sum(n * segments_of_touch(touch, code) for code, n in people.items())
    return _estimate(campaign, due)


def _due(campaign: Campaign) -> Counter[date]:
    """Segments by the day on which their touch falls due, in the clinic's zone; what waits in the outbox is due today."""
    zone, today = zone_of(campaign), clock.today(zone_of(campaign))
    due: Counter[date] = Counter()
    touches = list(campaign.touches.all())
    sizes: dict[tuple[int, str], int] = {}
    for position, day, language, people in _places(campaign, zone):
        moment = datetime.combine(max(day, today), NOON, ZoneInfo(zone)).astimezone(UTC)
        for touch in touches:
            if touch.position < position:
                continue
            moment = cadence.after(moment, touch, zone) if touch.position > position else moment
            if touch.kind == Touch.Kind.TEXT:
                key = (touch.pk, language)
                if key not in sizes:
                    sizes[key] = segments_of_touch(touch, language)
                due[_day(moment, zone)] += people * sizes[key]
    if campaign.stream is not None:
        waiting = Message.objects.unsent().filter(stream=campaign.stream).aggregate(n=Sum("segments"))["n"]
        due[today] += waiting or 0
    return due


def _places(campaign: Campaign, zone: str) -> list[tuple[int, date, str, int]]:
    """(position, day due, language, people) of those in progress, counted by the database."""
    rows = Enrollment.objects.active().filter(campaign=campaign, due_at__isnull=False)
    counted = rows.annotate(day=TruncDate("due_at", tzinfo=ZoneInfo(zone)))
    return list(
        counted.values_list("position", "day", "patient__language").annotate(n=Count("pk")).order_by()
    )


def _day(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def _estimate(campaign: Campaign, due: Mapping[date, int]) -> Estimate:
    total = sum(due.values())
    spent = receipts.price(_sent(campaign))
    if not total:
        return Estimate(0, 0.0, spent, None)
    days = Days(campaign)
    last = max(day for day, n in due.items() if n)
    by_cadence = days.next_open(last)
    finish = days.through(due, _ahead_of(campaign))
    later = finish is None or (by_cadence is not None and finish > by_cadence)
    limit = days.words() if later and days.limited else ""
    return Estimate(total, receipts.price(total), spent, finish, limit, endless=finish is None)


def _sent(campaign: Campaign) -> int:
    if campaign.stream is None:
        return 0
    gone = Message.objects.filter(stream=campaign.stream, accepted_at__isnull=False)
    return gone.aggregate(n=Sum("segments"))["n"] or 0


def _ahead_of(campaign: Campaign) -> int:
    """Segments of other campaigns that wait already and will go first."""
    if not pace.limits().any:
        return 0
    others = Message.objects.unsent().filter(lane=Lane.BULK)
    if campaign.stream is not None:
        others = others.exclude(stream=campaign.stream)
    return others.aggregate(n=Sum("segments"))["n"] or 0


class Days:
    """How many segments of campaigns each day has room for, in the clinic's hours."""

    def __init__(self, campaign: Campaign) -> None:
        clinic = campaign.clinics.order_by("pk").first()
        self.zone, self.state = zone_of(campaign), clinic.state if clinic else ""
        self.sunday = bool(clinic and clinic.sunday_sending)
        self.own = windows.own_week(clinic.sending_hours) if clinic else None
        self.limits, self.stream_rate = pace.limits(), campaign.texts_per_minute
        self.today = clock.today(self.zone)
        used = pace.state_of(twilio.sender()).used if self.limits.daily is not None else 0
        self.left_today = None if self.limits.bulk_daily is None else max(0, self.limits.bulk_daily - used)

    @property
    def limited(self) -> bool:
        return self.limits.any or bool(self.stream_rate)

    def words(self) -> str:
        """What the carriers, or the campaign's own rate, allow."""
        parts = []
        if self.limits.bulk_daily is not None:
            parts.append(f"{self.limits.bulk_daily:,} segments a day for campaigns")
        if self.limits.rate is not None:
            parts.append(f"{self.limits.rate:g} segments a second")
        if self.stream_rate:
            parts.append(f"{self.stream_rate:,} texts a minute in this campaign")
        return " and ".join(parts)

    def seconds(self, day: date) -> float:
        """How long a day is open for automatic messages; of today what is left."""
        span = windows.span(self.zone, day, self.state, self.sunday, False, self.own)
        if span is None:
            return 0.0
        start = max(span[0], clock.now()) if day == self.today else span[0]
        return max(0.0, (span[1] - start).total_seconds())

    def room(self, day: date) -> float:
        """Segments; infinite where nothing limits an open day."""
        seconds = self.seconds(day)
        if not seconds:
            return 0
        most = self.left_today if day == self.today else self.limits.bulk_daily
        found = math.inf if most is None else float(most)
        if self.limits.rate is not None:
            found = min(found, self.limits.rate * seconds)
        if self.stream_rate:
            found = min(found, self.stream_rate / 60 * seconds)  # as if each text had one segment: from above
        return found

    def next_open(self, day: date) -> date | None:
        return next((d for d in self._from(max(day, self.today)) if self.seconds(d)), None)

    def through(self, due: Mapping[date, int], ahead: int) -> date | None:
        """The day on which the last segment goes; None: not within two years."""
        waiting, left = float(ahead), defaultdict(int, due)
        last = max(day for day, n in due.items() if n)
        for day in self._from(self.today):
            waiting += sum(left.pop(d) for d in [d for d in left if d <= day])
            waiting -= min(waiting, self.room(day))
            if waiting <= 0 and day >= last:
                return day
        return None

    def _from(self, day: date) -> list[date]:
        return [day + timedelta(days=n) for n in range(LONGEST)]
