"""The value sets and codes of statin therapy (CMS347), in the words of a person."""

from engage.caregaps.vocabulary import icd10, loinc, value_set

# The heart and its vessels
HEART_ATTACK = value_set("2.16.840.1.113883.3.526.3.403", "heart attack", "infarto")
LATER_HEART_ATTACK = icd10("I22.2", "another heart attack soon after", "otro infarto poco después")
STROKE = value_set("2.16.840.1.113762.1.4.1047.44", "stroke", "derrame cerebral")
NARROWED_ARTERIES = value_set("2.16.840.1.113762.1.4.1047.21", "narrowed arteries", "arterias estrechas")
ISCHEMIC_HEART_DISEASE = value_set(
    "2.16.840.1.113762.1.4.1047.46", "coronary heart disease", "enfermedad coronaria"
)
ANGINA = value_set("2.16.840.1.113762.1.4.1047.47", "angina", "angina de pecho")
PCI = value_set("2.16.840.1.113762.1.4.1045.67", "coronary stent", "stent coronario")
BYPASS = value_set("2.16.840.1.113883.3.666.5.694", "heart bypass", "puente coronario")
BYPASS_OR_PCI = value_set(
    "2.16.840.1.113762.1.4.1138.566", "heart bypass or stent", "puente o stent coronario"
)
CAROTID_INTERVENTION = value_set(
    "2.16.840.1.113883.3.117.1.7.1.204", "carotid procedure", "procedimiento de la carótida"
)

# Cholesterol and risk
LDL = value_set("2.16.840.1.113883.3.526.3.1573", "LDL cholesterol", "colesterol LDL")
FAMILIAL_CHOLESTEROL = value_set(
    "2.16.840.1.113762.1.4.1047.100", "inherited high cholesterol", "colesterol alto hereditario"
)
TEN_YEAR_RISK = loinc("99055-6", "10-year heart risk", "riesgo cardíaco a 10 años")
TEN_YEAR_RISK_POOLED = loinc("79423-0", "10-year heart risk", "riesgo cardíaco a 10 años")

# Statins, and what speaks against them
STATIN_LOW = value_set(
    "2.16.840.1.113883.3.526.3.1574", "low-intensity statin", "estatina de baja intensidad"
)
STATIN_MODERATE = value_set(
    "2.16.840.1.113883.3.526.3.1575", "moderate-intensity statin", "estatina de intensidad moderada"
)
STATIN_HIGH = value_set(
    "2.16.840.1.113883.3.526.3.1572", "high-intensity statin", "estatina de alta intensidad"
)
STATIN_ALLERGEN = value_set("2.16.840.1.113762.1.4.1110.42", "statin", "estatina")
STATIN_MUSCLE_SYMPTOMS = value_set(
    "2.16.840.1.113762.1.4.1108.85", "muscle symptoms from statins", "síntomas musculares por estatinas"
)
BREASTFEEDING = value_set("2.16.840.1.113762.1.4.1047.73", "breastfeeding", "lactancia")
RHABDOMYOLYSIS = value_set("2.16.840.1.113762.1.4.1047.102", "muscle breakdown", "rabdomiólisis")
LIVER_DISEASE = value_set("2.16.840.1.113762.1.4.1047.42", "liver disease", "enfermedad del hígado")
HEPATITIS_B_DISEASE = value_set("2.16.840.1.113883.3.67.1.101.1.269", "hepatitis B", "hepatitis B")

# Visits
PREVENTIVE_OUTPATIENT = value_set(
    "2.16.840.1.113883.3.526.3.1576", "outpatient preventive visit", "visita preventiva externa"
)
PREVENTIVE_OTHER = value_set(
    "2.16.840.1.113883.3.464.1003.101.11.1150", "other preventive visit", "otra visita preventiva"
)
