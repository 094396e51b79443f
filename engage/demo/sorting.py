"""How the demonstration's clinics judge the sorting: samples of past weeks, one published change of the words, one draft."""

from engage.accounts.models import Clinic, User
from engage.demo.script import LINES, URGENT_PAST, URGENT_TODAY
from engage.inbox import editing, phrases, sampling, wordlist
from engage.inbox.models import Level, SampleItem
from engage.worklist.models import Outcome

NOISE = ("STOP", "ALTO", "please stop texting me", "Thank you!", "ok", "ok gracias", "👍")
CHECKED_SO_FAR = 0.4  # of the last week's sample
WEEKS = 3  # back


def change_words(users: dict[str, User]) -> None:
    """Published nine days ago: what a nurse had found in the sample."""
    _propose(
        "breathing", "air tank ..3.. (empty / out / gone)", "my air tank is almost empty", users["nurse"]
    )
    draft = editing.draft()
    if draft is not None:
        why = "A patient on oxygen wrote it this way, and the nurse found it in the weekly sample."
        editing.publish(editing.try_out(draft), why, by=users["oncall"])


def begin_draft(users: dict[str, User]) -> None:
    """Proposed and tried, waiting for whoever publishes."""
    _propose("danger-medicine", "dizzy ..6.. new pill", "so dizzy since the new pill", users["nurse"])
    out = "(pharmacy / pastillas) ..4.. (no refills / presion)"
    _propose("danger-medicine", out, "the pharmacy says no refills", users["nurse"])
    draft = editing.draft()
    if draft is not None:
        editing.try_out(draft)


def _propose(entry: str, phrase: str, example: str, by: User) -> None:
    row = editing.draft()
    changes = row.changes if row else editing.live_changes()
    pattern = phrases.pattern(phrase, wordlist.shipped()["words"])
    shipped = wordlist.entry_of(wordlist.shipped(), entry)
    assert shipped is not None
    there = changes.get("entries", {}).get(entry, {})
    about = {name: shipped.get(name, "") for name in ("label", "level", "says", "lang")}
    examples = {"add": [*there.get("examples", {}).get("add", []), example]}
    change = {"add": [*there.get("add", []), pattern], "examples": examples, "as": about}
    editing.save_entry(entry, change, seen=editing.digest(changes, entry), by=by)


def check_samples(clinics: list[Clinic], by: User, share: float) -> None:
    """The last whole week of each clinic is drawn, as the job does; somebody of the clinic checks a share of it."""
    for clinic in clinics:
        sample = sampling.draw(clinic, sampling.last_week(clinic))
        if sample is not None and by.clinics.filter(pk=clinic.pk).exists():
            waiting = list(sampling.waiting(sample).select_related("message", "sample__clinic"))
            for item in waiting[: round(share * len(waiting))]:
                _judge(item, by)


def _judge(item: SampleItem, by: User) -> None:
    """As the script means it; where triage said less, a person flags it."""
    was = meant(item.message.body)
    sampling.decide(item, was, label="emergency" if was == Level.URGENT else "other", by=by)


def meant(text: str) -> Level:
    """The level of a line of the script."""
    if any(line.text == text for line in (*URGENT_PAST, *URGENT_TODAY)):
        return Level.URGENT
    line = next((each for each in LINES if each.text == text), None)
    quiet = line is not None and line.outcome == Outcome.NOT_SIGNIFICANT
    return Level.ROUTINE if quiet or text in NOISE or "driving right now" in text else Level.SIGNIFICANT
