"""What the inbox says about time: how long somebody has waited, and what a moment is in the clinic's day."""

from datetime import datetime

from django import template

from engage.accounts.models import Clinic
from engage.console.templatetags.words import local
from engage.lib import clock, phone

register = template.Library()


@register.filter
def number(address: str) -> str:
    """ "(617) 555-0142": a number as people read it; anything else as it is."""
    return phone.display(address)


@register.filter
def waited(since: datetime | None) -> str:
    """ "12 min", "3 h", "2 d": business time since a moment; "" for none."""
    if since is None:
        return ""
    minutes = max(0, int((clock.now() - since).total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


@register.filter
def hour_in(moment: datetime | None, clinic: Clinic | None) -> str:
    """ "10:14", in the clinic's zone."""
    return f"{local(moment, clinic):%H:%M}" if moment else ""


@register.filter
def weekday_in(moment: datetime | None, clinic: Clinic | None) -> str:
    """ "Wed 4 Mar" or, in another year, "4 Mar 2025": the heading over a day's messages."""
    if moment is None:
        return ""
    there = local(moment, clinic)
    same_year = there.year == local(clock.now(), clinic).year
    return f"{there:%a %-d %b}" if same_year else f"{there:%-d %b %Y}"
