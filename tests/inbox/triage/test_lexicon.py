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


def test_an_unknown_set_is_an_error():
    entry = {"id": "a", "label": "x", "level": "urgent", "says": "", "patterns": ["@nothing"], "examples": []}
    with pytest.raises(KeyError):
        Lexicon({"version": "1", "words": {}, "idioms": [], "entries": [{**entry, "counter_examples": []}]})
