"""CMS122 Diabetes: glycemic status above 9 % (DiabetesGlycemicStatusAssessmentGreaterThan9PercentFHIR 0.1.002; §4).

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
from engage.caregaps.people import aged_at_end
from engage.caregaps.period import THE_PERIOD
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
                    exclusions=(HOSPICE, PALLIATIVE, FRAIL_66, NURSING_HOME_66),
                    numerator=lacking(population, controlled),
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
