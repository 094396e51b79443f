"""Pages: recording that a care gap is closed, with evidence, and taking that back."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.http import url_has_allowed_host_and_scheme

from engage.campaigns import actions as campaigns
from engage.caregaps.models import CareGap, Closure
from engage.console.access import CARE, StaffRequest, page, viewed
from engage.console.forms import ClosureForm

TAKEN_BACK = {
    CareGap.Status.OPEN: "the gap is open again",
    CareGap.Status.DEFERRED: "the gap is put off",
    CareGap.Status.CLOSED: "the gap stays closed",
    CareGap.Status.EXCLUDED: "the measure does not apply",
}


def came_from(request: StaffRequest, otherwise: str) -> str:
    """The page to go back to: `next` of the form when it is one of ours."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if ours and wanted.startswith("/") else otherwise


@page(*CARE, methods=("GET", "POST"))
def close_gap(request: StaffRequest, pk: int) -> HttpResponse:
    visible = CareGap.objects.visible_to(request.user)
    gap = get_object_or_404(visible.select_related("patient__clinic"), pk=pk)
    back = came_from(request, f"/patients/{gap.patient_id}/")
    open_now = gap.status in (CareGap.Status.OPEN, CareGap.Status.DEFERRED)
    form = ClosureForm(request.POST or None, gap=gap, initial={"message_id": request.GET.get("message")})
    if request.method == "POST" and open_now and form.is_valid():
        try:
            closure = campaigns.close_gap(gap, **form.closure(), by=request.user)
        except ValueError as error:
            form.add_error(None, str(error))
        else:
            said = "The gap is closed; what was planned because of it is cancelled."
            messages.success(request, said, f"/gaps/closures/{closure.pk}/undo/")
            return redirect(back)
    viewed(request, gap, "caregap.view", patient_id=gap.patient_id, clinic_id=gap.patient.clinic_id)
    shown = {"gap": gap, "patient": gap.patient, "form": form, "back": back, "open": open_now}
    return render(request, "console/inbox/close_gap.html", shown, status=422 if form.errors else 200)


@page(*CARE, methods=("POST",))
def undo_closure(request: StaffRequest, pk: int) -> HttpResponse:
    gaps = CareGap.objects.visible_to(request.user)
    closure = get_object_or_404(Closure.objects.filter(gap__in=gaps).select_related("gap"), pk=pk)
    campaigns.reopen_gap(closure, by=request.user)
    closure.gap.refresh_from_db(fields=["status"])
    messages.success(request, f"The closure is taken back: {TAKEN_BACK[CareGap.Status(closure.gap.status)]}.")
    return redirect(came_from(request, f"/patients/{closure.gap.patient_id}/"))


urlpatterns: list[URLPattern] = [
    path("<int:pk>/close/", close_gap, name="close_gap"),
    path("closures/<int:pk>/undo/", undo_closure, name="undo_closure"),
]
