"""What a new campaign begins with: a cadence, and wording in English and Spanish for each measure.

The wording holds to the level-0 contract (docs and messaging.templates.check): no test is named, one digit to answer
with, a person to call, how to stop. Spanish goes without the accents that are not in GSM-7, so that it stays one part.
"""

from dataclasses import dataclass

from engage.campaigns.models import Campaign, Touch
from engage.lib import clock
from engage.messaging.models import Template


@dataclass(frozen=True)
class Step:
    """One touch as a starter lists it; `wording` names which of the measure's texts it uses."""

    kind: str
    wait_days: int = 0
    wording: str = ""


CADENCE = (
    Step(Touch.Kind.TEXT, wording="first"),
    Step(Touch.Kind.TEXT, wait_days=3, wording="again"),
    Step(Touch.Kind.CALL_TASK, wait_days=4),
)
SCREENING = {
    ("first", "en"): "{first_name}, {clinic_name} here. You are due for a health screening. "
    "Reply 1 and we will call you to book, or call {clinic_phone}. Reply STOP to opt out.",
    ("first", "es"): "{first_name}, le escribe {clinic_name}. Le toca un examen preventivo. "
    "Responda 1 y le llamamos, o llame al {clinic_phone}. Responda ALTO para no recibir mas.",
    ("again", "en"): "{first_name}, it is {clinic_name}. Your health screening is still to do. "
    "Reply 1 and we will call you to book, or call {clinic_phone}. Reply STOP to opt out.",
    ("again", "es"): "{first_name}, es {clinic_name}. Aun le falta un examen preventivo. "
    "Responda 1 y le llamamos, o llame al {clinic_phone}. Responda ALTO para no recibir mas.",
}
CHECK_UP = {
    ("first", "en"): "{first_name}, {clinic_name} here. You are due for a short check-up. "
    "Reply 1 and we will call you to book, or call {clinic_phone}. Reply STOP to opt out.",
    ("first", "es"): "{first_name}, le escribe {clinic_name}. Le toca un chequeo corto. "
    "Responda 1 y le llamamos, o llame al {clinic_phone}. Responda ALTO para no recibir mas.",
    ("again", "en"): "{first_name}, it is {clinic_name}. Your check-up is still to do. "
    "Reply 1 and we will call you to book, or call {clinic_phone}. Reply STOP to opt out.",
    ("again", "es"): "{first_name}, es {clinic_name}. Aun le falta su chequeo. "
    "Responda 1 y le llamamos, o llame al {clinic_phone}. Responda ALTO para no recibir mas.",
}
WORDING = {"CMS125": SCREENING, "CMS130": SCREENING, "CMS165": CHECK_UP}
NAMES = {"first": "First text", "again": "Second text"}


def wording_for(measure: str) -> dict[tuple[str, str], str]:
    """(which text, language) → body; a measure without its own starts from the neutral check-up."""
    return WORDING.get(measure, CHECK_UP)


def template_key(measure: str, wording: str) -> str:
    return f"{measure.lower()}-{wording}"


def ensure_templates(approved_by: str, measures: tuple[str, ...] = tuple(WORDING)) -> int:
    """Writes the starters' wording, approved, where it is missing; the number of rows written.

    Whoever calls answers for the approval: a person's username, or the demonstration.
    """
    wanted = {
        (template_key(measure, which), language): (which, body)
        for measure in measures
        for (which, language), body in wording_for(measure).items()
    }
    there = set(Template.objects.filter(key__in=[k for k, _ in wanted]).values_list("key", "language"))
    rows = [
        Template(
            key=key,
            language=language,
            name=f"{NAMES[which]}, {key.split('-')[0].upper()}",
            body=body,
            purpose=Template.Purpose.CAMPAIGN,
            approved_at=clock.now(),
            approved_by=approved_by,
        )
        for (key, language), (which, body) in wanted.items()
        if (key, language) not in there
    ]
    return len(Template.objects.bulk_create(rows, ignore_conflicts=True))


def give_cadence(campaign: Campaign) -> None:
    """Gives a new campaign the starter cadence of its measure."""
    Touch.objects.bulk_create(
        Touch(
            campaign=campaign,
            position=position,
            kind=step.kind,
            wait_days=step.wait_days,
            template_key=template_key(campaign.measure, step.wording) if step.wording else "",
        )
        for position, step in enumerate(CADENCE, 1)
    )
