"""CMS347 Statin therapy for the prevention and treatment of cardiovascular disease, four groups
(StatinTherapyforthePreventionandTreatmentofCardiovascularDiseaseFHIR 0.2.000; measures.md §13.4).
"""

from engage.caregaps.algebra import Patients, any_of
from engage.caregaps.facts import (
    Facts,
    adverse_event,
    allergy,
    condition,
    medication_bounds,
    medication_not_ordered,
    medication_order,
    observation,
    procedure,
)
from engage.caregaps.measure import Closer, Exclusion, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures import codes_heart as heart
from engage.caregaps.measures.codes_behavior import MEDICAL_REASON
from engage.caregaps.measures.shared import HOSPICE, PALLIATIVE
from engage.caregaps.people import aged_at_start
from engage.caregaps.period import EVER, THE_PERIOD
from engage.caregaps.units import mg_per_dl, percent
from engage.caregaps.visits import RecentVisit, finished_visit
from engage.caregaps.vocabulary import Codes
from engage.caregaps.words import Words
from engage.records.models import Status

visit = finished_visit(
    codes.ANNUAL_WELLNESS_VISIT,
    codes.OFFICE_VISIT,
    codes.OUTPATIENT_CONSULTATION,
    heart.PREVENTIVE_OUTPATIENT,
    codes.PREVENTIVE_ESTABLISHED,
    codes.PREVENTIVE_COUNSELING,
    codes.PREVENTIVE_INITIAL,
    heart.PREVENTIVE_OTHER,
)
seen = RecentVisit(visit)


def problem(*diagnoses: Codes) -> Facts:
    """On the problem list or a health concern; the diagnosis of a visit alone is none."""
    return condition(*diagnoses).problem_or_concern()


# --- Who is at risk ----------------------------------------------------------------------------------------------
cardiovascular_disease = any_of(
    problem(
        heart.HEART_ATTACK,
        heart.STROKE,
        heart.NARROWED_ARTERIES,
        heart.ISCHEMIC_HEART_DISEASE,
        heart.ANGINA,
    ).started_by_end_of(EVER),
    procedure(heart.PCI, heart.BYPASS, heart.CAROTID_INTERVENTION, heart.BYPASS_OR_PCI).started_by_end_of(
        EVER
    ),
)
later_heart_attack = problem(heart.LATER_HEART_ATTACK).started_by_end_of(EVER)

ldl_of_190 = observation(heart.LDL).final().of_at_least(mg_per_dl(190)).started_by_end_of(EVER)
inherited = problem(heart.FAMILIAL_CHOLESTEROL).started_by_end_of(EVER)
very_high_cholesterol = ldl_of_190 | inherited

diabetes = problem(codes.DIABETES).overlapping(THE_PERIOD)

risk_of_20_percent = (  # whatever its status
    observation(heart.TEN_YEAR_RISK, heart.TEN_YEAR_RISK_POOLED).of_at_least(percent(20)).during(THE_PERIOD)
)

any_other_risk = any_of(cardiovascular_disease, very_high_cholesterol, diabetes)

# --- What they should have, and what speaks against it -----------------------------------------------------------
STATINS = (heart.STATIN_LOW, heart.STATIN_MODERATE, heart.STATIN_HIGH)

statin = (
    medication_order(*STATINS)
    .not_refused()
    .starting(THE_PERIOD)
    .named("statin", "statin prescription", "receta de estatina")
)
statin_going_on = (
    medication_bounds(*STATINS)
    .not_refused()
    .overlapping(THE_PERIOD)
    .named("statin_going_on", "statin prescription", "receta de estatina")
)

BREASTFEEDING_OR_MUSCLE = Exclusion(
    "breastfeeding_or_rhabdomyolysis",
    Words("breastfeeding or muscle breakdown", "lactancia o rabdomiólisis"),
    problem(heart.BREASTFEEDING, heart.RHABDOMYOLYSIS).overlapping(THE_PERIOD),
)
STATIN_ALLERGY = Exclusion(
    "statin_allergy",
    Words("statin allergy or adverse reaction", "alergia o reacción adversa a las estatinas"),
    allergy(heart.STATIN_ALLERGEN).overlapping(THE_PERIOD)
    | adverse_event(heart.STATIN_ALLERGEN).starting(THE_PERIOD),
)
LIVER_MUSCLE_OR_KIDNEY = Exclusion(
    "liver_muscle_or_kidney",
    Words("liver, muscle or kidney disease", "enfermedad del hígado, los músculos o los riñones"),
    problem(
        codes.HEPATITIS_A,
        heart.HEPATITIS_B_DISEASE,
        heart.LIVER_DISEASE,
        heart.STATIN_MUSCLE_SYMPTOMS,
        codes.END_STAGE_RENAL_DISEASE,
    ).overlapping(THE_PERIOD),
)
NOT_ADVISABLE = Exclusion(
    "medical_reason",
    Words("a medical reason against a statin", "un motivo médico contra la estatina"),
    medication_not_ordered(*STATINS).status(Status.COMPLETED).valued(MEDICAL_REASON).begun_during(visit),
)


# --- The four groups ---------------------------------------------------------------------------------------------
def group(number: int, population: Patients) -> Group:
    """Exclusions, numerator and exceptions are the same in all."""
    return Group(
        number=number,
        population=population,
        exclusions=(BREASTFEEDING_OR_MUSCLE,),
        numerator=statin | statin_going_on,
        exceptions=(STATIN_ALLERGY, LIVER_MUSCLE_OR_KIDNEY, HOSPICE, PALLIATIVE, NOT_ADVISABLE),
    )


# Who is in an earlier group is in no later one, whatever the age; only a later heart attack (I22.2) closes none.
GROUPS = (
    group(1, seen & (cardiovascular_disease | later_heart_attack)),
    group(2, aged_at_start(20, 75) & seen & (very_high_cholesterol - cardiovascular_disease)),
    group(3, aged_at_start(40, 75) & seen & (diabetes - (cardiovascular_disease | very_high_cholesterol))),
    group(4, aged_at_start(40, 75) & seen & (risk_of_20_percent - any_other_risk)),
)

MEASURE = Measure(
    id="CMS347",
    title=Words("Statin therapy", "Tratamiento con estatinas"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={
        2025: RuleSet(
            version="2025.1",
            artifact="StatinTherapyforthePreventionandTreatmentofCardiovascularDiseaseFHIR|0.2.000",
            groups=GROUPS,
            one_rate=True,
        ),
    },
    closers=(Closer("statin", Words("Statin prescribed", "Estatina recetada"), statin),),
)
