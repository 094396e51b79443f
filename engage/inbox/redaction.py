"""What a message says without saying who wrote it: names, numbers, addresses, dates of birth and links taken out.

For the optional second reader, which may run elsewhere. Each stretch taken out leaves a word in brackets, and a
place in the result can be found again in the original. Blood pressures, doses and times of day stay: they are
what is asked about. Linear patterns; when in doubt more is taken out.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from engage.inbox.triage.text import fold

NUMBER_WORDS = "zero|oh|one|two|three|four|five|six|seven|eight|nine|cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve"
MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre"
)
COUNT = (  # of a date said in words
    f"{NUMBER_WORDS}|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|thirty|forty|fifty|sixty|seventy|eighty"
    "|ninety|thousand|hundred|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth"
    "|(?:thir|four|fif|six|seven|eigh|nine)teenth|twentieth|thirtieth|diez|once|doce|trece|catorce|quince"
    "|diec\\w{4,8}|veint\\w{1,10}|treinta|cuarenta|cincuenta|sesenta|setenta|ochenta|noventa|mil|\\w{0,8}cientos|primero"
)
STREETS = (
    "street|st|avenue|ave|road|rd|drive|dr|lane|ln|court|ct|boulevard|blvd|way|place|pl|circle|cir|terrace|ter"
    "|highway|hwy|parkway|pkwy|trail|trl"
)
NAME = r"[^\W\d_][\w'’-]{0,30}"
# First pattern wins where two meet: the longer kinds come first.
BIRTH = "dob|born|birth\\s?day|birth\\s?date|date of birth|nac[ií]\\w{0,8}|fecha de nacimiento|cumplea[nñ]os"
HELD = (
    "mrn|medical record|record|chart|member|policy|group|account|acct|patient|subscriber|ssn"
    "|expediente|p[oó]liza|cuenta|seguro"
)
NO = r"(?:number|num|no|id|n[uú]mero)"
FLAT = r"(?:apt|apartment|unit|suite|ste|#)"
SITES = "com|org|net|gov|edu|io|co|us|ly|me|app|health|link|example"
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.I))
    for kind, pattern in (
        ("link", rf"\b(?:https?://|www\.)\S{{1,2000}}|\b[\w-]{{1,60}}\.(?:{SITES})\b(?:/\S{{0,500}})?(?!@)"),
        ("email", r"[\w.+-]{1,64}@[\w-]{1,60}(?:\.[\w-]{1,30}){1,4}"),
        ("number", r"\b(?:ssn\W{0,3})?\d{3}-\d{2}-\d{4}\b"),
        ("number", r"\b[1-9][A-Z][A-Z\d]\d[- ]?[A-Z][A-Z\d]\d[- ]?[A-Z]{2}\d{2}\b"),  # Medicare's
        ("date", r"\b(?:0?[1-9]|1[0-2])[/-](?:19|20)\d\d\b(?![/-])"),
        (
            "date",
            rf"\b(?:{BIRTH})\b[\w ,.:'-]{{0,24}}?\b(?:{MONTHS})\b"
            rf"(?:[\s,.-]{{1,3}}(?:{COUNT}|y|del?|of|the|and|\d{{1,4}})\b){{0,7}}",
        ),
        ("name", r"(?<![\w.])@[\w.]{2,30}"),
        ("date", r"\b\d{1,4}[/.-]\d{1,2}[/.-]\d{2,4}\b"),
        ("date", rf"\b(?:{MONTHS})\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+(?:of\s+)?\d{{4}}\b"),
        ("date", rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:de\s+|of\s+)?(?:{MONTHS})\.?,?\s+(?:del?\s+)?\d{{4}}\b"),
        ("date", rf"\b(?:{BIRTH})\b[\w/ .,:'-]{{0,24}}?\d[\d/.-]{{0,12}}"),
        ("number", rf"\b(?:{HELD})\b[\s#:.]{{0,4}}{NO}?[\s#:.]{{0,4}}[A-Za-z]{{0,4}}[- ]?\d[\w-]{{2,20}}"),
        ("phone", r"(?<![\w/])\+?(?:\d[\s().-]{0,3}){6,16}\d\b"),
        ("phone", rf"\b(?:(?:{NUMBER_WORDS})[\s,.-]{{1,3}}){{6,16}}(?:{NUMBER_WORDS})\b"),
        ("number", r"\b[A-Za-z]{1,3}-?\d{5,12}\b|#\s?\d{4,12}\b"),
        (
            "address",
            rf"\b\d{{1,6}}\s+(?:[NSEW]\.?\s+)?(?:[\w'’.-]{{1,20}}\s+){{0,3}}?(?:{STREETS})\b\.?"
            rf"(?:[\s,]{{1,3}}{FLAT}\.?\s?\w{{1,6}})?",
        ),
        (
            "address",
            r"\b(?:calle|avenida|av|colonia|carretera|privada)\s+[\w.'’ -]{1,40}?\s*"
            r"(?:n[uú]m(?:ero)?\.?|no\.?|#)?\s*\d{1,6}\b",
        ),
        (
            "address",
            rf"\b(?:{FLAT}|p\.?\s?o\.?\s?box|apartado|departamento|depto)\.?\s?#?\w{{0,4}}\d\w{{0,2}}\b",
        ),
        ("address", r"\b\d{5}(?:-\d{4})?\b"),
        (
            "name",
            rf"\b(?:my name is|me llamo|mi nombre es|name is|sincerely|regards|atentamente|saludos)[\s,:]{{1,3}}"
            rf"({NAME}(?:[ \t]{NAME})?)",
        ),
    )
)
# "This is Gene", "soy Ana": only where a capital says that it is a name.
INTRODUCED = re.compile(
    r"\b(?:[Tt]his is|[Ii]t'?s|[Ii]t’s|[Ii] am|[Ii]'m|[Ii]’m|[Ss]oy|[Hh]abla|[Dd]e parte de)\s+(?:the\s)?"
    r"([A-ZÁÉÍÓÚÑ][\w'’-]{1,30}(?:\s[A-ZÁÉÍÓÚÑ][\w'’-]{1,30}){0,2})"
)
TITLED = re.compile(
    r"\b(?:Mrs?|Ms|Miss|Dr|Dra|Sr|Sra|Srta|Doctora?|Nurse|Don|Do[nñ]a)\.?\s([A-ZÁÉÍÓÚÑ][\w'’-]{1,30}(?:\s[A-ZÁÉÍÓÚÑ][\w'’-]{1,30})?)"
)
SHORTEST = 2  # letters of a name on record that is looked for


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text with its identifiers taken out, and where each remaining piece stood."""

    text: str
    pieces: tuple[tuple[int, int, int], ...]  # start in the result, start in the original, length

    def original(self, start: int, end: int) -> tuple[int, int] | None:
        """Where a stretch of the result stands in the original; None when it touches what was taken out."""
        for there, here, length in self.pieces:
            if there <= start and end <= there + length:
                return here + start - there, here + end - there
        return None


def redacted(text: str, names: Iterable[str]) -> Redacted:
    """The text without identifiers. `names`: the patient's own, as on record, in any case and spelling of accents."""
    taken = _taken(text, {fold(part) for name in names for part in re.findall(r"[^\W\d_]+", name)})
    out, pieces, at, length = [], [], 0, 0
    for start, end, kind in [*taken, (len(text), len(text), "")]:
        if start > at:
            pieces.append((length, at, start - at))
            out.append(text[at:start])
            length += start - at
        if kind:
            out.append(f"[{kind}]")
            length += len(kind) + 2
        at = max(at, end)
    return Redacted("".join(out), tuple(pieces))


def _taken(text: str, names: set[str]) -> list[tuple[int, int, str]]:
    """The stretches to take out, in order, none overlapping."""
    plain, at = _seen(text)
    return [(at[start], at[end - 1] + 1, kind) for start, end, kind in _found(plain, names)]


def _seen(text: str) -> tuple[str, list[int]]:
    """The text as it is seen, without characters that have no width, and where each of its characters stands."""
    at = [n for n, char in enumerate(text) if unicodedata.category(char) != "Cf"]
    return "".join(text[n] for n in at), at


def _found(text: str, names: set[str]) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    for kind, pattern in (*PATTERNS, ("name", INTRODUCED), ("name", TITLED)):
        group = 1 if pattern.groups else 0
        found += [(*m.span(group), kind) for m in pattern.finditer(text)]
    wanted = [re.escape(name) for name in sorted(names, key=len, reverse=True) if len(name) >= SHORTEST]
    joined = re.compile(rf"(?:{'|'.join(wanted)}){{1,4}}s?") if wanted else None  # "anarivera", "the Riveras"
    words = re.finditer(r"[^\W\d_]+", text) if joined else ()
    found += [(*m.span(), "name") for m in words if joined and joined.fullmatch(fold(m.group()))]
    kept: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(found, key=lambda f: (f[0], -f[1])):
        if end <= start:
            continue
        if kept and start < kept[-1][1]:
            kept[-1] = (kept[-1][0], max(end, kept[-1][1]), kept[-1][2])
        else:
            kept.append((start, end, kind))
    return kept
