"""Addresses the provider calls."""

from django.urls import URLPattern, path

from engage.webhooks import views

urlpatterns: list[URLPattern] = [
    path("twilio/message", views.message, name="twilio_message"),
    path("twilio/status/<str:token>", views.status, name="twilio_status"),
]
