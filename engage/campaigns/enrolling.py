"""Who enters a campaign, and why the others do not: one question to the database, asked by the count and by the launch."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    F,
    IntegerField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Concat

from engage.campaigns import cadence
from engage.campaigns.models import Campaign, Enrollment, Touch
from engage.campaigns.segments import Segment
from engage.caregaps.models import CareGap
from engage.lib import clock
from engage.messaging import templates
from engage.messaging.models import Message
from engage.patients import reach
from engage.patients.models import ContactPoint
from engage.worklist.models import Reason, Task

CHUNK = 100_000  # care-gap ids in one statement and one transaction
MOST_TEXTS, MOST_TEXTS_DAYS = 4, 90  # about one gap (domain-facts §2.3)
DECIDED_FIRST = (Reason.CHECK_DECEASED, Reason.OPT_OUT_DOUBT)  # while such a task is open no program goes on
Why = Enrollment.Why
Progress = Callable[[int], None]


def chosen(campaign: Campaign) -> QuerySet[CareGap]:
    """The open gaps a campaign chooses by measure, clinics and segment; one a patient.

    Raises SegmentError when the stored segment makes no sense.
    """
    same = CareGap.objects.open().filter(
        patient=OuterRef("patient"), measure=OuterRef("measure"), pk__lt=OuterRef("pk")
    )
    return (
        CareGap.objects.open()
        .filter(
            measure=campaign.measure, patient__clinic__in=list(campaign.clinics.values_list("pk", flat=True))
        )
        .filter(patient__active=True, patient__merged_into__isnull=True)
        .filter(Segment.parse(campaign.segment).chosen())
        .filter(~Exists(same))
    )


def judged(gaps: QuerySet[CareGap], campaign: Campaign) -> QuerySet[Any]:
    """The same gaps with `why`: the reason the patient is left out, or "" for those who would be reached."""
    points = ContactPoint.objects.filter(patient=OuterRef("patient"), system=ContactPoint.System.PHONE)
    usable = points.filter(reach.usable_number(), state__in=reach.WORKING)
    granted, revoked = ContactPoint.Permission.GRANTED, ContactPoint.Permission.REVOKED
    opted_out = points.filter(Q(sms_consent=revoked) | Q(state=ContactPoint.State.OPTED_OUT))
    mine = Enrollment.objects.filter(gap=OuterRef("pk"))
    elsewhere = mine.active().exclude(campaign=campaign.pk or 0)
    answered = mine.filter(
        state=Enrollment.State.ENDED, why__in=Enrollment.ANSWERS, ended_at__gte=OuterRef("period_start")
    )
    which = Case(
        When(Exists(elsewhere), then=Value(Why.OTHER_CAMPAIGN.value)), default=Value(Why.SETTLED.value)
    )
    reasons = [
        When(patient__deceased=True, then=Value(Why.DECEASED.value)),
        When(patient__confidential=True, then=Value(Why.CONFIDENTIAL.value)),
        When(patient__in=undecided().values("patient"), then=Value(Why.UNDECIDED.value)),
        When(~Q(patient__language__in=approved_languages(campaign)), then=Value(Why.NO_LANGUAGE.value)),
        When(Exists(elsewhere | answered), then=which),  # most have neither: one look instead of two
        When(Q(texts_lately__gte=MOST_TEXTS), then=Value(Why.RECENT.value)),
        When(  # few have ended anything: only of them the rest is asked
            Exists(points.filter(sms_consent=revoked))
            & Exists(reach.stopped().filter(patient=OuterRef("patient"))),
            then=Value(Why.OPTED_OUT.value),
        ),
        When(Exists(usable.filter(sms_consent=granted)), then=Value("")),
        When(Exists(opted_out), then=Value(Why.OPTED_OUT.value)),
        When(Exists(usable), then=Value(Why.NO_CONSENT.value)),
    ]
    return gaps.alias(texts_lately=texts_lately()).annotate(
        why=Case(*reasons, default=Value(Why.NO_NUMBER.value), output_field=CharField())
    )


def undecided() -> QuerySet[Task]:
    """Open tasks in which staff must decide whether the patient may be written to at all."""
    return Task.objects.open().filter(reason__in=DECIDED_FIRST, patient__isnull=False)


def texts_lately() -> Coalesce:
    """How many texts about this gap the carrier took in the last 90 days."""
    since = clock.now() - timedelta(days=MOST_TEXTS_DAYS)
    about = Concat(Value("caregap:"), Cast(OuterRef("pk"), CharField()), output_field=CharField())
    taken = Message.objects.filter(about=about, accepted_at__gte=since).exclude(about="")
    counted = taken.order_by().values("about").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def approved_languages(campaign: Campaign) -> list[str]:
    """The languages in which every text of the cadence has approved wording; all of them when it has no text."""
    keys = campaign.touches.filter(kind=Touch.Kind.TEXT).values_list("template_key", flat=True)
    sets = [templates.languages(key) for key in keys]
    return sorted(set.intersection(*sets)) if sets else sorted({"en", "es"})


def not_in(campaign: Campaign) -> QuerySet[CareGap]:
    """Chosen gaps that have no enrollment in the campaign yet."""
    inside = Enrollment.objects.filter(campaign=campaign.pk or 0, gap=OuterRef("pk"))
    return chosen(campaign).filter(~Exists(inside))


def take_in(campaign: Campaign, progress: Progress | None = None) -> int:
    """Enrolls every chosen gap that is not in yet, those left out with their reason; the number of new rows.

    Works in chunks of ids, each its own transaction and one statement: killed and started again it goes on,
    and when nobody is missing it writes nothing.
    """
    first = campaign.touches.order_by("position").first()
    if first is None:
        return 0
    now, total = clock.now(), 0
    due = cadence.after(now, first, zone_of(campaign))
    gaps = judged(not_in(campaign), campaign)
    for low, high in chunks(campaign):
        total += _insert(campaign, gaps.filter(pk__gte=low, pk__lt=high)[:CHUNK], now, due)
        if progress:
            progress(total)
    return total


def chunks(campaign: Campaign) -> Iterator[tuple[int, int]]:
    """Half-open ranges of care-gap ids that together hold every open gap of the campaign's measure."""
    ends = CareGap.objects.open().filter(measure=campaign.measure).aggregate(low=Min("pk"), high=Max("pk"))
    if ends["low"] is not None:
        for low in range(ends["low"], ends["high"] + 1, CHUNK):
            yield low, low + CHUNK


def _insert(campaign: Campaign, gaps: QuerySet[Any], now: datetime, due: datetime) -> int:
    # The slice keeps SQLite from folding the inner question into the outer one and asking `why` three times a row.
    # The order makes PostgreSQL finish judging before it writes: otherwise each judgement wades through the new rows.
    inner, values = gaps.values_list("pk", "patient_id", "patient__clinic_id", "why").query.sql_with_params()
    sql = f"""
        INSERT INTO campaigns_enrollment
          (campaign_id, gap_id, patient_id, clinic_id, state, why, position, round, due_at, enrolled_at, ended_at)
        SELECT %s, gap, patient, clinic, CASE WHEN why = '' THEN 'active' ELSE 'left_out' END, why, 1, 1,
          CASE WHEN why = '' THEN {stamp()} END, {stamp()}, CASE WHEN why <> '' THEN {stamp()} END
        FROM ({_named(inner, "gap", "patient", "clinic", "why")}) AS judged WHERE true
        ORDER BY why, gap
        ON CONFLICT (campaign_id, gap_id) DO NOTHING"""  # noqa: S608 - the ORM made the inner statement
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL jit = off")  # compiling takes longer than the statement
        cursor.execute(sql, [campaign.pk, written(due), written(now), written(now), *values])
        rows = max(cursor.rowcount, 0)
        if connection.vendor == "postgresql" and rows > CHUNK // 2:
            cursor.execute("ANALYZE campaigns_enrollment")  # or the next chunk is planned for an empty table
    return rows


def readmit(campaign: Campaign) -> int:
    """Takes in those who were left out for a reason that has gone, and keeps the others' reason current; rows written."""
    first = campaign.touches.order_by("position").first()
    if first is None:
        return 0
    now = clock.now()
    outside = chosen(campaign).filter(
        enrollments__campaign=campaign, enrollments__state=Enrollment.State.LEFT_OUT
    )
    judgement = (
        judged(outside, campaign).annotate(before=F("enrollments__why")).values_list("pk", "why", "before")
    )
    inner, values = judgement[:10_000_000].query.sql_with_params()
    sql = f"""
        UPDATE campaigns_enrollment SET why = judged.why,
          state = CASE WHEN judged.why = '' THEN 'active' ELSE 'left_out' END,
          due_at = CASE WHEN judged.why = '' THEN {stamp()} END,
          ended_at = CASE WHEN judged.why <> '' THEN {stamp()} END
        FROM ({_named(inner, "gap", "why", "before")}) AS judged
        WHERE campaigns_enrollment.gap_id = judged.gap AND campaigns_enrollment.campaign_id = %s
          AND campaigns_enrollment.state = 'left_out' AND judged.why <> judged.before"""  # noqa: S608
    due = cadence.after(now, first, zone_of(campaign))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, [written(due), written(now), *values, campaign.pk])
        return max(cursor.rowcount, 0)


def _named(inner: str, *columns: str) -> str:
    """The ORM's statement with columns of our own naming, the same on both databases."""
    return f"WITH rows_of({', '.join(columns)}) AS ({inner}) SELECT {', '.join(columns)} FROM rows_of"  # noqa: S608


def stamp() -> str:
    """A moment as a parameter inside CASE, where PostgreSQL cannot guess its type."""
    return "CAST(%s AS timestamptz)" if connection.vendor == "postgresql" else "%s"


def written(moment: datetime) -> Any:
    """A moment as this database stores it."""
    return connection.ops.adapt_datetimefield_value(moment)


def zone_of(campaign: Campaign) -> str:
    """The zone in which the campaign's waits are counted: that of its first clinic."""
    clinic = campaign.clinics.order_by("pk").first()
    return clinic.time_zone if clinic else "America/New_York"
