"""The measures pages over the population of tests.benchmarks.find_gaps, after a night: pages, queries, the slowest query.

    DATABASE_URL=… python -m tests.benchmarks.measures [--times 20]

Runs in a database that `python -m tests.benchmarks.find_gaps --patients 1000000` has left. Everybody there speaks English
and has no clinician: so languages and clinicians are given out first, once, and everybody is looked at again.
Target: each page ≤ 500 ms.
"""

import argparse
import os
import tempfile

MEASURE = "CMS165"
CLINICIANS = 300


def prepare() -> None:
    """Clinicians and languages for everybody, a night, and somebody of each clinic who looks."""
    from unittest import mock

    from engage.accounts.models import Clinic, Role, User
    from engage.caregaps.jobs import find_gaps
    from engage.patients.models import Practitioner
    from tests.benchmarks.find_gaps import TEN
    from tests.benchmarks.population import AS_OF, run

    if not Practitioner.objects.exists():
        doctors = [
            Practitioner(source="bench", fhir_id=str(n), name=f"Doctor {n}") for n in range(CLINICIANS)
        ]
        low = Practitioner.objects.bulk_create(doctors)[0].pk
        run(
            f"UPDATE patients_patient SET pcp_id = {low} + id % {CLINICIANS},"  # noqa: S608
            " language = CASE WHEN id % 1000 = 1 THEN 'vi' WHEN id % 5 = 0 THEN 'es' ELSE 'en' END"
        )
        with mock.patch("engage.caregaps.jobs.NIGHTLY", TEN):
            find_gaps(as_of=AS_OF, accept=True, full=True)
        run("ANALYZE")
    user, new = User.objects.get_or_create(username="bench", role=Role.COORDINATOR)
    if new:
        user.clinics.set(Clinic.objects.all())


def addresses() -> dict[str, str]:
    from engage.accounts.models import Clinic
    from engage.patients.models import Practitioner

    one = f"/measures/{MEASURE}/"
    patients = f"{one}patients/"
    clinic, doctor = Clinic.objects.order_by("pk").first(), Practitioner.objects.order_by("pk").first()
    return {
        "the list": "/measures/",
        "rates as a file": "/measures/rates.csv",
        "one measure": one,
        "patients": patients,
        "the last page": f"{patients}?page=200",
        "of one clinic": f"{patients}?clinic={clinic.pk}",
        "of a clinician": f"{patients}?pcp={doctor.pk}",
        "Spanish": f"{patients}?language=es",
        "Vietnamese": f"{patients}?language=vi",
        "aged 40 to 49": f"{patients}?age=40-49",
        "of no clinic": f"{patients}?clinic=none",
        "two choices": f"{patients}?language=vi&age=70-79",
        "spoken by none": f"{patients}?language=xx",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ENGAGE_VAR"] = folder
        os.environ.setdefault("LOG_LEVEL", "WARNING")
        os.environ["DEBUG"] = "0"
        os.environ["DJANGO_SETTINGS_MODULE"] = "engage.settings"
        import django

        django.setup()
        from django.conf import settings
        from django.test import Client

        from engage.accounts.models import User
        from tests.benchmarks.worklist import time_pages

        settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
        prepare()
        client = Client(headers={"host": "localhost"})
        client.force_login(User.objects.get(username="bench"))
        time_pages(client, addresses(), asked.times)


if __name__ == "__main__":
    main()
