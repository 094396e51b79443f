"""Finding a patient by the start of the name, the record number, the birth date or the phone."""

import re
from datetime import date

from django.db.models import Q, QuerySet

from engage.accounts.models import User
from engage.lib import text
from engage.patients.models import ContactPoint, Patient

LAST = "\U0010ffff"  # sorts after every name
MANY = 1000
ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})\Z")
US = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})\Z")


def search(user: User, wanted: str) -> "QuerySet[Patient]":
    """The patients this person may see whom the text may mean, by name; everyone when it is empty."""
    mine: QuerySet[Patient] = Patient.objects.visible_to(user)
    written = text.clean(wanted).strip()[:100]
    if not text.fold(written):
        return mine.order_by("search_name", "id")
    return mine.filter(meaning(written)).order_by("search_name", "id")


def meaning(written: str) -> Q:
    """The filter for a search text that is not empty."""
    wanted = text.fold(written)
    born = birth_date(wanted)
    if born:
        return Q(birth_date=born)
    digits = re.sub(r"\D", "", wanted)
    if len(digits) >= 6 and re.fullmatch(r"[\d\s()+.-]+", wanted):
        return phone(digits) | record_number(written)
    return name(wanted) | record_number(written)


def starts(field: str, prefix: str) -> Q:
    """A prefix as a range, which an ordinary index answers on every database, and exactly."""
    return Q(**{f"{field}__gte": prefix, f"{field}__lt": prefix + LAST, f"{field}__startswith": prefix})


def name(wanted: str) -> Q:
    """ "rivera", "rivera an", "rivera, ana" or "ana rivera": search_name is "family given"."""
    parts = wanted.replace(",", " ").split()
    if not parts:
        return Q(pk__in=())
    found = starts("search_name", " ".join(parts))
    if len(parts) > 1 and "," not in wanted:
        found |= starts("search_name", parts[-1]) & Q(search_name__contains=" " + " ".join(parts[:-1]))
    return found


def record_number(written: str) -> Q:
    """The medical record number, whole; capitals do not matter when they are all alike."""
    return Q(mrn__in={written, written.upper(), written.lower()})


def birth_date(wanted: str) -> date | None:
    """A day written 1960-05-01 or 5/1/1960; None when it is neither."""
    iso, us = ISO.match(wanted), US.match(wanted)
    parts = iso.groups() if iso else (us[3], us[1], us[2]) if us else None
    try:
        return date(*(int(p) for p in parts)) if parts else None
    except ValueError:
        return None


def phone(digits: str) -> Q:
    """A number by its first digits, area code first, with or without the country; at most MANY people of it.

    The people are looked up first: as a subquery beside the record number they would cost a scan of all patients.
    """
    national = digits[1:] if len(digits) == 11 and digits[0] == "1" else digits
    points = ContactPoint.objects.filter(starts("value", "+1" + national) | starts("value", "+" + digits))
    return Q(pk__in=list(points.order_by("value").values_list("patient_id", flat=True)[:MANY]))
