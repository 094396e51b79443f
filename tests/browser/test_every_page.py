"""Every page of the demonstration as each role: no axe violation, no refused script or style, nothing wider than the screen.

With ENGAGE_SHOTS set to a folder, each page is also photographed in three widths, light and dark.
"""

import os
from pathlib import Path

import pytest

from tests.stack import PASSWORD, Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WIDTHS = (1440, 768, 390)
SHOTS = os.environ.get("ENGAGE_SHOTS", "")
ROLES = {
    "coordinator": [
        "/worklist/",
        "/inbox/",
        "/patients/",
        "/patients/?q=garcia",
        "/campaigns/",
        "/measures/",
    ],
    "nurse": [
        "/worklist/",
        "/inbox/",
        "/sorting/",
        "/sorting/figures/",
        "/sorting/words/",
        "/sorting/words/entry/chest-pain/",
        "/sorting/words/new/",
    ],
    "oncall": ["/worklist/"],
    "campaigns": ["/campaigns/", "/campaigns/new/", "/measures/", "/measures/CMS130/", "/setup/"],
    "supervisor": ["/worklist/", "/audit/", "/setup/", "/delivery/", "/delivery/stop/"],
    "auditor": ["/audit/", "/patients/?q=rivera", "/delivery/"],
    "otherclinic": ["/worklist/", "/inbox/"],
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    with Stack(folder) as running:
        running.manage("seed_demo", "--patients", os.environ.get("ENGAGE_SHOTS_PATIENTS", "400"))
        running.start("simulator", "web", "deliver")
        yield running


def objects(stack):
    """Pages about one thing, with the role that opens them."""
    found = stack.query(
        "{'patient': Message.objects.filter(direction='in', patient__clinic__slug='harbor').latest('id').patient_id,"
        " 'urgent': Conversation.objects.filter(level=0, clinic__slug='harbor').latest('id').pk,"
        " 'task': Task.objects.filter(state='open', clinic__slug='harbor', patient__isnull=False)"
        ".order_by('priority', 'id').first().pk,"
        " 'gap': CareGap.objects.filter(status='open', patient__clinic__slug='harbor').first().pk,"
        " 'running': Campaign.objects.filter(state='running').order_by('id').first().pk,"
        " 'unmatched': Conversation.objects.visible_to(User.objects.get(username='supervisor'))"
        ".filter(patient=None).first().pk,"
        " 'sent': Message.objects.filter(state='delivered', clinic__slug='harbor', template__isnull=False).latest('id').pk,"
        " 'sample': Sample.objects.filter(done_at=None, clinic__slug__in=['harbor', 'riverside']).latest('week').pk,"
        " 'draft': Campaign.objects.filter(state='draft').first().pk}"
    )
    pages = {
        "coordinator": [
            f"/patients/{found['patient']}/",
            f"/worklist/{found['task']}/",
            f"/inbox/c/{found['urgent']}/",
            f"/gaps/{found['gap']}/close/",
            f"/messages/{found['sent']}/",
        ],
        "nurse": [f"/sorting/samples/{found['sample']}/"],
        "supervisor": [f"/inbox/c/{found['unmatched']}/"],
        "campaigns": [
            f"/campaigns/{found['running']}/",
            f"/campaigns/{found['draft']}/edit/",
            f"/campaigns/{found['draft']}/",
        ],
    }
    return {role: [*paths, *pages.get(role, [])] for role, paths in ROLES.items()}


def name_of(path):
    kept = "".join(c if c.isalnum() else "-" for c in path).strip("-")
    return kept or "home"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page(stack, browser, axe_violations, theme):
    wrong = []
    context = browser.new_context(color_scheme=theme, reduced_motion="reduce", bypass_csp=False)
    page = context.new_page()
    page.goto(f"{stack.url}/accounts/login/")
    wrong += look(page, "anonymous", "/accounts/login/", theme, axe_violations)
    context.close()
    for role, paths in objects(stack).items():
        context = browser.new_context(color_scheme=theme, reduced_motion="reduce")
        page = context.new_page()
        refused = []
        page.on("console", lambda m, refused=refused: refused.append(m.text) if m.type == "error" else None)
        page.goto(f"{stack.url}/accounts/login/")
        page.get_by_label("Username").fill(role)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        for path in paths:
            refused.clear()
            answer = page.goto(stack.url + path)
            if answer.status != 200:
                wrong.append(f"{role} {path}: {answer.status}")
                continue
            wrong += look(page, role, path, theme, axe_violations)
            wrong += [f"{role} {path}: console says {text}" for text in refused]
        context.close()
    assert not wrong, "\n".join(wrong)


def look(page, role, path, theme, axe_violations):
    """What is wrong with the page in any of the three widths."""
    wrong = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900 if width > 400 else 844})
        extra = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if extra > 0:
            wrong.append(f"{role} {path} at {width}: {extra} px wider than the screen")
        if SHOTS:
            folder = Path(SHOTS)
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"{role}-{name_of(path)}-{width}-{theme}.png", full_page=False)
        if width != 768:
            wrong += [f"{role} {path} at {width} {theme}: {v}" for v in axe_violations(page)]
    return wrong
