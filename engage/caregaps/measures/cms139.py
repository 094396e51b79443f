"""CMS139 Falls: screening for future fall risk (FallsScreeningForFutureFallRiskFHIR 0.2.001; measures.md §9, 2026 §12)."""

from engage.caregaps.facts import observation
from engage.caregaps.measure import Closer, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures.shared import HOSPICE
from engage.caregaps.measures.year2026 import rules_of_2026
from engage.caregaps.people import aged_at_start
from engage.caregaps.period import THE_PERIOD
from engage.caregaps.visits import qualifying_visit
from engage.caregaps.words import Words

visit = qualifying_visit(
    codes.OFFICE_VISIT,
    codes.ANNUAL_WELLNESS_VISIT,
    codes.PREVENTIVE_ESTABLISHED,
    codes.PREVENTIVE_INITIAL,
    codes.HOME_HEALTHCARE,
    codes.OPHTHALMOLOGICAL,
    codes.PREVENTIVE_COUNSELING,
    codes.NURSING_DISCHARGE,
    codes.NURSING_FACILITY_VISIT,
    codes.LONG_TERM_CARE,
    codes.AUDIOLOGY_VISIT,
    codes.TELEPHONE_VISITS,
    codes.VIRTUAL_ENCOUNTER,
    codes.PHYSICAL_THERAPY,
    codes.OCCUPATIONAL_THERAPY,
)

falls_screening = (
    observation(codes.FALLS_SCREENING)
    .survey()
    .during(THE_PERIOD)
    .named("falls_screening", "falls screening", "evaluación del riesgo de caídas")
)

RULES = RuleSet(
    version="2025.1",
    artifact="FallsScreeningForFutureFallRiskFHIR|0.2.001",
    groups=(Group(population=aged_at_start(65) & visit, exclusions=(HOSPICE,), numerator=falls_screening),),
)

MEASURE = Measure(
    id="CMS139",
    title=Words("Falls: screening for future fall risk", "Caídas: evaluación del riesgo futuro"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={2025: RULES, 2026: rules_of_2026(RULES)},
    closers=(
        Closer(
            "falls_screening", Words("Falls screening", "Evaluación del riesgo de caídas"), falls_screening
        ),
    ),
)
