"""Many rows at once."""

from unittest import mock

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from engage.lib import bulk
from engage.records.models import Coding, Concept, ValueSet
from tests.base import CastTestCase

POSTGRESQL = connection.vendor == "postgresql"


class Appending(CastTestCase):
    def codes(self) -> list[tuple]:
        return list(Coding.objects.order_by("pk").values_list("concept", "system", "code"))

    def test_so_many_rows_at_a_time_and_what_is_left(self):
        concept = Concept.objects.create(key="k", display="d").pk
        for count in (0, 1, 3, 8):
            Coding.objects.all().delete()
            rows = [(f"c{n}",) for n in range(count)]
            with mock.patch.object(bulk, "AT_ONCE", 3):
                bulk.append("records_coding", ("code",), rows, {"concept_id": concept, "system": "s"})
            assert self.codes() == [(concept, "s", code) for (code,) in rows]

    def test_nothing_the_same(self):
        rows = [(f"oid{n}", "name", "", "", "", "2026-01-01 00:00:00+00") for n in range(5)]
        columns = ("oid", "name", "version", "origin", "digest", "loaded_at")
        before = ValueSet.objects.count()
        with mock.patch.object(bulk, "AT_ONCE", 2):
            bulk.append("records_valueset", columns, rows)
        assert ValueSet.objects.count() == before + 5
        with pytest.raises((IntegrityError, psycopg.IntegrityError)), transaction.atomic():
            bulk.append("records_valueset", columns, rows[:1])

    def test_numbers(self):
        made = sorted(Concept.objects.create(key=f"k{n}", display="d").pk for n in range(3))
        assert sorted(bulk.numbers("SELECT +c.id FROM records_concept c")) == made
        assert bulk.numbers("SELECT id FROM records_concept WHERE id < 0") == []
        assert bulk.numbers("SELECT id FROM records_concept WHERE display IN ('%', '')") == []

    def test_by_place_are_the_same_rows(self):
        made = {Concept.objects.create(key=f"k{n}", display="d").pk for n in range(3)}
        condition = bulk.by_place("records_concept", "display = 'd'")
        assert {pk for (pk,) in bulk.select(f"SELECT id FROM records_concept WHERE {condition}", ())} == made


class ReadingMany(CastTestCase):
    def settings(self) -> list[list[tuple]]:
        names = ("SHOW work_mem", "SHOW random_page_cost") if POSTGRESQL else ("PRAGMA mmap_size",)
        return [bulk.select(name, ()) for name in names]

    def test_the_connection_is_as_before_afterwards(self):
        before = self.settings()
        with bulk.reading_many(), bulk.reading_here_and_there():
            # SQLite maps nothing of a database in memory.
            assert not before[0] or all(
                now != then for now, then in zip(self.settings(), before, strict=True)
            )
        assert self.settings() == before
        with pytest.raises(OSError), bulk.reading_many(), bulk.reading_here_and_there():
            raise OSError
        assert self.settings() == before
