"""Each week some replies of each clinic are drawn at random, routine ones too, and a nurse says how they should be sorted.

Strata are the level that triage gave and the language. Routine replies are drawn more often than anybody would look at them,
because what was missed is among them; each item keeps how many replies it stands for.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet

from engage.accounts.models import Clinic, User
from engage.audit.models import record
from engage.inbox import consequences, deadlines, flags
from engage.inbox.actions import reopen
from engage.inbox.models import Conversation, Flag, InboxError, Level, Reading, Sample, SampleItem
from engage.inbox.triage.reading import LABELS, URGENT_LABELS
from engage.lib import clock
from engage.messaging.models import Message
from engage.worklist import actions as worklist
from engage.worklist.models import Outcome, Reason, Task

PER_WEEK = {Level.URGENT: 8, Level.SIGNIFICANT: 12, Level.ROUTINE: 20}
LEAST = 3  # of each language in each level, so that few Spanish replies are not drowned by many English ones
GROUPS = ("en", "es")  # languages with figures of their own; the rest are "other"
WITHIN = 40  # working hours
BY_RULES = ("staff", "optout", "lexicon", "question", "classifier")  # sources that `Reading.said` has in it


def language_group(code: str) -> str:
    return code if code in GROUPS else "other"


def last_week(clinic: Clinic) -> date:
    """The Monday of the last whole week in the clinic's zone."""
    today = clock.today(clinic.time_zone)
    return today - timedelta(days=today.weekday() + 7)


def draw(clinic: Clinic, week: date) -> Sample | None:
    """The sample of a clinic's week: the one there is, or a new one; None when nobody wrote. The same every time."""
    there = Sample.objects.filter(clinic=clinic, week=week).first()
    if there is not None:
        return there
    readings = list(_heard(clinic, week))
    if not readings:
        return None
    complete = [r for r in readings if r.complete]
    with transaction.atomic():
        fields = {"replies": len(readings), "unsorted": len(readings) - len(complete)}
        sample, new = Sample.objects.get_or_create(clinic=clinic, week=week, defaults=fields)
        if new:
            items = _items(sample, complete)
            SampleItem.objects.bulk_create(items)
            record("system:draw_samples", "sample.draw", sample, replies=len(readings), drawn=len(items))
            if items:
                _ask(sample, len(items))
    return sample


def _heard(clinic: Clinic, week: date) -> QuerySet[Reading]:
    zone = ZoneInfo(clinic.time_zone)
    edges = [datetime.combine(day, time.min, zone) for day in (week, week + timedelta(days=7))]
    heard = Message.objects.heard().filter(clinic=clinic, created_at__gte=edges[0], created_at__lt=edges[1])
    return Reading.objects.filter(message__in=heard.values("pk"))


def _items(sample: Sample, readings: list[Reading]) -> list[SampleItem]:
    said = {r.message_id: r.said for r in readings}
    later = Flag.objects.filter(message__in=said).exclude(source__in=BY_RULES)
    for message, level in later.values_list("message_id", "level"):  # a later reader raised it
        said[message] = min(said[message], level)
    strata: dict[tuple[int, str], list[Reading]] = defaultdict(list)
    for reading in readings:
        strata[said[reading.message_id], language_group(reading.language)].append(reading)
    chosen: list[tuple[Reading, float]] = []
    for level, most in PER_WEEK.items():
        mine = {group: rows for (at, group), rows in strata.items() if at == level}
        for group, count in shared_out(most, {group: len(rows) for group, rows in mine.items()}).items():
            rows = sorted(mine[group], key=lambda r: chance(sample, r.message_id))[:count]
            chosen += [(row, len(mine[group]) / count) for row in rows]
    chosen.sort(key=lambda pair: chance(sample, pair[0].message_id))
    return [
        SampleItem(
            sample=sample, message_id=r.message_id, position=n, said=said[r.message_id], labels=r.labels,
            language=r.language, version=r.version, weight=weight,
        )
        for n, (r, weight) in enumerate(chosen, 1)
    ]  # fmt: skip


def chance(sample: Sample, message_id: int) -> str:
    """Where a reply stands in the random order of a sample: the same whenever and wherever it is asked."""
    return hashlib.sha256(f"{sample.clinic.slug}:{sample.week}:{message_id}".encode()).hexdigest()


def shared_out(most: int, sizes: dict[str, int]) -> dict[str, int]:
    """How many to draw of each language: LEAST of each where there are so many, the rest by size."""
    counts = {group: min(size, LEAST) for group, size in sizes.items()}
    while sum(counts.values()) < min(most, sum(sizes.values())):
        open_ = [g for g in sizes if counts[g] < sizes[g]]
        group = max(open_, key=lambda g: (sizes[g] / (counts[g] + 1), g))
        counts[group] += 1
    return {group: n for group, n in counts.items() if n}


def _ask(sample: Sample, count: int) -> None:
    plural = "replies" if count != 1 else "reply"
    worklist.open_task(
        reason=Reason.SAMPLE,
        summary=f"Check how {count} {plural} of the week of {sample.week:%-d %b} were sorted.",
        about=sample.about,
        due_at=deadlines.after_working_hours(clock.now(), sample.clinic, WITHIN),
        clinic=sample.clinic,
        queue=Task.Queue.NURSES,
        opened_by="sampling",
        link=f"/sorting/samples/{sample.pk}/",
    )


# --- What a person says of one ---------------------------------------------------------------------------------
def decide(item: SampleItem, verdict: int, *, label: str = "", by: User) -> None:
    """What the reply really was. One that was missed gets its flag, and somebody who acts on it.

    Graver than triage said needs a label; InboxError without one, or for a level the label does not have.
    """
    if verdict not in (Level.URGENT, Level.SIGNIFICANT, Level.ROUTINE):
        raise InboxError("Choose one of the answers.")
    missed = verdict < item.said
    if missed and label not in LABELS:
        raise InboxError("Choose what it should have been flagged as.")
    if missed and verdict != level_of(label):
        raise InboxError("That meaning has another level: choose again.")
    with transaction.atomic():
        _settle(item, verdict, label if missed else "", by)
        if missed:
            _act_on(item.message, label, by)
        _finish(item.sample, by)


def level_of(label: str) -> Level:
    """The level that a label means by itself."""
    return Level.URGENT if label in URGENT_LABELS else Level.SIGNIFICANT


def _settle(item: SampleItem, verdict: int | None, label: str, by: User) -> None:
    item.verdict, item.label = verdict, label
    item.decided_by, item.decided_at = (by, clock.now()) if verdict is not None else (None, None)
    item.save(update_fields=["verdict", "label", "decided_by", "decided_at"])
    message = item.message
    where = {"patient_id": message.patient_id, "clinic_id": message.clinic_id}
    record(
        by,
        "sample.decide" if verdict is not None else "sample.undo",
        item,
        said=item.said,
        verdict=verdict,
        **where,
    )


def _act_on(message: Message, label: str, by: User) -> None:
    """The flag (an urgent one alerts at once); the task too, unless somebody has written to the patient since."""
    flags.add_flag(message, label, by=by)
    conversation = Conversation.of(message)
    written = Message.objects.filter(
        direction=Message.Direction.OUT, author__isnull=False, created_at__gt=message.created_at
    )
    if (written & conversation.messages()).exists():
        return
    if conversation.state == Conversation.State.CLOSED:
        reopen(conversation, by=by)
    if label not in URGENT_LABELS:
        rule = consequences.RULES.get(label, consequences.OTHER)
        worklist.open_task(
            reason=rule.reason,
            summary=f"{rule.sentence}; found in the weekly sample, nobody has answered.",
            about=conversation.about,
            due_at=deadlines.after_working_hours(clock.now(), conversation.clinic, rule.hours),
            clinic=conversation.clinic,
            patient=conversation.patient,
            queue=rule.queue,
            priority=rule.priority,
            opened_by="sampling",
            link=conversation.link,
            source=consequences.source_of(message),
        )


def _finish(sample: Sample, by: User) -> None:
    if sample.items.filter(verdict=None).exists():
        return
    if Sample.objects.filter(pk=sample.pk, done_at=None).update(done_at=clock.now()):
        sample.refresh_from_db()
        worklist.close_about(sample.about, Outcome.CHECKED, "", by=by, reasons=[Reason.SAMPLE])
        record(by, "sample.finish", sample)


def take_back(item: SampleItem, *, by: User) -> None:
    """Undo: the item waits again, and a flag that the verdict added does not count."""
    with transaction.atomic():
        if item.label:
            for flag in item.message.flags.filter(label=item.label, source="staff", decided_by=by):
                flags.dismiss(flag, by=by)
        _settle(item, None, "", by)
        if Sample.objects.filter(pk=item.sample_id).exclude(done_at=None).update(done_at=None):
            _ask(item.sample, 1)


def visible_to(user: User) -> QuerySet[Sample]:
    """The samples of a person's clinics, the newest week first."""
    return Sample.objects.filter(clinic__in=user.clinic_ids()).select_related("clinic")


def waiting(sample: Sample) -> QuerySet[SampleItem]:
    """What has no verdict yet, in order."""
    return sample.items.filter(verdict=None).order_by("position")


def draw_all(clinics: Iterable[Clinic]) -> int:
    """Draws the last week of each clinic; how many clinics have one now."""
    return sum(draw(clinic, last_week(clinic)) is not None for clinic in clinics)
