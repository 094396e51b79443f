"""Everyday replies page nobody; grave ones in indirect or misspelt words do. None of these were trained on."""

import json

import pytest

from engage.inbox.triage import classifier, read

DATA = classifier.PATH.parent
OUTBOUND = (
    "",
    "Your prescription is ready for pickup at the pharmacy.",
    "Reminder: appointment Tue at 10:20 AM. Reply C to confirm or R to reschedule.",
    "You're due for a mammogram. Reply YES and we'll call you to schedule, NO to decline, STOP to opt out.",
)


def rows(name):
    """Language, label and text of one file of sentences."""
    return [tuple(line.split("\t")) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


EVERYDAY, GRAVE = rows("everyday.tsv"), rows("grave.tsv")
MEDICINES = [row for row in EVERYDAY if row[1] == "medication"]


@pytest.mark.parametrize(("lang", "label", "text"), EVERYDAY)
def test_everyday_is_not_urgent(lang, label, text):
    urgent = [o for o in OUTBOUND if read(text, outbound=o).level == "urgent"]
    assert not urgent, (lang, label, urgent)


@pytest.mark.parametrize(("lang", "label", "text"), GRAVE)
def test_grave_is_urgent_under_any_question(lang, label, text):
    found = [read(text, outbound=o).level for o in OUTBOUND]
    assert found == ["urgent"] * len(OUTBOUND), (lang, label)


def test_medicines_are_significant_and_mostly_called_so():
    read_ = [read(text) for _, _, text in MEDICINES]
    assert {r.level for r in read_} == {"significant"}
    assert sum("medication" in r.labels for r in read_) >= 0.93 * len(read_)


@pytest.mark.parametrize(
    "text",
    [
        "I ran out of my blood pressure pills and the pharmacy says no refills",
        "Se me acabaron las pastillas de la presion",
        "I ran out of my insulin yesterday",
    ],
)
def test_running_out_is_a_matter_of_medicines(text):
    reading = read(text)
    assert reading.level == "significant" and reading.labels[0] == "medication"


def test_alone_the_classifier_must_be_surer():
    at = classifier.load().thresholds
    assert at["urgent"] < at["urgent_alone"] < at["urgent_everyday"]


def test_none_of_these_sentences_is_training_data():
    paths = classifier.PATH.parent.glob("extra-*.jsonl")
    known = {json.loads(line)["text"].casefold() for p in paths for line in p.read_text().splitlines()}
    assert not known & {text.casefold() for *_, text in (*EVERYDAY, *GRAVE)}
