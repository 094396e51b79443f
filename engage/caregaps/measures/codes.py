"""The value sets and codes the measures name, by OID, in the words of a person. Codes themselves: records.valuesets."""

from engage.caregaps.vocabulary import cpt, cvx, icd10pcs, loinc, snomed, value_set

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

# Cervix and sexual health
PAP_TEST = value_set("2.16.840.1.113883.3.464.1003.108.12.1017", "Pap test", "prueba de Papanicolaou")
HPV_TEST = value_set("2.16.840.1.113883.3.464.1003.110.12.1059", "HPV test", "prueba del VPH")
HYSTERECTOMY = value_set(
    "2.16.840.1.113883.3.464.1003.198.12.1014",
    "removal of the uterus and cervix",
    "extirpación del útero y el cuello uterino",
)
ABSENCE_OF_CERVIX = value_set("2.16.840.1.113883.3.464.1003.111.12.1016", "no cervix", "sin cuello uterino")
CHLAMYDIA_SCREENING = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1052", "chlamydia test", "prueba de clamidia"
)
EVER_SEXUALLY_ACTIVE = loinc("64728-9", "recorded as sexually active", "vida sexual activa registrada")
ACTIVITY_DIAGNOSES = value_set(
    "2.16.840.1.113883.3.464.1003.111.12.1018",
    "diagnosis related to sexual health",
    "diagnóstico de salud sexual",
)
HIV = value_set("2.16.840.1.113883.3.464.1003.120.12.1003", "HIV", "VIH")
PREGNANCY_COMPLICATIONS = value_set(
    "2.16.840.1.113883.3.464.1003.111.12.1012", "complication of pregnancy", "complicación del embarazo"
)
CONTRACEPTIVES = value_set("2.16.840.1.113883.3.464.1003.196.12.1080", "contraceptive", "anticonceptivo")
PREGNANCY_LAB_TESTS = value_set(
    "2.16.840.1.113883.3.464.1003.111.12.1007", "laboratory test in pregnancy", "análisis en el embarazo"
)
INFECTION_TESTS = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1051",
    "test for a sexually transmitted infection",
    "prueba de infección de transmisión sexual",
)
PREGNANCY_TEST = value_set("2.16.840.1.113883.3.464.1003.111.12.1011", "pregnancy test", "prueba de embarazo")
PREGNANCY_STUDIES = value_set(
    "2.16.840.1.113883.3.464.1003.111.12.1008", "study in pregnancy", "estudio en el embarazo"
)
ACTIVITY_PROCEDURES = value_set(
    "2.16.840.1.113883.3.464.1003.111.12.1017",
    "procedure related to sexual health",
    "procedimiento de salud sexual",
)
XRAY = value_set("2.16.840.1.113883.3.464.1003.198.12.1034", "X-ray", "radiografía")
ISOTRETINOIN = value_set("2.16.840.1.113883.3.464.1003.196.12.1143", "isotretinoin", "isotretinoína")

# Diabetes
DIABETES = value_set("2.16.840.1.113883.3.464.1003.103.12.1001", "diabetes", "diabetes")
HBA1C = value_set("2.16.840.1.113883.3.464.1003.198.12.1013", "HbA1c", "HbA1c")
GLUCOSE_INDICATOR = loinc("97506-0", "glucose management indicator", "indicador de control de glucosa")
RETINOPATHY = value_set("2.16.840.1.113883.3.526.3.327", "diabetic retinopathy", "retinopatía diabética")
RETINAL_EXAM = value_set(
    "2.16.840.1.113883.3.464.1003.115.12.1088",
    "retinal or dilated eye exam",
    "examen de retina o de fondo de ojo",
)
EGFR = value_set("2.16.840.1.113883.3.6929.3.1000", "eGFR blood test", "análisis de sangre de función renal")
UACR = value_set("2.16.840.1.113883.3.6929.3.1007", "urine albumin test", "análisis de albúmina en orina")

# More visits
OPHTHALMOLOGICAL = value_set("2.16.840.1.113883.3.526.3.1285", "eye care visit", "visita de oftalmología")
OUTPATIENT_CONSULTATION = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1008", "outpatient consultation", "consulta externa"
)
PREVENTIVE_CHILD_ESTABLISHED = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1024", "preventive visit", "visita preventiva"
)
PREVENTIVE_CHILD_INITIAL = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1022", "first preventive visit", "primera visita preventiva"
)
PREVENTIVE_COUNSELING = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1026", "preventive counseling", "consejería preventiva"
)
NURSING_DISCHARGE = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1013",
    "discharge from a nursing facility",
    "alta de un centro de enfermería",
)
NURSING_FACILITY_VISIT = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1012", "nursing facility visit", "visita en un centro de enfermería"
)
LONG_TERM_CARE = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1014", "visit in long-term care", "visita en cuidados de largo plazo"
)
AUDIOLOGY_VISIT = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1066", "hearing visit", "visita de audiología"
)
PHYSICAL_THERAPY = value_set(
    "2.16.840.1.113883.3.526.3.1022", "physical therapy evaluation", "evaluación de fisioterapia"
)
OCCUPATIONAL_THERAPY = value_set(
    "2.16.840.1.113883.3.526.3.1011", "occupational therapy evaluation", "evaluación de terapia ocupacional"
)
NUTRITION_SERVICES = value_set("2.16.840.1.113883.3.464.1003.1006", "nutrition visit", "visita de nutrición")
NUTRITION_THERAPY = tuple(
    cpt(code, "nutrition therapy", "terapia nutricional") for code in ("97802", "97803", "97804")
)
EMERGENCY_VISIT = value_set(
    "2.16.840.1.113883.3.464.1003.101.12.1010", "emergency visit", "visita a emergencias"
)
OFFICE_VISIT_MINIMAL = cpt("99211", "short office visit", "consulta breve")

# Falls
FALLS_SCREENING = value_set(
    "2.16.840.1.113883.3.464.1003.118.12.1028", "falls screening", "evaluación del riesgo de caídas"
)

# Childhood immunization: what was given (vaccine), recorded as given (administered), and what makes it unneeded
DTAP = value_set("2.16.840.1.113883.3.464.1003.196.12.1214", "DTaP vaccine", "vacuna DTaP")
DTAP_GIVEN = value_set("2.16.840.1.113883.3.464.1003.110.12.1022", "DTaP vaccine", "vacuna DTaP")
DTAP_ANAPHYLAXIS = value_set(
    "2.16.840.1.113883.3.464.1003.199.12.1031", "severe allergy to DTaP", "alergia grave a la DTaP"
)
DTAP_ENCEPHALITIS = value_set(
    "2.16.840.1.113883.3.464.1003.1164", "encephalitis after DTaP", "encefalitis tras la DTaP"
)
POLIO = value_set("2.16.840.1.113883.3.464.1003.196.12.1219", "polio vaccine", "vacuna contra la polio")
POLIO_GIVEN = value_set("2.16.840.1.113883.3.464.1003.110.12.1045", "polio vaccine", "vacuna contra la polio")
POLIO_ANAPHYLAXIS = snomed(
    "471321000124106", "severe allergy to polio vaccine", "alergia grave a la vacuna contra la polio"
)
MMR = value_set("2.16.840.1.113883.3.464.1003.196.12.1224", "MMR vaccine", "vacuna triple viral")
MMR_GIVEN = value_set("2.16.840.1.113883.3.464.1003.110.12.1031", "MMR vaccine", "vacuna triple viral")
MMR_ANAPHYLAXIS = snomed("471331000124109", "severe allergy to MMR", "alergia grave a la triple viral")
MEASLES = value_set("2.16.840.1.113883.3.464.1003.110.12.1053", "measles", "sarampión")
MUMPS = value_set("2.16.840.1.113883.3.464.1003.110.12.1032", "mumps", "paperas")
RUBELLA = value_set("2.16.840.1.113883.3.464.1003.110.12.1037", "rubella", "rubéola")
HIB_3 = value_set("2.16.840.1.113883.3.464.1003.110.12.1083", "Hib vaccine", "vacuna Hib")
HIB_3_GIVEN = value_set("2.16.840.1.113883.3.464.1003.110.12.1084", "Hib vaccine", "vacuna Hib")
HIB_4 = value_set("2.16.840.1.113883.3.464.1003.110.12.1085", "Hib vaccine", "vacuna Hib")
HIB_4_GIVEN = value_set("2.16.840.1.113883.3.464.1003.110.12.1086", "Hib vaccine", "vacuna Hib")
HIB_ANAPHYLAXIS = snomed("433621000124101", "severe allergy to Hib", "alergia grave a la Hib")
HEPATITIS_B_VACCINE = value_set(
    "2.16.840.1.113883.3.464.1003.196.12.1216", "hepatitis B vaccine", "vacuna hepatitis B"
)
HEPATITIS_B_GIVEN = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1042", "hepatitis B vaccine", "vacuna hepatitis B"
)
HEPATITIS_B_NEWBORN = icd10pcs("3E0234Z", "hepatitis B vaccine at birth", "vacuna hepatitis B al nacer")
HEPATITIS_B_ANAPHYLAXIS = snomed(
    "428321000124101", "severe allergy to hepatitis B vaccine", "alergia grave a hepatitis B"
)
HEPATITIS_B = value_set("2.16.840.1.113883.3.464.1003.110.12.1025", "hepatitis B", "hepatitis B")
VARICELLA = value_set(
    "2.16.840.1.113883.3.464.1003.196.12.1170", "chickenpox vaccine", "vacuna contra la varicela"
)
VARICELLA_GIVEN = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1040", "chickenpox vaccine", "vacuna contra la varicela"
)
VARICELLA_ZOSTER = value_set("2.16.840.1.113883.3.464.1003.110.12.1039", "chickenpox", "varicela")
VARICELLA_ANAPHYLAXIS = snomed(
    "471341000124104", "severe allergy to chickenpox vaccine", "alergia grave a la varicela"
)
PNEUMOCOCCAL = value_set(
    "2.16.840.1.113883.3.464.1003.196.12.1221", "pneumococcal vaccine", "vacuna neumocócica"
)
PNEUMOCOCCAL_GIVEN = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1046", "pneumococcal vaccine", "vacuna neumocócica"
)
PNEUMOCOCCAL_ANAPHYLAXIS = snomed(
    "471141000124102", "severe allergy to pneumococcal vaccine", "alergia grave a neumococo"
)
HEPATITIS_A_VACCINE = value_set(
    "2.16.840.1.113883.3.464.1003.196.12.1215", "hepatitis A vaccine", "vacuna hepatitis A"
)
HEPATITIS_A_GIVEN = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1041", "hepatitis A vaccine", "vacuna hepatitis A"
)
HEPATITIS_A = value_set("2.16.840.1.113883.3.464.1003.110.12.1024", "hepatitis A", "hepatitis A")
HEPATITIS_A_ANAPHYLAXIS = snomed(
    "471311000124103", "severe allergy to hepatitis A vaccine", "alergia grave a hepatitis A"
)
ROTAVIRUS_2 = cvx("119", "rotavirus vaccine", "vacuna contra el rotavirus")
ROTAVIRUS_2_GIVEN = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1048", "rotavirus vaccine", "vacuna rotavirus"
)
ROTAVIRUS_3 = value_set("2.16.840.1.113883.3.464.1003.196.12.1223", "rotavirus vaccine", "vacuna rotavirus")
ROTAVIRUS_3_GIVEN = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1047", "rotavirus vaccine", "vacuna rotavirus"
)
ROTAVIRUS_ANAPHYLAXIS = snomed(
    "428331000124103", "severe allergy to rotavirus vaccine", "alergia grave a rotavirus"
)
INFLUENZA = value_set("2.16.840.1.113883.3.464.1003.196.12.1218", "flu vaccine", "vacuna contra la gripe")
INFLUENZA_GIVEN = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1044", "flu vaccine", "vacuna contra la gripe"
)
INFLUENZA_LIVE = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1087", "flu nasal vaccine", "vacuna nasal contra la gripe"
)
INFLUENZA_LIVE_GIVEN = value_set(
    "2.16.840.1.113883.3.464.1003.110.12.1088", "flu nasal vaccine", "vacuna nasal contra la gripe"
)
INFLUENZA_ANAPHYLAXIS = snomed(
    "471361000124100", "severe allergy to flu vaccine", "alergia grave a la vacuna contra la gripe"
)
IMMUNODEFICIENCY = value_set(
    "2.16.840.1.113883.3.464.1003.120.12.1007", "severe immune deficiency", "inmunodeficiencia grave"
)
IMMUNE_DISORDERS = value_set(
    "2.16.840.1.113883.3.464.1003.120.12.1001", "immune disorder", "trastorno inmunitario"
)
BLOOD_CANCER = value_set(
    "2.16.840.1.113883.3.464.1003.108.12.1009", "lymphoma or leukemia", "linfoma o leucemia"
)
INTUSSUSCEPTION = value_set("2.16.840.1.113883.3.464.1003.199.12.1056", "intussusception", "intususcepción")
