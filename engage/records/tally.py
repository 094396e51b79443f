"""What an import did: counts by type, and the file of what was refused, with the reason and the place."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import orjson

from engage.fhir.elements import words
from engage.fhir.reading import Item

OUTCOMES = ("created", "updated", "unchanged", "rejected")
UNREADABLE = "unreadable"
Mark = tuple[dict[str, Counter[str]], int, int | None]
MAX_KEPT = 1000  # rejects held in memory, for whoever calls from inside


class Summary:
    """Counts by type and outcome, rejects, and progress."""

    def __init__(self, rejects: Path | None = None, progress: Callable[[int], None] | None = None) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.rejects: list[dict[str, Any]] = []
        self.rejects_file = rejects
        self.progress = progress
        self.seen = 0
        self._file: TextIO | None = None

    def count(self, kind: str, outcome: str, number: int = 1) -> None:
        self.counts.setdefault(kind, Counter())[outcome] += number

    def saw(self) -> None:
        self.seen += 1
        if self.progress and self.seen % 1000 == 0:
            self.progress(self.seen)

    def reject(self, item: Item, reason: str) -> None:
        """Refuses one resource: counted, written down, and the import goes on."""
        kind = str((item.resource or {}).get("resourceType") or UNREADABLE)
        self.count(words(kind, 40) or UNREADABLE, "rejected")
        self._write(item, {"reason": reason})

    def note(self, item: Item, reason: str) -> None:
        """Writes down something odd about a resource that was stored all the same."""
        self._write(item, {"reason": reason, "kept": True})

    def _write(self, item: Item, more: dict[str, Any]) -> None:
        row = {"file": item.file, "line": item.line, **more}
        if item.resource is not None:
            row["resource"] = item.resource
        if len(self.rejects) < MAX_KEPT:
            self.rejects.append(row)
        if self.rejects_file is None:
            return
        if self._file is None:
            self.rejects_file.parent.mkdir(parents=True, exist_ok=True)
            self.rejects_file.touch(mode=0o600)
            self._file = self.rejects_file.open("w", encoding="utf-8")
        try:
            written = orjson.dumps(row)
        except orjson.JSONEncodeError:  # 255 levels deep, or text that is none
            written = orjson.dumps({k: v for k, v in row.items() if k != "resource"})
        self._file.write(written.decode() + "\n")

    def mark(self) -> Mark:
        """Where things stand, for `back_to`."""
        place = self._file.tell() if self._file else None
        return {k: Counter(c) for k, c in self.counts.items()}, len(self.rejects), place

    def back_to(self, mark: Mark) -> None:
        """Takes back what was counted and written since: its transaction was."""
        counts, kept, place = mark
        self.counts = {k: Counter(c) for k, c in counts.items()}
        del self.rejects[kept:]
        if self._file:
            self._file.seek(place or 0)
            self._file.truncate()

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    @property
    def rejected(self) -> int:
        return sum(c["rejected"] for c in self.counts.values())

    def as_dict(self) -> dict[str, dict[str, int]]:
        return {kind: dict(self.counts[kind]) for kind in sorted(self.counts)}

    def lines(self) -> list[str]:
        """One line a type; a type that is only passed over says so."""
        found = []
        for kind in sorted(self.counts, key=lambda k: (k == UNREADABLE, k)):
            counts = self.counts[kind]
            if set(counts) == {"passed_over"}:
                found.append(f"{kind} passed_over={counts['passed_over']}")
            else:
                said = [f"{o}={counts[o]}" for o in OUTCOMES]
                said += [f"deleted={counts['deleted']}"] * bool(counts["deleted"])
                found.append(f"{kind} " + " ".join(said))
        return found


def on_terminal(what: str = "resources") -> Callable[[int], None] | None:
    """Progress for a person watching; None when nobody does."""
    if not sys.stderr.isatty():
        return None

    def show(number: int) -> None:
        sys.stderr.write(f"\r{number:,} {what} read")
        sys.stderr.flush()

    return show
