"""CMS349 HIV screening (HIVScreeningFHIR 0.2.000; measures.md §13.2)."""

from engage.caregaps.facts import condition, observation
from engage.caregaps.measure import Closer, Exclusion, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures import codes_behavior as more
from engage.caregaps.people import aged_at_start
from engage.caregaps.period import EVER, THE_PERIOD
from engage.caregaps.visits import RecentVisit, finished_visit
from engage.caregaps.words import Words

visit = finished_visit(
    codes.PREVENTIVE_CHILD_INITIAL,
    codes.PREVENTIVE_CHILD_ESTABLISHED,
    codes.PREVENTIVE_INITIAL,
    codes.PREVENTIVE_ESTABLISHED,
    codes.OFFICE_VISIT,
)

HIV_BEFORE = Exclusion(
    "hiv",
    Words("HIV known before the year", "VIH conocido antes del año"),
    condition(codes.HIV).not_refuted().started_before(THE_PERIOD),
)

# Once in a lifetime, at any time from 15 to 65; a test of the last day counts only when its hour is known.
hiv_test = (
    observation(more.HIV_TESTS, more.HIV_1_AND_2_TESTS)
    .final()
    .with_a_value()
    .started_before_last_instant_of(EVER)
    .when_aged_at_start(15, 65)
    .named("hiv_test", "HIV test", "prueba del VIH")
)

MEASURE = Measure(
    id="CMS349",
    title=Words("HIV screening", "Detección del VIH"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={
        2025: RuleSet(
            version="2025.1",
            artifact="HIVScreeningFHIR|0.2.000",
            groups=(
                Group(
                    population=aged_at_start(15, 65) & RecentVisit(visit),
                    exclusions=(HIV_BEFORE,),
                    numerator=hiv_test,
                ),
            ),
        ),
    },
    closers=(Closer("hiv_test", Words("HIV test", "Prueba del VIH"), hiv_test),),
)
