"""How the word list is changed: one draft for everybody, tried, published with a reason, rolled back.

A nurse proposes. A clinician on call or a supervisor publishes; what makes fewer things urgent is published by a supervisor,
who types that it is meant.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from django.db import transaction

from engage.accounts.models import Role, User
from engage.audit.models import record
from engage.inbox import trial, wordlist
from engage.inbox.models import InboxError, WordList
from engage.inbox.triage.lexicon import Lexicon
from engage.lib import clock

State = WordList.State
PROPOSERS = (Role.NURSE, Role.ONCALL, Role.SUPERVISOR)
PUBLISHERS = (Role.ONCALL, Role.SUPERVISOR)
MEANT = "fewer urgent"  # typed by whoever publishes what makes fewer things urgent
MOST_ENTRIES = 300
Changes = dict[str, Any]


def draft() -> WordList | None:
    """The draft there is, with who began it."""
    return WordList.objects.filter(state=State.DRAFT).select_related("began_by").first()


def live() -> WordList | None:
    """The version that reads replies now; None while nothing was ever changed."""
    return WordList.objects.filter(state=State.LIVE).select_related("published_by").first()


def live_changes() -> Changes:
    """What is laid over the shipped lexicon now."""
    row = live()
    return row.changes if row and not wordlist.trouble() else {}


def digest(changes: Mapping[str, Any], pk: str) -> str:
    """What somebody saw of one entry's changes, so that two people do not overwrite each other unknowingly."""
    seen = changes.get("figures") if pk == wordlist.FIGURES else changes.get("entries", {}).get(pk)
    return wordlist.digest_of(seen or {})[:16]


def save_entry(pk: str, change: Changes, *, seen: str, by: User) -> WordList:
    """Puts one entry's changes into the draft, which begins with what is live. An empty change takes them out again.

    InboxError when a colleague changed the entry since `seen`, or when an example of it would not hold.
    """
    with transaction.atomic():
        row = _begun(by)
        if digest(row.changes, pk) != seen:
            raise InboxError(
                "A colleague changed this entry meanwhile. Read it below, then save yours again."
            )
        changes = with_entry(row.changes, pk, change)
        if len(changes.get("entries", {})) > MOST_ENTRIES:
            raise InboxError(f"More than {MOST_ENTRIES} changed entries cannot be kept.")
        wrong = wrong_with(changes, pk)
        if wrong:
            raise InboxError(" ".join(wrong[:5]))
        row.changes, row.revision = changes, row.revision + 1
        row.save(update_fields=["changes", "revision"])
        record(by, "wordlist.draft", row, entry=pk)
    return row


def _begun(by: User) -> WordList:
    """The draft, locked; a new one over what is live."""
    there = WordList.objects.select_for_update().filter(state=State.DRAFT).first()
    if there is not None:
        return there
    row, _ = WordList.objects.get_or_create(
        state=State.DRAFT, defaults={"changes": live_changes(), "based_on": live(), "began_by": by}
    )
    return row


def with_entry(changes: Mapping[str, Any], pk: str, change: Changes) -> Changes:
    """These changes with one entry's replaced; without it when nothing is changed in it."""
    found: Changes = deepcopy(dict(changes))
    if pk == wordlist.FIGURES:
        found["figures"] = change
        return found
    entries = found.setdefault("entries", {})
    entries.pop(pk, None)
    if change:
        entries[pk] = change
    return found


def wrong_with(changes: Mapping[str, Any], pk: str = "") -> list[str]:
    """Why a list cannot go live, in sentences: every example must be found, no counter-example may be.

    Of one entry, when `pk` names it. A figure of speech reaches every entry, so then all are looked at.
    """
    try:
        known = Lexicon(wordlist.merged(changes))
    except (KeyError, ValueError, IndexError, TypeError) as error:
        return [f"The list cannot be read ({type(error).__name__}). Drop the draft and begin anew."]
    return [sentence for _, sentence in wordlist.problems(known, "" if pk == wordlist.FIGURES else pk)]


def drop(row: WordList, *, by: User) -> None:
    """Gives the draft up; it stays in the history of acts, not on the page."""
    with transaction.atomic():
        if WordList.objects.filter(pk=row.pk, state=State.DRAFT).update(state=State.DROPPED):
            record(by, "wordlist.drop", row)


def try_out(row: WordList) -> WordList:
    """Runs the draft over the golden cases and the last month's replies, and keeps what would differ."""
    found = trial.run(live_changes(), row.changes) | {"revision": row.revision, "over": row_number(live())}
    WordList.objects.filter(pk=row.pk, revision=row.revision).update(trial=found)
    row.trial = found
    return row


def row_number(row: WordList | None) -> int:
    return row.number or 0 if row else 0


def tried(row: WordList) -> bool:
    """Whether exactly this draft was tried against exactly what is live now."""
    wanted = {"revision": row.revision, "over": row_number(live()), "shipped": wordlist.shipped()["version"]}
    return all(row.trial.get(name) == value for name, value in wanted.items())


def narrower(changes: Mapping[str, Any], found: Mapping[str, Any] | None = None) -> list[str]:
    """How these changes make fewer things urgent than what is live, in sentences; golden cases of a trial among them."""
    sentences = wordlist.narrowed(live_changes(), changes)
    cases = trial.golden_cases()
    lost = [cases[n].text for n in (found or {}).get("golden", []) if n < len(cases) and cases[n].urgent]
    known = Lexicon(wordlist.merged(changes))
    return sentences + [f"“{text}” would not be urgent any more." for text in lost if _lost(known, text)]


def _lost(known: Lexicon, text: str) -> bool:
    return trial.read(text, known=known).level != "urgent"


def publish(row: WordList, reason: str, *, typed: str = "", by: User) -> WordList:
    """The draft goes live: in every process with the next reply."""
    with transaction.atomic():
        fresh = WordList.objects.select_for_update().filter(pk=row.pk, state=State.DRAFT).first()
        if fresh is None:
            raise InboxError("There is no such draft any more: a colleague published or dropped it.")
        if fresh.changes == live_changes():
            raise InboxError("The draft changes nothing.")
        if not tried(fresh):
            raise InboxError(
                "Try the draft first: it, or what it would replace, has changed since the last trial."
            )
        if wrong := wrong_with(fresh.changes):
            raise InboxError(" ".join(wrong[:5]))
        fewer = narrower(fresh.changes, fresh.trial)
        _allow(by, reason, typed, bool(fewer))
        return _go_live(fresh, reason, bool(fewer), by)


def roll_back(to: WordList | None, reason: str, *, typed: str = "", by: User) -> WordList:
    """What an earlier version said (the shipped list, when None) is live again, at once, as a new version."""
    changes: Changes = to.changes if to else {}
    with transaction.atomic():
        if changes == live_changes():
            raise InboxError("That is what reads replies now.")
        if wrong := wrong_with(changes):
            raise InboxError(" ".join(wrong[:5]))
        fewer = narrower(changes)
        _allow(by, reason, typed, bool(fewer))
        again = WordList(state=State.DROPPED, changes=changes, based_on=to, began_by=by)
        again.save()
        return _go_live(again, reason, bool(fewer), by)


def _allow(by: User, reason: str, typed: str, fewer: bool) -> None:
    if by.role not in PUBLISHERS:
        raise InboxError("A clinician on call or a supervisor publishes what others propose.")
    if len(reason.strip()) < 10:
        raise InboxError("Say in a sentence why: whoever looks at this in a year must understand it.")
    if fewer and by.role != Role.SUPERVISOR:
        raise InboxError("This makes fewer things urgent: a supervisor must publish it.")
    if fewer and " ".join(typed.casefold().split()) != MEANT:
        raise InboxError(f"This makes fewer things urgent. Type “{MEANT}” to say that it is meant.")


def _go_live(row: WordList, reason: str, fewer: bool, by: User) -> WordList:
    WordList.objects.filter(state=State.LIVE).update(state=State.PAST)
    last = (
        WordList.objects.filter(number__isnull=False)
        .order_by("-number")
        .values_list("number", flat=True)
        .first()
    )
    row.number, row.state, row.narrower = (last or 0) + 1, State.LIVE, fewer
    row.reason, row.published_by, row.published_at = reason.strip()[:300], by, clock.now()
    row.digest = wordlist.digest_of(row.changes)
    row.save(
        update_fields=["number", "state", "narrower", "digest", "reason", "published_by", "published_at"]
    )
    record(
        by,
        "wordlist.publish",
        row,
        number=row.number,
        fewer_urgent=fewer,
        changed=sorted(row.changes.get("entries", {})),
    )
    return row
