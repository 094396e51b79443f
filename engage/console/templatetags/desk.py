"""What the worklist says about deadlines and claims."""

from datetime import datetime

from django import template

from engage.accounts.models import Clinic
from engage.console.templatetags.words import local
from engage.lib import clock
from engage.worklist.models import Task

register = template.Library()


@register.filter
def due_text(task: Task) -> str:
    """ "due now", "12 min late", "3 d late", "by 16:00", "by Fri 6 Mar"."""
    now = clock.now()
    if task.due_at < now:
        minutes = int((now - task.due_at).total_seconds() // 60)
        if minutes < 60:
            return f"{minutes} min late" if minutes else "due now"
        return f"{minutes // 60} h late" if minutes < 48 * 60 else f"{minutes // 1440} d late"
    there, today = local(task.due_at, task.clinic), local(now, task.clinic).date()
    if there.date() == today:
        return f"by {there:%H:%M}"
    return f"by {there:%a %-d %b}" if there.year == today.year else f"by {there:%-d %b %Y}"


@register.filter
def until_in(moment: datetime | None, clinic: Clinic | None) -> str:
    """ "10:14": when a claim ends, in the clinic's zone."""
    return f"{local(moment, clinic):%H:%M}" if moment else ""
