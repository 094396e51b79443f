"""Names for people who do not exist, by language, and the places they live in."""

FEMALE = {
    "en": "Mary Linda Barbara Susan Karen Nancy Lisa Margaret Sandra Ashley Emily Donna Michelle Carol Amanda Melissa "
    "Deborah Stephanie Rebecca Laura Sharon Cynthia Kathleen Amy Angela Shirley Brenda Pamela Nicole Ruth Denise",
    "es": "María Guadalupe Carmen Ana Rosa Juana Isabel Teresa Luz Elena Gloria Marta Silvia Alicia Lucía Pilar Inés "
    "Beatriz Yolanda Patricia Raquel Esperanza Consuelo Graciela Leticia",
    "pt": "Maria Ana Francisca Antônia Adriana Juliana Márcia Fernanda Patrícia Aline Sandra Camila Amanda Bruna",
    "vi": "Lan Hoa Mai Huong Thu Linh Phuong Thao Nga Hanh Trang Yen",
    "ht": "Marie Rose Guerline Mirlande Nadège Islande Fabiola Yolette Carline Roseline",
}
MALE = {
    "en": "James Robert John Michael David William Richard Joseph Thomas Charles Daniel Matthew Anthony Mark Donald "
    "Steven Paul Andrew Kenneth Joshua Kevin Brian George Edward Ronald Timothy Jason Jeffrey Ryan Jacob Gary Eric",
    "es": "José Juan Luis Carlos Francisco Miguel Pedro Jesús Manuel Antonio Jorge Rafael Ramón Alberto Fernando Mario "
    "Ricardo Roberto Javier Ernesto Rubén Hugo Sergio Arturo",
    "pt": "José João Antônio Francisco Carlos Paulo Pedro Lucas Luiz Marcos Rafael Daniel Marcelo Bruno",
    "vi": "Minh Hung Dung Tuan Hai Long Nam Quang Duc Thanh Binh Phong",
    "ht": "Jean Pierre Joseph Jacques Wilner Frantz Emmanuel Reginald Ronald Evens",
}
FAMILY = {
    "en": "Smith Johnson Williams Brown Jones Miller Davis Wilson Anderson Taylor Thomas Moore Martin Jackson Thompson "
    "White Lee Harris Clark Lewis Robinson Walker Young Allen King Wright Scott Hill Green Adams Baker Hall Campbell "
    "Mitchell Carter Roberts Phillips Evans Turner Parker Collins Edwards Stewart Morris Murphy Cook Rogers Reed Bailey "
    "O'Brien Sullivan Kelly Cooper Richardson Cox Ward Peterson Gray James Watson Brooks Kelley Sanders Price Bennett",
    "es": "García Rodríguez Martínez Hernández López González Pérez Sánchez Ramírez Torres Flores Rivera Gómez Díaz "
    "Reyes Morales Cruz Ortiz Gutiérrez Chávez Ramos Ruiz Álvarez Mendoza Vásquez Castillo Jiménez Moreno Romero",
    "pt": "Silva Santos Oliveira Souza Rodrigues Ferreira Alves Pereira Lima Gomes Costa Ribeiro Carvalho Almeida",
    "vi": "Nguyen Tran Le Pham Huynh Phan Vu Vo Dang Bui Do Ho Ngo Duong",
    "ht": "Jean-Baptiste Pierre Joseph Charles Louis François Michel Baptiste Toussaint Desir Augustin",
}
DOCTORS = (
    "Dr. Helen Park;Dr. Samuel Osei;Dr. Priya Nair;Dr. Marcus Webb;Dr. Lucía Fuentes;Dr. Ingrid Dahl;Dr. Omar Haddad;"
    "Dr. Grace Kim;Dr. Tomás Arce;Dr. Ruth Feldman;Dr. Aaron Blake;Dr. Mei-Ling Chow"
)
STREETS = "Maple Ave;Oak St;Harbor Rd;Mill St;Park Ave;Washington St;Elm St;Lincoln St;River Rd;School St;Cedar Ln;Main St"
CLINICS = (
    # name, slug, state, zone, call-back number, on-call number, cities with postal codes
    (
        "Harbor Family Health", "harbor", "MA", "America/New_York", "+16175550100", "+16175550199",
        (("Boston", "02128"), ("Chelsea", "02150"), ("Revere", "02151"), ("Quincy", "02169")),
    ),
    (
        "Riverside Community Clinic", "riverside", "CT", "America/New_York", "+18605550100", "+18605550199",
        (("Hartford", "06106"), ("East Hartford", "06108"), ("Manchester", "06040")),
    ),
    (
        "Mesa Verde Health", "mesa", "AZ", "America/Phoenix", "+16025550100", "+16025550199",
        (("Phoenix", "85009"), ("Mesa", "85201"), ("Tempe", "85281")),
    ),
)  # fmt: skip
AREA_CODES = {
    "harbor": (
        617,
        857,
        781,
        339,
        508,
        774,
        978,
        351,
        413,
        603,
        401,
        207,
        802,
        518,
        914,
        845,
        516,
        631,
        607,
        315,
    ),
    "riverside": (
        860,
        959,
        203,
        475,
        212,
        347,
        646,
        718,
        917,
        929,
        201,
        551,
        732,
        848,
        856,
        862,
        908,
        973,
        609,
        215,
    ),
    "mesa": (
        602,
        480,
        623,
        520,
        928,
        505,
        575,
        702,
        725,
        775,
        801,
        385,
        435,
        303,
        720,
        719,
        970,
        307,
        406,
        208,
    ),
}
LANGUAGES = ("en", "es", "pt", "vi", "ht")
LANGUAGE_SHARE = {"harbor": (64, 27, 5, 2, 2), "riverside": (72, 24, 2, 1, 1), "mesa": (66, 33, 0, 1, 0)}
