"""The value sets and codes the measures name, by OID, in the words of a person. Codes themselves: records.valuesets."""

from engage.caregaps.vocabulary import loinc, snomed, value_set

# Visits
OFFICE_VISIT = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1001", "office visit", "consulta en el consultorio"
)
ANNUAL_WELLNESS_VISIT = value_set(
    "2.16.840.1.113883.3.526.3.1240", "annual wellness visit", "visita anual de bienestar"
)
PREVENTIVE_ESTABLISHED = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1025", "preventive visit", "visita preventiva"
)
PREVENTIVE_INITIAL = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1023", "first preventive visit", "primera visita preventiva"
)
HOME_HEALTHCARE = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1016", "home health care", "atención médica en casa"
)
VIRTUAL_ENCOUNTER = value_set("2.16.840.1.113883.3.464.1003.101.12.1089", "virtual visit", "visita virtual")
TELEPHONE_VISITS = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1080", "telephone visit", "visita por teléfono"
)
ENCOUNTER_INPATIENT = value_set("2.16.840.1.113883.3.666.5.307", "hospital stay", "hospitalización")
ESRD_MONTHLY = value_set(
    "2.16.840.1.113883.3.464.1003.109.12.1014",
    "monthly kidney failure care",
    "atención mensual por insuficiencia renal",
)

# Hospice and palliative care
TO_HOME_HOSPICE = snomed(
    "428361000124107", "discharge to hospice at home", "alta a cuidados paliativos terminales en casa"
)
TO_HOSPICE_FACILITY = snomed("428371000124100", "discharge to a hospice", "alta a un hospicio")
HOSPICE_ENCOUNTER = value_set("2.16.840.1.113883.3.464.1003.1003", "hospice visit", "visita de hospicio")
HOSPICE_SURVEY = loinc("45755-6", "hospice care recorded", "atención de hospicio registrada")
HOSPICE_CARE = value_set("2.16.840.1.113883.3.526.3.1584", "hospice care", "atención de hospicio")
HOSPICE_DIAGNOSIS = value_set(
    "2.16.840.1.113883.3.464.1003.1165", "hospice diagnosis", "diagnóstico de hospicio"
)
YES = snomed("373066001", "yes", "sí")
PALLIATIVE_SURVEY = loinc("71007-9", "palliative care questionnaire", "cuestionario de cuidados paliativos")
PALLIATIVE_DIAGNOSIS = value_set(
    "2.16.840.1.113883.3.464.1003.1167", "palliative care diagnosis", "diagnóstico de cuidados paliativos"
)
PALLIATIVE_ENCOUNTER = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1090", "palliative care visit", "visita de cuidados paliativos"
)
PALLIATIVE_INTERVENTION = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1135", "palliative care", "cuidados paliativos"
)

# Frailty and advanced illness
FRAILTY_DEVICE = value_set(
    "2.16.840.1.113883.3.464.1003.118.12.1300", "walking or care aid", "ayuda para caminar o para el cuidado"
)
EQUIPMENT_USED = loinc("98181-1", "medical equipment used", "equipo médico en uso")
FRAILTY_DIAGNOSIS = value_set(
    "2.16.840.1.113883.3.464.1003.113.12.1074", "frailty diagnosis", "diagnóstico de fragilidad"
)
FRAILTY_ENCOUNTER = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1088", "visit for frailty", "visita por fragilidad"
)
FRAILTY_SYMPTOM = value_set(
    "2.16.840.1.113883.3.464.1003.113.12.1075", "sign of frailty", "signo de fragilidad"
)
ADVANCED_ILLNESS = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1082", "advanced illness", "enfermedad avanzada"
)
DEMENTIA_MEDICATIONS = value_set(
    "2.16.840.1.113883.3.464.1003.196.12.1510", "dementia medicine", "medicamento para la demencia"
)
HOUSING_STATUS = loinc("71802-3", "housing status", "situación de vivienda")
NURSING_HOME = snomed("160734000", "lives in a nursing home", "vive en un hogar de ancianos")

# Breast
MAMMOGRAPHY = value_set("2.16.840.1.113883.3.464.1003.108.12.1018", "mammogram", "mamografía")
HISTORY_BILATERAL = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1068",
    "history of removal of both breasts",
    "antecedente de extirpación de ambos senos",
)
BILATERAL_MASTECTOMY = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1005", "removal of both breasts", "extirpación de ambos senos"
)
STATUS_RIGHT = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1070", "right breast removed", "seno derecho extirpado"
)
STATUS_LEFT = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1069", "left breast removed", "seno izquierdo extirpado"
)
UNILATERAL_UNSPECIFIED = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1071", "one breast removed", "un seno extirpado"
)
MASTECTOMY_RIGHT = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1134", "removal of the right breast", "extirpación del seno derecho"
)
MASTECTOMY_LEFT = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1133", "removal of the left breast", "extirpación del seno izquierdo"
)
RIGHT = snomed("24028007", "right", "derecho")
LEFT = snomed("7771000", "left", "izquierdo")

# Colon
FOBT = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1011", "stool blood test", "prueba de sangre oculta en heces"
)
STOOL_DNA = value_set("2.16.840.1.113883.3.464.1003.108.12.1039", "stool DNA test", "prueba de ADN en heces")
SIGMOIDOSCOPY = value_set("2.16.840.1.113883.3.464.1003.198.12.1010", "sigmoidoscopy", "sigmoidoscopia")
CT_COLONOGRAPHY = value_set(
    "2.16.840.1.113883.3.464.1003.108.12.1038", "CT colonography", "colonografía por TC"
)
COLONOSCOPY = value_set("2.16.840.1.113883.3.464.1003.108.12.1020", "colonoscopy", "colonoscopia")
COLON_CANCER = value_set("2.16.840.1.113883.3.464.1003.108.12.1001", "colon cancer", "cáncer de colon")
TOTAL_COLECTOMY = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1019", "removal of the colon", "extirpación del colon"
)

# Blood pressure and kidneys
BLOOD_PRESSURE = loinc("85354-9", "blood pressure", "presión arterial")
ESSENTIAL_HYPERTENSION = value_set(
    "2.16.840.1.113883.3.464.1003.104.12.1011", "high blood pressure", "presión arterial alta"
)
PREGNANCY = value_set("2.16.840.1.113883.3.526.3.378", "pregnancy", "embarazo")
END_STAGE_RENAL_DISEASE = value_set(
    "2.16.840.1.113883.3.526.3.353", "kidney failure", "insuficiencia renal terminal"
)
KIDNEY_TRANSPLANT_RECIPIENT = value_set(
    "2.16.840.1.113883.3.464.1003.109.12.1029",
    "kidney transplant recipient",
    "receptor de trasplante de riñón",
)
KIDNEY_DISEASE_STAGE_5 = value_set(
    "2.16.840.1.113883.3.526.3.1002", "kidney disease, stage 5", "enfermedad renal, etapa 5"
)
KIDNEY_TRANSPLANT = value_set(
    "2.16.840.1.113883.3.464.1003.109.12.1012", "kidney transplant", "trasplante de riñón"
)
DIALYSIS = value_set("2.16.840.1.113883.3.464.1003.109.12.1013", "dialysis", "diálisis")
