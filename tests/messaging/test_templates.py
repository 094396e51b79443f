"""Wording: the closed list of placeholders and what a text may say."""

import pytest

from engage.campaigns.starters import WORDING
from engage.messaging import templates
from engage.messaging.models import Template
from engage.messaging.safety import WORDINGS
from engage.messaging.templates import WordingError, check, render
from tests.base import CastTestCase

GOOD = "{first_name}, {clinic_name} here. You are due for a check-up. Call {clinic_phone}. Reply STOP to opt out."


def test_the_starters_and_the_safety_texts_hold_to_it():
    assert check(GOOD) == []
    assert not [problem for texts in WORDING.values() for body in texts.values() for problem in check(body)]
    assert not [problem for w in WORDINGS for problem in check(w.body, w.purpose)]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (GOOD + " {diagnosis}", "There is no placeholder {diagnosis}"),
        (GOOD + " {first_name.__class__}", "There is no placeholder"),
        (GOOD + " {{x}}", "There is no placeholder {x}"),
        (GOOD + " }", "A curly bracket stands alone"),
        (GOOD + " {inbox_link}", "There is no placeholder {inbox_link}"),
        (GOOD.replace("STOP", "bye"), "Say how to stop"),
        (GOOD.replace("{clinic_phone}", "us"), "Give the number where a person answers"),
        (GOOD.replace("{clinic_name}", "We"), "Say who writes"),
        (GOOD.replace("check-up", "mammogram"), "“mammogram” may reveal"),
        (GOOD.replace("check-up", "colonoscopia"), "“colonoscopia” may reveal"),
        (GOOD + " Presión arterial", "“presion arterial” may reveal"),
        (GOOD + " 20% discount!", "no offers"),
        (GOOD + " bit.ly/x", "Shortened links"),
        (GOOD + " https://x.org/?id=1", "Shortened links"),
        (GOOD + " Reply CANCEL to cancel.", "Don't ask for CANCEL"),
        (GOOD + " Reply YES.", "Don't ask for CANCEL"),
        (GOOD + " word" * 60, "keep it under 320"),
        ("  ", "Write something"),
    ],
)
def test_what_a_wording_may_not_say(body, says):
    assert any(says in problem for problem in check(body)), check(body)


class Rendering(CastTestCase):
    def test_filled_in_with_the_phones_own_punctuation(self):
        assert render("“{first_name}” — {clinic_name}, {clinic_phone}", self.patient, self.clinic) == (
            '"Ana" - Harbor Clinic, (617) 555-0100'
        )

    def test_a_name_brings_no_placeholder(self):
        self.patient.given = "{clinic_phone}"
        assert render("{first_name}!", self.patient, self.clinic) == "{clinic_phone}!"

    def test_nobodys_name(self):
        self.patient.given = ""
        assert render("{first_name}, hi", self.patient, self.clinic) == "Hello, hi"
        self.patient.language = "es"
        assert render("{first_name}, hi", self.patient, self.clinic) == "Hola, hi"

    def test_what_is_missing_is_said(self):
        for body, clinic in (("{unknown}", self.clinic), ("{clinic_phone}", None)):
            with pytest.raises(WordingError):
                render(body, self.patient, clinic)

    def test_the_latest_approved_is_taken_and_a_clinics_own_first(self):
        def make(version, approved, clinic=None, language="en"):
            return Template.objects.create(
                key="x", version=version, name="x", body="x", language=language, clinic=clinic,
                approved_at="2026-01-01T00:00Z" if approved else None,
            )  # fmt: skip

        first, _, own = make(1, True), make(2, False), make(3, True, self.clinic)
        make(1, False, language="es")
        assert templates.pick("x", "en", self.other_clinic) == first
        assert templates.pick("x", "en", self.clinic) == own
        assert templates.pick("x", "es") is None
        assert templates.languages("x") == {"en"}
