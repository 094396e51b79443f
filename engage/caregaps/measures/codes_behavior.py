"""The value sets and codes of depression (CMS2), HIV screening (CMS349) and tobacco (CMS138), in the words of a person."""

from engage.caregaps.vocabulary import cpt, icd10, loinc, snomed, value_set

MEDICAL_REASON = value_set("2.16.840.1.113883.3.526.3.1007", "medical reason", "motivo médico")

# Depression
DEPRESSION_VISIT = value_set(
    "2.16.840.1.113883.3.600.1916", "visit to screen for depression", "visita para detectar depresión"
)
ADOLESCENT_SCREENING = loinc(
    "73831-0", "depression screening (adolescents)", "detección de depresión (adolescentes)"
)
ADULT_SCREENING = loinc("73832-8", "depression screening", "detección de depresión")
SCREENING_NEGATIVE = snomed("428171000124102", "negative", "negativa")
SCREENING_POSITIVE = snomed("428181000124104", "positive", "positiva")
SCREENING_DECLINED = snomed("720834000", "declined", "rechazada")
BIPOLAR_DISORDER = value_set("2.16.840.1.113883.3.67.1.101.1.128", "bipolar disorder", "trastorno bipolar")
ADOLESCENT_ANTIDEPRESSANTS = value_set(
    "2.16.840.1.113883.3.526.3.1567", "medicine for depression", "medicamento para la depresión"
)
ADOLESCENT_REFERRAL = value_set(
    "2.16.840.1.113883.3.526.3.1570", "referral for depression", "derivación por depresión"
)
ADOLESCENT_FOLLOW_UP = value_set(
    "2.16.840.1.113883.3.526.3.1569", "follow-up for depression", "seguimiento de la depresión"
)
ADULT_ANTIDEPRESSANTS = value_set(
    "2.16.840.1.113883.3.526.3.1566", "medicine for depression", "medicamento para la depresión"
)
ADULT_REFERRAL = value_set(
    "2.16.840.1.113883.3.526.3.1571", "referral for depression", "derivación por depresión"
)
ADULT_FOLLOW_UP = value_set(
    "2.16.840.1.113883.3.526.3.1568", "follow-up for depression", "seguimiento de la depresión"
)

# HIV
HIV_TESTS = value_set("2.16.840.1.113762.1.4.1056.50", "HIV test", "prueba del VIH")
HIV_1_AND_2_TESTS = loinc("75622-1", "HIV test", "prueba del VIH")

# Tobacco
TOBACCO_SCREENING = value_set(
    "2.16.840.1.113883.3.526.3.1278", "tobacco screening", "pregunta sobre el tabaco"
)
TOBACCO_USER = value_set("2.16.840.1.113883.3.526.3.1170", "uses tobacco", "usa tabaco")
TOBACCO_NON_USER = value_set("2.16.840.1.113883.3.526.3.1189", "uses no tobacco", "no usa tabaco")
TOBACCO_COUNSELING = value_set(
    "2.16.840.1.113883.3.526.3.509", "counseling to quit tobacco", "consejería para dejar el tabaco"
)
TOBACCO_COUNSELED = icd10("Z71.6", "counseled about tobacco", "aconsejado sobre el tabaco")
TOBACCO_MEDICINE = value_set(
    "2.16.840.1.113883.3.526.3.1190", "medicine to quit tobacco", "medicamento para dejar el tabaco"
)

# Visits
BEHAVIOR_ASSESSMENT = cpt("96156", "health behavior assessment", "evaluación de la conducta de salud")
BEHAVIOR_INTERVENTION = cpt("96158", "health behavior visit", "visita sobre la conducta de salud")
PREVENTIVE_UNLISTED = cpt("99429", "other preventive visit", "otra visita preventiva")
POSTOPERATIVE_VISIT = cpt("99024", "visit after an operation", "visita después de una operación")
PSYCHIATRIC_EVALUATION = value_set(
    "2.16.840.1.113883.3.526.3.1492", "psychiatric evaluation", "evaluación psiquiátrica"
)
PSYCHOTHERAPY = value_set("2.16.840.1.113883.3.526.3.1496", "psychotherapy", "psicoterapia")
PSYCHOANALYSIS = value_set("2.16.840.1.113883.3.526.3.1141", "psychoanalysis", "psicoanálisis")
SPEECH_AND_HEARING = value_set(
    "2.16.840.1.113883.3.526.3.1530", "speech and hearing evaluation", "evaluación del habla y la audición"
)
PREVENTIVE_GROUP_COUNSELING = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1027",
    "preventive group counseling",
    "consejería preventiva en grupo",
)
