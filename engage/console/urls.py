"""Addresses of the console. Each module of views lists its own."""

from django.urls import include, path

from engage.console.views import (
    audit,
    campaigns,
    closures,
    delivery,
    home,
    inbox,
    measures,
    patients,
    poll,
    receipts,
    selected,
    setup,
    sorting,
    words,
    worklist,
)

urlpatterns = [
    path("", include(home)),
    path("worklist/", include(worklist)),
    path("worklist/", include(selected)),
    path("inbox/", include(inbox)),
    path("patients/", include(patients)),
    path("campaigns/", include(campaigns)),
    path("measures/", include(measures)),
    path("sorting/", include(sorting)),
    path("sorting/words/", include(words)),
    path("audit/", include(audit)),
    path("setup/", include(setup)),
    path("gaps/", include(closures)),
    path("poll/", include(poll)),
    path("delivery/", include(delivery)),
    path("messages/", include(receipts)),
]
