"""CMS125 Breast cancer screening (BreastCancerScreeningFHIR 0.0.001; measures.md §1, for 2026 §12)."""

from engage.caregaps.facts import condition, observation, procedure
from engage.caregaps.measure import Closer, Exclusion, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures.shared import (
    FRAIL_66,
    HOSPICE,
    NURSING_HOME_66,
    PALLIATIVE,
    adult_outpatient_visit,
)
from engage.caregaps.measures.year2026 import in_2026
from engage.caregaps.people import aged_at_end, female, female_by_sex
from engage.caregaps.period import EVER, last_months
from engage.caregaps.words import Words

mammogram = (
    observation(codes.MAMMOGRAPHY)
    .final()
    .ending(last_months(27))
    .named("mammogram", "mammogram", "mamografía")
)

both_breasts_removed = condition(codes.HISTORY_BILATERAL).started_by_last_instant_of(EVER) | procedure(
    codes.BILATERAL_MASTECTOMY
).ended_by_last_instant_of(EVER)

right_breast_removed = (
    condition(codes.STATUS_RIGHT).started_by_last_instant_of(EVER)
    | condition(codes.UNILATERAL_UNSPECIFIED).at_site(codes.RIGHT).started_by_last_instant_of(EVER)
    | procedure(codes.MASTECTOMY_RIGHT).ended_by_last_instant_of(EVER)
)

left_breast_removed = (
    condition(codes.STATUS_LEFT).started_by_last_instant_of(EVER)
    | condition(codes.UNILATERAL_UNSPECIFIED).at_site(codes.LEFT).started_by_last_instant_of(EVER)
    | procedure(codes.MASTECTOMY_LEFT).ended_by_last_instant_of(EVER)
)

MASTECTOMY = Exclusion(
    "mastectomy",
    Words("removal of both breasts", "extirpación de ambos senos"),
    both_breasts_removed | (right_breast_removed & left_breast_removed),
)

EXCLUSIONS = (HOSPICE, PALLIATIVE, FRAIL_66, NURSING_HOME_66, MASTECTOMY)

MEASURE = Measure(
    id="CMS125",
    title=Words("Breast cancer screening", "Detección del cáncer de seno"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={
        2025: RuleSet(
            version="2025.1",
            artifact="BreastCancerScreeningFHIR|0.0.001",
            groups=(
                Group(
                    population=aged_at_end(52, 74) & female() & adult_outpatient_visit,
                    exclusions=EXCLUSIONS,
                    numerator=mammogram,
                ),
            ),
        ),
        2026: RuleSet(
            version="2026.1",
            artifact="BreastCancerScreeningFHIR",
            groups=(
                Group(
                    population=aged_at_end(42, 74) & female_by_sex() & in_2026(adult_outpatient_visit),
                    exclusions=in_2026(EXCLUSIONS),
                    numerator=mammogram.imaging(),
                ),
            ),
        ),
    },
    closers=(Closer("mammogram", Words("Mammogram", "Mamografía"), mammogram),),
)
