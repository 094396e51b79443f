"""CMS117 Childhood immunization status (ChildhoodImmunizationStatusFHIR 0.1.000; measures.md §8, for 2026 §12)."""

from engage.caregaps.algebra import all_of, any_of
from engage.caregaps.doses import AfterNewborn, BegunByTwo, Doses, Given, OnSecondBirthday, SinceBirth
from engage.caregaps.facts import condition, immunization, procedure
from engage.caregaps.measure import Exclusion, Group, Measure, RuleSet
from engage.caregaps.measures import codes
from engage.caregaps.measures.shared import HOSPICE
from engage.caregaps.measures.year2026 import rules_of_2026
from engage.caregaps.people import aged_at_end
from engage.caregaps.visits import qualifying_visit
from engage.caregaps.vocabulary import Codes
from engage.caregaps.words import Words

FROM_BIRTH = SinceBirth()
FROM_42_DAYS = SinceBirth(days=42)
FROM_180_DAYS = SinceBirth(days=180)
FROM_1_YEAR = SinceBirth(years=1)
FIRST_WEEK = SinceBirth(until_days=7)


def records_of(vaccine: Codes, given: Codes, window: SinceBirth) -> tuple[Given, Given]:
    """A dose as an Immunization or as a Procedure."""
    return Given(immunization(vaccine), window), Given(procedure(given), window)


def had(*conditions: Codes) -> BegunByTwo:
    """The illness itself, or a severe allergy to the vaccine, by the second birthday."""
    return BegunByTwo(condition(*conditions))


visit = qualifying_visit(
    codes.OFFICE_VISIT,
    codes.HOME_HEALTHCARE,
    codes.PREVENTIVE_CHILD_ESTABLISHED,
    codes.PREVENTIVE_CHILD_INITIAL,
    codes.VIRTUAL_ENCOUNTER,
    codes.TELEPHONE_VISITS,
    codes.OFFICE_VISIT_MINIMAL,
)

dtap = Doses(records_of(codes.DTAP, codes.DTAP_GIVEN, FROM_42_DAYS), 4) | had(
    codes.DTAP_ANAPHYLAXIS, codes.DTAP_ENCEPHALITIS
)
polio = Doses(records_of(codes.POLIO, codes.POLIO_GIVEN, FROM_42_DAYS), 3) | had(codes.POLIO_ANAPHYLAXIS)
mmr = any_of(
    Doses(records_of(codes.MMR, codes.MMR_GIVEN, FROM_1_YEAR), 1),
    had(codes.MMR_ANAPHYLAXIS),
    all_of(had(codes.MEASLES), had(codes.MUMPS), had(codes.RUBELLA)),
)

hib_3 = records_of(codes.HIB_3, codes.HIB_3_GIVEN, FROM_42_DAYS)
hib_4 = records_of(codes.HIB_4, codes.HIB_4_GIVEN, FROM_42_DAYS)
hib = any_of(
    Doses((*hib_3, *hib_4), 3) - Doses(hib_4, 1),
    Doses((*hib_3, *hib_4), 4) & Doses(hib_4, 1),
    had(codes.HIB_ANAPHYLAXIS),
)

hepatitis_b_doses = records_of(codes.HEPATITIS_B_VACCINE, codes.HEPATITIS_B_GIVEN, FROM_BIRTH)
hepatitis_b = any_of(
    Doses(hepatitis_b_doses, 3),
    AfterNewborn(Given(procedure(codes.HEPATITIS_B_NEWBORN), FIRST_WEEK), Doses(hepatitis_b_doses, 2)),
    had(codes.HEPATITIS_B_ANAPHYLAXIS, codes.HEPATITIS_B),
)
varicella = Doses(records_of(codes.VARICELLA, codes.VARICELLA_GIVEN, FROM_1_YEAR), 1) | had(
    codes.VARICELLA_ZOSTER, codes.VARICELLA_ANAPHYLAXIS
)
pneumococcal = Doses(records_of(codes.PNEUMOCOCCAL, codes.PNEUMOCOCCAL_GIVEN, FROM_42_DAYS), 4) | had(
    codes.PNEUMOCOCCAL_ANAPHYLAXIS
)
hepatitis_a = Doses(records_of(codes.HEPATITIS_A_VACCINE, codes.HEPATITIS_A_GIVEN, FROM_1_YEAR), 1) | had(
    codes.HEPATITIS_A, codes.HEPATITIS_A_ANAPHYLAXIS
)

rotavirus_2 = records_of(codes.ROTAVIRUS_2, codes.ROTAVIRUS_2_GIVEN, FROM_42_DAYS)
rotavirus_3 = records_of(codes.ROTAVIRUS_3, codes.ROTAVIRUS_3_GIVEN, FROM_42_DAYS)
rotavirus = any_of(
    Doses((*rotavirus_2, *rotavirus_3), 2) - Doses(rotavirus_3, 1),
    Doses((*rotavirus_2, *rotavirus_3), 3) & Doses(rotavirus_3, 1),
    had(codes.ROTAVIRUS_ANAPHYLAXIS),
)

# An Immunization counts from 42 days, a Procedure from 180: so the published logic has it, though its text says 180.
influenza_doses = (
    Given(immunization(codes.INFLUENZA), FROM_42_DAYS),
    Given(procedure(codes.INFLUENZA_GIVEN), FROM_180_DAYS),
)
live_on_second_birthday = OnSecondBirthday(
    (immunization(codes.INFLUENZA_LIVE), procedure(codes.INFLUENZA_LIVE_GIVEN))
)
influenza = any_of(
    Doses(influenza_doses, 2),
    Doses(influenza_doses, 1) & live_on_second_birthday,
    had(codes.INFLUENZA_ANAPHYLAXIS),
)

IMMUNE_SYSTEM = Exclusion(
    "immune_system",
    Words("a condition that rules out vaccines", "una condición que impide vacunar"),
    had(codes.IMMUNODEFICIENCY, codes.IMMUNE_DISORDERS, codes.HIV, codes.BLOOD_CANCER, codes.INTUSSUSCEPTION),
)

RULES = RuleSet(
    version="2025.1",
    artifact="ChildhoodImmunizationStatusFHIR|0.1.000",
    groups=(
        Group(
            population=aged_at_end(2, 2) & visit,
            exclusions=(HOSPICE, IMMUNE_SYSTEM),
            numerator=all_of(
                dtap,
                polio,
                mmr,
                hib,
                hepatitis_b,
                varicella,
                pneumococcal,
                hepatitis_a,
                rotavirus,
                influenza,
            ),
        ),
    ),
)

MEASURE = Measure(
    id="CMS117",
    title=Words("Childhood immunization status", "Vacunas de la infancia"),
    patient_title=Words("a routine health check", "un chequeo médico de rutina"),
    rule_sets={2025: RULES, 2026: rules_of_2026(RULES)},
    # No closer: one dose closes nothing, and a full card is entered in the record, where it closes the gap.
)
