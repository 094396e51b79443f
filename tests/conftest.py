"""What every test may ask for, and what may be left out where."""

import os
from pathlib import Path

import pytest
from django.conf import settings
from django.core.cache import cache

from tests import databases

# The mechanics of nights and worklists are tested on three measures; test_nightly.py asks all ten of a default run.
FEW_MEASURES = ("CMS125", "CMS130", "CMS165")
settings.NIGHTLY_MEASURES = FEW_MEASURES
os.environ.setdefault("NIGHTLY_MEASURES", ",".join(FEW_MEASURES))

DATA = Path(os.environ.get("ENGAGE_DATA", str(Path(__file__).resolve().parents[2] / "shared" / "data")))
STRICT = os.environ.get("CI_STRICT") == "1"
ON_POSTGRES = os.environ.get("DATABASE_URL", "").startswith("postgres")
skipped: list[str] = []


def pytest_configure(config):
    databases.shared()  # here in the first process, for all that it starts


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    databases.give_to_django(settings.DATABASES["default"])


@pytest.fixture(autouse=True)
def nothing_cached():
    cache.clear()


@pytest.fixture(scope="session")
def data() -> Path:
    """The real inputs; absent, the test is skipped aloud, or fails where nothing may be skipped."""
    if not DATA.is_dir():
        (pytest.fail if STRICT else pytest.skip)(f"the real inputs are not at {DATA}; set ENGAGE_DATA")
    return DATA


def pytest_collection_modifyitems(config, items):
    """The long ones first, so that two processes end together.

    What needs PostgreSQL belongs to the run that has it: where both are run, it is not "skipped" in the other.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    if ON_POSTGRES or not STRICT:
        return
    if left := [item for item in items if item.get_closest_marker("postgres")]:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_runtest_logreport(report):
    if report.skipped and not hasattr(report, "wasxfail"):
        skipped.append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """Where nothing may be skipped, a skip fails the run."""
    if STRICT and skipped and not hasattr(session.config, "workerinput"):
        print("\nSkipped, though nothing may be skipped here:", *skipped, sep="\n  ")
        session.exitstatus = session.exitstatus or 1
