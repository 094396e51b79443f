"""Patients, practitioners, organizations and appointments as narrow rows. Pure, as facts are."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, NamedTuple

from engage.fhir import dates, elements
from engage.fhir.elements import NOBODY, Reference, things, words
from engage.fhir.facts import Resource
from engage.fhir.problems import BadResource
from engage.lib import clock

MRN_SYSTEM = "http://terminology.hl7.org/CodeSystem/v2-0203"
NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"
SECOND_CHOICE = {"maiden", "old", "nickname", "anonymous", "temp"}
USE_RANK = {"mobile": 0, "home": 1, "": 1, "temp": 2, "work": 3, "old": 9}


class Telecom(NamedTuple):
    """A phone or e-mail as written; `old`: the record says it is no longer used."""

    system: str
    use: str
    value: str
    old: bool


class PatientRow(NamedTuple):
    """A Patient, with references still to be resolved."""

    id: str
    mrn: str
    mrn_system: str
    family: str
    given: str
    birth_date: date | None
    birth_precision: str
    gender: str
    sex: str
    language: str
    deceased: bool
    deceased_on: date | None
    active: bool
    line: str
    city: str
    state: str
    postal_code: str
    telecoms: tuple[Telecom, ...]
    organization: Reference
    practitioners: tuple[Reference, ...]
    replaced_by: Reference
    replaces: tuple[Reference, ...]
    notes: tuple[str, ...]  # what is odd about it


def patient(r: Resource) -> PatientRow:
    """Reads a Patient. The first name in use counts; a maiden name after it does not."""
    family, given = name(r)
    born, precision = birth(r)
    deceased, on, of_death = death(r)
    active, of_activity = truth(r, "active")
    line, city, state, postal_code = address(r)
    return PatientRow(
        elements.resource_id(r), *record_number(r), family, given, born, precision, words(r.get("gender"), 10),
        sex(r), language(r), deceased, on, active is not False, line, city, state, postal_code, telecoms(r),
        elements.reference(r.get("managingOrganization"), "Organization"),
        tuple(elements.reference(p, "Practitioner") for p in things(r.get("generalPractitioner"))),
        next(linked(r, "replaced-by"), NOBODY), tuple(o for o in linked(r, "replaces") if o.id),
        tuple(note for note in (of_death, of_activity) if note),
    )  # fmt: skip


def linked(r: Resource, kind: str) -> Iterator[Reference]:
    """The other records of links of that type; one that cannot be told is a Patient without an id."""
    for link in things(r.get("link")):
        if link.get("type") == kind:
            other = elements.reference(link.get("other"), "Patient")
            yield other if other.type == "Patient" else Reference("Patient")


def name(r: Resource) -> tuple[str, str]:
    """Family and given names: the official one first, then the usual, then any that is not former."""
    names = list(things(r.get("name")))
    if not names:
        return "", ""
    best = min(names, key=_name_rank)
    family, given = words(best.get("family"), 100), _given(best)
    if not family and not given:
        given, _, family = words(best.get("text")).rpartition(" ")
    return family[:100], given[:100]


def _name_rank(found: dict[str, Any]) -> int:
    ended = isinstance(span := found.get("period"), dict) and bool(span.get("end"))
    use = str(found.get("use") or "")
    rank = {"official": 0, "usual": 1}.get(use, 3 if use in SECOND_CHOICE else 2)
    return rank + (4 if ended else 0)


def _given(found: dict[str, Any]) -> str:
    given = found.get("given")
    parts = given if isinstance(given, list) else [given]
    return " ".join(w for w in (words(p, 100) for p in parts) if w)[:100]


def birth(r: Resource) -> tuple[date | None, str]:
    """The first day the birth date may be, and "day", "month" or "year"; (None, "") when unknown."""
    written = r.get("birthDate")
    if written is None:
        return None, ""
    first = dates.day_of(dates.moment(written, "birth date").lo)
    return first, {4: "year", 7: "month"}.get(len(written), "day")


def sex(r: Resource) -> str:
    """The code of US Core's sex extension, such as SNOMED 248152002 (female); "" without one."""
    for extension in things(r.get("extension")):
        if str(extension.get("url")).endswith("/us-core-sex"):
            coding = extension.get("valueCoding") or extension.get("valueCodeableConcept") or {}
            coded = next((c.get("code") for c in things(coding.get("coding"))), coding.get("code"))
            return words(extension.get("valueCode") or coded, 20)
    return ""


def death(r: Resource) -> tuple[bool, date | None, str]:
    """Whether the patient has died, the day when it is known, and a note. Whoever has a date of death that cannot be read
    has died all the same; an empty one says nothing."""
    written = r.get("deceasedDateTime")
    if not written:
        dead, note = truth(r, "deceasedBoolean")
        return dead is True, None, note
    try:
        return True, dates.day_of(dates.moment(written, "date of death").lo), ""
    except BadResource as error:
        return True, None, f"{error} The death was kept, without a day."


def truth(r: Resource, name: str) -> tuple[bool | None, str]:
    """A boolean element, None when it says neither, and a note when it is written as something else, such as "true"."""
    written = r.get(name)
    if written is None or isinstance(written, bool):
        return written, ""
    meant = {"true": True, "1": True, "false": False, "0": False}.get(str(written).strip().lower())
    taken = "passed over" if meant is None else f"taken as {str(meant).lower()}"
    return meant, f"The element {name} is neither true nor false; it was {taken}."


def record_number(r: Resource) -> tuple[str, str]:
    """The medical record number and its system: the identifier of that type, else the first one."""
    found = list(things(r.get("identifier")))
    typed = [i for i in found if "MR" in elements.codes(i.get("type"), MRN_SYSTEM)]
    numbers = ((words(i.get("value"), 40), words(i.get("system"), 120)) for i in [*typed, *found])
    return next((n for n in numbers if n[0]), ("", ""))


def language(r: Resource) -> str:
    """The primary tag of the preferred language ("es"), English when the record says nothing."""
    found = list(things(r.get("communication")))
    for spoken in sorted(found, key=lambda c: c.get("preferred") is not True):
        for coding in things((spoken.get("language") or {}).get("coding")):
            tag = words(coding.get("code"), 20).split("-")[0].lower()
            if tag.isalpha() and 2 <= len(tag) <= 8:
                return tag
    return "en"


def address(r: Resource) -> tuple[str, str, str, str]:
    """Line, city, state and postal code of where the patient lives now; "00000" is no postal code."""
    found = [a for a in things(r.get("address")) if a.get("use") not in ("old", "billing")]
    current = [a for a in found if not (isinstance(p := a.get("period"), dict) and p.get("end"))] or found
    home = min(current, key=lambda a: a.get("use") != "home", default={})
    lines = home.get("line")
    written = ", ".join(w for w in (words(x, 160) for x in lines) if w) if isinstance(lines, list) else ""
    postal_code = words(home.get("postalCode"), 10)
    postal_code = "" if not postal_code.strip("0-") else postal_code
    return written[:160], words(home.get("city"), 80), words(home.get("state"), 40), postal_code


def telecoms(r: Resource) -> tuple[Telecom, ...]:
    """Phones and e-mails, first choice first: by the record's rank, then mobile, home, work."""
    found = []
    for place, written in enumerate(things(r.get("telecom"))):
        system = {"phone": "phone", "sms": "phone", "email": "email"}.get(str(written.get("system")))
        value = words(written.get("value"), 200)
        if not system or not value:
            continue
        use = "mobile" if written.get("system") == "sms" else words(written.get("use"), 10)
        ended = isinstance(span := written.get("period"), dict) and has_passed(span.get("end"))
        rank = written.get("rank") if isinstance(written.get("rank"), int) else 99
        found.append(
            ((rank, USE_RANK.get(use, 2), place), Telecom(system, use, value, ended or use == "old"))
        )
    return tuple(t for _, t in sorted(found))


def has_passed(written: Any) -> bool:
    """Whether a date lies before today (business time); False when there is none."""
    return written is not None and dates.day_of(dates.moment(written).hi) < clock.today()


class PractitionerRow(NamedTuple):
    id: str
    name: str
    npi: str
    identifiers: tuple[str, ...]


def practitioner(r: Resource) -> PractitionerRow:
    family, given = name(r)
    first: dict[str, Any] = next(things(r.get("name")), {})
    prefix = first.get("prefix")
    title = words(prefix[0], 20) if isinstance(prefix, list) and prefix else ""
    full = " ".join(w for w in (title, given, family) if w) or "Name unknown"
    known = identifiers(r)
    npi = next((i.partition("|")[2] for i in known if i.startswith(NPI_SYSTEM + "|")), "")
    return PractitionerRow(elements.resource_id(r), full[:160], npi[:20], known)


def identifiers(r: Resource) -> tuple[str, ...]:
    """ "system|value" of each identifier, as conditional references write them."""
    return tuple(
        f"{words(i.get('system'), 120)}|{words(i['value'], 120)}"
        for i in things(r.get("identifier"))
        if isinstance(i.get("value"), str)
    )


class PlaceRow(NamedTuple):
    kind: str
    id: str
    name: str
    identifiers: tuple[str, ...]
    part_of: Reference


def place(r: Resource) -> PlaceRow:
    """An Organization or a Location; a location belongs to the organization that runs it."""
    above = r.get("partOf") or r.get("managingOrganization")
    if r["resourceType"] == "Location":
        above = r.get("managingOrganization") or r.get("partOf")
    return PlaceRow(
        r["resourceType"],
        elements.resource_id(r),
        words(r.get("name"), 160),
        identifiers(r),
        elements.reference(above, "Organization"),
    )


class RoleRow(NamedTuple):
    id: str
    practitioner: Reference
    places: tuple[Reference, ...]  # first choice first


def role(r: Resource) -> RoleRow:
    spots = [elements.reference(p, "Location") for p in things(r.get("location"))]
    return RoleRow(
        elements.resource_id(r),
        elements.reference(r.get("practitioner"), "Practitioner"),
        (elements.reference(r.get("organization"), "Organization"), *spots),
    )


class MedicationRow(NamedTuple):
    id: str
    concept: elements.Concept


def medication(r: Resource) -> MedicationRow:
    return MedicationRow(elements.resource_id(r), elements.concept(r.get("code")))


class AppointmentRow(NamedTuple):
    id: str
    patient: Reference
    practitioner: Reference
    places: tuple[Reference, ...]
    status: str
    starts_at: datetime | None
    ends_at: datetime | None
    description: str


def appointment(r: Resource) -> AppointmentRow:
    """An Appointment. Raises BadResource when nobody who takes part is a patient."""
    actors = [elements.reference(p.get("actor")) for p in things(r.get("participant"))]
    patient = next((a for a in actors if a.type == "Patient"), NOBODY)
    if patient is NOBODY:
        raise BadResource("The appointment does not say which patient it is for.")
    starts, ends = instant(r.get("start")), instant(r.get("end"))
    if starts and ends and ends < starts:
        raise BadResource("The appointment ends before it starts.")
    shown = words(r.get("description")) or elements.concept(r.get("serviceType")).display
    return AppointmentRow(
        elements.resource_id(r),
        patient,
        next((a for a in actors if a.type == "Practitioner"), NOBODY),
        tuple(a for a in actors if a.type in ("Location", "Organization")),
        words(r.get("status"), 20),
        starts,
        ends,
        shown[:200],
    )


def instant(written: Any) -> datetime | None:
    """An exact time, aware; None when there is none."""
    if written is None:
        return None
    when = dates.moment(written)
    zone = timezone(timedelta(minutes=when.offset))
    naive = datetime(1970, 1, 1, tzinfo=zone) + timedelta(seconds=when.lo)
    return naive.astimezone(UTC)
