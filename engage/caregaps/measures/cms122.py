"""CMS122 Diabetes: glycemic status above 9 %
(DiabetesGlycemicStatusAssessmentGreaterThan9PercentFHIR 0.1.002; measures.md §4, for 2026 §12).

Inverse: the numerator is the gap. A result in mmol/mol fails the comparison, as in the published logic: it is no gap.
"""

from engage.caregaps.facts import condition, observation
from engage.caregaps.latest import AtMostOnLastDay, lacking
from engage.caregaps.measure import Closer, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures.shared import (
    FRAIL_66,
    HOSPICE,
    NURSING_HOME_66,
    PALLIATIVE,
    adult_outpatient_visit,
)
from engage.caregaps.measures.year2026 import in_2026
from engage.caregaps.people import aged_at_end
from engage.caregaps.period import THE_PERIOD
from engage.caregaps.visits import qualifying_visit
from engage.caregaps.words import Words

diabetes = condition(codes.DIABETES).overlapping(THE_PERIOD)
population = aged_at_end(18, 75) & adult_outpatient_visit & diabetes

assessment = (
    observation(codes.HBA1C, codes.GLUCOSE_INDICATOR)
    .laboratory()
    .latest(THE_PERIOD)
    .named("hba1c", "HbA1c or glucose indicator", "HbA1c o indicador de glucosa")
)
controlled = AtMostOnLastDay(assessment, 9.0, ("%", ""), Words("9 % or below", "9 % o menos"))

EXCLUSIONS = (HOSPICE, PALLIATIVE, FRAIL_66, NURSING_HOME_66)

visit_of_2026 = qualifying_visit(
    codes.OFFICE_VISIT,
    codes.ANNUAL_WELLNESS_VISIT,
    codes.PREVENTIVE_ESTABLISHED,
    codes.PREVENTIVE_INITIAL,
    codes.HOME_HEALTHCARE,
    codes.VIRTUAL_ENCOUNTER,
    codes.TELEPHONE_VISITS,
    codes.NUTRITION_SERVICES,
    *codes.NUTRITION_THERAPY,
)
population_of_2026 = in_2026(aged_at_end(18, 75) & visit_of_2026 & diabetes)

MEASURE = Measure(
    id="CMS122",
    title=Words("Diabetes: glycemic control", "Diabetes: control de la glucosa"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={
        2025: RuleSet(
            version="2025.1",
            artifact="DiabetesGlycemicStatusAssessmentGreaterThan9PercentFHIR|0.1.002",
            groups=(
                Group(
                    population=population,
                    exclusions=EXCLUSIONS,
                    numerator=lacking(population, controlled),
                    inverse=True,
                ),
            ),
        ),
        2026: RuleSet(
            version="2026.1",
            artifact="DiabetesGlycemicStatusAssessmentGreaterThan9PercentFHIR",
            groups=(
                Group(
                    population=population_of_2026,
                    exclusions=in_2026(EXCLUSIONS),
                    numerator=lacking(population_of_2026, in_2026(controlled)),
                    inverse=True,
                ),
            ),
        ),
    },
    closers=(
        Closer(
            "hba1c", Words("HbA1c of 9 % or below", "HbA1c de 9 % o menos"), assessment, last_decides=True
        ),
    ),
)
