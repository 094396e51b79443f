"""Set-up: each clinic's numbers and hours, and the wording that is approved."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Count, Min, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from engage.accounts.models import Clinic, Role
from engage.audit.models import record
from engage.console.access import CAMPAIGNERS, StaffRequest, page
from engage.console.hours_form import HoursForm
from engage.inbox import editing, wordlist
from engage.inbox.models import Reading
from engage.lib import clock, phone
from engage.messaging.models import Template


class ClinicForm(forms.ModelForm):
    """What a supervisor may change about a clinic; its hours are HoursForm's."""

    class Meta:
        model = Clinic
        fields = [
            "name",
            "phone",
            "on_call_number",
            "backup_number",
            "ehr_phone_is_consent",
            "sending_paused",
        ]
        labels = {
            "phone": "Number patients can call back",
            "on_call_number": "On-call number (told of urgent replies)",
            "backup_number": "Next person (told when nobody takes an urgent reply in 5 minutes)",
            "ehr_phone_is_consent": "A phone in the record is consent to care messages",
            "sending_paused": "Hold every automatic message of this clinic",
        }

    def clean_phone(self) -> str:
        return self.number("phone")

    def clean_on_call_number(self) -> str:
        return self.number("on_call_number")

    def clean_backup_number(self) -> str:
        return self.number("backup_number")

    def number(self, name: str) -> str:
        written = self.cleaned_data[name].strip()
        found = phone.parse(written) if written else None
        if found and not found.possible:
            raise forms.ValidationError(f"{found.problem} Write it as 617-555-0123.")
        return found.e164 if found else ""


def shown(request: StaffRequest, **forms_by_name: Any) -> dict[str, Any]:
    """The clinics of this person with their forms, and the wording each language has."""
    clinics = request.user.clinics.all()
    wording = Template.objects.filter(Q(clinic=None) | Q(clinic__in=clinics)).exclude(purpose="campaign")
    newest: dict[tuple[str, str], Template] = {}
    for template in wording.order_by("key", "language", "-version"):
        newest.setdefault((template.key, template.language), template)
    return {
        "clinics": [
            (
                c,
                forms_by_name.get(f"clinic_{c.pk}") or ClinicForm(instance=c, prefix=f"c{c.pk}"),
                forms_by_name.get(f"hours_{c.pk}") or HoursForm(clinic=c, prefix=f"h{c.pk}"),
            )
            for c in clinics
        ],
        "wording": list(newest.values()),
        "carrier": settings.CARRIER,
        "sending_enabled": settings.SENDING_ENABLED,
        "allowlist": settings.SEND_ALLOWLIST,
        "public_base_url": settings.PUBLIC_BASE_URL,
        "unsorted": Reading.objects.filter(complete=False).aggregate(
            n=Count("pk"), oldest=Min("message__created_at")
        ),
        "word_list": editing.live(),
        "word_trouble": wordlist.trouble(),
    }


@page(Role.SUPERVISOR, Role.CAMPAIGNS)
def setup(request: StaffRequest) -> HttpResponse:
    return render(request, "console/setup/page.html", shown(request))


@require_POST
@page(Role.SUPERVISOR, methods=("POST",))
def setup_clinic(request: StaffRequest, pk: int) -> HttpResponse:
    clinic = get_object_or_404(request.user.clinics, pk=pk)
    form = ClinicForm(request.POST, instance=clinic, prefix=f"c{pk}")
    if not form.is_valid():
        return render(
            request, "console/setup/page.html", shown(request, **{f"clinic_{pk}": form}), status=422
        )
    clinic.save(update_fields=form.changed_data or ["name"])
    record(request.user, "clinic.change", clinic, clinic_id=clinic.pk, fields=form.changed_data)
    messages.success(request, f"{clinic.name} saved.")
    return redirect("setup")


@require_POST
@page(*CAMPAIGNERS, methods=("POST",))
def setup_hours(request: StaffRequest, pk: int) -> HttpResponse:
    """Narrows the hours of one clinic's automatic messages; what waits is judged by them at its next claim."""
    clinic = get_object_or_404(request.user.clinics, pk=pk)
    form = HoursForm(request.POST, clinic=clinic, prefix=f"h{pk}")
    if not form.is_valid():
        return render(request, "console/setup/page.html", shown(request, **{f"hours_{pk}": form}), status=422)
    form.save()
    record(
        request.user, "clinic.hours", clinic, clinic_id=clinic.pk,
        hours=clinic.sending_hours, sunday=clinic.sunday_sending,
    )  # fmt: skip
    messages.success(request, f"The hours of {clinic.name} are saved.")
    return redirect("setup")


@require_POST
@page(*CAMPAIGNERS, methods=("POST",))
def setup_approve(request: StaffRequest, pk: int) -> HttpResponse:
    """Approves one wording: only approved text is ever sent automatically (45 CFR 92.201(c)(3) for translations)."""
    mine = Q(clinic=None) | Q(clinic__in=request.user.clinics.all())
    template = get_object_or_404(Template.objects.filter(mine), pk=pk)
    template.approved_at, template.approved_by = clock.machine_now(), request.user.username
    template.save(update_fields=["approved_at", "approved_by"])
    record(request.user, "template.approve", template, clinic_id=template.clinic_id)
    messages.success(request, f"“{template.name}” ({template.language}) is approved.")
    return redirect("setup")


urlpatterns: list[URLPattern] = [
    path("", setup, name="setup"),
    path("clinics/<int:pk>/", setup_clinic, name="setup_clinic"),
    path("clinics/<int:pk>/hours/", setup_hours, name="setup_hours"),
    path("wording/<int:pk>/approve/", setup_approve, name="setup_approve"),
]
