"""Delivery in words: ages, names of processes, consents."""

from django import template

from engage.messaging import health, receipts
from engage.patients.models import Consent

register = template.Library()
PROCESSES = {
    "deliver": "Sender",
    "cluster": "Jobs",
    "replies read": "Carrier's list of replies",
    "touches made": "Campaigns' due touches",
}


@register.filter
def age(seconds: float | None) -> str:
    """ "3 minutes"; "" for None."""
    return "" if seconds is None else health.ago(seconds)


@register.filter
def process_name(name: str) -> str:
    return PROCESSES.get(name, name)


@register.filter
def consent(row: Consent) -> str:
    return receipts.consent_words(row)
