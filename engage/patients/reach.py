"""Who can be reached, as set queries: the same rules for one patient and for a million."""

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from engage.patients.models import Channel, Consent, ContactPoint, Patient

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


def stopped() -> QuerySet[ContactPoint]:
    """Numbers, still the patient's own, on which the patient or the carrier ended texts: no program goes on to another one.

    What staff noted of one number alone is not meant, nor what ended before the patient, or staff for the patient, gave
    a permission anew on any of their numbers.
    """
    who = OuterRef(OuterRef("patient"))
    own = ContactPoint.objects.filter(patient=OuterRef(who)).values("value")
    given = Consent.objects.filter(address__in=own, channel=Channel.SMS, decision=Consent.Decision.GRANTED)
    # Not "nobody's or theirs", for which SQLite would look by the patient.
    anew = given.exclude(~Q(patient=who), patient__isnull=False).exclude(source=Consent.Source.EHR)
    anew = anew.filter(at__gte=OuterRef("at"), pk__gt=OuterRef("pk"))
    said = Q(source__in=(Consent.Source.PATIENT_TEXT, Consent.Source.PROVIDER))
    said |= Q(
        source=Consent.Source.STAFF, evidence__startswith="conversation:"
    )  # a person read it in a reply
    ended = Consent.objects.filter(
        said, ~Exists(anew), address=OuterRef("value"), channel=Channel.SMS, decision=Consent.Decision.REVOKED
    )  # fmt: skip
    points = ContactPoint.objects.exclude(state__in=(State.OLD, State.WRONG_PERSON)).exclude(value="")
    return points.filter(Exists(ended), system=ContactPoint.System.PHONE, sms_consent=Permission.REVOKED)


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
