"""The composer: where an answer would go, whether and when it may, how many parts it takes, ready answers."""

import secrets
from datetime import datetime
from typing import Any

from engage.console.access import StaffRequest
from engage.inbox.actions import newest
from engage.inbox.models import Conversation
from engage.lib import clock, text
from engage.lib.text import number
from engage.messaging import policy, templates
from engage.messaging.models import Template
from engage.patients import actions as patients
from engage.patients.models import ContactPoint, Patient


class Composer:
    """What the writer sees before sending. `may` is False when the gate would refuse; `when` says when it goes."""

    def __init__(
        self, request: StaffRequest, conversation: Conversation, body: str = "", error: str = ""
    ) -> None:
        assert conversation.patient is not None
        self.conversation, self.patient = conversation, conversation.patient
        self.error = error
        self.point = point_for(conversation)
        self.key = f"staff:{secrets.token_hex(12)}"
        verdict = policy.consider(
            self.patient,
            automated=False,
            clinic=conversation.clinic,
            author=request.user,
            contact_point=self.point,
        )
        self.may = not isinstance(verdict, policy.Refused)
        self.when = in_words(verdict, self.patient)
        self.ready = ready_answers(conversation)
        self.body = body or self._started(request)
        self.last = newest(conversation)

    def _started(self, request: StaffRequest) -> str:
        """A ready answer that was chosen, or the text of an answer just taken back."""
        chosen, draft = request.GET.get("ready", ""), request.GET.get("draft", "")
        if chosen:
            return next((body for key, _, body in self.ready if key == chosen), "")
        if (pk := number(draft)) is not None:
            mine = self.conversation.messages().filter(pk=pk, author=request.user)
            return mine.values_list("body", flat=True).first() or ""
        return ""

    @property
    def consent(self) -> str:
        """The state of consent to texts at this number, in words."""
        if self.point is None:
            return "no number on record"
        given = f"consent to texts: {self.point.get_sms_consent_display().lower()}"
        return (
            f"{given}; {self.point.state_reason or self.point.get_state_display()}"
            if self.point.state != "active"
            else given
        )

    @property
    def size(self) -> str:
        return size_in_words(self.body)


def point_for(conversation: Conversation) -> ContactPoint | None:
    """The number an answer goes to: the one the patient wrote from, else the first usable one, else what there is."""
    if conversation.patient is None:
        return None
    usable = patients.usable_text_points(conversation.patient)
    if wrote_from := [p for p in usable if p.value == conversation.address]:
        return wrote_from[0]
    known = list(conversation.patient.contact_points.filter(system=ContactPoint.System.PHONE))
    wrote_from = [p for p in known if p.value == conversation.address]
    return next(iter([*wrote_from, *usable, *known]), None)


def in_words(verdict: Any, patient: Patient) -> str:
    """ "Goes now" / "Goes at 09:00 tomorrow (quiet hours)" / why it cannot go."""
    if isinstance(verdict, policy.Held):
        if verdict.until is None:
            return f"Waits: {verdict.why}"
        why = "quiet hours" if verdict.code == "quiet_hours" else verdict.why.rstrip(".")
        return f"Goes {moment_words(verdict.until, patient)} ({why})"
    if isinstance(verdict, policy.Refused):
        return f"Cannot go: {verdict.why}"
    return "Goes now"


def moment_words(until: datetime, patient: Patient) -> str:
    """ "at 09:00 tomorrow", in the patient's time."""
    zone = zone_of(patient)
    local, today = until.astimezone(zone), clock.today(zone)
    days = (local.date() - today).days
    day = {0: "today", 1: "tomorrow"}.get(days, f"on {local:%a %-d %b}")
    return f"at {local:%H:%M} {day}"


def zone_of(patient: Patient) -> Any:
    from zoneinfo import ZoneInfo

    clinic = patient.clinic.time_zone if patient.clinic else "America/New_York"
    return ZoneInfo(patient.time_zone or clinic)


def ready_answers(conversation: Conversation) -> list[tuple[str, str, str]]:
    """(key, name, body) of the approved answers in the patient's language, else in English."""
    patient = conversation.patient
    rows = Template.objects.filter(purpose=Template.Purpose.STAFF, approved_at__isnull=False)
    rows = rows.filter(clinic=None) | rows.filter(clinic=conversation.clinic_id)
    best: dict[str, Template] = {}
    for row in rows.order_by("key", "-version"):
        kept = best.get(row.key)
        mine = patient is not None and row.language == patient.language
        if (mine or row.language == "en") and (kept is None or (mine and kept.language != row.language)):
            best[row.key] = row
    if patient is None:
        return []
    return [(t.key, t.name, templates.render(t.body, patient, conversation.clinic)) for t in best.values()]


def size_in_words(body: str) -> str:
    """ "43 characters, 1 part" ; says when accents or emoji make a text dearer."""
    if not body.strip():
        return "Nothing written yet"
    size = text.size(body)
    dear = "" if size.encoding == "GSM-7" else ", special characters"
    return f"{size.units} characters, {size.segments} part{'s' if size.segments > 1 else ''}{dear}"
