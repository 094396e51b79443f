"""Opt-out, opt-in and help words: read before anything else, in the webhook's own transaction.

Sources: 47 CFR 64.1200(a)(10) (stop, quit, end, revoke, opt out, cancel, unsubscribe, and any reasonable
wording), the provider's default lists (as of May 2025), the carriers' Spanish short-code words.
"""

import re
from dataclasses import dataclass
from typing import Literal

from engage.inbox.triage.text import plain, set_aside

Kind = Literal["stop", "start", "help", "start_ambiguous"]

# What the provider acts upon by itself: the whole message is this one word, in any case.
PROVIDER: dict[str, Kind] = {
    **dict.fromkeys(("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"), "stop"),
    **dict.fromkeys(("start", "unstop"), "start"),
    "yes": "start_ambiguous",
    **dict.fromkeys(("help", "info"), "help"),
}
STOP_EN = frozenset(
    [*(w for w, kind in PROVIDER.items() if kind == "stop"), "opt out", "stop all", "remove", "stop stop", "un subscribe"]
    # whole messages that can only be meant so: slips of the thumb, other tenses
    + ["stpo", "sotp", "tsop", "stoop", "stopp", "sstop", "st0p", "dtop", "stp", "stap", "stoo", "stops", "stopping", "stopit"]
    + ["unsubscibe", "unsubcribe", "unsuscribe", "unsubscribed", "unsub", "cancell", "opted out", "opting out", "opt me out"]
    + ["remove me", "leave me alone", "no more", "no more texts", "no more messages", "no texts", "wrong number"]
)  # fmt: skip
STOP_ES = frozenset(
    ["alto", "pare", "paren", "parar", "pararlo", "baja", "cancelar", "no mas", "nomas", "no enviar", "quitar", "quitarme"]
    + ["borrar", "borrarme", "borrenme", "borreme", "terminar", "salir", "fin", "detener", "detenganse", "basta", "ya basta"]
    + ["ya no", "darme de baja", "dar de baja", "deme de baja", "denme de baja", "cancelen", "desuscribir", "dejen de molestar"]
    + ["altto", "atlo", "numero equivocado", "no mande mas", "no manden mas", "ya no manden", "no molesten", "ya no molesten"]
)  # fmt: skip
START_ES = frozenset(["inicio", "iniciar", "comenzar"])
HELP_ES = frozenset(["ayuda"])
AMBIGUOUS_ES = frozenset(["alta"])  # "subscribe", but also "discharged" and "tall"; never an opt-in by itself
CANCELS_VISIT = frozenset(["cancel", "cancell", "cancelar", "cancelen"])
# Other languages: never the provider's, always ours.
STOP_OTHER = frozenset(["arret", "arrete", "arretez", "parem", "sair", "стоп", "停止", "退订", "dung lai", "huy", "tigil", "توقف"])  # fmt: skip

# Phrases that a reasonable person reads as a revocation. Each alternative is a fixed row of words, so that
# the search is linear; `…` before and after is anything.
MEDIA = r"(?:texts?|texting|messages?|messaging|msgs?|reminders?|notifications?|alerts?|e ?mails?|emailing|calls?|calling|spam|these|contacting|bothering|communications?)"
POLITE = r"(?:please |kindly |can you |could you |you all |yall |just |ok |hi |hello |hey |pls )?"
WHOLE_EN = [
    rf"{POLITE}stop(?: (?:the|these|this|all|all the|sending|sending me|with the|your|it|now|please|me|already|immediately|asap|{MEDIA}|to|this|number|my|phone|from|you|guys|thanks|thank)){{0,6}}",
    rf"{POLITE}(?:quit|end|cancel|unsubscribe|revoke)(?: (?:me|this|these|all|the|please|now|from|your|list|my|consent|sending|{MEDIA})){{1,6}}",
    rf"(?:no|no more|enough) {MEDIA}(?: (?:please|thanks|thank you|to this number))?",
    r"stop (?:no mas|alto|ya|por favor|porfavor)",
    r"(?:unsubscribe|cancel|quit|end) (?:please|now|thanks)",
    r"(?:i )?(?:want|would like|wish) to (?:opt out|unsubscribe|stop|quit)(?: please)?",
]
ANY_EN = [
    r"(?:remove|delete|erase|take) (?:me|my (?:number|phone|phone number|cell|name|email)|this number|us)(?: off| out)?(?: (?:from|of|off) (?:your|the|this|ur|all))",
    r"(?:remove|delete|erase) (?:me|my (?:number|phone|cell)|this number)(?: please| now| asap)?$",
    r"take (?:me|my (?:number|phone|name)|this number|us) off",
    rf"(?:do not|dont|never|please do not|quit|stop) (?:ever )?(?:text|texting|message|messaging|contact|contacting|email|emailing|call|calling|bother|bothering|send|sending)(?: (?:me(?! (?:the|a|an|my|that|one|it|until|before|after|at|on|for|yet|today)\b)|us|here|this (?:phone|number|cell|line|email)|my (?:phone|number|cell|line|house|email)|anything (?:to|else|more)|any ?more|{MEDIA}))",
    r"(?:do not|dont) (?:text|contact|message)(?: again| anymore| any more)?$",
    r"(?:do not|dont) (?:call|text|send|message) (?:here )?(?:no more|anymore|again)",
    r"leave (?:me|us) alone(?! at | with | in )",
    r"lose (?:my|this) number",
    r"cease and desist",
    rf"(?:do not|dont|no longer|not) (?:want|wish|wanna|need|consent)(?: to)? (?:get|getting|receive|receiving|any more|anymore|any|more|the|these|your|no|no more|to|be){{1}}(?: (?:any|more|these|your|the|of|contacted|automated|no)){{0,3}} ?{MEDIA}",
    r"(?:dont|do not) want to be (?:contacted|texted|called|on (?:your|this) list)",
    rf"(?:discontinue|turn off|shut off) (?:all |these |the |your )*(?:automated |text )*{MEDIA}",
    r"(?<!reply )(?<!text )(?<!with )(?:opt me out|opting out|want to opt out|i opt out|unsubscribe me|unsubscribe us|please unsubscribe)",
    r"i (?:revoke|withdraw) (?:my )?consent",
    r"wrong (?:number|nbr|num)\b",
]
ES_MEDIA = (
    r"(?:mensajes?|mensajitos|textos?|recordatorios?|notificaciones|avisos|llamadas?|correos?|eso|esto|nada)"
)
ANY_ES = [
    rf"no (?:quiero|deseo|queremos|me interesa)(?: (?:que me (?:manden|envien|llamen)|recibir|ver))?(?: (?:mas|tantos|sus|estos|ningun|recibir)){{1,2}} {ES_MEDIA}",
    rf"ya no (?:quiero|deseo|queremos)(?: (?:recibir|que me manden|que me envien|mas|sus|estos)){{0,3}} {ES_MEDIA}",
    r"(?:ya )?no (?:me |nos )?(?:manden|mande|mandes|envien|envie|escriban|escriba|textee|texteen|contacten|llamen|marquen|molesten)(?: mas)? (?:mas|mensajes|textos|nada|aqui|a este|por favor|porfavor|esto|estos)",
    r"ya no (?:me |nos )?(?:manden|mande|mandes|envien|envie|escriban|escriba|texteen|contacten|llamen|marquen|molesten)(?! (?:a la|a mi|con))",
    r"ya no me esten (?:mandando|marcando|llamando|molestando|enviando)",
    r"(?:dejen|deje|deja|paren|pare|parenle) (?:ya )?(?:de )?(?:mandar|mandarme|enviar|enviarme|molestar|molestarme|escribir|escribirme|llamar|llamarme|marcar|marcarme|con (?:los|tanto|tantos|sus))",
    r"(?:dejenme|dejeme|dejame) en paz",
    r"(?:quitenme|quiteme|saquenme|saqueme|borrenme|borreme|eliminenme|elimineme|bajenme) de (?:la|su|sus|esta|las)",
    r"(?:borren|borre|quiten|quite|eliminen|elimine|saquen|saque) mi (?:numero|nombre|celular|telefono|cel)",
    r"(?:dar|darme|denme|deme|quiero darme) de baja",
    r"no mas (?:mensajes|textos|llamadas|correos|recordatorios)",
    r"numero equivocado",
]
WRONG = re.compile(r"wrong (?:number|nbr|num)\b|numero equivocado")
# "Reply STOP to opt out" is our own sentence coming back; "stop looking for him" and the like are for a person.
NOT_OURS = re.compile(r"\b(?:reply|text|send|responda|envie|txt) (?:with )?(?:stop|alto|pare|baja)\b")
WHOLE = re.compile("|".join(f"(?:{p})" for p in WHOLE_EN))
ANYWHERE = re.compile("|".join(rf"\b(?:{p})" for p in ANY_EN))
ANYWHERE_ES = re.compile("|".join(rf"\b(?:{p})" for p in ANY_ES))
LONGEST = 400  # characters of folded text searched for phrases: a revocation is short


@dataclass(frozen=True, slots=True)
class Keyword:
    """An opt-out, opt-in or help word, or a phrase that means the same.

    `start_ambiguous` (YES, ALTA): the provider may take it as an opt-in; we follow only after an opt-in question.
    """

    kind: Kind
    words: str  # as compared: folded
    exact: bool  # the whole message is a listed word; otherwise a phrase
    provider_recognises: bool  # the provider has acted (and confirmed) by itself
    lang: str
    may_cancel_visit: bool = False  # CANCEL: an opt-out, and perhaps also meant for the appointment
    wrong_number: bool = False  # remove the contact point, open a privacy task


def keyword(text: str) -> Keyword | None:
    """The opt-out, opt-in or help word of a message, or None. Linear in the length of the text."""
    by_provider = PROVIDER.get(text.strip().casefold())
    said = plain(set_aside(text))
    if by_provider:
        return _exact(by_provider, said, "en", provider=True)
    said = _joined(said)
    return _listed(said) or _phrase(said)


def _joined(said: str) -> str:
    """S T O P and s.t.o.p are one word."""
    parts = said.split(" ")
    spelt = len(parts) > 2 and all(len(p) == 1 for p in parts)
    return "".join(parts) if spelt else said


def _listed(said: str) -> Keyword | None:
    bare = re.sub(
        r"^(?:please|por favor|porfavor) | (?:please|por favor|porfavor|gracias|thanks|thank you)$", "", said
    )
    for words, kind, lang in (
        (STOP_EN, "stop", "en"),
        (STOP_ES, "stop", "es"),
        (STOP_OTHER, "stop", ""),
        (START_ES, "start", "es"),
        (HELP_ES, "help", "es"),
        (AMBIGUOUS_ES, "start_ambiguous", "es"),
    ):
        if said in words or (kind == "stop" and bare in words):
            return _exact(kind, said, lang)  # type: ignore[arg-type]
    kind = PROVIDER.get(said)
    return _exact(kind, said, "en") if kind else None


def _exact(kind: Kind, said: str, lang: str, *, provider: bool = False) -> Keyword:
    return Keyword(
        kind=kind,
        words=said,
        exact=True,
        provider_recognises=provider,
        lang=lang,
        may_cancel_visit=kind == "stop" and said in CANCELS_VISIT,
        wrong_number=bool(WRONG.search(said)),
    )


def _phrase(said: str) -> Keyword | None:
    said = said[:LONGEST]
    if NOT_OURS.search(said):
        return None
    spanish = ANYWHERE_ES.search(said)
    found = spanish or WHOLE.fullmatch(said) or ANYWHERE.search(said)
    if found is None:
        return None
    wrong = bool(WRONG.search(said))
    return Keyword("stop", found.group(), False, False, "es" if spanish else "en", False, wrong)
