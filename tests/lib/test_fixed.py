"""Statements compiled once give what the ORM gives, and write what it writes."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from engage.lib import clock
from engage.lib.fixed import Fixed, insert, insert_missing, insert_or_update, update
from engage.messaging.models import Heartbeat, Message, ProviderEvent
from engage.patients.models import ContactPoint, Patient
from tests.base import CastTestCase

SINCE = Fixed(
    lambda address, since: (
        Message.objects.filter(address=address, created_at__gt=since, state__in=("queued", "sent"))
        .select_related("clinic", "patient__clinic", "template")
        .order_by("-created_at")[:1]
    )
)
NAMES = Fixed(
    lambda given: ContactPoint.objects.filter(patient__given=given).values_list(
        "value", "valid", "patient__birth_date"
    )
)


class Asked(CastTestCase):
    def message(self, **more):
        fields = {
            "address": "+16175550142",
            "body": "100 % é",
            "key": f"k{Message.objects.count()}",
            "verdict": {"at": 1},
        }
        return Message.objects.create(**fields | {"clinic": self.clinic, "patient": self.patient} | more)

    def test_the_same_instances_as_a_queryset_gives_with_their_related_ones(self):
        self.message(created_at=clock.now() - timedelta(days=2))
        kept = self.message()
        for _ in range(2):
            found = SINCE.first(address=kept.address, since=clock.now() - timedelta(days=1))
            assert found == kept
            for field in Message._meta.concrete_fields:
                assert getattr(found, field.attname) == getattr(
                    Message.objects.get(pk=kept.pk), field.attname
                )
            with self.assertNumQueries(0):
                for field in Patient._meta.concrete_fields:
                    assert getattr(found.patient, field.attname) == getattr(self.patient, field.attname)
                assert not found.patient._state.adding
                assert (found.clinic, found.patient.clinic, found.template) == (
                    self.clinic,
                    self.clinic,
                    None,
                )
        assert SINCE.first(address="+16175550143", since=clock.now() - timedelta(days=1)) is None

    def test_rows_of_values_as_python_has_them(self):
        assert NAMES(given="Ana") == [("+16175550142", True, self.patient.birth_date)]
        assert NAMES(given="' OR 1=1") == []

    def test_whoever_counts_statements_sees_them_and_they_find_the_same(self):
        kept = self.message()
        with self.assertNumQueries(2):
            assert SINCE.first(address=kept.address, since=kept.created_at - timedelta(seconds=1)) == kept
            assert SINCE.first(address=kept.address, since=kept.created_at) is None

    def test_whoever_intercepts_statements_does(self):
        def refuse(*_):
            raise DatabaseError("no")

        with pytest.raises(DatabaseError), connection.execute_wrapper(refuse):
            NAMES(given="Ana")


class Written(CastTestCase):
    def test_a_new_row_has_every_field_and_gets_its_key(self):
        row = Message(
            address="a",
            body="é\n%s",
            key="k",
            verdict={"at": "1"},
            clinic=self.clinic,
            created_at=clock.now(),
        )
        assert insert(row)
        kept = Message.objects.get(key="k")
        assert [getattr(row, f.attname) for f in Message._meta.concrete_fields] == [
            getattr(kept, f.attname) for f in Message._meta.concrete_fields
        ]
        row.body = "again"
        row.save()
        assert Message.objects.get(key="k").body == "again"

    def test_once_means_once(self):
        assert insert(ProviderEvent(provider_sid="a", status="sent", error_code=""), once=True)
        again = ProviderEvent(provider_sid="a", status="sent", error_code="")
        assert not insert(again, once=True)
        assert again.pk is None
        with pytest.raises(IntegrityError), transaction.atomic():
            insert(again)
        insert_missing([again, ProviderEvent(provider_sid="b", status="sent", error_code="")])
        assert list(ProviderEvent.objects.order_by("pk").values_list("provider_sid", flat=True)) == ["a", "b"]

    def test_one_that_has_the_key_is_changed(self):
        insert_or_update(Heartbeat(name="n", at=clock.now(), detail={"a": 1}), "name", "detail")
        first = Heartbeat.objects.get()
        row = Heartbeat(name="n", at=clock.now() + timedelta(days=1), detail={"a": 2})
        insert_or_update(row, "name", "detail")
        kept = Heartbeat.objects.get()
        assert (kept.pk, kept.at, kept.detail) == (row.pk, first.at, {"a": 2})

    def test_only_the_named_fields_of_a_row_change(self):
        point = self.patient.contact_points.get()
        point.state, point.raw = "suspect", "changed"
        update(point, "state")
        kept = ContactPoint.objects.get(pk=point.pk)
        assert (kept.state, kept.raw) == ("suspect", "+16175550142")
        update(point)
        assert ContactPoint.objects.get(pk=point.pk).raw == "changed"
        ContactPoint.objects.all().delete()
        with pytest.raises(DatabaseError):
            update(point, "state")

    def test_a_broken_transaction_takes_no_more_statements(self):
        with transaction.atomic():
            transaction.set_rollback(True)
            with pytest.raises(transaction.TransactionManagementError), CaptureQueriesContext(connection):
                NAMES(given="Ana")
            with pytest.raises(transaction.TransactionManagementError):
                NAMES(given="Ana")
