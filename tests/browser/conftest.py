"""The browser of tests: the system's Chromium. Absent, they are skipped aloud, or fail where nothing may be skipped."""

import os
import shutil

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def chromium_path():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        refuse = pytest.fail if os.environ.get("CI_STRICT") == "1" else pytest.skip
        refuse("Chromium is not installed (Debian: apt-get install chromium)")
    return path


@pytest.fixture(scope="session")
def browser(chromium_path):
    from playwright.sync_api import sync_playwright

    # Playwright's loop marks the thread as async; the ORM in the same thread must not refuse because of it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def browser_page(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(15_000)
    yield page
    context.close()


@pytest.fixture(scope="session")
def axe_violations():
    """A function that gives axe's violations of a page as short lines; injected through the debugger, so the CSP stands."""
    from axe_playwright_python.sync_playwright import Axe

    source = Axe().axe_script if hasattr(Axe(), "axe_script") else None
    if source is None:
        from importlib.resources import files

        found = [
            f
            for f in files("axe_playwright_python").iterdir()
            if f.name.startswith("axe") and f.name.endswith(".js")
        ]
        source = found[0].read_text()

    def check(page):
        page.evaluate(source)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{v['id']} ({v['impact']}): "
            + "; ".join(" ".join(map(str, n["target"])) for n in v["nodes"][:4])
            for v in result["violations"]
        ]

    return check
