"""In which language is a reply written? Script first, then common short words. No model, no network."""

import re
import unicodedata
from collections import Counter

from engage.inbox.triage.text import Word, fold
from engage.inbox.triage.vocabulary import VOCABULARY

SCRIPTS: list[list[str]] = VOCABULARY["language"]["scripts"]
COMMON: dict[str, str] = VOCABULARY["language"]["common"]
SETS = {lang: frozenset([*words.split(), *map(fold, words.split())]) for lang, words in COMMON.items()}
NAMES: dict[str, str] = VOCABULARY["language"]["names"]
VIETNAMESE = re.compile(r"[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]", re.I)
# Letters that Arabic lacks, most telling first; who writes neither may still be any of the three.
OF_ARABIC_SCRIPT = (("ur", re.compile("[ٹڈڑںھہے]")), ("fa", re.compile("[پچژگی]")))
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
    found = counts.most_common(1)[0][0]
    return next((lang for lang, letters in OF_ARABIC_SCRIPT if found == "ar" and letters.search(body)), found)
