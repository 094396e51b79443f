"""Who can be reached, as set queries: the same rules for one patient and for a million."""

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from engage.patients.models import Channel, ContactPoint, Patient

State, Permission = ContactPoint.State, ContactPoint.Permission
WORKING = (State.ACTIVE, State.SUSPECT)
# A person can still dial these; only machines may not use them.
DIALLED = (*WORKING, State.SMS_INCAPABLE, State.VOICE_ONLY, State.OPTED_OUT, State.BLOCKED)


def usable_number() -> Q:
    """Numbers a carrier would take: valid ones, or those of the allow-list; with the simulator, 555 as well."""
    usable = Q(valid=True)
    if settings.SEND_ALLOWLIST:
        usable = Q(pk__in=())
        for prefix in settings.SEND_ALLOWLIST:
            usable |= Q(value__startswith=prefix)
    elif settings.CARRIER == "simulator":
        usable |= Q(value__contains="555")
    return usable & ~Q(value="")


def can_text() -> Q:
    """Contact points a text may go to, consent included."""
    return (
        Q(system=ContactPoint.System.PHONE, state__in=WORKING, sms_consent=Permission.GRANTED)
        & usable_number()
    )


def can_reach() -> Q:
    """Contact points by which a machine or a member of staff can reach somebody."""
    phone = Q(system=ContactPoint.System.PHONE, state__in=DIALLED, patient__do_not_call=False)
    mail = Q(system=ContactPoint.System.EMAIL, state__in=WORKING, email_consent=Permission.GRANTED)
    return (phone & usable_number()) | can_text() | (mail & ~Q(value=""))


def unreachable(patients: "QuerySet[Patient] | None" = None) -> "QuerySet[Patient]":
    """The living, active patients (of those given) nobody can reach."""
    everybody = Patient.objects.all() if patients is None else patients
    points = ContactPoint.objects.filter(can_reach(), patient=OuterRef("pk"))
    return everybody.filter(~Exists(points), deceased=False, active=True, merged_into=None)


def why_unreachable(patient: Patient) -> str:
    """ "" when somebody can reach the patient; else one sentence."""
    points = ContactPoint.objects.filter(patient=patient)
    if points.filter(can_reach()).exists():
        return ""
    found = list(points)
    if not found:
        return "The record has no phone number or e-mail address."
    if patient.do_not_call and any(p.system == ContactPoint.System.PHONE for p in found):
        return "The patient asked not to be called, and no other way is allowed."
    phones = [p for p in found if p.system == ContactPoint.System.PHONE]
    if not phones:
        return "There is only an e-mail address, and no consent to use it."
    return next((p.state_reason for p in phones if p.state_reason), "No number on record can be used.")


def usable_text_points(patient: Patient) -> list[ContactPoint]:
    """Where a text to this patient may go, first choice first; none when the patient is deceased or inactive."""
    if patient.deceased or not patient.active or patient.merged_into_id is not None:
        return []
    return list(ContactPoint.objects.filter(can_text(), patient=patient).order_by("rank", "id"))


CONSENT_FIELD = {
    Channel.SMS: "sms_consent",
    Channel.VOICE: "voice_consent",
    Channel.EMAIL: "email_consent",
}
