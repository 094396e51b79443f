"""CMS124 Cervical cancer screening (CervicalCancerScreeningFHIR 0.0.001; measures.md §2, for 2026 §12)."""

from engage.caregaps.facts import condition, observation, procedure
from engage.caregaps.measure import Closer, Exclusion, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures.shared import HOSPICE, PALLIATIVE
from engage.caregaps.measures.year2026 import in_2026
from engage.caregaps.people import aged_at_end, female, female_by_sex
from engage.caregaps.period import EVER, period_and_years_before
from engage.caregaps.visits import qualifying_visit
from engage.caregaps.words import Words

visit = qualifying_visit(  # no annual wellness visit in this list
    codes.OFFICE_VISIT,
    codes.PREVENTIVE_ESTABLISHED,
    codes.PREVENTIVE_INITIAL,
    codes.HOME_HEALTHCARE,
    codes.TELEPHONE_VISITS,
    codes.VIRTUAL_ENCOUNTER,
)

pap_test = (
    observation(codes.PAP_TEST)
    .laboratory()
    .with_a_value()
    .latest(period_and_years_before(2))
    .named("pap_test", "Pap test", "prueba de Papanicolaou")
)
hpv_test = (
    observation(codes.HPV_TEST)
    .laboratory()
    .with_a_value()
    .latest(period_and_years_before(4))
    .when_aged(30)
    .named("hpv_test", "HPV test", "prueba del VPH")
)

NO_CERVIX = Exclusion(
    "no_cervix",
    Words("no cervix", "sin cuello uterino"),
    procedure(codes.HYSTERECTOMY).ended_by_last_instant_of(EVER)
    | condition(codes.ABSENCE_OF_CERVIX).started_by_last_instant_of(EVER),
)

EXCLUSIONS = (HOSPICE, PALLIATIVE, NO_CERVIX)

MEASURE = Measure(
    id="CMS124",
    title=Words("Cervical cancer screening", "Detección del cáncer de cuello uterino"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={
        2025: RuleSet(
            version="2025.1",
            artifact="CervicalCancerScreeningFHIR|0.0.001",
            groups=(
                Group(
                    population=aged_at_end(24, 64) & female() & visit,
                    exclusions=EXCLUSIONS,
                    numerator=pap_test | hpv_test,
                ),
            ),
        ),
        2026: RuleSet(
            version="2026.1",
            artifact="CervicalCancerScreeningFHIR",
            groups=(
                Group(
                    population=aged_at_end(24, 64) & female_by_sex() & in_2026(visit),
                    exclusions=in_2026(EXCLUSIONS),
                    numerator=in_2026(pap_test | hpv_test),
                ),
            ),
        ),
    },
    closers=(
        Closer("pap_test", Words("Pap test", "Prueba de Papanicolaou"), pap_test),
        Closer(
            "hpv_test", Words("HPV test (from age 30 on)", "Prueba del VPH (desde los 30 años)"), hpv_test
        ),
    ),
)
