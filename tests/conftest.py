"""What every test may ask for."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("ENGAGE_DATA", str(Path(__file__).resolve().parents[2] / "shared" / "data")))
STRICT = os.environ.get("CI_STRICT") == "1"


@pytest.fixture(scope="session")
def data() -> Path:
    """The real inputs; absent, the test is skipped aloud, or fails where nothing may be skipped."""
    if not DATA.is_dir():
        (pytest.fail if STRICT else pytest.skip)(f"the real inputs are not at {DATA}; set ENGAGE_DATA")
    return DATA
