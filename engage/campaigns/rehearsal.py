"""What a campaign would do for one real patient, without doing it."""

import random
from dataclasses import dataclass
from datetime import datetime

from engage.campaigns import cadence
from engage.campaigns.enrolling import chosen, judged, zone_of
from engage.campaigns.models import Campaign, Enrollment, Touch
from engage.caregaps.models import CareGap
from engage.lib import clock, text
from engage.messaging import policy, templates
from engage.patients.models import Patient


@dataclass(frozen=True)
class Line:
    """One touch as this patient would have it: `body` of a text, or `problem`, or neither for a call."""

    touch: Touch
    due: datetime
    body: str = ""
    problem: str = ""
    segments: int = 0


@dataclass(frozen=True)
class Rehearsal:
    """`left_out` is the reason in words, "" when the patient would be taken in; `gate` is what the gate says now."""

    patient: Patient
    left_out: str
    gate: policy.Verdict
    lines: list[Line]


def rehearse(campaign: Campaign, patient: Patient) -> Rehearsal | None:
    """None when the campaign does not choose the patient at all."""
    gap = judged(chosen(campaign).filter(patient=patient), campaign).first()
    if gap is None:
        return None
    why = str(Enrollment.Why(gap.why).label) if gap.why else ""
    return Rehearsal(patient, why, policy.consider(patient), lines_for(campaign, patient))


def lines_for(campaign: Campaign, patient: Patient) -> list[Line]:
    due, lines = clock.now(), []
    zone = patient.clinic.time_zone if patient.clinic else zone_of(campaign)
    for touch in campaign.touches.all():
        due = cadence.after(due, touch, zone)
        lines.append(line(touch, patient, due))
    return lines


def line(touch: Touch, patient: Patient, due: datetime) -> Line:
    if touch.kind != Touch.Kind.TEXT:
        return Line(touch, due)
    template = templates.pick(touch.template_key, patient.language, patient.clinic)
    if template is None:
        return Line(touch, due, problem="No approved wording in the patient's language: staff would call.")
    try:
        body = templates.render(template.body, patient, patient.clinic)
    except templates.WordingError as error:
        return Line(touch, due, problem=str(error))
    return Line(touch, due, body=body, segments=text.size(body).segments)


def anybody(campaign: Campaign) -> CareGap | None:
    """Some gap the campaign would choose: the first from a random place on, without sorting them all."""
    gaps = chosen(campaign).order_by("pk")
    last = gaps.last()
    if last is None:
        return None
    start = random.randint(1, last.pk)  # noqa: S311 - a choice for a preview, nothing secret
    return gaps.filter(pk__gte=start).first()
