"""Every entry is held to its own examples and counter-examples, as a clinician wrote them."""

import pytest

from engage.inbox.triage.lexicon import Lexicon, load
from engage.inbox.triage.text import words


def said(text):
    return {hit.entry.id: hit.held for hit in load().scan(words(text))}


EXAMPLES = [(e.id, x) for e in load().entries for x in e.examples]
COUNTER = [(e.id, x) for e in load().entries for x in e.counter_examples]


@pytest.mark.parametrize(("entry", "text"), EXAMPLES)
def test_example(entry, text):
    assert said(text).get(entry) == ""


@pytest.mark.parametrize(("entry", "text"), COUNTER)
def test_counter_example(entry, text):
    assert said(text).get(entry) != ""


def test_every_urgent_entry_has_examples_and_counter_examples():
    for entry in load().entries:
        assert entry.level != "urgent" or (entry.examples and entry.counter_examples), entry.id


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no chest pain today, thanks", "negated"),
        ("sin dolor de pecho ni fiebre", "negated"),
        ("ya no me duele el pecho", "negated"),
        ("i had chest pain last year but the stent fixed it", "past"),
        ("hace dos años tuve dolor de pecho", "past"),
        ("what should i do if i get chest pain", "hypothetical"),
        ("en caso de dolor de pecho llamo al 911", "hypothetical"),
    ],
)
def test_why_chest_pain_does_not_count(text, why):
    assert said(text)["chest-pain"] == why


@pytest.mark.parametrize(
    "text",
    [
        "no, my chest hurts",
        "no i have chest pain",
        "i had chest pain last year and now again",
        "not great, bad chest pain since morning",
        "tengo dolor de pecho",
        "TENGO DOLOR DE PECHO!!!",
        "me duele el pecho",
    ],
)
def test_chest_pain_counts(text):
    assert said(text)["chest-pain"] == ""


def test_both_orders_within_reach():
    lexicon = Lexicon(
        {
            "version": "1",
            "words": {"pain": ["pain", "hurt*", "a lot of pain"]},
            "idioms": [],
            "entries": [
                {
                    "id": "a",
                    "label": "symptom",
                    "level": "significant",
                    "says": "a knee",
                    "patterns": ["knee ~2 @pain", "^ ouch $"],
                    "examples": [],
                    "counter_examples": [],
                }
            ],
        }
    )

    def found(text):
        return bool(lexicon.scan(words(text)))

    assert found("my knee really hurts") and found("pain in my knee") and found("a lot of pain, knee")
    assert not found("knee one two three pain") and not found("knee. pain")
    assert found("ouch") and not found("ouch that")


def one(*patterns, idioms=()):
    """A lexicon of one entry that is held by everything."""
    entry = {"id": "a", "label": "emergency", "level": "urgent", "says": "", "patterns": list(patterns)}
    entry |= {"examples": [], "counter_examples": []}
    return Lexicon({"version": "1", "words": {}, "idioms": [{"patterns": list(idioms)}], "entries": [entry]})


def held(lexicon, text):
    return next((hit.held for hit in lexicon.scan(words(text))), None)


def test_each_of_several_may_stand_on_either_side():
    lexicon = one("red ~1 line ~4 arm")
    for text in (
        "red line up my arm",
        "a line, red, up my arm",
        "my arm has a red line",
        "arm with a line red",
    ):
        assert held(lexicon, text) == ""
    assert held(lexicon, "line up my arm, red") is None


def test_the_end_may_be_one_of_several():
    lexicon = one("aventar _2 ya|$", "$|nothing")
    assert held(lexicon, "me voy a aventar") == "" and held(lexicon, "aventar todo ya") == ""
    assert held(lexicon, "aventar la pelota al perro hoy") is None
    assert held(lexicon, "hello. not") is None and held(lexicon, "") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nobody hits me", "negated"),
        ("nadie me hits", "negated"),
        ("nobody helps us and then he hits me", ""),
        ("nobody came, he hits me", ""),
        ("cant get to the kitchen without hits", ""),
        ("no puedo caminar sin hits", ""),
        ("fine without hits", "negated"),
        ("hits no more", "negated"),
        ("growing up he hits me", "past"),
        ("hits for an hour, weeks ago it was less", ""),
    ],
)
def test_denials(text, why):
    assert held(one("hits"), text) == why


def test_a_second_denial_is_no_end():
    assert held(one("cant+go+on"), "i cant go on no more") == ""


def test_an_unknown_set_is_an_error():
    entry = {"id": "a", "label": "x", "level": "urgent", "says": "", "patterns": ["@nothing"], "examples": []}
    with pytest.raises(KeyError):
        Lexicon({"version": "1", "words": {}, "idioms": [], "entries": [{**entry, "counter_examples": []}]})


REFUSALS = """no voy a poder|no voy a poder ir|no puedo ir|no podre ir|no llego|no alcanzo a llegar|no ire|no asistire|no voy
no creo que pueda|no creo poder|no me esperen|no vamos a ir|not coming|not gonna make it|no gonna make 3
im not going to make it|not able to come|dont think i can make it|dont expect me|cant make it|cant come
wont be there|wont make it|not going to be there|no cuenten conmigo|no va a poder ir
nope cant come|not showing up""".replace("\n", "|").split("|")
RED_FLAGS = [
    ("chest-pain", "dolor de pecho muy fuerte"),
    ("chest-pain", "bad chest pain since 6"),
    ("breathing", "me falta el aire"),
    ("breathing", "trouble breathing"),
    ("bleeding", "coughing up blood"),
]


@pytest.mark.parametrize("turn", [", ", " ", ". "])
@pytest.mark.parametrize(("entry", "flag"), RED_FLAGS)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_of_the_appointment_denies_no_symptom(refusal, entry, flag, turn):
    assert said(f"{refusal}{turn}{flag}").get(entry) == ""


@pytest.mark.parametrize("refusal", ["not coming", "no voy a poder ir", "cant make it"])
@pytest.mark.parametrize(
    "denial",
    ["no chest pain", "no tengo dolor de pecho", "no he tenido dolor de pecho", "sin dolor de pecho"],
)
def test_a_true_denial_stays_one(refusal, denial):
    for text in (denial, f"{refusal}, {denial}", f"{refusal}. {denial}"):
        assert said(text).get("chest-pain") != "", text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("i was hits in june", "past"),
        ("hits since he died in june", ""),
        ("he died in june and i look at the wall and hits", ""),
        ("hits, my surgery is in march", ""),
        ("got hits in 98", "past"),
        ("hits 98 degrees in 98 minutes", ""),
        ("hits back then", "past"),
        ("no me puedo mover hits", ""),
        ("not coming no hits", "negated"),
        ("no voy a poder ir no tengo hits", "negated"),
    ],
)
def test_what_is_over_by_a_month_or_a_year(text, why):
    assert held(one("hits"), text) == why
