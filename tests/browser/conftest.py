"""Chromium for tests that need a browser: skipped aloud where it is missing, failed where nothing may be skipped."""

import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import STRICT

WIDTHS = {"wide": 1440, "middle": 768, "narrow": 390}
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

# The synchronous driver runs a loop in this thread, which Django takes for asynchronous code.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium, without a window; ended with its file, for others run loops of their own in this thread."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        (pytest.fail if STRICT else pytest.skip)("Chromium is not installed: nothing was tested in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def browser_page(browser):
    """A page of its own session, 1440 wide; a script error or a refused script or style fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None
    )
    yield page
    context.close()
    assert not wrong, wrong


@pytest.fixture(scope="session")
def axe_violations():
    """A function: what axe finds wrong on a page, a line each."""
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()

    def violations(page):
        # The driver evaluates axe outside the page's own policy, which refuses foreign scripts.
        found = axe.run(page).response["violations"]
        return [
            f"{rule['id']} ({rule['impact']}): {node['target']} {node['failureSummary']}"
            for rule in found
            for node in rule["nodes"]
        ]

    return violations


@pytest.fixture
def axe(axe_violations):
    """A function that asserts that axe finds nothing on a page."""

    def nothing_wrong(page):
        found = axe_violations(page)
        assert not found, "\n".join(found)

    return nothing_wrong


@pytest.fixture(scope="session")
def shots():
    """A function that photographs a page in three widths, light and dark, into $ENGAGE_SHOTS (when that is set)."""
    folder = os.environ.get("ENGAGE_SHOTS", "")

    def take(page, name):
        if not folder:
            return
        Path(folder).mkdir(parents=True, exist_ok=True)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            for width in WIDTHS.values():
                page.set_viewport_size({"width": width, "height": 900})
                page.screenshot(path=Path(folder) / f"{name}-{width}-{theme}.png")

    return take
