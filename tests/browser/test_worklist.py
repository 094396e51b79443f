"""The worklist in a browser: by keyboard alone, without JavaScript, announced urgent replies, nothing for axe to find."""

import re

import pytest
from playwright.sync_api import expect

from tests.stack import PASSWORD, Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("worklist")) as running:
        running.manage("seed_demo", "--patients", "300")
        running.start("simulator", "web", "deliver")
        yield running


def sign_in(page, stack, name="coordinator"):
    page.goto(f"{stack.url}/accounts/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/accounts/login/" not in url)
    page.goto(f"{stack.url}/worklist/")


def calm_rows(page):
    """Rows of one task that is not urgent, by id."""
    return page.locator("tbody:not(.band-now) tr[id]").evaluate_all("rows => rows.map(row => row.id)")


def focused(page):
    return page.evaluate("document.activeElement.id")


def test_by_keyboard_alone(stack, browser_page):
    page = browser_page
    sign_in(page, stack)
    rows = page.locator("[data-row]").evaluate_all("links => links.map(link => link.id)")
    page.keyboard.press("j")
    assert focused(page) == rows[0]
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert focused(page) == rows[0]
    row = calm_rows(page)[0]
    link = row.replace("row-", "open-")
    while focused(page) != link:
        page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.locator("#panel .panel").wait_for()
    assert re.search(r"/worklist/\d+/$", page.url)
    page.keyboard.press("a")
    page.get_by_text("Yours until").wait_for()
    page.keyboard.press("5")
    assert page.locator("input[name=outcome][data-digit='5']").is_checked()
    page.keyboard.press("e")
    page.locator(".toast").wait_for()
    page.locator(f"#{row}").wait_for(state="detached")
    assert page.url.endswith("/worklist/")
    assert focused(page).startswith("open-")  # the neighbour has the focus
    page.keyboard.press("z")
    page.get_by_text("Taken back").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_url("**/worklist/")
    assert page.locator(f"#{row}").count() == 1
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url("**/inbox/**")


def test_rows_are_selected_by_keyboard_handed_on_and_taken_back(stack, browser_page):
    page = browser_page
    sign_in(page, stack)
    first, second = calm_rows(page)[:2]
    bar = page.locator("#selected")
    page.focus(f"#{first} [data-row]")
    page.keyboard.press("x")
    assert bar.is_visible()
    page.keyboard.press("Escape")
    assert not bar.is_visible()
    for row in (first, second):
        page.focus(f"#{row} [data-row]")
        page.keyboard.press("x")
    page.keyboard.press("x")  # of the last one again
    assert page.locator("[data-pick]:checked").count() == 1
    page.get_by_label("Hand on to").select_option("supervisors")
    bar.get_by_role("button", name="Hand on").click()
    page.get_by_text("1 row handed to Supervisors.").wait_for()
    assert "Supervisors" in page.locator(f"#{first}").inner_text()
    page.keyboard.press("z")
    page.get_by_text("it is where it was").wait_for()


def test_put_off_by_keyboard(stack, browser_page):
    page = browser_page
    sign_in(page, stack)
    row = calm_rows(page)[-1]
    page.locator(f"#{row} [data-row]").click()
    page.locator("#panel .panel").wait_for()
    page.keyboard.press("s")
    page.get_by_role("button", name="Tomorrow 9:00").click()
    page.locator(f"#{row}").wait_for(state="detached")
    page.goto(f"{stack.url}/worklist/snoozed/")
    page.get_by_role("button", name="Open again").first.click()
    page.get_by_text("Taken back").wait_for()


def test_single_keys_can_be_switched_off(stack, browser_page):
    page = browser_page
    sign_in(page, stack, "nurse")
    page.locator(".person summary").click()
    page.get_by_role("button", name="Switch single keys off").click()
    page.goto(f"{stack.url}/worklist/")
    page.keyboard.press("j")
    assert focused(page) == ""
    page.locator(".person summary").click()
    page.get_by_role("button", name="Switch single keys on").click()


def test_without_javascript(stack, browser):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{stack.url}/accounts/login/")
    page.get_by_label("Username").fill("supervisor")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{stack.url}/worklist/")
    page.get_by_label("Why").select_option("no_way_to_reach")
    page.get_by_role("button", name="Show").click()
    name = page.locator("[data-row]").first.inner_text()
    page.locator("[data-row]").first.click()
    assert "reason=no_way_to_reach" in page.url
    page.locator("#panel").get_by_role("button", name="Take").click()
    expect(page.get_by_text("Yours until")).to_have_count(1)
    page.get_by_label("No answer").check()
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_text("Ended: no answer.")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Taken back")).to_have_count(1)
    assert name in page.content()
    page.locator("summary", has_text="Hand on").click()
    page.get_by_label("To", exact=True).select_option("supervisors")
    page.locator("#panel").get_by_role("button", name="Hand on").click()
    expect(page.get_by_text("Handed to Supervisors.")).to_have_count(1)
    context.close()


def test_an_urgent_reply_is_told_on_every_open_page_and_only_once(stack, browser_page):
    page = browser_page
    sign_in(page, stack, "otherclinic")
    number = stack.query(
        "ContactPoint.objects.filter(system='phone', state='active', sms_consent='granted', patient__deceased=False,"
        " patient__language='en', patient__clinic__in=User.objects.get(username='otherclinic').clinics.all())"
        ".exclude(value='').first().value"
    )
    page.goto(f"{stack.url}/measures/")
    banner = page.locator("[data-urgent-banner]")
    page.wait_for_timeout(2000)
    if banner.is_visible():
        banner.get_by_role("button", name="Hide").click()
    stack.say(number, "I have crushing chest pain")
    page.locator("[data-urgent-banner]:not([hidden])").wait_for(timeout=5000)
    assert "An urgent reply" in banner.inner_text()
    assert page.title().startswith("(▲")
    assert banner.get_attribute("role") == "alert"
    banner.get_by_role("link").click()
    page.wait_for_url("**/inbox/c/**")
    assert "chest pain" in page.content()
    page.goto(f"{stack.url}/measures/")
    page.wait_for_timeout(2500)
    assert not banner.is_visible()


def test_new_tasks_wait_behind_a_link(stack, browser_page):
    page = browser_page
    sign_in(page, stack)
    before = page.locator("[data-row]").count()
    stack.manage(
        "shell", "-c",
        "from engage.worklist.actions import open_task; from engage.lib import clock;"
        "from engage.accounts.models import Clinic;"
        "open_task(reason='other', summary='A new one.', about='test:1', due_at=clock.now(),"
        " clinic=Clinic.objects.get(slug='harbor'))",
    )  # fmt: skip
    fresh = page.locator("[data-fresh]")
    fresh.wait_for(timeout=5000)
    assert fresh.inner_text() == "1 new — show"
    assert page.locator("[data-row]").count() == before  # nothing moved under the pointer
    fresh.click()
    page.get_by_text("A new one.").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(stack, browser_page, axe, shots, theme):
    page = browser_page
    page.emulate_media(color_scheme=theme)
    sign_in(page, stack)
    page.wait_for_timeout(1700)  # the first poll has filled counts and banners
    task = page.locator("[data-row]").first.get_attribute("href")
    for address in (
        "/worklist/",
        task,
        "/worklist/done/",
        "/worklist/snoozed/",
        "/worklist/?reason=no_template",
    ):
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(stack.url + address)
            axe(page)
    page.goto(stack.url + task)
    shots(page, "worklist-panel")
