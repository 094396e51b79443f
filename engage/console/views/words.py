"""The word list: what triage listens for, one entry, the draft with its trial, the versions."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path

from engage.accounts.models import Role
from engage.console.access import SORTERS, StaffRequest, page
from engage.console.word_forms import EntryForm, OwnEntryForm, own_id
from engage.console.wordbook import (
    change_in_words,
    change_of,
    groups,
    in_short,
    mark_of,
    reading,
    rows_of,
    trial_of,
)
from engage.inbox import editing, phrases, wordlist
from engage.inbox.models import InboxError, WordList

READERS = (*SORTERS, Role.AUDITOR)
LONGEST = 2_000  # characters of a sentence to try
VERSIONS = 50
EMPTY: dict[str, Any] = {"label": "other", "level": "urgent", "says": "", "lang": ""}


def common(request: StaffRequest) -> dict[str, Any]:
    """What every page about the words shows: the draft, what is live, what is wrong with it."""
    live = editing.live()
    return {
        "tab": "words",
        "draft": editing.draft(),
        "live": live,
        "trouble": wordlist.trouble(),
        "fewer_now": wordlist.narrowed({}, live.changes)
        if live and live.narrower and not wordlist.trouble()
        else [],
        "may_change": request.user.role in SORTERS,
        "may_publish": request.user.role in editing.PUBLISHERS,
    }


def current(draft: WordList | None) -> dict[str, Any]:
    """The changes that the pages show: the draft's, else the live ones."""
    return draft.changes if draft else editing.live_changes()


@page(*READERS)
def words(request: StaffRequest) -> HttpResponse:
    """Every entry: what it raises, how grave, how many phrases; searched by any word."""
    shown = common(request)
    query = request.GET.get("q", "")[:100]
    context = shown | {"rows": rows_of(current(shown["draft"]), query), "query": query}
    return render(request, "console/sorting/words.html", context)


@page(*READERS, methods=("POST",))
def words_sentence(request: StaffRequest) -> HttpResponse:
    """What triage would make of a sentence. Posted, and kept nowhere: it may be a patient's."""
    shown = common(request)
    text = request.POST.get("sentence", "")[:LONGEST]
    lists = [("Now", wordlist.live())]
    if shown["draft"]:
        lists.append(("With the draft", wordlist.compiled(shown["draft"].changes, "+draft")))
    results = [reading(name, text, known) for name, known in lists] if text.strip() else []
    context = shown | {"rows": rows_of(current(shown["draft"]), ""), "sentence": text, "results": results}
    return render(request, "console/sorting/words.html", context)


def shipped_entry(pk: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The entry as shipped, or the bare one of a clinic's own; 404 for neither."""
    found = wordlist.entry_of(wordlist.shipped(), pk)
    if found is not None:
        return found
    change = changes.get("entries", {}).get(pk)
    if change is None:
        raise Http404
    return {"id": pk, **EMPTY, **change["as"], "patterns": [], "examples": [], "counter_examples": []}


def form_for(pk: str, changes: dict[str, Any], data: Any = None) -> EntryForm:
    kind = OwnEntryForm if pk.startswith("clinic-") else EntryForm
    change = change_of(changes, pk)
    return (
        kind(data, shipped=shipped_entry(pk, changes), change=change, initial=None)
        if data
        else kind(shipped=shipped_entry(pk, changes), change=change)
    )


def entry_page(
    request: StaffRequest, pk: str, form: EntryForm, status: int = 200, error: str = ""
) -> HttpResponse:
    shown = common(request)
    changes = current(shown["draft"])
    shipped = form.shipped
    ticked = {
        name: set(form[name].value() or [])
        for name in ("drop", "drop_examples", "drop_counter")
        if name in form.fields
    }
    context = shown | {
        "entry": shipped | {"id": pk},
        "mark": mark_of(shipped["label"], shipped["level"]),
        "form": form,
        "error": error,
        "seen": editing.digest(changes, pk),
        "figures": pk == wordlist.FIGURES,
        "phrases": [
            (str(n), phrases.parts(row), str(n) in ticked.get("drop", set()))
            for n, row in enumerate(shipped["patterns"])
        ],
        "ours": [phrases.parts(row) for row in change_of(changes, pk).get("add", [])],
        "examples": [
            (str(n), x, str(n) in ticked.get("drop_examples", set()))
            for n, x in enumerate(shipped["examples"])
        ],
        "counter": [
            (str(n), x, str(n) in ticked.get("drop_counter", set()))
            for n, x in enumerate(shipped["counter_examples"])
        ],
        "groups": groups(shipped, changes, pk),
        "changed": bool(change_of(changes, pk)),
    }
    return render(request, "console/sorting/entry.html", context, status=status)


@page(*READERS)
def words_entry(request: StaffRequest, entry: str) -> HttpResponse:
    """One entry: its phrases in plain form, what is held against it, and the form that proposes a change."""
    changes = current(editing.draft())
    shipped_entry(entry, changes)
    return entry_page(request, entry, form_for(entry, changes))


@page(*SORTERS, methods=("POST",))
def words_save(request: StaffRequest, entry: str) -> HttpResponse:
    """Puts the changes of one entry into the draft."""
    changes = current(editing.draft())
    form = form_for(entry, changes, request.POST)
    if not form.is_valid():
        return entry_page(request, entry, form, 422)
    return saved(request, entry, form, changes)


def saved(request: StaffRequest, entry: str, form: EntryForm, changes: dict[str, Any]) -> HttpResponse:
    try:
        editing.save_entry(entry, form.found(), seen=request.POST.get("seen", ""), by=request.user)
    except InboxError as error:
        return entry_page(request, entry, form, 422, str(error))
    messages.success(request, "In the draft. It reads nothing until it is published.")
    return redirect("words_draft")


@page(*SORTERS)
def words_new(request: StaffRequest) -> HttpResponse:
    return render(request, "console/sorting/new.html", common(request) | {"form": blank()})


def blank(data: Any = None) -> OwnEntryForm:
    nothing = {**EMPTY, "id": "clinic-", "patterns": [], "examples": [], "counter_examples": []}
    return OwnEntryForm(data, shipped=nothing, change={}, initial={"level": "urgent", "label": "emergency"})


@page(*SORTERS, methods=("POST",))
def words_add(request: StaffRequest) -> HttpResponse:
    """An entry of the clinic's own, into the draft."""
    form, problem = blank(request.POST), ""
    if form.is_valid():
        pk, changes = own_id(form.cleaned_data["says"]), current(editing.draft())
        if pk in changes.get("entries", {}):
            problem = "There is an entry of that name already: change that one."
        else:
            try:
                editing.save_entry(pk, form.found(), seen=editing.digest(changes, pk), by=request.user)
            except InboxError as error:
                problem = str(error)
            else:
                messages.success(request, "In the draft. It reads nothing until it is published.")
                return redirect("words_draft")
    context = common(request) | {"form": form, "error": problem}
    return render(request, "console/sorting/new.html", context, status=422)


# --- The draft ---------------------------------------------------------------------------------------------------
@page(*READERS)
def words_draft(request: StaffRequest) -> HttpResponse:
    return draft_page(request)


def draft_page(request: StaffRequest, status: int = 200, **more: Any) -> HttpResponse:
    shown = common(request)
    draft: WordList | None = shown["draft"]
    if draft is not None:
        shown |= of_draft(request, draft)
    return render(request, "console/sorting/draft.html", shown | more, status=status)


def of_draft(request: StaffRequest, draft: WordList) -> dict[str, Any]:
    """What the draft changes, what is wrong with it, and what its trial found."""
    before, wrong = editing.live_changes(), editing.wrong_with(draft.changes)
    old, new = wordlist.merged(before), wordlist.merged(draft.changes)
    tried = editing.tried(draft)
    return {
        "changes": [change_in_words(old, new, pk) for pk in sorted(wordlist.changed_entries(old, new))],
        "wrong": wrong,
        "tried": tried,
        "fewer": editing.narrower(draft.changes, draft.trial if tried else None) if not wrong else [],
        "meant": editing.MEANT,
        "supervisor": request.user.role == Role.SUPERVISOR,
    } | (trial_of(request, draft) if tried else {})


def the_draft() -> WordList:
    found = editing.draft()
    if found is None:
        raise InboxError("There is no draft any more: a colleague published or dropped it.")
    return found


@page(*SORTERS, methods=("POST",))
def words_try(request: StaffRequest) -> HttpResponse:
    try:
        row = the_draft()
    except InboxError as error:
        return draft_page(request, 422, error=str(error))
    if not editing.wrong_with(row.changes):
        editing.try_out(row)
    return redirect("words_draft")


@page(*SORTERS, methods=("POST",))
def words_publish(request: StaffRequest) -> HttpResponse:
    reason, typed = request.POST.get("reason", ""), request.POST.get("typed", "")
    try:
        row = editing.publish(the_draft(), reason, typed=typed, by=request.user)
    except InboxError as error:
        return draft_page(request, 422, error=str(error), reason=reason, typed=typed)
    messages.success(request, f"Version {row.number} is live: the next reply is read with it.")
    return redirect("words_history")


@page(*SORTERS, methods=("POST",))
def words_drop(request: StaffRequest) -> HttpResponse:
    draft = editing.draft()
    if draft is not None:
        editing.drop(draft, by=request.user)
        messages.success(request, "The draft is dropped. What is live stays as it is.")
    return redirect("words")


# --- Versions ----------------------------------------------------------------------------------------------------
@page(*READERS)
def words_history(request: StaffRequest) -> HttpResponse:
    return history_page(request)


def history_page(request: StaffRequest, status: int = 200, **more: Any) -> HttpResponse:
    rows = WordList.objects.filter(number__isnull=False).select_related(
        "published_by", "began_by", "based_on"
    )
    context = common(request) | {
        "versions": [(row, in_short(row.changes)) for row in rows.order_by("-number")[:VERSIONS]],
        "shipped": wordlist.shipped()["version"],
        "meant": editing.MEANT,
    }
    return render(request, "console/sorting/history.html", context | more, status=status)


@page(*SORTERS, methods=("POST",))
def words_restore(request: StaffRequest, number: int) -> HttpResponse:
    """An earlier version (0: the shipped list) is live again, at once."""
    to = None
    if number:
        to = WordList.objects.filter(number=number).first()
        if to is None:
            raise Http404
    reason = request.POST.get("reason", "")
    try:
        row = editing.roll_back(to, reason, typed=request.POST.get("typed", ""), by=request.user)
    except InboxError as error:
        return history_page(request, 422, error=str(error), reason=reason, asked=number)
    messages.success(request, f"Version {row.number} is live: the next reply is read with it.")
    return redirect("words_history")


urlpatterns: list[URLPattern] = [
    path("", words, name="words"),
    path("sentence/", words_sentence, name="words_sentence"),
    path("new/", words_new, name="words_new"),
    path("add/", words_add, name="words_add"),
    path("draft/", words_draft, name="words_draft"),
    path("draft/try/", words_try, name="words_try"),
    path("draft/publish/", words_publish, name="words_publish"),
    path("draft/drop/", words_drop, name="words_drop"),
    path("history/", words_history, name="words_history"),
    path("history/<int:number>/restore/", words_restore, name="words_restore"),
    path("entry/<slug:entry>/", words_entry, name="words_entry"),
    path("entry/<slug:entry>/save/", words_save, name="words_save"),
]
