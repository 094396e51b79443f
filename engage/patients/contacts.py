"""Contact points as the record has them: added, re-ranked and retired, without touching what staff or carriers found out."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby, islice

from django.db import transaction
from django.db.models import Q

from engage.fhir.people import Telecom
from engage.lib import clock, phone
from engage.patients.models import Channel, Consent, ContactPoint

RECORD = "ehr"
GONE = "This is no longer in the record."
FORMER = "The record says it is no longer used."
NO_MAIL = "This is not an e-mail address."
MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")
State, Permission = ContactPoint.State, ContactPoint.Permission
WORKING = (State.ACTIVE, State.SUSPECT)
FIELDS = ["use", "rank", "raw", "state", "state_reason"]


def read(telecom: Telecom, rank: int, patient: int) -> ContactPoint:
    """A new contact point, normalised, with what is wrong with it."""
    value, valid, state, why = _judge(telecom)
    if telecom.old:
        state, why = State.OLD, FORMER
    return ContactPoint(
        patient_id=patient, system=telecom.system, use=telecom.use, rank=rank, raw=telecom.value, value=value,
        valid=valid, state=state, state_reason=why, source=RECORD,
    )  # fmt: skip


def _judge(telecom: Telecom) -> tuple[str, bool, str, str]:
    """Value, valid, state and reason. A possible number that nobody gave out stays active: the gate decides."""
    if telecom.system == "email":
        found = telecom.value.strip().lower()[:200]
        return (found, True, State.ACTIVE, "") if MAIL.match(found) else ("", False, State.INVALID, NO_MAIL)
    number = phone.parse(telecom.value)
    if not number.possible:
        return "", False, State.INVALID, number.problem
    return number.e164, not number.problem, State.ACTIVE, number.problem


def ranked(telecoms: Iterable[Telecom]) -> list[tuple[int, Telecom]]:
    """Each number and address once, however it is written, counted from 1 within its system; the first spelling counts."""
    once: dict[tuple[str, str], Telecom] = {}
    for telecom in telecoms:
        once.setdefault((telecom.system, _judge(telecom)[0] or telecom.value), telecom)
    counts: dict[str, int] = {}
    found = []
    for telecom in once.values():
        counts[telecom.system] = counts.get(telecom.system, 0) + 1
        found.append((counts[telecom.system], telecom))
    return found


def add(telecoms: Mapping[int, Iterable[Telecom]]) -> None:
    """The contact points of new patients, by patient id."""
    ContactPoint.objects.bulk_create(
        (read(t, rank, patient) for patient, found in telecoms.items() for rank, t in ranked(found)),
        batch_size=1000,
    )


def merge(telecoms: Mapping[int, Iterable[Telecom]]) -> None:
    """Brings the contact points of known patients in line with the record."""
    rows = ContactPoint.objects.filter(patient_id__in=telecoms).order_by("patient_id")
    existing = {p: list(points) for p, points in groupby(rows, lambda r: r.patient_id)}
    new: list[ContactPoint] = []
    changed: list[ContactPoint] = []
    for patient, found in telecoms.items():
        wanted = ranked(found)
        mine = existing.get(patient, [])
        known, doubles = _by_address(p for p in mine if p.source == RECORD)
        taken = {(p.system, p.value) for p in mine if p.value and p.source != RECORD}
        for rank, telecom in wanted:
            fresh = read(telecom, rank, patient)
            point = known.pop(_address(fresh), None)
            if point is None and (telecom.system, fresh.value) not in taken:
                new.append(fresh)
            elif point is not None and _bring_in_line(point, fresh):
                changed.append(point)
        changed += [p for p in (*known.values(), *doubles) if _retire(p)]
    ContactPoint.objects.bulk_create(new, batch_size=1000)
    ContactPoint.objects.bulk_update(changed, FIELDS, batch_size=500)
    _suspend(changed)


def _address(point: ContactPoint) -> tuple[str, str]:
    """What makes it the same, however the record writes it."""
    return point.system, point.value or point.raw


def _by_address(
    points: Iterable[ContactPoint],
) -> tuple[dict[tuple[str, str], ContactPoint], list[ContactPoint]]:
    """One for each number and address, and those that are there twice; of these the one most is known of is kept."""
    kept: dict[tuple[str, str], ContactPoint] = {}
    doubles = []
    for point in sorted(points, key=lambda p: (_by_record(p), p.state == State.OLD, p.rank, p.pk)):
        if kept.setdefault(_address(point), point) is not point:
            doubles.append(point)
    return kept, doubles


def _by_record(point: ContactPoint) -> bool:
    """Whether neither staff nor a carrier has said what it is good for."""
    return point.state in WORKING or (point.state == State.OLD and point.state_reason in (GONE, FORMER))


def _bring_in_line(point: ContactPoint, fresh: ContactPoint) -> bool:
    """Takes over use, rank and spelling, and the state when nobody but the record has set it; whether anything changed."""
    before = [getattr(point, field) for field in FIELDS]
    point.use, point.rank, point.raw = fresh.use, fresh.rank, fresh.raw
    if _by_record(point) and State.OLD in (point.state, fresh.state):
        point.state, point.state_reason = fresh.state, fresh.state_reason
    return before != [getattr(point, field) for field in FIELDS]


def _retire(point: ContactPoint) -> bool:
    if point.state not in WORKING:
        return False  # what is known to be worse stays known
    point.state, point.state_reason = State.OLD, GONE
    return True


def grant_from_record(source: str, run: int) -> int:
    """A phone in the record is consent to care messages, unless the clinic says otherwise or the number opted out.

    Looks at every phone of that source which has no consent yet, so that a killed run is made good by the next. Gives
    the number of addresses granted. (47 CFR 64.1200(a)(2)(v); domain-facts on consent from an EHR.)
    """
    granted = 0
    for points in _batches(source):
        with transaction.atomic():
            granted += _grant(points, run)
    return granted


def _batches(source: str) -> Iterator[list[ContactPoint]]:
    waiting = (
        ContactPoint.objects.filter(
            Q(sms_consent=Permission.NONE) | Q(voice_consent=Permission.NONE),
            Q(patient__clinic=None) | Q(patient__clinic__ehr_phone_is_consent=True),
            system=ContactPoint.System.PHONE,
            source=RECORD,
            patient__source=source,
        )
        .exclude(value="")
        .exclude(state__in=(State.OLD, State.INVALID, State.WRONG_PERSON))
        .select_related("patient")
        .order_by("pk")
    )
    last = 0
    while batch := list(waiting.filter(pk__gt=last)[:2000]):
        yield batch
        last = batch[-1].pk


def _grant(points: list[ContactPoint], run: int) -> int:
    ended, now = _ended(p.value for p in points), clock.now()
    _suspend(points)
    rows: list[Consent] = []
    outcome: dict[tuple[str, str], list[int]] = {}
    for point in points:
        after = []
        for channel, permission in ((Channel.SMS, point.sms_consent), (Channel.VOICE, point.voice_consent)):
            if permission == Permission.NONE and (point.value, channel) in ended:
                permission = Permission.REVOKED
            elif permission == Permission.NONE:
                permission = Permission.GRANTED
                rows.append(_granted(point, channel, run, now))
            after.append(permission)
        outcome.setdefault((after[0], after[1]), []).append(point.pk)
    Consent.objects.bulk_create(rows, batch_size=1000)
    for (sms, voice), ids in outcome.items():
        ContactPoint.objects.filter(pk__in=ids).update(sms_consent=sms, voice_consent=voice)
    return len({row.address for row in rows})


def _granted(point: ContactPoint, channel: str, run: int, now: datetime) -> Consent:
    return Consent(
        patient_id=point.patient_id,
        address=point.value,
        channel=channel,
        decision=Consent.Decision.GRANTED,
        source=Consent.Source.EHR,
        evidence=f"import:{run}/Patient/{point.patient.fhir_id}",
        at=now,
    )


def _suspend(points: list[ContactPoint]) -> None:
    """While a person asks whether messages to a number must stop, that holds for whoever is new on it as well."""
    asked: set[str] = set()
    for some in _some(p.value for p in points if p.value and p.state in WORKING):
        doubted = ContactPoint.objects.filter(
            value__in=some, state=State.OPTED_OUT, state_reason=ContactPoint.DOUBT
        )
        asked.update(doubted.values_list("value", flat=True))
    late = [p for p in points if p.value in asked and p.state in WORKING]
    for point in late:
        point.state, point.state_reason = State.OPTED_OUT, ContactPoint.DOUBT
    ContactPoint.objects.bulk_update(late, ["state", "state_reason"], batch_size=500)


def _some(values: Iterable[str]) -> Iterator[list[str]]:
    left = iter(set(values))
    while some := list(islice(left, 500)):
        yield some


def _ended(addresses: Iterable[str]) -> set[tuple[str, str]]:
    """Addresses and channels whose last word was an opt-out: a new patient on such a number finds it closed."""
    last: dict[tuple[str, str], str] = {}
    for some in _some(addresses):
        rows = Consent.objects.filter(address__in=some).order_by("pk")
        for address, channel, decision in rows.values_list("address", "channel", "decision"):
            last[address, channel] = decision
    return {where for where, decision in last.items() if decision == Consent.Decision.REVOKED}
