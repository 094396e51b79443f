"""What our message asked, and what a reply to it therefore means.

"No" to "do you feel safe at home?" is abuse; "2" to "1 = confirm, 2 = change" is a wish to change.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from engage.inbox.triage.reading import Level
from engage.inbox.triage.text import fold, plain

Kind = Literal[
    "self_harm", "unsafe", "safe", "danger", "mood", "symptoms", "worse", "pain", "rating", "satisfied", "missed",
    "medicines", "ready", "readings", "confirm", "refill", "offer", "result", "missed_visit", "chat", "open", "",
]  # fmt: skip
Value = Literal["yes", "no", "better", "same", "worse", "change", "number", "help", ""]

# First match wins: the gravest questions come first.
KINDS: tuple[tuple[Kind, str], ...] = (
    ("self_harm", r"better off dead|hurting yourself|harm(?:ing)? yourself|hurt yourself|suicid|kill(?:ing)? yourself|wish(?:ed)? you were dead|end(?:ing)? your life|hacerse dano|lastimarse|estaria mejor muert|quitarse la vida|pensado en morir|matarse"),
    ("unsafe", r"(?:has|have|did|does|is|are) (?:anyone|someone|somebody|anybody|your partner)[^?]{0,60}(?:hit|hurt|kick|threat|afraid|force|abus|harm)|(?:afraid|scared) of (?:your|anyone|someone|a partner)|feel unsafe|being hurt|alguien (?:le|la|lo|te)[^?]{0,40}(?:peg|golpe|lastim|amenaz|maltrat|abus)|tiene miedo de|miedo de su pareja|(?:siente|esta) insegur"),
    ("safe", r"(?:feel|are you|you) safe|safe at home|safe (?:in|where)|(?:siente|esta) segur[oa]|segur[oa](?: oa?)? en (?:su )?(?:casa|hogar|relacion)|a salvo"),
    ("danger", r"(?:do you have|are you having|having any|have you had|any|tiene|ha tenido)[^?]{0,40}(?:chest pain|trouble breathing|short(?:ness)? of breath|dolor de pecho|dificultad para respirar|heavy bleeding|sangrado)"),
    ("mood", r"down or hopeless|little interest|depressed or hopeless|0 not at all 1|nearly every day|casi todos los dias|0 nunca|0 para nada|desanimad|poco interes|nervous anxious"),
    ("symptoms", r"new (?:or worsening )?symptoms|any symptoms|side effects|symptoms since|sintomas nuevos|nuevos sintomas|algun sintoma|efectos secundarios|any (?:problems|concerns) since|fever or|any fever"),
    ("worse", r"better,? (?:the )?same,? or worse|mejor,? igual,? o peor|better or worse|feeling (?:better|worse)"),
    ("pain", r"pain (?:0|from 0|on a scale|level|score|1)|what is your pain|cuanto dolor|rate your pain|nivel de dolor|dolor de 0|dolor del 0"),
    ("missed", r"missed any (?:doses|pills)|skip(?:ped)? any|olvidado (?:alguna|tomar)|(?:ha )?saltado"),
    ("medicines", r"(?:able to get|get all of|did you get|pick(?:ed)? up|have)[^?]{0,30}(?:medicines|medications|prescriptions)|pudo (?:conseguir|obtener|surtir)[^?]{0,30}(?:medicinas|medicamentos|recetas)"),
    ("satisfied", r"needs met|satisfied|satisfecho|quedo (?:content|conform)|were you happy|treated with respect|would you (?:come back|recommend us reply)|lo atendieron bien|atendimos bien|answer(?:ed)? all your questions"),
    ("rating", r"0 (?:not at all )?to 10|0 10\b|1 (?:to|a) 5|1 (?:to|a) 10|de 0 a 10|del 0 al 10|del 1 al (?:5|10)|scale of|how likely|rate (?:your|us|the)|que tanto nos|como calific"),
    ("readings", r"(?:text|send|mande|manden|envie|mandenos|report) [^?]{0,30}(?:number|numero|reading|lectura|presion|sugar|azucar|weight|peso)|check your (?:blood pressure|blood sugar|weight)|tomese la presion"),
    ("ready", r"prescription is ready|receta esta lista|ready for pickup|lista para recoger"),
    ("missed_visit", r"we missed you|missed your (?:appointment|visit)|no pudo llegar|falto a su cita|perdio su cita|lo extranamos"),
    ("confirm", r"(?:reply|press|text|responda|oprima) (?:c|1|y|yes|si|s)\b[^.]{0,24}(?:confirm|keep)|to confirm|para confirmar|can you make it|will you be (?:there|coming)|podra venir|puede venir|asistira|reminder:? appointment|recordatorio|your (?:visit|appointment) is|su (?:proxima )?cita es|you have (?:a visit|an appointment)|tiene (?:una )?cita"),
    ("refill", r"refill|surtir|resurtir|run(?:ning)? low on|acabando (?:la|el|su)|mail order"),
    ("offer", r"reply yes|responda si|responda s\b|reply y\b|reply 1|responda 1|interested|le interesa|would you like|quisiera|reply or call|due for|le toca"),
    ("result", r"test result|new result|nuevo resultado|portal"),
    ("chat", r"web chat|our chat|chat de la clinica|how can we help|en que le podemos"),
    ("open", r"how are you feeling|how have you been|como se ha sentido|como sigue|como se siente|any questions"),
)  # fmt: skip
COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in KINDS)

YES = frozenset(
    "yes y yep yup yeah yea yas yess yesss yess sure ok okay okey okie k kk si sii s sip simon claro dale c confirm confirmed confirming confirmo confirmado confirmada confirmar absolutely definitely perfect perfecto correcto correct affirmative wi sim oui da tak "
    "да 네 예 是 好 好的 可以 có vâng dạ haan naam نعم oo opo ie haa ja bueno deacuerdo afirmativo listo lista great".split()
) | frozenset("👍 👍🏻 👍🏼 👍🏽 👍🏾 👍🏿 ✅ ✔ ☑ 👌".split())  # fmt: skip
NO = frozenset(
    "no n nope nah non não nao nee нет 不 아니요 không لا hindi nop nel never nunca negative neg pass".split()
) | {"👎"}
BETTER = frozenset(
    "better mejor b m good great bien improving mejorando mejorcito mejorcita fine excellent excelente".split()
)
SAME = frozenset("same igual s i unchanged".split())
WORSE = frozenset("worse peor w p worst bad mal terrible awful horrible worsening empeorando".split())
CHANGE = frozenset("r reschedule cancel change cambiar reprogramar cancelar cambio resch".split())
WORDED = {w: i for i, w in enumerate("zero one two three four five six seven eight nine ten".split())} | {
    w: i for i, w in enumerate("cero uno dos tres cuatro cinco seis siete ocho nueve diez".split())
}
LEAD = frozenset(
    "hi hello hola hey oh well um uh id i give it a say guess pues yo les doy un una este bueno its is the about my answer".split()
)
SHORT = 5  # words of an answer that says nothing else
OPTION = re.compile(r"\b([1-9])\b\s*(?:=|:|\)|-|–|for|to|if|and|para|si|y)\s*([^,.;0-9]{2,40})", re.I)
OPTION_WORDS: tuple[tuple[str, Value], ...] = (
    (r"we(?:'ll| will) call you|\ble llam|confirm|keep|yes|si\b|\bschedule|book|\bprogramar|agendar|claro|agree|interested", "yes"),
    (r"cancel|resched|change|cambiar|reprogram|move|another", "change"),
    (r"\bno\b|decline|not|stop", "no"),
    (r"call|speak|talk|nurse|llam|hablar|help|ayuda", "help"),
    (r"better|mejor", "better"),
    (r"same|igual", "same"),
    (r"worse|peor", "worse"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply answers: labels it stands for, their level, and where the answer is in the text."""

    kind: Kind
    value: Value
    number: float | None
    labels: tuple[str, ...]
    level: Level
    start: int
    end: int
    reason: str
    whole: bool  # nothing else was said


@lru_cache(maxsize=2048)
def kind_of(outbound: str) -> Kind:
    """What an outbound message asks, or "" when it asks nothing known."""
    said = plain(outbound)
    return next((kind for kind, pattern in COMPILED if pattern.search(said)), "")


def answer(body: str, outbound: str) -> Answer | None:
    """The answer that a reply (quoted parts blanked) gives to our message, or None. Offsets into `body`."""
    kind = kind_of(outbound)
    if not kind:
        return None
    tokens = [
        t
        for t in re.finditer(r"\d+(?:[./]\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\w\s.,!?:;()'\"-]+", body[:300])
    ]
    for at, token in enumerate(tokens[:7]):
        value, number = _value(token.group(), kind, outbound)
        if value:
            whole = len(tokens) <= at + (SHORT if number is None else 1)
            return _meaning(kind, value, number, token.span(), whole)
        if fold(token.group()) not in LEAD:
            break
    return None


def _value(raw: str, kind: Kind, outbound: str) -> tuple[Value, float | None]:
    word = raw.casefold().replace("í", "i")
    number = float(word) if re.fullmatch(r"\d+(?:\.\d+)?", word) else None
    if number is None and word in WORDED and kind in ("rating", "pain", "mood", "self_harm"):
        number = float(WORDED[word])
    if number is not None:
        option = (
            _option(int(number), outbound)
            if kind not in ("rating", "pain", "mood", "self_harm", "readings")
            else ""
        )
        return (option, None) if option else ("number", number)
    if kind == "worse":
        return next(
            (v for v, group in (("worse", WORSE), ("same", SAME), ("better", BETTER)) if word in group), ""
        ), None  # type: ignore[return-value]
    if kind in ("confirm", "missed_visit") and word in CHANGE:
        return "change", None
    if word in ("help", "ayuda") and kind in ("safe", "unsafe", "self_harm", "danger"):
        return "help", None
    yes_no: Value = "yes" if word in YES or word[:1] in "👍✅👌" else "no" if word in NO else ""
    return yes_no, None


def _option(number: int, outbound: str) -> Value:
    for digit, words in OPTION.findall(outbound):
        if int(digit) == number:
            return next((value for pattern, value in OPTION_WORDS if re.search(pattern, words, re.I)), "")
    return ""


Rule = tuple[tuple[str, ...], Level, str]
RULES: dict[tuple[Kind, Value], Rule] = {
    ("safe", "no"): (("abuse", "survey_answer"), "urgent", "Answers no to whether they are safe."),
    ("safe", "help"): (("abuse",), "urgent", "Asks for help when asked whether they are safe."),
    ("safe", "yes"): (("survey_answer",), "routine", "Answers that they are safe."),
    ("unsafe", "yes"): (("abuse", "survey_answer"), "urgent", "Answers yes to whether someone hurts or frightens them."),
    ("unsafe", "help"): (("abuse",), "urgent", "Asks for help when asked whether someone hurts them."),
    ("unsafe", "no"): (("survey_answer",), "routine", "Answers that nobody hurts or frightens them."),
    ("self_harm", "yes"): (("self_harm", "survey_answer"), "urgent", "Answers yes to a question about self-harm."),
    ("self_harm", "help"): (("self_harm",), "urgent", "Asks for help when asked about self-harm."),
    ("self_harm", "no"): (("survey_answer",), "routine", "Answers no to a question about self-harm."),
    ("danger", "yes"): (("emergency", "survey_answer"), "urgent", "Answers yes to a question about danger signs."),
    ("danger", "help"): (("emergency",), "urgent", "Asks for help when asked about danger signs."),
    ("danger", "no"): (("survey_answer",), "routine", "Answers no to a question about danger signs."),
    ("mood", "yes"): (("survey_answer",), "significant", "Answers yes to a question about mood."),
    ("mood", "no"): (("survey_answer",), "routine", "Answers no to a question about mood."),
    ("symptoms", "yes"): (("symptom", "survey_answer"), "significant", "Answers yes to new symptoms."),
    ("symptoms", "no"): (("survey_answer",), "routine", "Answers no to new symptoms."),
    ("worse", "worse"): (("symptom", "survey_answer"), "significant", "Answers that they feel worse."),
    ("worse", "same"): (("survey_answer",), "routine", "Answers that they feel the same."),
    ("worse", "better"): (("survey_answer",), "routine", "Answers that they feel better."),
    ("satisfied", "yes"): (("survey_answer",), "routine", "Answers that they were content."),
    ("satisfied", "no"): (("survey_answer",), "significant", "Answers that they were not content."),
    ("missed", "yes"): (("medication", "survey_answer"), "significant", "Answers that they missed doses."),
    ("missed", "no"): (("survey_answer",), "routine", "Answers that they missed no dose."),
    ("medicines", "yes"): (("survey_answer",), "routine", "Answers that they have their medicines."),
    ("medicines", "no"): (("medication", "survey_answer"), "significant", "Answers that they lack medicines."),
    ("confirm", "yes"): (("accept",), "routine", "Confirms the appointment."),
    ("confirm", "no"): (("reschedule",), "significant", "Cannot come as planned."),
    ("confirm", "change"): (("reschedule",), "significant", "Wants to change the appointment."),
    ("confirm", "help"): (("call_me",), "significant", "Wants a call."),
    ("missed_visit", "change"): (("reschedule",), "significant", "Wants a new appointment."),
    ("missed_visit", "yes"): (("reschedule",), "significant", "Wants a new appointment."),
    ("missed_visit", "no"): (("decline",), "significant", "Wants no new appointment."),
    ("refill", "yes"): (("medication", "accept"), "significant", "Asks for the refill."),
    ("refill", "no"): (("decline",), "significant", "Declines the refill."),
    ("offer", "yes"): (("accept",), "significant", "Accepts; a person must book it."),
    ("offer", "no"): (("decline",), "significant", "Declines what was offered."),
    ("offer", "help"): (("call_me",), "significant", "Wants a call."),
    ("offer", "change"): (("reschedule",), "significant", "Wants to change the appointment."),
}  # fmt: skip


def _meaning(
    kind: Kind, value: Value, number: float | None, span: tuple[int, int], whole: bool
) -> Answer | None:
    rule = RULES.get((kind, value)) if number is None else _figure(kind, number)
    if rule is None:
        return None
    labels, level, reason = rule
    return Answer(kind, value, number, labels, level, *span, reason, whole)


def _figure(kind: Kind, number: float) -> Rule | None:
    if kind == "self_harm":
        if number > 0:
            return (
                ("self_harm", "survey_answer"),
                "urgent",
                "Answers above zero to a question about self-harm.",
            )
        return ("survey_answer",), "routine", "Answers zero to a question about self-harm."
    if kind == "mood":
        bad = number >= 2
        return (
            ("survey_answer",),
            "significant" if bad else "routine",
            f"Answers {number:g} to a question about mood.",
        )
    if kind == "rating":
        return ("survey_answer",), "significant" if number <= 4 else "routine", f"Rates {number:g}."
    if kind == "pain":
        labels = ("symptom", "survey_answer") if number >= 7 else ("survey_answer",)
        return labels, "significant" if number >= 7 else "routine", f"Rates the pain {number:g}."
    return None
