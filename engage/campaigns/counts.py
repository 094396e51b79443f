"""What a campaign would do, does and has done, counted by the database."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Max, QuerySet
from django.db.models.functions import TruncDate

from engage.campaigns import cadence
from engage.campaigns.enrolling import judged, not_in, zone_of
from engage.campaigns.models import Campaign, Enrollment, Touch
from engage.caregaps.models import CareGap
from engage.lib import clock
from engage.messaging import templates
from engage.messaging.models import Message

Why = Enrollment.Why
State = Enrollment.State


@dataclass(frozen=True)
class Spoken:
    """The part of a preview in one language; `segments` is what every text of the cadence costs one person."""

    language: str
    people: int
    segments: int

    @property
    def total(self) -> int:
        return self.people * self.segments


@dataclass(frozen=True)
class Preview:
    """How many open gaps a campaign would take in now, and by reason how many it would leave out."""

    reached: int
    left_out: dict[str, int]  # Enrollment.Why → people, most first
    languages: list[Spoken] = field(default_factory=list)

    @property
    def considered(self) -> int:
        return self.reached + sum(self.left_out.values())

    @property
    def reasons(self) -> list[tuple[str, int]]:
        return [(str(Why(why).label), n) for why, n in self.left_out.items()]

    @property
    def segments(self) -> int:
        return sum(s.total for s in self.languages)


def preview(campaign: Campaign) -> Preview:
    """Counts who would be reached and, by reason, who would not, of those not in the campaign yet.

    One question to the database, and one for the wording. Raises SegmentError.
    """
    counted = (
        judged(not_in(campaign), campaign)
        .order_by()
        .values("why", "patient__language")
        .annotate(n=Count("pk"))
        .values_list("why", "patient__language", "n")
    )
    reached: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for why, language, n in counted:
        if why:
            left_out[why] += n
        else:
            reached[language] += n
    spoken = [Spoken(code, n, segments_of(campaign, code)) for code, n in reached.most_common()]
    return Preview(reached.total(), dict(left_out.most_common()), spoken)


def segments_of(campaign: Campaign, language: str) -> int:
    """Segments of all texts of the cadence together for a typical person; nothing for wording that is missing."""
    return sum(segments_of_touch(t, language) for t in campaign.touches.filter(kind=Touch.Kind.TEXT))


def segments_of_touch(touch: Touch, language: str) -> int:
    """Segments of one text; 0 where there is no wording in the language."""
    wording = templates.pick(touch.template_key, language)
    return templates.size_of(wording.body).segments if wording else 0


@dataclass(frozen=True)
class Step:
    """One bar of a funnel: how many of how many, in words."""

    name: str
    count: int
    of: int
    of_name: str

    @property
    def note(self) -> str:
        """ "81% of 219 open gaps"; "" for the first step, which is the whole."""
        if not self.of_name:
            return ""
        return f"{round(100 * self.count / self.of) if self.of else 0}% of {self.of:,} {self.of_name}"


def funnel(campaign: Campaign) -> list[Step]:
    """Considered → enrolled → texted → delivered → replied → closed, each with what it is a part of."""
    rows = Enrollment.objects.filter(campaign=campaign)
    considered = rows.count()
    left_out = rows.filter(state=State.LEFT_OUT).count()
    enrolled = considered - left_out
    texts = Message.objects.filter(stream=campaign.stream, direction=Message.Direction.OUT)
    if campaign.stream is None:
        texts = texts.none()
    texted = abouts(texts.filter(state__in=Message.GONE_OUT))
    delivered = abouts(texts.filter(state=Message.State.DELIVERED))
    closed = rows.exclude(state=State.LEFT_OUT).filter(gap__status=CareGap.Status.CLOSED).count()
    return [
        Step("Open gaps", considered, considered, ""),
        Step("Enrolled", enrolled, considered, "open gaps"),
        Step("Texted", texted, enrolled, "enrolled"),
        Step("Delivered", delivered, texted, "texted"),
        Step("Replied", replied(campaign), texted, "texted"),
        Step("Gap closed", closed, enrolled, "enrolled"),
    ]


def abouts(messages: QuerySet[Message]) -> int:
    return messages.values("about").distinct().count()


def replied(campaign: Campaign) -> int:
    """People in the campaign who have written after they were taken in and had a text of it."""
    if campaign.stream is None:
        return 0
    texted = Message.objects.filter(stream=campaign.stream, state__in=Message.GONE_OUT).values("patient")
    heard = Message.objects.heard().filter(
        patient__in=texted,
        patient__enrollments__campaign=campaign,
        created_at__gte=F("patient__enrollments__enrolled_at"),
    )
    return heard.values("patient").distinct().count()


def by_state(campaigns: Iterable[Campaign]) -> dict[int, dict[str, int]]:
    """Enrollments by campaign and state, and `closed`, in two questions whatever the number of campaigns."""
    ids = [c.pk for c in campaigns]
    counts: dict[int, dict[str, int]] = {pk: {} for pk in ids}
    rows = Enrollment.objects.filter(campaign__in=ids)
    for pk, state, n in rows.values_list("campaign", "state").annotate(n=Count("pk")).order_by():
        counts[pk][state] = n
    closed = rows.exclude(state=State.LEFT_OUT).filter(gap__status=CareGap.Status.CLOSED)
    for pk, n in closed.values_list("campaign").annotate(n=Count("pk")).order_by():
        counts[pk]["closed"] = n
    ended = rows.filter(why=Why.REPLIED)
    for pk, n in ended.values_list("campaign").annotate(n=Count("pk")).order_by():
        counts[pk]["answered"] = n
    return counts


def texted_by_stream(campaigns: Iterable[Campaign]) -> dict[int, int]:
    """How many gaps each campaign's stream has had a text go out about."""
    streams = [c.stream_id for c in campaigns if c.stream_id]
    texts = Message.objects.filter(stream__in=streams, state__in=Message.GONE_OUT)
    return dict(texts.values_list("stream").annotate(n=Count("about", distinct=True)).order_by())


def left_out(campaign: Campaign) -> list[tuple[str, int]]:
    """Reasons in words with how many they left out, most first."""
    return _reasons(campaign, State.LEFT_OUT)


def ended(campaign: Campaign) -> list[tuple[str, int]]:
    """Reasons in words with how many enrollments they ended, most first."""
    return _reasons(campaign, State.ENDED)


def _reasons(campaign: Campaign, state: str) -> list[tuple[str, int]]:
    rows = Enrollment.objects.filter(campaign=campaign, state=state).values_list("why")
    counted = rows.annotate(n=Count("pk")).order_by("-n", "why")
    return [(str(Why(why).label) if why else "Not recorded", n) for why, n in counted]


def next_touches(campaign: Campaign, days: int = 14) -> list[tuple[date, int]]:
    """Touches that fall due on each coming day in the clinic's zone; what is overdue counts as today."""
    zone = ZoneInfo(zone_of(campaign))
    today = clock.today(zone)
    rows = (
        Enrollment.objects.active()
        .filter(campaign=campaign, due_at__lt=clock.now() + timedelta(days=days))
        .annotate(day=TruncDate("due_at", tzinfo=zone))
        .values_list("day")
        .annotate(n=Count("pk"))
        .order_by()
    )
    counted: Counter[date] = Counter()
    for day, n in rows:
        counted[max(day, today)] += n
    return sorted(counted.items())


def finish_at(campaign: Campaign) -> datetime | None:
    """When the last touch of those in progress falls due; None when nobody is in progress."""
    touches = list(campaign.touches.all())
    zone = zone_of(campaign)
    ends = []
    places = Enrollment.objects.active().filter(campaign=campaign).values_list("position")
    for position, last in places.annotate(last=Max("due_at")).order_by():
        moment = max(last or clock.now(), clock.now())
        for touch in touches:
            moment = cadence.after(moment, touch, zone) if touch.position > position else moment
        ends.append(moment)
    return max(ends, default=None)
