"""Sign-in, the way in, and whether the process is alive."""

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path

from engage.accounts.models import Role
from engage.console.access import EVERYONE, StaffRequest, page

START = {Role.AUDITOR: "/audit/", Role.CAMPAIGNS: "/campaigns/"}


@page(*EVERYONE)
def home(request: StaffRequest) -> HttpResponse:
    return HttpResponseRedirect(START.get(Role(request.user.role), "/worklist/"))


def alive(request: HttpRequest) -> HttpResponse:
    """Alive means the process answers; nothing else is asked."""
    return HttpResponse("alive\n", content_type="text/plain")


urlpatterns: list[URLPattern] = [
    path("", home, name="home"),
    path("healthz", alive, name="healthz"),
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
]
