"""CMS951 Kidney health evaluation (KidneyHealthEvaluationFHIR 0.1.000; measures.md §7, for 2026 §12)."""

from engage.caregaps import timing
from engage.caregaps.facts import condition, encounter, observation
from engage.caregaps.measure import Closer, Exclusion, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures.shared import HOSPICE, PALLIATIVE
from engage.caregaps.measures.year2026 import rules_of_2026
from engage.caregaps.people import aged_at_start
from engage.caregaps.period import THE_PERIOD
from engage.caregaps.visits import RecentVisit
from engage.caregaps.words import Words
from engage.records.models import Status

visit = RecentVisit(  # finished only, and by the instant
    encounter(
        codes.ANNUAL_WELLNESS_VISIT,
        codes.HOME_HEALTHCARE,
        codes.OFFICE_VISIT,
        codes.OUTPATIENT_CONSULTATION,
        codes.PREVENTIVE_ESTABLISHED,
        codes.PREVENTIVE_INITIAL,
        codes.TELEPHONE_VISITS,
    )
    .status(Status.FINISHED)
    .timed(timing.instant_during, THE_PERIOD)
)
diabetes = condition(codes.DIABETES).status(Status.ACTIVE).overlapping(THE_PERIOD)

KIDNEY_FAILURE = Exclusion(
    "kidney_failure",
    Words("kidney failure", "insuficiencia renal terminal"),
    condition(codes.KIDNEY_DISEASE_STAGE_5, codes.END_STAGE_RENAL_DISEASE)
    .status(Status.ACTIVE)
    .overlapping(THE_PERIOD),
)

blood_test = (
    observation(codes.EGFR)
    .final()
    .with_a_value()
    .during(THE_PERIOD)
    .named("egfr", "kidney blood test (eGFR)", "análisis de sangre de los riñones")
)
urine_test = (
    observation(codes.UACR)
    .final()
    .with_a_value()
    .during(THE_PERIOD)
    .named("uacr", "kidney urine test (uACR)", "análisis de orina de los riñones")
)

both_tests = blood_test.named(
    "kidney_tests", "kidney blood and urine tests", "análisis de sangre y orina de los riñones"
)

RULES = RuleSet(
    version="2025.1",
    artifact="KidneyHealthEvaluationFHIR|0.1.000",
    groups=(
        Group(
            population=aged_at_start(18, 85) & diabetes & visit,
            exclusions=(HOSPICE, PALLIATIVE, KIDNEY_FAILURE),
            numerator=blood_test & urine_test,
        ),
    ),
)

MEASURE = Measure(
    id="CMS951",
    title=Words("Kidney health evaluation", "Evaluación de la salud renal"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={2025: RULES, 2026: rules_of_2026(RULES)},
    closers=(
        Closer(
            "kidney_tests",
            Words("Kidney tests, blood and urine", "Análisis de los riñones, sangre y orina"),
            both_tests,
        ),
    ),
)
