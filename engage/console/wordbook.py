"""The word list as drawn: entries, changes, a trial and versions, in words."""

from typing import Any

from django.db.models import QuerySet

from engage.console.access import StaffRequest, listed
from engage.console.thread import shape_of
from engage.inbox import phrases, trial, wordlist
from engage.inbox.models import Level, WordList
from engage.inbox.triage import read
from engage.inbox.triage.text import words as said_words
from engage.lib.text import fold
from engage.messaging.models import Message

TONES = {"urgent": "urgent", "significant": "attention", "routine": "info"}
SHOWN = 60  # differing replies shown


def mark_of(label: str, level: str) -> dict[str, str]:
    """A label as drawn: shape, word, tone. A label that is urgent by itself shows so without a level."""
    shape, word = shape_of(label, urgent=level == "urgent")
    urgent = shape == "▲" or level == "urgent"
    return {"shape": shape, "word": word, "tone": "urgent" if urgent else TONES.get(level, "attention")}


def rows_of(changes: dict[str, Any], query: str) -> list[dict[str, Any]]:
    """The entries of the list as shown, the shipped ones that are switched off among them."""
    source = wordlist.merged(changes)
    changed = changes.get("entries", {})
    off = [e for e in wordlist.shipped()["entries"] if changed.get(e["id"], {}).get("off")]
    entries = [*source["entries"], *off, wordlist.figures_of(source)]
    order = {"urgent": 0, "significant": 1, "routine": 2}
    rows = [
        {
            **entry,
            "mark": mark_of(entry["label"], entry["level"]),
            "off": entry in off,
            "changed": entry["id"] in changed
            or (entry["id"] == wordlist.FIGURES and any(changes.get("figures", {}).values())),
            "own": entry["id"].startswith("clinic-"),
        }
        for entry in entries
        if fits(entry, query)
    ]
    return sorted(rows, key=lambda row: order[row["level"]])


def fits(entry: dict[str, Any], query: str) -> bool:
    """Whether an entry's name, phrases, words of its groups or examples hold what was searched for."""
    wanted = fold(query)
    if not wanted:
        return True
    texts = [
        entry["says"],
        entry["id"],
        *map(phrases.plain, entry["patterns"]),
        *entry["examples"],
        *entry["counter_examples"],
    ]
    groups = {part.text for row in entry["patterns"] for part in phrases.parts(row) if part.kind == "set"}
    texts += [" ".join(wordlist.shipped()["words"].get(group.strip("[]"), [])) for group in groups]
    return any(wanted in fold(text) for text in texts)


def reading(name: str, text: str, known: wordlist.Lexicon) -> dict[str, Any]:
    found = read(text, known=known)
    held = [hit for hit in known.scan(said_words(text)) if hit.held and hit.entry.level != "routine"]
    return {
        "name": name,
        "level": Level[found.level.upper()],
        "findings": [(mark_of(f.label, f.level), f.evidence, f.reason) for f in found.findings],
        "held": [(hit.entry.says, wordlist.HELD_WORDS[hit.held]) for hit in held],
    }


def groups(shipped: dict[str, Any], changes: dict[str, Any], pk: str) -> list[tuple[str, str]]:
    """The named groups of words that an entry uses, with their words."""
    sets = wordlist.shipped()["words"]
    rows = [*shipped["patterns"], *change_of(changes, pk).get("add", [])]
    names = {
        choice[1:] for row in rows for part in row.split() for choice in part.split("|") if choice[0] == "@"
    }
    return [(name, ", ".join(w.replace("+", " ") for w in sets[name])) for name in sorted(names & set(sets))]


def change_in_words(old: dict[str, Any], new: dict[str, Any], pk: str) -> dict[str, Any]:
    was, now = wordlist.entry_of(old, pk), wordlist.entry_of(new, pk)
    before, after = was["patterns"] if was else [], now["patterns"] if now else []
    return {
        "id": pk,
        "says": (now or was or {"says": pk})["says"],
        "off": now is None,
        "new": was is None,
        "gained": [phrases.parts(p) for p in after if p not in before],
        "lost": [phrases.parts(p) for p in before if p not in after] if now else [],
    }


def trial_of(request: StaffRequest, draft: WordList) -> dict[str, Any]:
    """The trial in words: golden cases by sentence, replies of this person's clinics with the words that cause it."""
    found = draft.trial
    ids = [row[0] for row in found["rows"]]
    visible: QuerySet[Message] = (
        Message.objects.visible_to(request.user).filter(pk__in=ids).select_related("clinic")
    )
    mine = {m.pk: m for m in visible}
    rows = [row for row in found["rows"] if row[0] in mine][:SHOWN]
    listed(request, "wordlist.trial", [mine[row[0]].patient_id for row in rows])
    cases = trial.golden_cases()
    new = wordlist.compiled(draft.changes, "+draft")
    golden = [cases[n] for n in found["golden"] if n < len(cases)]
    levels = {(was, now): n for was, now, n in found["levels"]}
    return {
        "replies_read": found["replies"],
        "newly": sum(n for (was, now), n in levels.items() if now == Level.URGENT != was),
        "no_longer": sum(n for (was, now), n in levels.items() if was == Level.URGENT != now),
        "otherwise": sum(
            n for (was, now), n in levels.items() if (was == Level.URGENT) == (now == Level.URGENT)
        ),
        "differences": [difference(mine[row[0]], row) for row in rows],
        "elsewhere": len(ids) - len([pk for pk in ids if pk in mine]),
        "golden": [(case, read(case.text, known=new).level == "urgent") for case in golden],
        "golden_count": len(cases),
    }


def difference(message: Message, row: list[Any]) -> dict[str, Any]:
    _, was, now, gained, lost = row
    return {
        "message": message,
        "was": Level(was),
        "now": Level(now),
        "gained": [(mark_of(label, ""), message.body[start:end]) for label, start, end in gained],
        "lost": [(mark_of(label, ""), message.body[start:end]) for label, start, end in lost],
    }


def in_short(changes: dict[str, Any]) -> list[str]:
    """A version's changes, an entry a line."""
    names = {entry["id"]: entry["says"] for entry in wordlist.shipped()["entries"]}
    rows = []
    for pk, change in changes.get("entries", {}).items():
        counts = [(len(change.get("add", [])), "added"), (len(change.get("drop", [])), "left out")]
        said = ", ".join(f"{n} {word}" for n, word in counts if n) or "examples only"
        rows.append(
            f"{names.get(pk) or change['as']['says']}: {'switched off' if change.get('off') else said}"
        )
    if any(changes.get("figures", {}).values()):
        rows.append("figures of speech")
    return rows


def change_of(changes: dict[str, Any], pk: str) -> dict[str, Any]:
    found: dict[str, Any] = (
        changes.get("figures", {}) if pk == wordlist.FIGURES else changes.get("entries", {}).get(pk, {})
    )
    return found
