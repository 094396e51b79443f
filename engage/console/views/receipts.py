"""Pages: one message's receipt, and the decision about a message whose fate nobody knows."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap
from engage.console.access import CARE, READERS, StaffRequest, page, viewed
from engage.inbox.models import Conversation
from engage.messaging import actions, receipts
from engage.messaging.models import Message

# decision → (its words on the button, what it does)
DECISIONS = {
    "ask": ("Ask the patient", "Opens a call task: did it arrive? The message stays here until somebody decides."),
    "resend": ("Send again", "Goes through the gate as a new message. The patient may get it twice."),
    "drop": ("Drop", "It is not sent again."),
}  # fmt: skip


@page(*READERS)
def message_receipt(request: StaffRequest, pk: int) -> HttpResponse:
    """Why a message was sent or was not: consent, hours, limits, wording, tries, and the carrier's answers."""
    message = own(request, pk)
    viewed(request, message, "message.receipt")
    context = {
        "receipt": receipts.receipt(message),
        "message": message,
        "gap": gap_words(message.about),
        "conversation": Conversation.objects.filter(patient=message.patient).first() if message.patient else None,
        "decisions": decisions(request, message),
    }  # fmt: skip
    return render(request, "console/delivery/receipt.html", context)


def own(request: StaffRequest, pk: int) -> Message:
    """A message to a patient of this person's clinics; else 404."""
    rows = Message.objects.visible_to(request.user).filter(direction=Message.Direction.OUT)
    return get_object_or_404(rows.select_related(*receipts.WITH, "reply_to"), pk=pk)


def decisions(request: StaffRequest, message: Message) -> list[tuple[str, str, str]]:
    """(decision, button, what it does), for those who may decide."""
    if message.state != Message.State.NEEDS_REVIEW or request.user.role not in CARE:
        return []
    return [(key, *words) for key, words in DECISIONS.items() if key != "ask" or message.patient is not None]


def gap_words(about: str) -> str:
    """ "Colorectal cancer screening, open" for "caregap:812"; "" for anything else."""
    kind, _, number = about.partition(":")
    if kind != "caregap" or not number.isdigit():
        return ""
    gap = CareGap.objects.filter(pk=int(number)).first()
    if gap is None:
        return ""
    measure = MEASURES.get(gap.measure)
    return f"{measure.title.en if measure else gap.measure}, {gap.get_status_display().lower()}"


@require_POST
@page(*CARE, methods=("POST",))
def message_review(request: StaffRequest, pk: int) -> HttpResponse:
    """Ask the patient, send it again, or drop it; audited by the action."""
    message = own(request, pk)
    decision = request.POST.get("decision", "")
    try:
        actions.review(message, decision, by=request.user)
    except actions.MessageError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, said(decision))
    return HttpResponseRedirect(back(request, pk))


def said(decision: str) -> str:
    return {
        "ask": "A call task asks the patient.",
        "resend": "It is sent again, as a message of its own.",
        "drop": "It is dropped.",
    }[decision]


def back(request: StaffRequest, pk: int) -> Any:
    asked = request.POST.get("back", "")
    safe = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return asked if asked and safe else reverse("message_receipt", args=[pk])


urlpatterns: list[URLPattern] = [
    path("<int:pk>/", message_receipt, name="message_receipt"),
    path("<int:pk>/review/", message_review, name="message_review"),
]
