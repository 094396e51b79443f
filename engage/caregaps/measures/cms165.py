"""CMS165 Controlling high blood pressure (ControllingHighBloodPressureFHIR 0.1.000; measures.md §5, for 2026 §12)."""

from engage.caregaps.facts import condition, encounter, observation, procedure
from engage.caregaps.latest import LowestOnLastDay
from engage.caregaps.measure import Closer, Exclusion, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures.shared import (
    FRAIL_66_OR_81,
    HOSPICE,
    NURSING_HOME_66,
    PALLIATIVE,
    adult_outpatient_visit,
)
from engage.caregaps.measures.year2026 import in_2026
from engage.caregaps.people import aged_at_end
from engage.caregaps.period import EVER, FIRST_SIX_MONTHS, THE_PERIOD
from engage.caregaps.words import Words
from engage.records.models import Trait

HOSPITAL_CLASSES = (
    Trait.CLASS_EMER
    | Trait.CLASS_IMP
    | Trait.CLASS_ACUTE
    | Trait.CLASS_NONAC
    | Trait.CLASS_PRENC
    | Trait.CLASS_SS
)

hypertension = condition(codes.ESSENTIAL_HYPERTENSION).overlapping_instants_of(FIRST_SIX_MONTHS)

any_reading = (
    observation(codes.BLOOD_PRESSURE)
    .final()
    .latest(THE_PERIOD)
    .named("blood_pressure", "blood pressure", "presión arterial")
)
BELOW_140_90 = Words("below 140/90", "por debajo de 140/90")

reading = any_reading.outside_stays(HOSPITAL_CLASSES)
controlled = LowestOnLastDay(reading, (140, 90), BELOW_140_90)

# In 2026 the day counts, not the visit the reading names.
hospital_or_emergency = encounter(codes.ENCOUNTER_INPATIENT, codes.EMERGENCY_VISIT)
controlled_in_2026 = in_2026(
    LowestOnLastDay(any_reading.on_no_day_of(hospital_or_emergency), (140, 90), BELOW_140_90)
)

kidney_failure_or_pregnancy = (
    condition(
        codes.PREGNANCY,
        codes.END_STAGE_RENAL_DISEASE,
        codes.KIDNEY_TRANSPLANT_RECIPIENT,
        codes.KIDNEY_DISEASE_STAGE_5,
    )
    .overlapping_instants_of(THE_PERIOD)
    .named("pregnancy_or_kidney", "pregnancy or kidney failure", "embarazo o insuficiencia renal")
)
kidney_treatment = procedure(codes.KIDNEY_TRANSPLANT, codes.DIALYSIS).ended_by_last_instant_of(
    EVER
) | encounter(codes.ESRD_MONTHLY).started_by_last_instant_of(EVER)

PREGNANCY_OR_KIDNEY = Exclusion(
    "pregnancy_or_kidney",
    Words("pregnancy or kidney failure", "embarazo o insuficiencia renal"),
    kidney_failure_or_pregnancy | kidney_treatment,
)

EXCLUSIONS = (HOSPICE, PALLIATIVE, FRAIL_66_OR_81, NURSING_HOME_66, PREGNANCY_OR_KIDNEY)

MEASURE = Measure(
    id="CMS165",
    title=Words("Controlling high blood pressure", "Control de la presión arterial alta"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={
        2025: RuleSet(
            version="2025.1",
            artifact="ControllingHighBloodPressureFHIR|0.1.000",
            groups=(
                Group(
                    population=aged_at_end(18, 85) & adult_outpatient_visit & hypertension,
                    exclusions=EXCLUSIONS,
                    numerator=controlled,
                ),
            ),
        ),
        2026: RuleSet(
            version="2026.1",
            artifact="ControllingHighBloodPressureFHIR",
            groups=(
                Group(
                    population=in_2026(aged_at_end(18, 85) & adult_outpatient_visit & hypertension),
                    exclusions=in_2026(EXCLUSIONS),
                    numerator=controlled_in_2026,
                ),
            ),
        ),
    },
    closers=(
        Closer(
            "blood_pressure",
            Words("Blood pressure below 140/90", "Presión arterial por debajo de 140/90"),
            reading,
            last_decides=True,
        ),
    ),
)
