"""Every address of the product."""

from django.urls import include, path

urlpatterns = [
    path("webhooks/", include("engage.webhooks.urls")),
    path("", include("engage.webhooks.machines")),
    path("", include("engage.console.urls")),
]
