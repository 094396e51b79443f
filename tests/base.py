"""The cast: a coordinator, a nurse, a supervisor, an administrator, a patient, someone of another clinic."""

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

from django.apps import apps
from django.core import serializers
from django.db import connection
from django.test import TestCase, TransactionTestCase, override_settings

from engage.accounts.models import Clinic, Role, User
from engage.patients.models import ContactPoint, Patient
from engage.records import valuesets
from engage.records.models import ValueSet, ValueSetCode

NOON = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)  # a Wednesday, noon in New York


class Cast:
    """Makes the cast; mixed into every test class that needs people."""

    @classmethod
    def make_cast(cls) -> None:
        cls.clinic = Clinic.objects.create(
            name="Harbor Clinic",
            slug="harbor",
            state="MA",
            time_zone="America/New_York",
            phone="+16175550100",
            on_call_number="+16175550199",
        )
        cls.other_clinic = Clinic.objects.create(
            name="Mesa Clinic", slug="mesa", state="AZ", time_zone="America/Phoenix", phone="+16025550100"
        )
        cls.coordinator = cls.user("coordinator", Role.COORDINATOR)
        cls.nurse = cls.user("nurse", Role.NURSE)
        cls.oncall = cls.user("oncall", Role.ONCALL)
        cls.administrator = cls.user("campaigns", Role.CAMPAIGNS)
        cls.supervisor = cls.user("supervisor", Role.SUPERVISOR)
        cls.auditor = cls.user("auditor", Role.AUDITOR)
        cls.stranger = cls.user("otherclinic", Role.COORDINATOR, cls.other_clinic)
        cls.patient = cls.make_patient("Ana", "Rivera", "+16175550142")

    @classmethod
    def user(cls, name: str, role: str, clinic: Clinic | None = None) -> User:
        user = User.objects.create_user(
            name, password="correct horse battery", role=role, first_name=name.title()
        )
        user.clinics.add(clinic or cls.clinic)
        return user

    @classmethod
    def make_patient(cls, given: str, family: str, phone: str = "", **more) -> Patient:
        """A living patient of the clinic, with consent to texts on the phone (when one is given)."""
        fields = {
            "source": "test",
            "fhir_id": f"{given}-{family}".lower(),
            "clinic": cls.clinic,
            "given": given,
            "family": family,
            "search_name": f"{family} {given}".lower(),
            "birth_date": date(1960, 5, 1),
            "birth_precision": "day",
            "gender": "female",
            "state": "MA",
            "time_zone": "America/New_York",
        } | more
        patient = Patient.objects.create(**fields)
        if phone:
            ContactPoint.objects.create(
                patient=patient,
                system="phone",
                use="mobile",
                raw=phone,
                value=phone,
                sms_consent="granted",
                voice_consent="granted",
            )
        return patient


@override_settings(NOW=NOON)
class CastTestCase(Cast, TestCase):
    """Business time stands at noon on Wednesday 4 March 2026 in New York."""

    @classmethod
    def setUpTestData(cls) -> None:
        cls.make_cast()


def with_a_folder_of_its_own(case: TestCase) -> None:
    """VAR_DIR is empty for this test, and gone after it."""
    folder = tempfile.TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    case.enterContext(override_settings(VAR_DIR=Path(folder.name)))


@override_settings(NOW=NOON)
class CastTransactionTestCase(Cast, TransactionTestCase):
    """For what needs real commits: races, kills, several connections. It leaves what the migrations wrote, so that any test
    may follow."""

    migrated = ""

    def setUp(self) -> None:
        CastTransactionTestCase.migrated = self.migrated or our_rows()
        self.make_cast()

    def _fixture_teardown(self) -> None:
        with audit_unlocked():
            super()._fixture_teardown()
        for row in serializers.deserialize("json", self.migrated):
            row.save()
        valuesets.ensure()


def our_rows() -> str:
    """Everything in our own tables but the value sets; Django sees to its own itself."""
    ours = [m for m in apps.get_models() if m.__module__.startswith("engage.")]
    models = [m for m in ours if m not in (ValueSet, ValueSetCode)]
    return serializers.serialize("json", [row for model in models for row in model._base_manager.all()])


class audit_unlocked:
    """Lifts the audit table's triggers while a test flushes the database (docs/decisions/0002)."""

    def __enter__(self) -> None:
        self.flip("DISABLE", False)

    def __exit__(self, *_: object) -> None:
        self.flip("ENABLE", True)

    def flip(self, word: str, on: bool) -> None:
        from importlib import import_module

        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(f"ALTER TABLE audit_auditevent {word} TRIGGER USER")
                return
            for statement in import_module("engage.audit.migrations.0002_append_only").SQLITE:
                name = statement.split()[2]
                cursor.execute(statement if on else f"DROP TRIGGER {name}")
