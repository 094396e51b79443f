"""Expressions that several measures share, written once (measures.md §0.7 to §0.12)."""

from engage.caregaps.algebra import any_of
from engage.caregaps.facts import (
    condition,
    device_order,
    encounter,
    medication_supply,
    observation,
    procedure,
    service_order,
)
from engage.caregaps.latest import last_answer
from engage.caregaps.measure import Exclusion
from engage.caregaps.measures import codes
from engage.caregaps.people import aged_at_end
from engage.caregaps.period import EVER, THE_PERIOD, period_and_years_before
from engage.caregaps.visits import qualifying_visit
from engage.caregaps.words import Words
from engage.records.models import Status

WITH_YEAR_BEFORE = period_and_years_before(1)
SYMPTOM = (Status.PRELIMINARY, Status.FINAL, Status.AMENDED, Status.CORRECTED)

adult_outpatient_visit = qualifying_visit(
    codes.OFFICE_VISIT,
    codes.ANNUAL_WELLNESS_VISIT,
    codes.PREVENTIVE_ESTABLISHED,
    codes.PREVENTIVE_INITIAL,
    codes.HOME_HEALTHCARE,
    codes.VIRTUAL_ENCOUNTER,
    codes.TELEPHONE_VISITS,
)

hospice = any_of(
    encounter(codes.ENCOUNTER_INPATIENT)
    .discharged_to(codes.TO_HOME_HOSPICE, codes.TO_HOSPICE_FACILITY)
    .ending(THE_PERIOD)
    .named("discharge_to_hospice", "discharge to hospice", "alta a un hospicio"),
    encounter(codes.HOSPICE_ENCOUNTER).overlapping(THE_PERIOD),
    observation(codes.HOSPICE_SURVEY).survey().valued(codes.YES).overlapping(THE_PERIOD),
    service_order(codes.HOSPICE_CARE).starting(THE_PERIOD),
    procedure(codes.HOSPICE_CARE).overlapping(THE_PERIOD),
    condition(codes.HOSPICE_DIAGNOSIS).overlapping(THE_PERIOD),
)

palliative_care = any_of(
    observation(codes.PALLIATIVE_SURVEY).survey().overlapping(THE_PERIOD),
    condition(codes.PALLIATIVE_DIAGNOSIS).overlapping(THE_PERIOD),
    encounter(codes.PALLIATIVE_ENCOUNTER).overlapping(THE_PERIOD),
    procedure(codes.PALLIATIVE_INTERVENTION).overlapping(THE_PERIOD),
)

frailty = any_of(
    device_order(codes.FRAILTY_DEVICE).not_refused().starting(THE_PERIOD),
    observation(codes.EQUIPMENT_USED).survey().valued(codes.FRAILTY_DEVICE).ending(THE_PERIOD),
    condition(codes.FRAILTY_DIAGNOSIS).overlapping(THE_PERIOD),
    encounter(codes.FRAILTY_ENCOUNTER).overlapping(THE_PERIOD),
    observation(codes.FRAILTY_SYMPTOM).status(*SYMPTOM).overlapping(THE_PERIOD),
)

advanced_illness = any_of(
    condition(codes.ADVANCED_ILLNESS).starting(WITH_YEAR_BEFORE),
    medication_supply(codes.DEMENTIA_MEDICATIONS).overlapping(WITH_YEAR_BEFORE),
)

lives_in_nursing_home = last_answer(
    observation(codes.HOUSING_STATUS).survey().ended_by_end_of(EVER), codes.NURSING_HOME
)

HOSPICE = Exclusion("hospice", Words("hospice care", "atención de hospicio"), hospice)
PALLIATIVE = Exclusion("palliative", Words("palliative care", "cuidados paliativos"), palliative_care)
FRAIL_AND_ILL = Words("frailty with advanced illness", "fragilidad con enfermedad avanzada")
FRAIL_66 = Exclusion("frailty", FRAIL_AND_ILL, aged_at_end(66) & frailty & advanced_illness)
FRAIL_66_OR_81 = Exclusion(
    "frailty",
    Words("frailty", "fragilidad"),
    (aged_at_end(66, 80) & frailty & advanced_illness) | (aged_at_end(81) & frailty),
)
NURSING_HOME_66 = Exclusion(
    "nursing_home",
    Words("living in a nursing home", "vive en un hogar de ancianos"),
    aged_at_end(66) & lives_in_nursing_home,
)
