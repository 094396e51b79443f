"""The audit log: who saw or did what, for auditors and supervisors."""

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path

from engage.accounts.models import User
from engage.audit.models import AuditEvent
from engage.console.access import AUDITORS, StaffRequest, page, viewed
from engage.lib.text import number

SHOWN = 100


@page(*AUDITORS)
def audit(request: StaffRequest) -> HttpResponse:
    """Newest first, filtered by person, patient, act and day. Patients stand by number: a name is one recorded view away."""
    asked = {
        name: request.GET.get(name, "").strip() for name in ("actor", "patient", "action", "day", "before")
    }
    rows = list(matching(request, asked)[: SHOWN + 1])
    viewed(request, None, "audit.view", filters=[k for k, v in asked.items() if v])
    return render(request, "console/audit/page.html", {
        "asked": asked,
        "events": rows[:SHOWN],
        "before": rows[SHOWN - 1].pk if len(rows) > SHOWN else None,
    })  # fmt: skip


def matching(request: StaffRequest, asked: dict[str, str]) -> QuerySet[AuditEvent]:
    """Events of the person's clinics and of no clinic in particular, narrowed by what was asked."""
    user = request.user
    colleagues = User.objects.filter(clinics__in=user.clinic_ids()).values("pk")
    mine = (
        Q(clinic_id__in=user.clinic_ids())
        | Q(clinic_id=None, actor_id__in=colleagues)
        | Q(clinic_id=None, actor_id=None)
    )
    rows = AuditEvent.objects.filter(mine).order_by("-id")
    if asked["actor"]:
        rows = rows.filter(actor__istartswith=asked["actor"])
    if (whose := number(asked["patient"])) is not None:
        rows = rows.filter(patient_id=whose)
    if asked["action"]:
        rows = rows.filter(action__startswith=asked["action"])
    if (before := number(asked["before"])) is not None:
        rows = rows.filter(pk__lt=before)
    return on_day(rows, asked["day"], user)


def on_day(rows: QuerySet[AuditEvent], day: str, user: Any) -> QuerySet[AuditEvent]:
    """One calendar day of the person's first clinic."""
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        return rows
    clinic = user.clinics.first()
    zone = ZoneInfo(clinic.time_zone if clinic else "UTC")
    return rows.filter(
        at__gte=datetime.combine(wanted, time.min, zone), at__lte=datetime.combine(wanted, time.max, zone)
    )


urlpatterns: list[URLPattern] = [path("", audit, name="audit")]
