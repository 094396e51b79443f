"""CMS153 Chlamydia screening in women (ChlamydiaScreeninginWomenFHIR 0.1.000; measures.md §10, for 2026 §12)."""

from engage.caregaps import timing
from engage.caregaps.algebra import any_of
from engage.caregaps.facts import (
    condition,
    medication_order,
    medication_supply,
    observation,
    procedure,
    service_order,
)
from engage.caregaps.measure import Closer, Exclusion, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures.shared import HOSPICE
from engage.caregaps.measures.year2026 import rules_of_2026
from engage.caregaps.people import aged_at_end, female
from engage.caregaps.period import EVER, THE_PERIOD
from engage.caregaps.visits import qualifying_visit
from engage.caregaps.words import Words

visit = qualifying_visit(
    codes.OFFICE_VISIT,
    codes.PREVENTIVE_ESTABLISHED,
    codes.PREVENTIVE_INITIAL,
    codes.PREVENTIVE_CHILD_INITIAL,
    codes.PREVENTIVE_CHILD_ESTABLISHED,
    codes.HOME_HEALTHCARE,
    codes.TELEPHONE_VISITS,
    codes.VIRTUAL_ENCOUNTER,
)

other_signs_of_activity = any_of(
    observation(codes.EVER_SEXUALLY_ACTIVE).survey().valued(codes.YES).ended_by_last_instant_of(EVER),
    condition(codes.ACTIVITY_DIAGNOSES, codes.HIV, codes.PREGNANCY_COMPLICATIONS).overlapping_instants_of(
        THE_PERIOD
    ),
    medication_supply(codes.CONTRACEPTIVES).overlapping_instants_of(THE_PERIOD),
    medication_order(codes.CONTRACEPTIVES).starting(THE_PERIOD),
    service_order(codes.PAP_TEST, codes.PREGNANCY_LAB_TESTS, codes.INFECTION_TESTS).starting(THE_PERIOD),
    service_order(codes.PREGNANCY_STUDIES).starting(THE_PERIOD),
    procedure(codes.ACTIVITY_PROCEDURES).during(THE_PERIOD),
)
pregnancy_test_ordered = service_order(codes.PREGNANCY_TEST).starting(THE_PERIOD)
sexually_active = other_signs_of_activity | pregnancy_test_ordered

# A pregnancy test before an X-ray or isotretinoin is caution, not a sign.
pregnancy_test = service_order(codes.PREGNANCY_TEST).timed(timing.instant_during, THE_PERIOD)
ONLY_A_PRECAUTION = Exclusion(
    "only_a_precaution",
    Words("pregnancy test only as a precaution", "prueba de embarazo solo por precaución"),
    any_of(
        pregnancy_test.followed_by(service_order(codes.XRAY), days=6),
        pregnancy_test.followed_by(medication_order(codes.ISOTRETINOIN), days=6),
    )
    - other_signs_of_activity,
)

chlamydia_test = (
    observation(codes.CHLAMYDIA_SCREENING)
    .laboratory()
    .with_a_value()
    .latest(THE_PERIOD)
    .named("chlamydia_test", "chlamydia test", "prueba de clamidia")
)

RULES = RuleSet(
    version="2025.1",
    artifact="ChlamydiaScreeninginWomenFHIR|0.1.000",
    groups=(
        Group(
            population=aged_at_end(16, 24) & female() & visit & sexually_active,
            exclusions=(HOSPICE, ONLY_A_PRECAUTION),
            numerator=chlamydia_test,
        ),
    ),
)

MEASURE = Measure(
    id="CMS153",
    title=Words("Chlamydia screening in women", "Detección de clamidia en mujeres"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={2025: RULES, 2026: rules_of_2026(RULES)},
    closers=(Closer("chlamydia_test", Words("Chlamydia test", "Prueba de clamidia"), chlamydia_test),),
)
