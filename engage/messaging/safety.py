"""Safety texts: what is answered at once by a machine, in wording that people have approved.

They are versioned templates like any other. In production one that nobody has approved is not sent; staff are told
instead. Sources of the wording: 988lifeline.org (text, chat, Spanish: press 2 or text AYUDA), 47 CFR 64.1200(a)(12).
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings

from engage.accounts.models import Clinic
from engage.lib import clock, phone
from engage.lib.fixed import Fixed
from engage.messaging import actions, templates
from engage.messaging.checks import ANSWER_WITHIN, REPLY_WITHIN
from engage.messaging.models import Lane, Message, Template
from engage.worklist import actions as worklist
from engage.worklist.models import Reason, Task

log = logging.getLogger(__name__)
Purpose = Template.Purpose


@dataclass(frozen=True)
class Wording:
    """Version 1 of one safety text in one language."""

    key: str
    purpose: str
    language: str
    name: str
    body: str


# A draft until a clinician and a translator have signed it off; `ensure_safety_templates` never overwrites a version.
WORDINGS = (
    Wording(
        "crisis",
        Purpose.CRISIS,
        "en",
        "Crisis reply",
        "If this is an emergency call 911. If you are thinking of harming yourself call or text 988 now. "
        "A member of our team is being alerted; texts are not watched at all hours.",
    ),
    Wording(
        "crisis",
        Purpose.CRISIS,
        "es",
        "Crisis reply",
        "Si es una emergencia llame al 911. Si piensa en hacerse daño, llame al 988 (oprima 2) o envie AYUDA al 988. "
        "Estamos avisando a su equipo; no vigilamos los mensajes las 24 horas.",
    ),
    Wording(
        "help",
        Purpose.HELP,
        "en",
        "Answer to HELP",
        "{clinic_name}: to reach a person call {clinic_phone}. In an emergency call 911. Reply STOP to opt out.",
    ),
    Wording(
        "help",
        Purpose.HELP,
        "es",
        "Answer to HELP",
        "{clinic_name}: para hablar con una persona llame al {clinic_phone}. En una emergencia llame al 911. "
        "Responda ALTO para no recibir mas.",
    ),
    Wording(
        "stopped",
        Purpose.STOPPED,
        "en",
        "Confirmation of an opt-out",
        "You will get no more texts from us. Reply START if you want them again.",
    ),
    Wording(
        "stopped",
        Purpose.STOPPED,
        "es",
        "Confirmation of an opt-out",
        "No le enviaremos mas mensajes. Responda START si quiere recibirlos otra vez.",
    ),
    Wording(
        "started",
        Purpose.STARTED,
        "en",
        "Confirmation of an opt-in",
        "{clinic_name}: you will get our texts again. Reply STOP to opt out, HELP for help.",
    ),
    Wording(
        "started",
        Purpose.STARTED,
        "es",
        "Confirmation of an opt-in",
        "{clinic_name}: recibira nuestros mensajes otra vez. Responda ALTO para no recibirlos, AYUDA si la necesita.",
    ),
    Wording(
        "received",
        Purpose.RECEIVED,
        "en",
        "Acknowledgement outside hours",
        "We have your message. Someone will read it during office hours. In an emergency call 911.",
    ),
    Wording(
        "received",
        Purpose.RECEIVED,
        "es",
        "Acknowledgement outside hours",
        "Recibimos su mensaje. Lo leeremos en horas de oficina. En una emergencia llame al 911.",
    ),
    Wording(
        "on-call",
        Purpose.ON_CALL,
        "en",
        "Alert to the on-call number",
        "Engage: an urgent reply needs a person within 5 minutes. Open the inbox: {inbox_link}",
    ),
)


def ensure_safety_templates(approved_by: str = "") -> int:
    """Writes the wordings that are missing, and approves those not yet approved when `approved_by` is a name.

    Whoever gives a name answers for the approval: a person, or the demonstration.
    """
    approval: dict[str, Any] = (
        {"approved_at": clock.machine_now(), "approved_by": approved_by} if approved_by else {}
    )
    rows = [
        Template(key=w.key, purpose=w.purpose, language=w.language, name=w.name, body=w.body, **approval)
        for w in missing(WORDINGS)
    ]
    made = Template.objects.bulk_create(rows, ignore_conflicts=True)
    if approval:
        Template.objects.filter(key__in=keys(), clinic=None, approved_at=None).update(**approval)
    return len(made)


def keys() -> set[str]:
    return {w.key for w in WORDINGS}


def missing(wordings: Iterable[Wording]) -> list[Wording]:
    there = set(Template.objects.filter(key__in=keys()).values_list("key", "language"))
    return [w for w in wordings if (w.key, w.language) not in there]


def crisis_reply(inbound: Message) -> Message | None:
    """The crisis text in the patient's language, to the number that has just written, at any hour."""
    return _answer(inbound, "crisis", Lane.URGENT)


def opt_out_confirmation(inbound: Message) -> Message | None:
    """The one confirmation allowed, within five minutes."""
    return _answer(inbound, "stopped", Lane.URGENT)


def opt_in_confirmation(inbound: Message) -> Message | None:
    return _answer(inbound, "started", Lane.STAFF)


def help_reply(inbound: Message) -> Message | None:
    return _answer(inbound, "help", Lane.STAFF)


def on_call_alert(clinic: Clinic, key: str) -> Message | None:
    """A text to the clinic's on-call number that names no patient; None when it cannot be made.

    Without a number the next person is told instead, and in any case people are when nothing goes out.
    """
    if clinic.on_call_number:
        return _alert(clinic, clinic.on_call_number, key)
    _report_on_call(
        clinic, "none", "This clinic has no on-call number: nobody is told of its urgent replies."
    )
    return backup_alert(clinic, f"{key}:next")


def backup_alert(clinic: Clinic, key: str) -> Message | None:
    """The same text to the next person; None when the clinic names nobody else."""
    number = clinic.backup_number
    return _alert(clinic, number, key) if number and number != clinic.on_call_number else None


def _alert(clinic: Clinic, number: str, key: str) -> Message | None:
    wording = usable("on-call", "en", clinic)
    if wording is None:
        log.error("clinic %s: no on-call wording", clinic.pk)
        report_missing("on-call", "en", clinic)
        return None
    body = templates.render(wording.body, None, clinic)
    alert = actions.queue(
        body=body, key=key, address=number, lane=Lane.URGENT, template=wording, clinic=clinic
    )
    if alert.state in NEVER_LEFT:
        alert_failed(alert)
    return alert


def is_alert(message: Message) -> bool:
    """Whether it tells a clinician of an urgent reply."""
    template = message.template if message.patient_id is None else None
    return template is not None and template.purpose == Purpose.ON_CALL


def alert_failed(alert: Message) -> None:
    """Nobody was told: the next person is, at once, and supervisors have it on top of their list."""
    clinic = alert.clinic
    if clinic is None:
        return
    whose = "on-call number" if alert.address == clinic.on_call_number else "number of the next person"
    why = f"The {whose} {phone.display(alert.address)} could not be reached: {alert.state_reason}"
    _report_on_call(clinic, alert.address, f"{why} Call them, and look at the urgent replies.")
    if alert.address != clinic.backup_number and not alert.key.endswith(":next"):
        backup_alert(clinic, f"{alert.key}:next")


def _report_on_call(clinic: Clinic, what: str, summary: str) -> None:
    """Supervisors are told, once while the task is open."""
    log.error("clinic %s: an on-call alert reached nobody", clinic.pk)
    worklist.open_task(
        reason=Reason.OTHER,
        summary=summary,
        about=f"on-call:{clinic.pk}:{what}",
        due_at=clock.now() + timedelta(minutes=15),
        clinic=clinic,
        queue=Task.Queue.SUPERVISORS,
        priority=Task.Priority.URGENT,
        opened_by="delivery",
        link="/setup/",
    )


def answered(inbound: Message, purpose: str, within: timedelta) -> bool:
    """Whether the number has been sent a text of this purpose lately, or is about to be."""
    since = inbound.created_at - within
    return bool(SENT(address=inbound.address, purpose=purpose, since=since))


NEVER_LEFT = (Message.State.SUPPRESSED, Message.State.FAILED, Message.State.EXPIRED)
SENT = Fixed(
    lambda address, purpose, since: (
        Message.objects.filter(
            direction=Message.Direction.OUT,
            address=address,
            template__purpose=purpose,
            created_at__gt=since,
        )
        .exclude(state__in=NEVER_LEFT)
        .values_list("pk")[:1]
    )
)


def _answer(inbound: Message, key: str, lane: int) -> Message | None:
    """One automatic answer to one message; repeated, it is the same row."""
    language = inbound.language or (inbound.patient.language if inbound.patient else "") or "en"
    wording = usable(key, language, inbound.clinic)
    if wording is None:
        report_missing(key, language, inbound.clinic)
        return None
    try:
        body = templates.render(wording.body, inbound.patient, inbound.clinic, wording.language)
    except templates.WordingError as error:
        log.error("message %s: no %s answer (%s)", inbound.pk, key, error)
        return None
    within: timedelta = ANSWER_WITHIN.get(wording.purpose, REPLY_WITHIN)  # type: ignore[call-overload]
    return actions.queue(
        body=body,
        key=f"{key}:{inbound.pk}",
        patient=inbound.patient,
        contact_point=inbound.contact_point,
        address=inbound.address,
        channel=inbound.channel,
        lane=lane,
        language=wording.language,
        template=wording,
        reply_to=inbound,
        safety=True,
        expires_at=inbound.created_at + within,
        clinic=inbound.clinic,
    )


VERSIONS = Fixed(lambda key: Template.objects.filter(key=key))


def usable(key: str, language: str, clinic: Clinic | None) -> Template | None:
    """The newest wording that may be sent: in the language, else in English, for help in English is better than none.

    With the simulator a draft will do, since nobody reads it; otherwise only what somebody has approved.
    """
    if not (rows := VERSIONS(key=key)):
        ensure_safety_templates()
        rows = VERSIONS(key=key)
    whose, languages = (None, clinic.pk if clinic else None), (language, "en")
    rows = [t for t in rows if t.clinic_id in whose and t.language in languages]
    if settings.CARRIER != "simulator":
        rows = [t for t in rows if t.approved_at is not None]
    found = sorted(rows, key=lambda t: (t.language != language, t.clinic_id is None, -t.version))
    approved = [t for t in found if t.approved_at is not None and t.language == found[0].language]
    return next(iter(approved or found), None)


def report_missing(key: str, language: str, clinic: Clinic | None) -> None:
    """Nobody has approved a text that was needed just now: supervisors are told, once while the task is open."""
    worklist.open_task(
        reason=Reason.NO_TEMPLATE,
        summary=f"A safety text could not be sent: nobody has approved “{key}” ({language}). Approve it in set-up.",
        about=f"wording:{key}:{language}",
        due_at=clock.now() + timedelta(hours=1),
        clinic=clinic,
        queue=Task.Queue.SUPERVISORS,
        priority=Task.Priority.URGENT,
        opened_by="delivery",
        link="/setup/",
    )
