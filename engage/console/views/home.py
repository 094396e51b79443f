"""Sign-in, the way in, and whether the process is alive."""

from django.conf import settings
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from engage.accounts.models import Role, User
from engage.console.access import EVERYONE, StaffRequest, page

START = {Role.AUDITOR: "/audit/", Role.CAMPAIGNS: "/campaigns/"}


@page(*EVERYONE)
def home(request: StaffRequest) -> HttpResponse:
    return HttpResponseRedirect(START.get(Role(request.user.role), "/worklist/"))


@require_POST
@page(*EVERYONE, methods=("POST",))
def preferences(request: StaffRequest) -> HttpResponse:
    """How the console looks and listens for this person."""
    user = request.user
    if request.POST.get("theme") in dict(User.THEMES):
        user.theme = request.POST["theme"]
    if request.POST.get("single_keys") in ("on", "off"):
        user.single_keys = request.POST["single_keys"] == "on"
    user.save(update_fields=["theme", "single_keys"])
    back = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(back if safe else "/")


def alive(request: HttpRequest) -> HttpResponse:
    """Alive means the process answers; nothing else is asked."""
    return HttpResponse("alive\n", content_type="text/plain")


urlpatterns: list[URLPattern] = [
    path("", home, name="home"),
    path("accounts/preferences/", preferences, name="preferences"),
    path("healthz", alive, name="healthz"),
    path(
        "accounts/login/",
        LoginView.as_view(
            redirect_authenticated_user=True, extra_context={"demo": settings.CARRIER == "simulator"}
        ),
        name="login",
    ),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
]
