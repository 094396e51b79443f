"""What a clinician may write about an entry of the word list, and what is wrong with it in sentences."""

import re
from typing import Any

from django import forms

from engage.console.thread import WORDS
from engage.inbox import phrases, wordlist
from engage.inbox.triage.reading import LABELS, URGENT_LABELS

MOST_LINES, LONGEST_EXAMPLE = 200, 400
LEFT_OUT = {"drop": "patterns", "drop_examples": "examples", "drop_counter": "counter_examples"}
WRITTEN = {"add_examples": "examples", "add_counter": "counter_examples"}


def lines(text: str) -> list[str]:
    """The lines of a text area, cleaned, each once."""
    return list(dict.fromkeys(line for raw in text.splitlines() if (line := wordlist.cleaned(raw))))


class EntryForm(forms.Form):
    """The changes of one entry: what of the shipped one is left out, what is added; the whole entry switched off."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False, max_length=64)
    off = forms.BooleanField(required=False, label="Switch this entry off")
    add = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 4}), label="Phrases of ours, one a line"
    )
    add_examples = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 3}), label="Examples of ours: each must be found"
    )
    add_counter = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        label="Counter-examples of ours: none may be found",
    )

    def __init__(self, *args: Any, shipped: dict[str, Any], change: dict[str, Any], **more: Any) -> None:
        self.shipped, self.change = shipped, change
        more.setdefault("initial", self.of(change))
        super().__init__(*args, **more)
        for name, kind in LEFT_OUT.items():
            choices = [(str(n), row) for n, row in enumerate(shipped[kind])]
            self.fields[name] = forms.MultipleChoiceField(choices=choices, required=False)
        if shipped["id"] == wordlist.FIGURES:
            for name in ("off", "add_examples", "add_counter", "drop_examples", "drop_counter"):
                del self.fields[name]

    def of(self, change: dict[str, Any]) -> dict[str, Any]:
        """What the form shows of the changes there are."""
        kept = {
            "off": change.get("off", False),
            "add": "\n".join(phrases.plain(p) for p in change.get("add", [])),
        }
        for name, kind in WRITTEN.items():
            kept[name] = "\n".join(change.get(kind, {}).get("add", []))
        for name, kind in LEFT_OUT.items():
            dropped = change.get("drop", []) if kind == "patterns" else change.get(kind, {}).get("drop", [])
            kept[name] = [str(n) for n, row in enumerate(self.shipped[kind]) if row in dropped]
        return kept

    def clean_add(self) -> list[str]:
        rows = []
        for line in self._lines("add"):
            try:
                rows.append(phrases.pattern(line, wordlist.shipped()["words"]))
            except phrases.PhraseError as error:
                self.add_error("add", str(error))
        return [row for row in dict.fromkeys(rows) if row not in self.shipped["patterns"]]

    def clean_add_examples(self) -> list[str]:
        return self._lines("add_examples")

    def clean_add_counter(self) -> list[str]:
        return self._lines("add_counter")

    def _lines(self, name: str) -> list[str]:
        found = lines(self.cleaned_data[name])
        if len(found) > MOST_LINES:
            raise forms.ValidationError(f"At most {MOST_LINES} lines.")
        long = next((line for line in found if len(line) > LONGEST_EXAMPLE), "")
        if long:
            raise forms.ValidationError(f"“{long[:40]}…” is longer than {LONGEST_EXAMPLE} characters.")
        return found

    def left_out(self, name: str) -> list[str]:
        """The shipped rows that were ticked."""
        rows = self.shipped[LEFT_OUT[name]]
        return [rows[int(n)] for n in self.cleaned_data.get(name) or []]

    def found(self) -> dict[str, Any]:
        """The changes as the word list keeps them; empty when nothing is changed."""
        said = self.cleaned_data
        change: dict[str, Any] = {
            "add": said["add"],
            "drop": self.left_out("drop"),
            "off": said.get("off", False),
        }
        for (name, kind), drop in zip(WRITTEN.items(), ("drop_examples", "drop_counter"), strict=True):
            both = {"add": said.get(name) or [], "drop": self.left_out(drop)}
            change[kind] = {k: v for k, v in both.items() if v}
        change = {k: v for k, v in change.items() if v}
        if change and self.shipped["id"] != wordlist.FIGURES:
            change["as"] = self.about()
        return change

    def about(self) -> dict[str, str]:
        """What the entry is, kept with its changes."""
        return {name: self.shipped.get(name, "") for name in ("label", "level", "says", "lang")}


class OwnEntryForm(EntryForm):
    """An entry of the clinic's own: what it means, too."""

    says = forms.CharField(max_length=60, label="It mentions", help_text="As in “Mentions blue lips”.")
    label = forms.ChoiceField(label="It is about")
    level = forms.ChoiceField(
        choices=[("urgent", "Urgent: a person within minutes"), ("significant", "Needs a person")],
        label="Level",
    )
    field_order = ("seen", "says", "label", "level", "add", "add_examples", "add_counter")

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["label"].choices = [(label, WORDS[label][1]) for label in LABELS]  # type: ignore[attr-defined]
        self.fields["add"].required = self.fields["add_examples"].required = True

    def of(self, change: dict[str, Any]) -> dict[str, Any]:
        return {**super().of(change), **change.get("as", {})}

    def clean_says(self) -> str:
        return wordlist.cleaned(self.cleaned_data["says"])

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if said.get("level") == "significant" and said.get("label") in URGENT_LABELS:
            self.add_error("level", "An emergency, self-harm or abuse is urgent.")
        return said

    def about(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in ("label", "level", "says")} | {"lang": ""}


def own_id(says: str) -> str:
    """The id of an entry of the clinic's own, from its name; never one of the shipped ones."""
    return "clinic-" + (re.sub(r"[^a-z0-9]+", "-", says.casefold()).strip("-")[:40] or "entry")
