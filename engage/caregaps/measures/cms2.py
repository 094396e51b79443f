"""CMS2 Depression screening and follow-up plan (PCSDepressionScreenAndFollowUpFHIR 0.2.000; measures.md §13.1)."""

from engage.caregaps.algebra import Patients, any_of
from engage.caregaps.facts import (
    Facts,
    condition,
    medication_order,
    observation,
    observation_not_done,
    procedure,
    referral,
)
from engage.caregaps.latest import last_begun_answer
from engage.caregaps.measure import Exclusion, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures import codes_behavior as more
from engage.caregaps.people import aged_at_start
from engage.caregaps.period import THE_PERIOD
from engage.caregaps.visits import RecentVisit, finished_visit
from engage.caregaps.vocabulary import Codes
from engage.caregaps.words import Words
from engage.records.models import Status

visit = finished_visit(more.DEPRESSION_VISIT, codes.PHYSICAL_THERAPY, codes.TELEPHONE_VISITS)

BIPOLAR = Exclusion(
    "bipolar",
    Words("bipolar disorder", "trastorno bipolar"),
    condition(more.BIPOLAR_DISORDER).problem_or_concern().begun_before(visit),
)


def screening(instrument: Codes) -> Facts:
    """Final, on the day of a visit or in the two weeks before it."""
    return observation(instrument).status(Status.FINAL).with_a_value().shortly_before(visit, days=14)


def visits_with_a_plan(medicines: Codes, referrals: Codes, follow_ups: Codes) -> tuple[Facts, ...]:
    """A medicine or a referral up to two days after the visit, or a follow-up that begins during it."""
    medicine = medication_order(medicines).not_refused().starting(THE_PERIOD)
    return (
        visit.after_which(medicine, days=2),
        visit.after_which(referral(referrals).starting(THE_PERIOD), days=2),
        visit.during_which(procedure(follow_ups).starting(THE_PERIOD)),
    )


def satisfied(screened: Facts, plans: tuple[Facts, ...]) -> Patients:
    """The last screening is negative, or positive with a plan at a visit in the two weeks from it on."""
    negative = last_begun_answer(screened, more.SCREENING_NEGATIVE)
    positive = last_begun_answer(screened, more.SCREENING_POSITIVE)
    return negative | positive.followed_by(*plans, days=14)


def not_done(instrument: Codes) -> Patients:
    """Declined, or a medical reason, during a visit; and no screening at any other."""
    reasons = (more.SCREENING_DECLINED, more.MEDICAL_REASON)
    called_off = observation_not_done(instrument).valued(*reasons).begun_during(visit)
    return called_off - screening(instrument)


adolescent = satisfied(
    screening(more.ADOLESCENT_SCREENING).named(
        "adolescent_screening", "depression screening (adolescents)", "detección de depresión (adolescentes)"
    ),
    visits_with_a_plan(more.ADOLESCENT_ANTIDEPRESSANTS, more.ADOLESCENT_REFERRAL, more.ADOLESCENT_FOLLOW_UP),
)
adult_screening = screening(more.ADULT_SCREENING).named(
    "depression_screening", "depression screening", "detección de depresión"
)
adult = satisfied(
    adult_screening,
    visits_with_a_plan(more.ADULT_ANTIDEPRESSANTS, more.ADULT_REFERRAL, more.ADULT_FOLLOW_UP),
)

NOT_DONE = Exclusion(  # either instrument, whatever the age
    "not_done",
    Words("screening declined or not advisable", "detección rechazada o no aconsejable"),
    not_done(more.ADOLESCENT_SCREENING) | not_done(more.ADULT_SCREENING),
)

MEASURE = Measure(
    id="CMS2",
    title=Words("Depression screening and follow-up", "Detección y seguimiento de la depresión"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={
        2025: RuleSet(
            version="2025.1",
            artifact="PCSDepressionScreenAndFollowUpFHIR|0.2.000",
            groups=(
                Group(
                    population=aged_at_start(12) & RecentVisit(visit),
                    exclusions=(BIPOLAR,),
                    numerator=any_of(
                        aged_at_start(12, 16) & adolescent,
                        aged_at_start(17, 17) & (adolescent | adult),
                        aged_at_start(18) & adult,
                    ),
                    exceptions=(NOT_DONE,),
                ),
            ),
        ),
    },
    # No closer: a date alone does not tell whether the screening was negative or what was planned.
)
