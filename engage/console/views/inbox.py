"""Pages: the folders of the inbox, the list of one, and a conversation beside it."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path

from engage.console.access import CARE, StaffRequest, page
from engage.console.panes import beside, whole
from engage.console.views import conversation as acts
from engage.inbox.folders import BY_SLUG, START


@page(*CARE)
def inbox(request: StaffRequest, slug: str = START.slug) -> HttpResponse:
    folder = BY_SLUG.get(slug)
    if folder is None:
        raise Http404
    return render(request, "console/inbox/page.html", beside(request, folder))


@page(*CARE)
def conversation(request: StaffRequest, pk: int) -> HttpResponse:
    return whole(request, acts.mine(request, pk))


urlpatterns: list[URLPattern] = [
    path("", inbox, name="inbox"),
    path("c/<int:pk>/", conversation, name="conversation"),
    *acts.urlpatterns,
    path("<slug:slug>/", inbox, name="inbox_folder"),
]
