"""What is done in a conversation: answer, undo, take, snooze, close, say whose it is, decide about flags."""

from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse

from engage.console.access import CARE, StaffRequest, page, viewed
from engage.console.composer import Composer, size_in_words
from engage.console.handing import colleagues
from engage.console.panes import whole
from engage.inbox import actions, deadlines
from engage.inbox.folders import BY_SLUG
from engage.inbox.models import Conversation, Flag, InboxError
from engage.lib import clock
from engage.lib.text import number
from engage.messaging.models import Message
from engage.patients.models import Patient


def mine(request: StaffRequest, pk: int) -> Conversation:
    """The conversation, when this person may see it."""
    visible = Conversation.objects.visible_to(request.user)
    return get_object_or_404(visible.select_related("patient__clinic", "clinic", "owner", "seen_by"), pk=pk)


def back_to(conversation: Conversation, request: StaffRequest, more: str = "") -> HttpResponseRedirect:
    folder = request.POST.get("in", "")
    query = "&".join(p for p in (f"in={folder}" if folder in BY_SLUG else "", more) if p)
    return HttpResponseRedirect(
        f"{conversation.link}?{query}#latest" if query else f"{conversation.link}#latest"
    )


def refuse(request: StaffRequest, conversation: Conversation, error: InboxError) -> HttpResponse:
    messages.error(request, str(error))
    return back_to(conversation, request)


@page(*CARE, methods=("POST",))
def reply(request: StaffRequest, pk: int) -> HttpResponse:
    conversation = mine(request, pk)
    body, key = request.POST.get("body", ""), request.POST.get("key", "")
    if not (key.startswith("staff:") and len(key) <= 60):
        return again(request, conversation, body, "Send the form of this page.")
    try:
        shown = request.POST.get("last", "")
        message = actions.reply(conversation, body, by=request.user, key=key, shown=shown)
    except InboxError as error:
        return again(request, conversation, body, str(error))
    if message.state in actions.STAYS_HERE:
        messages.error(request, f"Not sent: {message.state_reason}")
    return back_to(conversation, request)


def again(request: StaffRequest, conversation: Conversation, body: str, problem: str) -> HttpResponse:
    """The page once more, with what was written kept."""
    if conversation.patient is None:
        return refuse(request, conversation, InboxError(problem))
    composer = Composer(request, conversation, body=body, error=problem)
    return whole(request, conversation, status=422, composer=composer)


@page(*CARE, methods=("POST",))
def preview(request: StaffRequest, pk: int) -> HttpResponse:
    """How long the text is, while it is being written. Posted: an address is too short for it, and is logged."""
    viewed(request, mine(request, pk), "conversation.write")
    return HttpResponse(size_in_words(request.POST.get("body", "")), content_type="text/plain; charset=utf-8")


@page(*CARE, methods=("POST",))
def undo(request: StaffRequest, pk: int) -> HttpResponse:
    sent = Message.objects.visible_to(request.user).filter(direction=Message.Direction.OUT)
    message = get_object_or_404(sent, pk=pk)
    conversation = mine(request, Conversation.of(message).pk)
    if not actions.take_back(conversation, message, by=request.user):
        messages.error(request, "Too late to take back: the text is on its way.")
        return back_to(conversation, request)
    messages.success(request, "Taken back. Nothing was sent.")
    return back_to(conversation, request, f"draft={message.pk}")


@page(*CARE, methods=("POST",))
def take(request: StaffRequest, pk: int) -> HttpResponse:
    conversation = mine(request, pk)
    over, owner = request.POST.get("over", ""), conversation.owner
    if not actions.take(conversation, request.user, over=number(over)):
        name = owner.display_name if owner else "Somebody"
        messages.error(request, f"{name} has taken this conversation.")
    elif owner is not None and owner != request.user:
        undo = f"{reverse('conversation_hand_back', args=[pk])}?to={owner.pk}"
        messages.success(request, f"Taken over from {owner.display_name}.", undo)
    return back_to(conversation, request)


@page(*CARE, methods=("POST",))
def hand_back(request: StaffRequest, pk: int) -> HttpResponse:
    """Undo of taking over."""
    conversation = mine(request, pk)
    owner = colleagues().filter(pk=number(request.GET.get("to", "")) or 0).first()
    if owner is None or not actions.hand_back(conversation, owner, by=request.user):
        messages.error(request, "It is not yours to give back any more.")
    else:
        messages.success(request, f"{owner.display_name} looks after it again.")
    return back_to(conversation, request)


@page(*CARE, methods=("POST",))
def release(request: StaffRequest, pk: int) -> HttpResponse:
    conversation = mine(request, pk)
    actions.release(conversation, by=request.user)
    return back_to(conversation, request)


def last_shown(request: StaffRequest) -> int:
    """The newest reply that the page showed."""
    return number(request.POST.get("last", "")) or 0


@page(*CARE, methods=("POST",))
def snooze(request: StaffRequest, pk: int) -> HttpResponse:
    conversation = mine(request, pk)
    try:
        until = moment(request.POST.get("until", ""), conversation)
        actions.snooze(conversation, until, by=request.user, last=last_shown(request))
    except InboxError as error:
        return refuse(request, conversation, error)
    messages.success(request, "Snoozed. A new reply brings it back at once.", f"{conversation.link}reopen/")
    return next_in(request)


def moment(choice: str, conversation: Conversation) -> datetime:
    """The moment a choice of panes.SNOOZE means; InboxError for anything else."""
    now, clinic = clock.now(), conversation.clinic
    if choice == "hour":
        return now + timedelta(hours=1)
    days = {"tomorrow": 1, "days": 3, "week": 7}.get(choice)
    if days is None:
        raise InboxError("Choose until when.")
    return deadlines.next_morning(now, clinic, days)


@page(*CARE, methods=("POST",))
def close(request: StaffRequest, pk: int) -> HttpResponse:
    conversation = mine(request, pk)
    try:
        actions.close(conversation, by=request.user, last=last_shown(request))
    except InboxError as error:
        return refuse(request, conversation, error)
    messages.success(request, "Closed.", f"{conversation.link}reopen/")
    return next_in(request)


def next_in(request: StaffRequest) -> HttpResponse:
    folder = request.POST.get("in", "")
    return redirect("inbox_folder", folder) if folder in BY_SLUG else redirect("inbox")


@page(*CARE, methods=("POST",))
def reopen(request: StaffRequest, pk: int) -> HttpResponse:
    conversation = mine(request, pk)
    actions.reopen(conversation, by=request.user)
    return back_to(conversation, request)


@page(*CARE, methods=("POST",))
def match(request: StaffRequest, pk: int) -> HttpResponse:
    conversation = mine(request, pk)
    chosen = request.POST.get("patient", "")
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=number(chosen) or 0)
    try:
        remember, last = "remember" in request.POST, last_shown(request)
        target = actions.match(conversation, patient, by=request.user, remember=remember, last=last)
    except InboxError as error:
        return refuse(request, conversation, error)
    undo = reverse("conversation_unmatch", args=[target.pk])
    messages.success(request, f"These replies are {patient.name}'s now.", undo)
    return back_to(target, request)


@page(*CARE, methods=("POST",))
def unmatch(request: StaffRequest, pk: int) -> HttpResponse:
    conversation = mine(request, pk)
    try:
        unknown = actions.unmatch(conversation, by=request.user)
    except InboxError as error:
        return refuse(request, conversation, error)
    messages.success(request, "Taken out of this chart: these replies wait for whoever they are from.")
    seen = Conversation.objects.visible_to(request.user).filter(pk=unknown.pk).exists()
    return back_to(unknown if seen else conversation, request)


@page(*CARE, methods=("POST",))
def doubt(request: StaffRequest, pk: int) -> HttpResponse:
    conversation = mine(request, pk)
    stop = request.POST.get("decision") == "stop"
    actions.decide_doubt(conversation, stop=stop, by=request.user)
    messages.success(request, "No more texts to this number." if stop else "Messages may go on.")
    return back_to(conversation, request)


def flag_of(request: StaffRequest, pk: int) -> Flag:
    visible = Conversation.objects.visible_to(request.user)
    return get_object_or_404(
        Flag.objects.filter(conversation__in=visible).select_related("conversation", "message"), pk=pk
    )


@page(*CARE, methods=("POST",))
def flag_dismiss(request: StaffRequest, pk: int) -> HttpResponse:
    flag = flag_of(request, pk)
    actions.dismiss(flag, by=request.user)
    messages.success(request, "Not significant: kept.", reverse("flag_restore", args=[pk]))
    return back_to(flag.conversation, request)


@page(*CARE, methods=("POST",))
def flag_restore(request: StaffRequest, pk: int) -> HttpResponse:
    """Undo of "not significant"."""
    flag = flag_of(request, pk)
    actions.restore(flag, by=request.user)
    return back_to(flag.conversation, request)


@page(*CARE, methods=("POST",))
def flag_confirm(request: StaffRequest, pk: int) -> HttpResponse:
    flag = flag_of(request, pk)
    actions.confirm(flag, request.user)
    return back_to(flag.conversation, request)


@page(*CARE, methods=("POST",))
def message_flag(request: StaffRequest, pk: int) -> HttpResponse:
    heard = Message.objects.visible_to(request.user).filter(direction=Message.Direction.IN)
    message = get_object_or_404(heard, pk=pk)
    conversation = mine(request, Conversation.of(message).pk)
    try:
        flag = actions.add_flag(message, request.POST.get("label", ""), by=request.user)
    except InboxError as error:
        return refuse(request, conversation, error)
    messages.success(request, "Flagged: kept for the next training.", reverse("flag_dismiss", args=[flag.pk]))
    return back_to(conversation, request)


@page(*CARE, methods=("POST",))
def patient_write(request: StaffRequest, pk: int) -> HttpResponse:
    """To the conversation with a patient, made when there is none."""
    patient = get_object_or_404(Patient.objects.visible_to(request.user), pk=pk)
    return redirect(actions.write_to(patient, by=request.user).link)


urlpatterns: list[URLPattern] = [
    path("c/<int:pk>/reply/", reply, name="conversation_reply"),
    path("c/<int:pk>/preview/", preview, name="conversation_preview"),
    path("c/<int:pk>/take/", take, name="conversation_take"),
    path("c/<int:pk>/release/", release, name="conversation_release"),
    path("c/<int:pk>/hand-back/", hand_back, name="conversation_hand_back"),
    path("c/<int:pk>/snooze/", snooze, name="conversation_snooze"),
    path("c/<int:pk>/close/", close, name="conversation_close"),
    path("c/<int:pk>/reopen/", reopen, name="conversation_reopen"),
    path("c/<int:pk>/match/", match, name="conversation_match"),
    path("c/<int:pk>/unmatch/", unmatch, name="conversation_unmatch"),
    path("c/<int:pk>/doubt/", doubt, name="conversation_doubt"),
    path("messages/<int:pk>/undo/", undo, name="message_undo"),
    path("messages/<int:pk>/flag/", message_flag, name="message_flag"),
    path("flags/<int:pk>/dismiss/", flag_dismiss, name="flag_dismiss"),
    path("flags/<int:pk>/restore/", flag_restore, name="flag_restore"),
    path("flags/<int:pk>/confirm/", flag_confirm, name="flag_confirm"),
    path("to/<int:pk>/", patient_write, name="patient_write"),
]
