"""The whole loop on real records, in a browser, as processes: records, gap, text, answer, act, closed; and the urgent one.

The clock stands in June 2020, where the histories of the real inputs end.
"""

import re
import time

import pytest

from tests.stack import PASSWORD, ROOT, Stack, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.data]
GRACE, ROSA = "+16175550171", "+16175550172"
BUNDLE = ROOT / "tests" / "data" / "loop_bundle.json"
TUESDAY = "2020-06-02T11:00:00-04:00"
FRIDAY_WEEK = "2020-06-12T11:00:00-04:00"


@pytest.fixture
def stack(tmp_path, data):
    with Stack(tmp_path, now=TUESDAY) as running:
        running.manage("seed_demo", "--patients", "0")
        running.manage(
            "import_fhir", str(data / "fhir" / "bulk100"), "--source", "bulk", "--clinic", "harbor"
        )
        running.manage("find_gaps")
        yield running


def sign_in(page, stack, name):
    page.goto(f"{stack.url}/accounts/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/accounts/login/" not in url)


def gap_states(stack, fhir_id):
    return stack.query(
        f"list(CareGap.objects.filter(patient__fhir_id='{fhir_id}', measure='CMS130').values_list('status', flat=True))"
    )


def test_the_whole_loop(stack, browser_page):
    page = browser_page

    # In the real records everybody who is due has had a colonoscopy: no open gap among them.
    real = stack.query(
        "[CareGap.objects.filter(measure='CMS130', status='open').count(), Patient.objects.count()]"
    )
    assert real[0] == 0
    assert real[1] >= 100

    # Three synthetic people are due; one has no phone.
    stack.manage("import_fhir", str(BUNDLE), "--source", "loop", "--clinic", "harbor")
    stack.manage("find_gaps")
    assert [gap_states(stack, f"loop-00{n}") for n in (1, 2, 3)] == [["open"]] * 3
    assert (
        stack.query("Task.objects.filter(reason='no_way_to_reach', patient__fhir_id='loop-003').count()") == 1
    )
    stack.start()

    # A campaign, made and started in the console.
    sign_in(page, stack, "campaigns")
    start_campaign(page, stack)
    stack.manage("advance_campaigns")
    english = wait_for(lambda: stack.accepted(GRACE), what="the English text")[0]["body"]
    spanish = wait_for(lambda: stack.accepted(ROSA), what="the Spanish text")[0]["body"]
    assert "STOP" in english and "(617) 555-0100" in english.replace("617-555-0100", "(617) 555-0100")
    assert "ALTO" in spanish
    assert len(stack.accepted()) == 2

    # The handset shows it, and the patient answers there.
    page.goto(f"{stack.phone_url}/phones/{GRACE}/")
    page.get_by_text("Reply STOP").first.wait_for()
    stack.say(GRACE, "I already had my colonoscopy in March")
    wait_for(lambda: stack.query("Flag.objects.filter(label='already_done').count()"), what="the flag")

    # A coordinator acts on the worklist: recorded with evidence, the gap closes.
    sign_out(page, stack)
    sign_in(page, stack, "coordinator")
    page.goto(f"{stack.url}/worklist/")
    row = page.get_by_role("row").filter(has_text="Whitman")
    assert "already" in row.inner_text().lower()
    close_with_evidence(page, stack, row)
    wait_for(lambda: gap_states(stack, "loop-001") == ["closed"], what="the closed gap")
    assert stack.query("Enrollment.objects.filter(patient__fhir_id='loop-001', state='active').count()") == 0

    # The urgent one: on top, announced on the open page within two seconds, alerted, answered.
    page.goto(f"{stack.url}/worklist/")
    began = time.monotonic()
    stack.say(ROSA, "tengo dolor de pecho")
    page.get_by_text(re.compile("urgent", re.I)).locator("visible=true").first.wait_for(timeout=4000)
    page.locator("[data-urgent-banner]:not([hidden])").wait_for(timeout=4000)
    assert (
        time.monotonic() - began < 4
    )  # two seconds after the webhook, and the webhook's own time on a busy machine
    page.goto(f"{stack.url}/inbox/")
    first = page.locator("[data-conversation]").first
    assert "Delgado" in first.inner_text()
    crisis = wait_for(
        lambda: [m for m in stack.accepted(ROSA) if "911" in m["body"]], what="the crisis reply"
    )
    assert len(crisis) == 1 and "988" in crisis[0]["body"]
    alert = wait_for(lambda: stack.accepted("+16175550199"), what="the alert to the on-call number")[0][
        "body"
    ]
    assert "Delgado" not in alert and "Rosa" not in alert and "pecho" not in alert
    task = stack.query("list(Task.objects.filter(reason='urgent_reply').values_list('priority', 'state'))")
    assert task == [[0, "open"]]

    # Ten days on nothing more is sent to her whose gap is closed, nor to him who cannot be reached.
    before = len(stack.accepted(GRACE))
    stack.at(FRIDAY_WEEK)
    stack.manage("find_gaps")
    stack.manage("advance_campaigns")
    stack.manage("deliver", "--drain")
    assert len(stack.accepted(GRACE)) == before
    assert gap_states(stack, "loop-001") == ["closed"]
    assert "no concern" not in stack.said("web")


def sign_out(page, stack):
    page.context.clear_cookies()


def start_campaign(page, stack):
    """A new campaign with the starter cadence and wording, through the pages."""
    page.goto(f"{stack.url}/campaigns/new/")
    page.get_by_label("Name").fill("Colorectal screening 2020")
    page.get_by_label("Chooses by open gap of").select_option("CMS130")
    page.get_by_label("Harbor Family Health").check()
    page.get_by_role("button", name="Make the draft").click()
    page.get_by_text("of 3 people with an open gap would be reached").wait_for()
    assert "2 of 3 people" in page.locator("main").inner_text()
    page.get_by_role("link", name="Start").click()
    page.get_by_role("button", name="Start").click()
    page.get_by_text("Running").first.wait_for()


def close_with_evidence(page, stack, row):
    """From the row to the record: what was done, when, and how we know."""
    row.get_by_role("link").first.click()
    gap = page.get_by_role("listitem").filter(has=page.get_by_text("Colorectal cancer screening", exact=True))
    gap.get_by_text("Already done? Record it").wait_for()
    if not gap.get_by_label("What was done").is_visible():
        gap.get_by_text("Already done? Record it").click()
    gap.get_by_label("What was done").select_option("colonoscopy")
    gap.get_by_label("When").fill("March 2020")
    gap.get_by_label("How we know").select_option("patient_says")
    gap.get_by_role("button", name="Record and close the gap").click()
    page.get_by_text("The gap is closed").first.wait_for()
