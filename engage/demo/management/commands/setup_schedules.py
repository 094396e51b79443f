"""setup_schedules: the queue's timetable, brought in line with engage/schedules.py."""

from datetime import UTC, datetime
from typing import Any

from croniter import croniter
from django.core.management.base import BaseCommand
from django.db import transaction
from django_q.models import Schedule

from engage.schedules import JOBS, Job


class Command(BaseCommand):
    help = "Writes every periodic job of engage/schedules.py into the queue's timetable; safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            changed = sum(settle(job) for job in JOBS)
            gone, _ = (
                Schedule.objects.exclude(name__in=[j.name for j in JOBS])
                .filter(func__startswith="engage.")
                .delete()
            )
        self.stdout.write(f"Schedules: {len(JOBS)} in all, {changed} changed, {gone} removed.")


def settle(job: Job) -> bool:
    """Whether a row had to be written. One that is right keeps its next run."""
    wanted: dict[str, Any] = {
        "func": job.function,
        "schedule_type": Schedule.CRON if job.cron else Schedule.MINUTES,
        "minutes": job.minutes or None,
        "cron": job.cron or None,
        "repeats": -1,
    }
    rows = Schedule.objects.filter(name=job.name)
    if rows.filter(**wanted).count() == 1 == rows.count():
        return False
    rows.delete()
    now = datetime.now(UTC)
    first = croniter(job.cron, now).get_next(datetime) if job.cron else now
    Schedule.objects.create(name=job.name, next_run=first, **wanted)
    return True
