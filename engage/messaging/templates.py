"""Wording: a closed list of placeholders, and what a text to a patient may and may not say.

Source: the level-0 contract (45 CFR 164.530(c), 164.510(b)(3); 47 CFR 64.1200(a)(9)(iv) as a style guide): clinic, first
name, a generic purpose, one action, a person to call, how to stop; nothing that reveals a condition.
"""

import re
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q, QuerySet

from engage.accounts.models import Clinic
from engage.lib import phone, text
from engage.messaging.models import Template
from engage.patients.models import Patient

PLACEHOLDERS = {
    "first_name": "The patient's first name",
    "clinic_name": "The clinic's name",
    "clinic_phone": "The number where a person answers",
    "inbox_link": "The address of the inbox (alerts to staff only)",
}
TYPICAL = {
    "first_name": "Guadalupe",
    "clinic_name": "Harbor Clinic",
    "clinic_phone": "(617) 555-0100",
    "inbox_link": "https://engage.example.org/inbox/",
}
NAMELESS = {"en": "Hello", "es": "Hola"}
LONGEST = 320  # characters of a typical rendering; the provider's own recommendation
MOST_SEGMENTS = 3
HOW_TO_STOP = re.compile(r"\b(STOP|ALTO|PARE)\b")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
SHORTENER = re.compile(r"\b(bit\.ly|tinyurl\.com|goo\.gl|t\.co|ow\.ly|is\.gd|rb\.gy)\b", re.IGNORECASE)
LINK_WITH_QUERY = re.compile(r"https?://\S+\?\S+", re.IGNORECASE)
# "Reply CANCEL" ends consent, and a bare YES restores it at the carrier: neither may be asked for.
TRAPS = re.compile(
    r"\b(reply|text|responda|envie|conteste)\s+[\"'“]?(cancel|end|quit|yes|si|sí|cancelar)\b", re.IGNORECASE
)
# Folded beginnings of words that tell a reader over the shoulder what the patient has or is checked for.
REVEALING = (
    "abort addict alcohol antidepress biops blood pressure cancer chemo cirug clamidia chlamydia colonosc "
    "depres diabet diagnos embaraz fertil gonor hemoglobin hepatit hiv hypertens hipertens insulin mamogra "
    "mammogra medicacion medication metastas oncol overdose papanic pap smear pregnan presion arterial "
    "psiqui psychiat quimio radiolog result sida sifilis std sti substance suicid surgery syphilis tumor vih"
)
_TWO_WORDS = ("blood pressure", "pap smear", "presion arterial")
_WORDS = [
    w for w in REVEALING.split() if w not in {"blood", "pressure", "pap", "smear", "presion", "arterial"}
]
REVEALS = re.compile(
    r"\b("
    + "|".join([*_TWO_WORDS, *(w if w in ("std", "sti", "hiv", "vih") else w + r"\w*" for w in _WORDS)])
    + r")\b"
)
MARKETING = re.compile(
    r"\b(discount|free gift|offer|promo\w*|sale|coupon|descuento|oferta|gratis|payment|balance due|invoice|factura)\b"
)


class WordingError(ValueError):
    """A text cannot be made for this patient; one sentence says why."""


@dataclass(frozen=True)
class Cost:
    """What a wording costs one typical patient."""

    characters: int
    segments: int
    encoding: str


def check(body: str, purpose: str = Template.Purpose.CAMPAIGN) -> list[str]:
    """What is wrong with a wording, each in a sentence; [] when it may be approved."""
    problems = placeholder_problems(body, purpose)
    if not body.strip():
        return ["Write something to send."]
    cost = size_of(body)
    if cost.characters > LONGEST or cost.segments > MOST_SEGMENTS:
        problems.append(
            f"It takes {cost.characters} characters in {cost.segments} parts; keep it under {LONGEST} and {MOST_SEGMENTS}."
        )
    if purpose == Template.Purpose.CAMPAIGN:
        problems += campaign_problems(body)
    return problems


def placeholder_problems(body: str, purpose: str) -> list[str]:
    allowed = set(PLACEHOLDERS) if purpose == Template.Purpose.ON_CALL else set(PLACEHOLDERS) - {"inbox_link"}
    unknown = [name for name in PLACEHOLDER.findall(body) if name not in allowed]
    names = ", ".join(f"{{{n}}}" for n in sorted(allowed))
    problems = [f"There is no placeholder {{{name}}}; there are {names}." for name in dict.fromkeys(unknown)]
    if re.search(r"[{}]", PLACEHOLDER.sub("", body)):
        problems.append("A curly bracket stands alone; brackets are for placeholders only.")
    if purpose == Template.Purpose.ON_CALL and "{first_name}" in body:
        problems.append("An alert to staff names no patient.")
    return problems


def campaign_problems(body: str) -> list[str]:
    """The level-0 contract, sentence by sentence."""
    folded = text.fold(body)
    problems = []
    if not HOW_TO_STOP.search(body):
        problems.append("Say how to stop: “Reply STOP to opt out” (in Spanish “Responda ALTO …”).")
    if "{clinic_phone}" not in body:
        problems.append("Give the number where a person answers: {clinic_phone}.")
    if "{clinic_name}" not in body:
        problems.append("Say who writes: {clinic_name}.")
    problems += [
        f"“{found}” may reveal a condition or a test; say “health screening” or “check-up”."
        for found in dict.fromkeys(REVEALS.findall(folded))
    ]
    if MARKETING.search(folded):
        problems.append("Care messages carry no offers, prices or bills.")
    if SHORTENER.search(body) or LINK_WITH_QUERY.search(body):
        problems.append("Shortened links, and links with something after “?”, are filtered by carriers.")
    if TRAPS.search(body):
        problems.append("Don't ask for CANCEL, END or YES: carriers act on these words. Ask for a digit.")
    return problems


def size_of(body: str) -> Cost:
    """Size of a wording filled in for a typical patient."""
    filled = text.plain_punctuation(PLACEHOLDER.sub(lambda m: TYPICAL.get(m[1], m[0]), body))
    size = text.size(filled)
    return Cost(len(filled), size.segments, size.encoding)


def render(body: str, patient: Patient | None, clinic: Clinic | None, language: str = "") -> str:
    """The text for one patient, in GSM-7 punctuation; filled in one pass, so a name cannot bring a placeholder.

    Raises WordingError for an unknown placeholder or a value that is missing.
    """
    language = language or (patient.language if patient else "en")
    values = values_for(patient, clinic, language)

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1])
        if found is None:
            raise WordingError(f"There is no placeholder {{{match[1]}}}.")
        if not found:
            raise WordingError(f"{PLACEHOLDERS[match[1]]} is not known.")
        return found

    return text.clean(text.plain_punctuation(PLACEHOLDER.sub(value, body))).strip()


def values_for(patient: Patient | None, clinic: Clinic | None, language: str) -> dict[str, str]:
    first = patient.first_name if patient else ""
    return {
        "first_name": first or NAMELESS.get(language, NAMELESS["en"]),
        "clinic_name": clinic.name if clinic else "",
        "clinic_phone": phone.display(clinic.phone) if clinic and clinic.phone else "",
        "inbox_link": f"{settings.PUBLIC_BASE_URL}/inbox/",
    }


def approved(key: str) -> QuerySet[Template]:
    return Template.objects.filter(key=key, approved_at__isnull=False)


def pick(key: str, language: str, clinic: Clinic | None = None) -> Template | None:
    """The latest approved wording in a language; a clinic's own goes before everybody's. None when there is none."""
    own = Q(clinic=None) | Q(clinic=clinic) if clinic else Q()
    found = list(approved(key).filter(own, language=language).order_by("-version"))
    return next((t for t in found if clinic and t.clinic_id == clinic.pk), found[0] if found else None)


def languages(key: str) -> set[str]:
    """Languages in which a wording is approved."""
    return set(approved(key).values_list("language", flat=True))
