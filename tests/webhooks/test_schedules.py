"""The queue's timetable."""

from importlib import import_module

import pytest
from django.core.management import call_command
from django_q.models import Schedule

from engage.schedules import JOBS
from tests.base import CastTestCase


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_job_names_a_function(job):
    module, _, name = job.function.rpartition(".")
    assert callable(getattr(import_module(module), name))
    assert bool(job.minutes) != bool(job.cron)


class Timetable(CastTestCase):
    def settle(self):
        from io import StringIO

        out = StringIO()
        call_command("setup_schedules", stdout=out)
        return out.getvalue()

    def test_it_follows_the_table_and_repeats_without_a_change(self):
        Schedule.objects.create(name="long gone", func="engage.old.job")
        theirs = Schedule.objects.create(name="somebody's", func="other.app.job")
        assert f"{len(JOBS)} changed, 1 removed" in self.settle()
        before = dict(Schedule.objects.values_list("name", "next_run"))
        assert set(before) == {j.name for j in JOBS} | {theirs.name}
        assert "0 changed, 0 removed" in self.settle()
        assert dict(Schedule.objects.values_list("name", "next_run")) == before

    def test_a_changed_job_is_brought_in_line(self):
        self.settle()
        Schedule.objects.filter(name="sweep").update(minutes=60)
        assert "1 changed" in self.settle()
        assert Schedule.objects.get(name="sweep").minutes == 1
