"""CMS138 Tobacco use: screening and cessation intervention, three groups
(PreventiveCareAndTobaccoUseScreeningAndCessationInterventionFHIR 0.0.001; measures.md §13.3).
"""

from engage.caregaps.algebra import any_of
from engage.caregaps.facts import (
    condition,
    encounter,
    medication_order,
    medication_supply,
    observation,
    procedure,
)
from engage.caregaps.latest import last_begun_answer
from engage.caregaps.measure import Closer, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures import codes_behavior as more
from engage.caregaps.measures.shared import HOSPICE
from engage.caregaps.people import aged_at_start
from engage.caregaps.period import THE_PERIOD, period_and_months_before
from engage.caregaps.visits import RecentVisit, qualifying_visit
from engage.caregaps.words import Words

SINCE_HALF_A_YEAR_BEFORE = period_and_months_before(6)

two_visits = RecentVisit(
    encounter(
        more.BEHAVIOR_ASSESSMENT,
        more.BEHAVIOR_INTERVENTION,
        codes.HOME_HEALTHCARE,
        codes.OCCUPATIONAL_THERAPY,
        codes.OFFICE_VISIT,
        codes.OPHTHALMOLOGICAL,
        codes.PHYSICAL_THERAPY,
        more.PSYCHIATRIC_EVALUATION,
        more.PSYCHOTHERAPY,
        more.PSYCHOANALYSIS,
        more.SPEECH_AND_HEARING,
        codes.TELEPHONE_VISITS,
        codes.VIRTUAL_ENCOUNTER,
    )
    .during(THE_PERIOD)
    .at_least(2)
)
preventive_visit = qualifying_visit(
    more.PREVENTIVE_UNLISTED,
    more.POSTOPERATIVE_VISIT,
    codes.ANNUAL_WELLNESS_VISIT,
    codes.PREVENTIVE_ESTABLISHED,
    codes.PREVENTIVE_INITIAL,
    codes.PREVENTIVE_CHILD_ESTABLISHED,
    codes.PREVENTIVE_CHILD_INITIAL,
    more.PREVENTIVE_GROUP_COUNSELING,
    codes.PREVENTIVE_COUNSELING,
    codes.NUTRITION_SERVICES,
)
population = aged_at_start(12) & (two_visits | preventive_visit)

screening = (
    observation(more.TOBACCO_SCREENING)
    .survey()
    .during(THE_PERIOD)
    .named("tobacco_screening", "tobacco screening", "pregunta sobre el tabaco")
)
user = last_begun_answer(screening, more.TOBACCO_USER)
non_user = last_begun_answer(screening, more.TOBACCO_NON_USER)

counseling = procedure(more.TOBACCO_COUNSELING).during(SINCE_HALF_A_YEAR_BEFORE)
medicine = medication_order(more.TOBACCO_MEDICINE).not_refused().starting(SINCE_HALF_A_YEAR_BEFORE)
help_to_quit = any_of(
    counseling,
    condition(more.TOBACCO_COUNSELED).starting(SINCE_HALF_A_YEAR_BEFORE),
    medicine,
    medication_supply(more.TOBACCO_MEDICINE).not_refused().during(SINCE_HALF_A_YEAR_BEFORE),
)

SCREENED, HELPED, BOTH = 1, 2, 3

MEASURE = Measure(
    id="CMS138",
    title=Words("Tobacco: screening and help to quit", "Tabaco: detección y ayuda para dejarlo"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={
        2025: RuleSet(
            version="2025.1",
            artifact="PreventiveCareAndTobaccoUseScreeningAndCessationInterventionFHIR|0.0.001",
            groups=(
                Group(
                    number=SCREENED,
                    population=population,
                    exclusions=(HOSPICE,),
                    numerator=user | non_user,
                ),
                Group(
                    number=HELPED,
                    population=population,
                    denominator=user,
                    exclusions=(HOSPICE,),
                    numerator=help_to_quit,
                ),
                Group(  # its gaps are those of the two others
                    number=BOTH,
                    population=population,
                    exclusions=(HOSPICE,),
                    numerator=non_user | (user & help_to_quit),
                    opens_gaps=False,
                ),
            ),
        ),
    },
    closers=(
        Closer(
            "tobacco_screening",
            Words("Asked about tobacco", "Pregunta sobre el tabaco"),
            screening,
            groups=(SCREENED,),
        ),
        Closer(
            "counseling_to_quit_tobacco",
            Words("Counseling to quit tobacco", "Consejería para dejar el tabaco"),
            counseling,
            groups=(HELPED,),
        ),
        Closer(
            "medicine_to_quit_tobacco",
            Words("Medicine to quit tobacco", "Medicamento para dejar el tabaco"),
            medicine,
            groups=(HELPED,),
        ),
    ),
)
