"""What staff do to a gap: record that it is done, take that back, put it off. Only the gap itself; see campaigns.actions."""

from contextlib import suppress
from datetime import date

from django.db import transaction
from pyroaring import BitMap

from engage.accounts.models import User
from engage.audit.models import record
from engage.caregaps.algebra import Question
from engage.caregaps.measures import MEASURES
from engage.caregaps.models import CareGap, Closure, GapRun
from engage.caregaps.period import Period
from engage.caregaps.sorting import Sorted
from engage.caregaps.vocabulary import MissingValueSet
from engage.caregaps.writing import Writer
from engage.lib import clock
from engage.messaging.actions import suppress_about
from engage.patients.models import Patient
from engage.records import changes
from engage.worklist.actions import close_about
from engage.worklist.models import Outcome

Status = CareGap.Status


class GapError(ValueError):
    """An act that the gap or the evidence does not allow; its text is one sentence for a person."""


def close_by_staff(
    gap: CareGap,
    *,
    what: str,
    done_on: date,
    precision: str,
    place: str,
    known_by: str,
    note: str,
    by: User,
    message_id: int | None = None,
) -> Closure:
    """Closes a gap with evidence: a branch of the measure's numerator (`what`), done long enough ago to count still.

    `done_on` is the first day of what is known, `precision` "day", "month" or "year". GapError with a sentence
    when the evidence would not close the gap.
    """
    check_evidence(gap, what, done_on, precision)
    with transaction.atomic():
        row = CareGap.objects.select_for_update().get(pk=gap.pk)
        changes.note([row.patient_id])
        closure = Closure.objects.create(
            gap=row, what=what, done_on=done_on, precision=precision, place=place, known_by=known_by, note=note,
            message_id=message_id, recorded_by=by,
        )  # fmt: skip
        row.status, row.closed_by = Status.CLOSED, CareGap.ClosedBy.STAFF
        row.closed_on, row.deferred_until = clock.today(), None
        row.evidence = {"closed": "staff", "closure": closure.pk}
        row.evidence_key, row.changed_at = "cs0", clock.machine_now()
        row.save()
        record(
            by,
            "gap.close",
            row,
            clinic_id=row.patient.clinic_id,
            what=what,
            known_by=known_by,
            closure=closure.pk,
        )
    refresh(gap)
    return closure


def check_evidence(gap: CareGap, what: str, done_on: date, precision: str) -> None:
    """GapError with a sentence for a person when this would not close the gap."""
    measure = MEASURES.get(gap.measure)
    closer = measure.closer(what, gap.group) if measure else None
    if closer is None:
        raise GapError("This does not close the care gap: choose what was done from the list.")
    if precision not in ("day", "month", "year"):
        raise GapError("Say whether the day, the month or only the year is known.")
    if done_on > clock.today():
        raise GapError("This day is still to come.")
    period = Period.of(gap.period_start)
    if not closer.counts(done_on, precision, Question(period)):
        first = closer.branch.when.window.days(period)[0] if closer.branch.when else period.start
        doubt = "" if precision == "day" else f", and all of the {precision} must be within that time"
        raise GapError(
            f"That is too long ago: {closer.branch.name('en')} counts from {first:%-d %b %Y} on{doubt}."
            " The care gap stays open."
        )


def withdraw_closure(closure: Closure, by: User) -> None:
    """Takes a closure back; unless another one stands, the gap is what the record makes of it now: mostly open again.

    A gap of another year stays closed where a later year has a row of its own: that one speaks for the patient.
    """
    with transaction.atomic():
        row = CareGap.objects.select_for_update().get(pk=closure.gap_id)
        changes.note([row.patient_id])
        if closure.withdrawn_at is None:
            closure.withdrawn_at = clock.now()
            closure.save(update_fields=["withdrawn_at"])
            record(by, "gap.reopen", row, clinic_id=row.patient.clinic_id, closure=closure.pk)
        stands = row.closures.filter(withdrawn_at=None).exists()
        if row.closed_by == CareGap.ClosedBy.STAFF and not stands and not superseded(row):
            row.status, row.closed_by, row.closed_on = Status.OPEN, "", None
            row.evidence, row.evidence_key, row.changed_at = {}, "", clock.machine_now()
            row.period_start = max(row.period_start, year_of_the_nights())
            row.save()
            sort_afresh(row)


def sort_afresh(row: CareGap) -> None:
    """What the next run will make of an open row. It stays as it is where the measure cannot be asked.

    A living patient whom the measure no longer includes is left to the run: an undo brings back what was.
    """
    measure = MEASURES.get(row.measure)
    rules = measure.rules(row.period_start.year) if measure else None
    group = next((one for one in rules.groups if one.number == row.group), None) if rules else None
    if measure is None or rules is None or group is None:
        return
    period = Period.of(row.period_start)
    as_of = min(max(clock.today(), period.start), period.end)
    question = Question.nightly(period, as_of, [row.patient_id])
    living = Patient.objects.filter(pk=row.patient_id, active=True, deceased=False, merged_into=None)
    everyone = BitMap(living.values_list("pk", flat=True))
    with suppress(MissingValueSet):
        found = Sorted(measure, rules, group, question, question.strictly(), everyone)
        change = found.change(row.patient_id, row.status, row.evidence_key)
        if change and (change.closed_by != CareGap.ClosedBy.LEFT or not everyone):
            Writer(found, GapRun(as_of=as_of)).rewrite([(row, change)])


def year_of_the_nights() -> date:
    """The first day of the period that the last run was about."""
    last = GapRun.objects.filter(state=GapRun.State.COMPLETED).order_by("-pk").values_list("as_of", flat=True)
    return Period.of(last[0]).start if last else date.min


def superseded(gap: CareGap) -> bool:
    """Whether a later year has a row for the same."""
    same = CareGap.objects.filter(patient=gap.patient_id, measure=gap.measure, group=gap.group)
    return same.filter(period_start__gt=gap.period_start).exists()


def defer(gap: CareGap, until: date, why: str, by: User) -> None:
    """Puts an open gap off until a day: nothing is sent for it before. GapError when the day has passed."""
    if until <= clock.today():
        raise GapError("Choose a day that is still to come.")
    with transaction.atomic():
        row = CareGap.objects.select_for_update().get(pk=gap.pk)
        if row.status not in (Status.OPEN, Status.DEFERRED):
            raise GapError("Only an open care gap can be put off.")
        changes.note([row.patient_id])
        row.status, row.deferred_until, row.changed_at = Status.DEFERRED, until, clock.machine_now()
        row.save(update_fields=["status", "deferred_until", "changed_at"])
        suppress_about(row.about, "The care gap was put off.")
        close_about(row.about, Outcome.NO_LONGER_NEEDED, why, by=by)
        record(by, "gap.defer", row, clinic_id=row.patient.clinic_id, until=until.isoformat())
    refresh(gap)


def refresh(gap: CareGap) -> None:
    gap.refresh_from_db(
        fields=["status", "closed_by", "closed_on", "deferred_until", "evidence", "evidence_key"]
    )
