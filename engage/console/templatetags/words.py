"""Values in words: days and moments in the clinic's zone, languages, measures."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.forms import BoundField
from django.http import QueryDict
from django.utils.safestring import SafeString

from engage.accounts.models import Clinic
from engage.caregaps.measures import MEASURES
from engage.lib import clock

register = template.Library()
LANGUAGES = {
    "en": "English", "es": "Spanish", "pt": "Portuguese", "zh": "Chinese", "vi": "Vietnamese", "ht": "Haitian Creole",
    "ar": "Arabic", "fr": "French", "ru": "Russian", "tl": "Tagalog", "ko": "Korean", "de": "German", "it": "Italian",
    "hi": "Hindi", "pl": "Polish", "so": "Somali", "am": "Amharic", "ne": "Nepali", "km": "Khmer",
}  # fmt: skip


@register.filter
def language_name(code: str) -> str:
    """ "es" → "Spanish"; a code we have no name for is shown as it is."""
    return LANGUAGES.get(code or "", code or "not known")


@register.filter
def day_in(moment: datetime | None, clinic: Clinic | None) -> str:
    """ "3 Feb 2023" in the clinic's zone."""
    return f"{local(moment, clinic):%-d %b %Y}" if moment else ""


@register.filter
def moment_in(moment: datetime | None, clinic: Clinic | None) -> str:
    """ "3 Feb, 14:05" in the clinic's zone, with the year when it is another one."""
    if moment is None:
        return ""
    there = local(moment, clinic)
    year = "" if there.year == local(clock.now(), clinic).year else f" {there.year}"
    return f"{there:%-d %b}{year}, {there:%H:%M}"


def local(moment: datetime, clinic: Clinic | None) -> datetime:
    return moment.astimezone(ZoneInfo(clinic.time_zone if clinic else "America/New_York"))


@register.filter
def measure_title(code: str) -> str:
    """ "CMS130" → "Colorectal cancer screening"."""
    measure = MEASURES.get(code)
    return str(measure.title.en) if measure else code


@register.filter
def with_id(field: BoundField, number: int) -> SafeString:
    """The field's control under an id of its own, for forms that stand on a page several times."""
    return field.as_widget(attrs={"id": f"{field.auto_id}_{number}"})


@register.filter
def detail_text(detail: dict[str, Any]) -> str:
    """An audit row's detail as "fields: a, b; count: 3"."""
    return "; ".join(
        f"{k}: {', '.join(map(str, v)) if isinstance(v, list) else v}" for k, v in detail.items()
    )


@register.filter
def with_before(query: QueryDict, value: Any) -> str:
    """The query string with `before` set, for the link to earlier rows."""
    changed = query.copy()
    changed["before"] = str(value)
    return changed.urlencode()
