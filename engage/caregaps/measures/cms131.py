"""CMS131 Diabetes: eye exam (DiabetesEyeExamFHIR 0.0.002; measures.md §6, for 2026 §12)."""

from engage.caregaps.facts import condition, observation
from engage.caregaps.measure import Closer, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures.shared import FRAIL_66, HOSPICE, NURSING_HOME_66, PALLIATIVE, WITH_YEAR_BEFORE
from engage.caregaps.measures.year2026 import rules_of_2026
from engage.caregaps.people import aged_at_end
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
    codes.TELEPHONE_VISITS,
)
diabetes = condition(codes.DIABETES).overlapping(THE_PERIOD)
retinopathy = condition(codes.RETINOPATHY).overlapping(THE_PERIOD)

eye_exam = (
    observation(codes.RETINAL_EXAM)
    .exam()
    .during(THE_PERIOD)
    .named("eye_exam", "retinal or dilated eye exam", "examen de retina o de fondo de ojo")
)
eye_exam_the_year_before = eye_exam.during(WITH_YEAR_BEFORE)

RULES = RuleSet(
    version="2025.1",
    artifact="DiabetesEyeExamFHIR|0.0.002",
    groups=(
        Group(
            population=aged_at_end(18, 75) & diabetes & visit,
            exclusions=(HOSPICE, PALLIATIVE, FRAIL_66, NURSING_HOME_66),
            numerator=eye_exam | (eye_exam_the_year_before - retinopathy),
        ),
    ),
)

MEASURE = Measure(
    id="CMS131",
    title=Words("Diabetes: eye exam", "Diabetes: examen de los ojos"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={2025: RULES, 2026: rules_of_2026(RULES)},
    closers=(Closer("eye_exam", Words("Eye exam", "Examen de los ojos"), eye_exam),),
)
