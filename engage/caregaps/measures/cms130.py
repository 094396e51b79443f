"""CMS130 Colorectal cancer screening (ColonCancerScreeningFHIR 0.1.000; measures.md §3, for 2026 §12)."""

from engage.caregaps.algebra import any_of
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
from engage.caregaps.people import aged_at_end
from engage.caregaps.period import EVER, THE_PERIOD, period_and_years_before
from engage.caregaps.words import Words

colonoscopy = (
    procedure(codes.COLONOSCOPY)
    .ending(period_and_years_before(9))
    .named("colonoscopy", "colonoscopy", "colonoscopia")
)
stool_blood_test = (
    observation(codes.FOBT)
    .laboratory()
    .with_a_value()
    .latest(THE_PERIOD)
    .named("stool_blood_test", "stool blood test", "prueba de sangre oculta en heces")
)
stool_dna_test = (
    observation(codes.STOOL_DNA)
    .laboratory()
    .with_a_value()
    .latest(period_and_years_before(2))
    .named("stool_dna_test", "stool DNA test", "prueba de ADN en heces")
)
sigmoidoscopy = (
    procedure(codes.SIGMOIDOSCOPY)
    .ending(period_and_years_before(4))
    .named("sigmoidoscopy", "sigmoidoscopy", "sigmoidoscopia")
)
ct_colonography = (
    observation(codes.CT_COLONOGRAPHY)
    .final()
    .ending(period_and_years_before(4))
    .named("ct_colonography", "CT colonography", "colonografía por TC")
)

COLON_CANCER = Exclusion(
    "colon_cancer",
    Words("colon cancer", "cáncer de colon"),
    condition(codes.COLON_CANCER).started_by_end_of(EVER),
)
COLON_REMOVED = Exclusion(
    "colon_removed",
    Words("removal of the colon", "extirpación del colon"),
    procedure(codes.TOTAL_COLECTOMY).ended_by_end_of(EVER),
)

EXCLUSIONS = (HOSPICE, PALLIATIVE, FRAIL_66, NURSING_HOME_66, COLON_CANCER, COLON_REMOVED)
ct_in_2026 = ct_colonography.imaging()

MEASURE = Measure(
    id="CMS130",
    title=Words("Colorectal cancer screening", "Detección del cáncer colorrectal"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={
        2025: RuleSet(
            version="2025.1",
            artifact="ColonCancerScreeningFHIR|0.1.000",
            groups=(
                Group(
                    population=aged_at_end(46, 75) & adult_outpatient_visit,
                    exclusions=EXCLUSIONS,
                    numerator=any_of(
                        stool_blood_test, stool_dna_test, sigmoidoscopy, ct_colonography, colonoscopy
                    ),
                ),
            ),
        ),
        2026: RuleSet(
            version="2026.1",
            artifact="ColonCancerScreeningFHIR",
            groups=(
                Group(
                    population=in_2026(aged_at_end(46, 75) & adult_outpatient_visit),
                    exclusions=in_2026(EXCLUSIONS),
                    numerator=in_2026(
                        any_of(stool_blood_test, stool_dna_test, sigmoidoscopy, ct_in_2026, colonoscopy)
                    ),
                ),
            ),
        ),
    },
    closers=(
        Closer("colonoscopy", Words("Colonoscopy", "Colonoscopia"), colonoscopy),
        Closer(
            "stool_blood_test",
            Words("Stool blood test (FIT or FOBT)", "Prueba de sangre oculta en heces"),
            stool_blood_test,
        ),
        Closer("stool_dna_test", Words("Stool DNA test", "Prueba de ADN en heces"), stool_dna_test),
        Closer("sigmoidoscopy", Words("Sigmoidoscopy", "Sigmoidoscopia"), sigmoidoscopy),
        Closer("ct_colonography", Words("CT colonography", "Colonografía por TC"), ct_colonography),
    ),
)
