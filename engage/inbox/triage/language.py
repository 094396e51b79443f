"""In which language is a reply written? Script first, then common short words. No model, no network."""

import re
import unicodedata
from collections import Counter

from engage.inbox.triage.text import Word, fold

SCRIPTS = (
    ("CYRILLIC", "ru"), ("HANGUL", "ko"), ("HIRAGANA", "ja"), ("KATAKANA", "ja"), ("CJK", "zh"), ("ARABIC", "ar"), ("HEBREW", "he"),
    ("DEVANAGARI", "hi"), ("BENGALI", "bn"), ("GURMUKHI", "pa"), ("GUJARATI", "gu"), ("TAMIL", "ta"), ("TELUGU", "te"), ("ETHIOPIC", "am"),
    ("THAI", "th"), ("LAO", "lo"), ("KHMER", "km"), ("MYANMAR", "my"), ("ARMENIAN", "hy"), ("GREEK", "el"), ("GEORGIAN", "ka"),
)  # fmt: skip
COMMON = {
    "en": "the i im is are was my me you your to and of in it that this for on with at be have has had not dont do does cant can will please yes call ok thanks thank when what how why who no want need it's get got her his she he they we still just been but so if now day today appointment".split(),
    "es": "el la los las de que y en un una no si es por con para mi me se lo le su ya pero muy mas como cuando donde quien estoy esta tengo tiene puedo puede hola gracias favor cita quiero porfavor buenas dias tardes hoy manana ahorita senora senor hija hijo mama papa yo usted ustedes hace hacer aqui bien mal del al soy fue va voy ni nada todo todos les nos dolor llamen llamar mande alguien tambien otra otro cuanto cuanta donde".split(),
    "pt": "nao não você voce obrigado obrigada estou esta meu minha ele ela muito tenho tem com uma um para por favor hoje sim dor consulta mas ainda isso eu posso quero remédio remedio médico medico foi já ja dela dele são bom dia ao sozinha sangue peito marido".split(),
    "ht": "mwen pa ki nan pou li gen ou yo nou men tanpri mesi wi non kay doktè dokte map mwenn manman papa pitit ap te se yon sa kapab kreyol kreyòl ka santi doulè vant tèt".split(),
    "fr": "je ne pas le les des est suis pour mon ma vous nous avec merci oui non bonjour rendez une cest jai dans sur mais très tres quel quand mal fait peux veux besoin personne numero ce bien".split(),
    "vi": "tôi không bị và của là có được cho ạ dạ vâng em anh chị bác sĩ thuốc hẹn xin cảm ơn con mẹ bố đau ngực thở khó nói tiếng việt không lịch".split(),
    "tl": "ako po opo hindi ang ng mga sa na ko ka niya siya kami salamat oo wala may masakit gusto kailangan doktor gamot pwede ba lang naman ay nasa anak nanay tatay hinga dibdib".split(),
    "so": "waan waxaan ma waa iyo ku ka aan hooyo aabo hooyaday dhakhtar caawi mahadsanid haa maya xanuun neefta soomaali afsoomaali ayaa isaga iyada leh".split(),
    "de": "ich nicht und der die das ist mein bitte danke ja nein habe kann mit ein eine termin arzt schmerzen".split(),
    "it": "non sono ho mio mia grazie per favore dottore appuntamento che il gli della mi fa male petto".split(),
    "pl": "nie jest mam proszę prosze dziękuję dziekuje tak lekarz boli wizyta mnie się sie jestem".split(),
    "hm": "kuv tsis yog thov ua tsaug mus kws kho mob nws koj peb".split(),
    "sw": "mimi sina nina tafadhali asante ndiyo hapana daktari maumivu kifua siwezi kupumua mtoto".split(),
}  # fmt: skip
SETS = {lang: frozenset([*words, *map(fold, words)]) for lang, words in COMMON.items()}
NAMES = {
    "en": "English", "es": "Spanish", "pt": "Portuguese", "ht": "Haitian Creole", "fr": "French", "vi": "Vietnamese", "tl": "Tagalog", "so": "Somali",
    "de": "German", "it": "Italian", "pl": "Polish", "hm": "Hmong", "sw": "Swahili", "ru": "Russian", "ko": "Korean", "ja": "Japanese", "zh": "Chinese",
    "ar": "Arabic", "he": "Hebrew", "hi": "Hindi", "bn": "Bengali", "pa": "Punjabi", "gu": "Gujarati", "ta": "Tamil", "te": "Telugu", "am": "Amharic",
    "th": "Thai", "lo": "Lao", "km": "Khmer", "my": "Burmese", "hy": "Armenian", "el": "Greek", "ka": "Georgian", "fa": "Persian", "uk": "Ukrainian",
}  # fmt: skip
VIETNAMESE = re.compile(r"[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.I)
SPANISH = re.compile(r"[¿¡ñ]", re.I)


def language(body: str, words: list[Word], hint: str = "") -> str:
    """The ISO 639-1 code of what the patient wrote; the hint (or "") when too little was said to tell."""
    script = _script(body)
    if script:
        return script
    if len(VIETNAMESE.findall(body)) >= 2:
        return "vi"
    raw = Counter(w.casefold() for w in re.findall(r"[^\W\d_]+", body[:4000]))
    folded = Counter(w.text for w in words)
    scores = {lang: _score(common, raw, folded) for lang, common in SETS.items()}
    scores["es"] += 2 * bool(SPANISH.search(body))
    best = max(scores, key=lambda lang: (scores[lang], lang == hint, lang in ("en", "es"), lang))
    runner = max(v for k, v in scores.items() if k in ("en", "es"))
    if best not in ("en", "es") and (scores[best] < 2 or scores[best] <= runner):
        best = max(("en", "es"), key=lambda lang: (scores[lang], lang == hint))
    return best if scores[best] > 0 else hint


def _score(common: frozenset[str], raw: Counter[str], folded: Counter[str]) -> float:
    return float(
        sum(1 for w in raw if w in common) + 0.5 * sum(1 for w in folded if w in common and w not in raw)
    )


def _script(body: str) -> str:
    counts: Counter[str] = Counter()
    letters = 0
    for char in body[:2000]:
        if char.isalpha():
            letters += 1
            if ord(char) > 0x36F:
                name = unicodedata.name(char, "")
                counts[next((lang for script, lang in SCRIPTS if name.startswith(script)), "")] += 1
    counts.pop("", None)
    if not counts or sum(counts.values()) * 3 < letters:
        return ""
    if counts["ja"]:
        return "ja"
    return "fa" if counts["ar"] and re.search("[پچژگ]", body) else counts.most_common(1)[0][0]
