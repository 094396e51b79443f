"""Patients: finding one, the page about one, and what staff may change there."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from engage.audit.models import record
from engage.campaigns.actions import end_for_patient
from engage.campaigns.models import Enrollment
from engage.caregaps.explain import explain_all
from engage.caregaps.models import CareGap
from engage.console.access import AUDITORS, CARE, READERS, StaffRequest, listed, page, viewed
from engage.console.patient_forms import ConsentForm, ContactForm, PointStateForm, PreferencesForm
from engage.console.timeline import LIMIT, timeline
from engage.inbox.models import Conversation
from engage.messaging.actions import suppress_address
from engage.patients.actions import mark_contact_point, record_consent, why_unreachable
from engage.patients.models import ContactPoint, Patient
from engage.patients.search import search
from engage.worklist.models import Task

SHOWN = 50


@page(*READERS)
def patient_list(request: StaffRequest) -> HttpResponse:
    """Search by name, birth date, record number or phone; nothing is listed until something is asked."""
    asked = request.GET.get("q", "").strip()
    found: list[Patient] = []
    if asked:
        rows = search(request.user, asked).select_related("clinic", "pcp")
        found = list(rows[: SHOWN + 1])
        listed(request, "patient.list", (p.pk for p in found[:SHOWN]))
    context = {"asked": asked, "found": found[:SHOWN], "more": len(found) > SHOWN, "shown": SHOWN}
    return render(request, "console/patients/list.html", context)


@page(*READERS)
def patient_page(request: StaffRequest, pk: int) -> HttpResponse:
    """One patient whole: identity, timeline, and beside it gaps, tasks and ways to reach them."""
    patient = own(request, pk)
    viewed(request, patient, "patient.view", patient_id=patient.pk, clinic_id=patient.clinic_id)
    return render(request, "console/patients/page.html", about(request, patient))


def own(request: StaffRequest, pk: int) -> Patient:
    """The patient, when this person may see them; otherwise 404."""
    points = Prefetch("contact_points", ContactPoint.objects.order_by("system", "rank", "id"))
    rows = Patient.objects.visible_to(request.user).select_related("clinic", "pcp").prefetch_related(points)
    return get_object_or_404(rows, pk=pk)


def about(request: StaffRequest, patient: Patient) -> dict[str, Any]:
    """What the page shows, by name."""
    earlier = earlier_than(request)
    entries = timeline(patient, earlier)
    gaps = sorted(CareGap.objects.filter(patient=patient), key=open_first)
    for gap in gaps:
        gap.patient = patient  # read already
    return {
        "patient": patient,
        "entries": entries,
        "earlier": earlier,
        "oldest": entries[-1].at.isoformat() if len(entries) >= LIMIT // 2 else "",
        "gaps": explain_all(gaps, "en", "es"),
        "tasks": Task.objects.filter(patient=patient).open().order_by("priority", "due_at"),
        "enrollments": Enrollment.objects.filter(patient=patient, state="active").select_related("campaign"),
        "conversation": Conversation.objects.filter(patient=patient).first(),
        "unreachable": why_unreachable(patient),
        "may_act": request.user.role in CARE,
        "may_audit": request.user.role in AUDITORS,
        "contact_form": ContactForm(),
        "consent_form": ConsentForm(),
        "preferences_form": PreferencesForm(instance=patient),
    }


def open_first(gap: CareGap) -> tuple[int, str, int]:
    order = [CareGap.Status.OPEN, CareGap.Status.DEFERRED, CareGap.Status.EXCLUDED, CareGap.Status.CLOSED]
    return order.index(CareGap.Status(gap.status)), gap.measure, gap.group


def earlier_than(request: StaffRequest) -> datetime | None:
    """The moment of `?before=`, or None."""
    try:
        value = datetime.fromisoformat(request.GET.get("before", ""))
    except ValueError:
        return None
    return value if value.tzinfo else None


def again(request: StaffRequest, patient: Patient, **forms: Any) -> HttpResponse:
    """The page once more, with the form that had a mistake."""
    return render(request, "console/patients/page.html", about(request, patient) | forms, status=422)


@require_POST
@page(*CARE, methods=("POST",))
def add_contact(request: StaffRequest, pk: int) -> HttpResponse:
    patient = own(request, pk)
    form = ContactForm(request.POST)
    if not form.is_valid():
        return again(request, patient, contact_form=form)
    data = form.cleaned_data
    point, made = ContactPoint.objects.get_or_create(
        patient=patient,
        system=data["system"],
        value=data["value"],
        defaults={"use": data["use"], "raw": data["value"], "source": "staff", "rank": 1},
    )
    if not made and point.state != ContactPoint.State.OPTED_OUT:
        mark_contact_point(point, ContactPoint.State.ACTIVE, "", by=request.user)
    record(request.user, "contact.add", point, patient_id=patient.pk, clinic_id=patient.clinic_id)
    if data["agreed"]:
        for channel in ("sms", "voice") if data["system"] == "phone" else ("email",):
            record_consent(
                address=point.value, channel=channel, decision="granted", source="staff", patient=patient,
                evidence="told to staff", by=request.user,
            )  # fmt: skip
    messages.success(request, "Saved.")
    return redirect("patient", pk=pk)


@require_POST
@page(*CARE, methods=("POST",))
def change_consent(request: StaffRequest, pk: int) -> HttpResponse:
    """Told by the patient: an opt-out counts from this moment on, for everyone on the number."""
    patient = own(request, pk)
    form = ConsentForm(request.POST)
    if not form.is_valid():
        return again(request, patient, consent_form=form)
    data = form.cleaned_data
    point = get_object_or_404(patient.contact_points, pk=data["point"])
    everyone = data["decision"] == "revoked"
    record_consent(
        address=point.value, channel=data["channel"], decision=data["decision"], source="staff",
        evidence=data["note"], patient=None if everyone else patient, by=request.user,
    )  # fmt: skip
    if everyone:
        end_messages(request, patient, point, data["channel"])
    messages.success(request, "Recorded. Nothing more goes there." if everyone else "Recorded.")
    return redirect("patient", pk=pk)


def end_messages(request: StaffRequest, patient: Patient, point: ContactPoint, channel: str) -> None:
    """What was waiting for that address does not go any more."""
    suppress_address(point.value, channel, "The patient told staff to stop.")
    for other in Patient.objects.filter(contact_points__value=point.value):
        end_for_patient(other, Enrollment.Why.OPTED_OUT, by=request.user)


@require_POST
@page(*CARE, methods=("POST",))
def change_point(request: StaffRequest, pk: int) -> HttpResponse:
    patient = own(request, pk)
    form = PointStateForm(request.POST)
    if not form.is_valid():
        return again(request, patient)
    point = get_object_or_404(patient.contact_points, pk=form.cleaned_data["point"])
    state = form.cleaned_data["state"]
    mark_contact_point(
        point, state, "" if state == "active" else f"{request.user.display_name} said so.", by=request.user
    )
    messages.success(request, "Saved.")
    return redirect("patient", pk=pk)


@require_POST
@page(*CARE, methods=("POST",))
def change_preferences(request: StaffRequest, pk: int) -> HttpResponse:
    patient = own(request, pk)
    form = PreferencesForm(request.POST, instance=patient)
    if not form.is_valid():
        return again(request, patient, preferences_form=form)
    patient.save(update_fields=[*form.changed_data])
    record(
        request.user,
        "patient.preferences",
        patient,
        patient_id=patient.pk,
        clinic_id=patient.clinic_id,
        fields=form.changed_data,
    )
    messages.success(request, "Preferences saved.")
    return redirect("patient", pk=pk)


urlpatterns: list[URLPattern] = [
    path("", patient_list, name="patients"),
    path("<int:pk>/", patient_page, name="patient"),
    path("<int:pk>/contact/", add_contact, name="patient_contact"),
    path("<int:pk>/consent/", change_consent, name="patient_consent"),
    path("<int:pk>/point/", change_point, name="patient_point"),
    path("<int:pk>/preferences/", change_preferences, name="patient_preferences"),
]
