"""The database refuses to change or delete an audit row."""

import pytest
from django.db import DatabaseError, connection, transaction

from engage.audit.models import AuditEvent, record
from tests.base import CastTestCase


class AppendOnly(CastTestCase):
    def setUp(self):
        self.row = record(self.nurse, "patient.view", self.patient, patient_id=self.patient.pk)

    def refused(self, act):
        with pytest.raises(DatabaseError, match="cannot be changed or deleted"), transaction.atomic():
            act()
        assert AuditEvent.objects.get(pk=self.row.pk).action == "patient.view"

    def test_update(self):
        self.refused(lambda: AuditEvent.objects.filter(pk=self.row.pk).update(action="nothing"))

    def test_save(self):
        self.row.action = "nothing"
        self.refused(self.row.save)

    def test_delete(self):
        self.refused(lambda: AuditEvent.objects.filter(pk=self.row.pk).delete())

    def test_raw_sql(self):
        self.refused(lambda: connection.cursor().execute("DELETE FROM audit_auditevent"))

    def test_replace(self):
        columns = "id, at, actor, actor_id, action, subject_type, subject_id, patient_id, clinic_id, detail"
        values = columns.replace("action", "'nothing'")
        rows = f"audit_auditevent ({columns}) SELECT {values} FROM audit_auditevent WHERE true"
        sql = f"REPLACE INTO {rows}"
        if connection.vendor == "postgresql":
            sql = f"INSERT INTO {rows} ON CONFLICT (id) DO UPDATE SET action = 'nothing'"
        self.refused(lambda: connection.cursor().execute(sql))

    def test_it_names_who_what_and_whom(self):
        assert (self.row.actor, self.row.actor_id) == ("nurse", self.nurse.pk)
        assert (self.row.subject_type, self.row.subject_id) == ("patient", str(self.patient.pk))
        assert self.row.clinic_id == self.clinic.pk
