"""Who may open which page, declared on the page itself. A route without a declaration fails a test."""

import functools
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from engage.accounts.models import Role, User
from engage.audit.models import AuditEvent, event, record

CARE = (Role.COORDINATOR, Role.NURSE, Role.ONCALL, Role.SUPERVISOR)  # may see and act for patients
EVERYONE = tuple(Role)
READERS = (*CARE, Role.AUDITOR)
CAMPAIGNERS = (Role.CAMPAIGNS, Role.SUPERVISOR)
AUDITORS = (Role.AUDITOR, Role.SUPERVISOR)
SORTERS = (Role.NURSE, Role.ONCALL, Role.SUPERVISOR)  # judge how replies are sorted
P = ParamSpec("P")


class StaffRequest(HttpRequest):
    """A request whose user is a signed-in member of staff."""

    user: User
    htmx: HtmxDetails


@dataclass(frozen=True)
class Access:
    """The declaration a page carries as `view.access`."""

    roles: tuple[str, ...]
    methods: tuple[str, ...]
    poll: bool = False


View = Callable[Concatenate[Any, P], HttpResponse]


def page(*roles: str, methods: Iterable[str] = ("GET",), poll: bool = False) -> Callable[[View[P]], View[P]]:
    """Declares a page's roles and methods; runs it in one transaction, so what is shown and its audit row go together.

    A poll runs outside a transaction and carries counts only.
    """
    access = Access(tuple(roles), tuple(methods), poll)

    def declare(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def guarded(request: Any, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            refusal = refused(request, access)
            if refusal is not None:
                return refusal
            try:
                with nullcontext() if poll else transaction.atomic():
                    return view(request, *args, **kwargs)
            except OverflowError:
                # A number or a date that somebody made up, beyond what a database or a calendar holds.
                return HttpResponseBadRequest("No such number or date.\n", content_type="text/plain")

        guarded.access = access  # type: ignore[attr-defined]
        return cast(View[P], guarded)

    return declare


def refused(request: HttpRequest, access: Access) -> HttpResponse | None:
    """The answer for somebody who may not open the page; None when they may."""
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        return sign_in(request)
    if user.role not in access.roles:
        raise PermissionDenied
    if request.method not in (*access.methods, "HEAD"):
        return HttpResponseNotAllowed(access.methods)
    if any("\x00" in v for asked in (request.GET, request.POST) for _, vs in asked.lists() for v in vs):
        return HttpResponseBadRequest("A character that no form sends.\n", content_type="text/plain")
    return None


def sign_in(request: HttpRequest) -> HttpResponse:
    """To the sign-in page: a redirect, or htmx's way of leaving the page."""
    if getattr(request, "htmx", False):
        return HttpResponseClientRedirect("/accounts/login/")
    return redirect_to_login(request.get_full_path())


def viewed(
    request: StaffRequest, subject: Any, action: str, *, patient_id: int | None = None, **detail: Any
) -> None:
    """Records that this person saw this subject."""
    record(request.user, action, subject, patient_id=patient_id, **detail)


def listed(request: StaffRequest, action: str, patient_ids: Iterable[int | None]) -> None:
    """Records that a list showed these patients: one row each, written at once."""
    rows = [event(request.user, action, patient_id=pk) for pk in dict.fromkeys(patient_ids) if pk is not None]
    AuditEvent.objects.bulk_create(rows)
