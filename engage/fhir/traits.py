"""The bits of a fact that measures ask for. Numbers are stored (records.models.Event.traits): never reuse one."""


class Trait:
    """Bits of `Event.traits`."""

    SURVEY = 1 << 0
    LABORATORY = 1 << 1
    EXAM = 1 << 2
    IMAGING = 1 << 3
    VITAL_SIGNS = 1 << 4
    SOCIAL_HISTORY = 1 << 5
    ENCOUNTER_DIAGNOSIS = 1 << 6
    PROBLEM_LIST = 1 << 7
    INTENT_ORDER = 1 << 8
    INTENT_OTHER_ORDER = 1 << 9  # original-, reflex-, filler-, instance-order
    NOT_DONE = (
        1 << 10
    )  # doNotPerform, notDone, as element, QI-Core modifierExtension or "not requested" profile
    HAS_VALUE = 1 << 11  # any value[x]
    QUANTITY = 1 << 12  # the value is a Quantity with a number
    VERIFIED = 1 << 13  # verificationStatus absent or not refuted / entered-in-error
    CLASS_EMER = 1 << 14
    CLASS_IMP = 1 << 15
    CLASS_ACUTE = 1 << 16
    CLASS_NONAC = 1 << 17
    CLASS_PRENC = 1 << 18
    CLASS_SS = 1 << 19
    BP_PANEL = 1 << 20  # 85354-9 with components
    PATIENT_REPORTED = 1 << 21
    MEDICATION_BY_REFERENCE = 1 << 22
    CLASS_AMB = 1 << 23
    VALUE_UNIT_ODD = 1 << 24  # a unit we do not know for this value
    HEALTH_CONCERN = 1 << 25  # US Core's condition category
    NOT_DONE_BY_PROFILE = 1 << 26  # the QI-Core profile "not requested" (NOT_DONE is set as well)
    COMPARATOR = 1 << 27  # the number is a bound: "< 5"
    REFUTED = 1 << 28  # verificationStatus refuted
    NO_START = 1 << 29  # nothing says when it began: every "starts …" test fails, "overlaps" may hold
