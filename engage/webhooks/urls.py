"""Addresses the provider calls."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
