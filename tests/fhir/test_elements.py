import pytest

from engage.fhir import elements
from engage.fhir.elements import Reference
from engage.fhir.problems import BadResource


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"reference": "Patient/1"}, Reference("Patient", "1")),
        ({"reference": "https://ehr.example.org/fhir/Patient/1"}, Reference("Patient", "1")),
        ({"reference": "Patient/1/_history/3"}, Reference("Patient", "1")),
        ({"reference": "urn:uuid:61ebe359-bfdc"}, Reference("Patient", "61ebe359-bfdc")),
        ({"reference": "#med"}, Reference("Patient", contained="med")),
        (
            {"reference": "Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|999", "display": "Dr. A"},
            Reference("Practitioner", identifier="http://hl7.org/fhir/sid/us-npi|999", display="Dr. A"),
        ),
        (
            {"reference": "Patient?identifier=s|a%00b%01"},
            Reference("Patient", identifier="s|ab"),
        ),
        ({"identifier": {"system": "s", "value": "v"}}, Reference("Patient", identifier="s|v")),
        ({"display": "somebody"}, elements.NOBODY),
        ({"reference": 7}, elements.NOBODY),
        ("Patient/1", elements.NOBODY),
        (None, elements.NOBODY),
    ],
)
def test_every_form_of_reference(value, wanted):
    assert elements.reference(value, "Patient") == wanted


def test_a_concept_is_the_union_of_its_codings_in_any_order():
    one = elements.concept({"coding": [{"system": "a", "code": "2"}, {"system": "a", "code": "1"}]})
    two = elements.concept(
        [{"coding": [{"system": "a", "code": "1"}]}, {"coding": [{"system": "a", "code": "2"}]}]
    )
    assert one.codings == two.codings == (("a", "1"), ("a", "2"))


def test_words_come_from_the_text_then_the_display_then_the_code():
    coding = {"system": "a", "code": "1", "display": "shown"}
    assert elements.concept({"text": "said", "coding": [coding]}).display == "said"
    assert elements.concept({"coding": [coding]}).display == "shown"
    assert elements.concept({"coding": [{"system": "a", "code": "1"}]}).display == "1"


@pytest.mark.parametrize(
    "value", [None, {}, [], "x", {"coding": []}, {"coding": [{"code": 5}]}, {"coding": ["x"]}]
)
def test_what_holds_no_code_is_nothing(value):
    assert elements.concept(value) == elements.NOTHING


def test_words_lose_nul_and_control_characters():
    assert elements.words("Ana\0 Ri\x07vera") == "Ana Rivera"
    assert elements.words({"a": 1}) == ""
    assert len(elements.words("x" * 900, 100)) == 100


def test_a_number_must_be_one():
    assert elements.number(9) == 9.0
    assert elements.number(None) is None
    for wrong, said in (("9", "text"), (True, "true or false"), ([9], "a list"), (10**400, "too large")):
        with pytest.raises(BadResource, match=said):
            elements.number(wrong)
    with pytest.raises(BadResource, match="finite"):
        elements.number(float("nan"))


@pytest.mark.parametrize("wrong", [None, "", 5, "a b", "a/b", "x" * 65, "a\0b", "a|b"])
def test_an_id_no_reference_could_name_is_refused(wrong):
    with pytest.raises(BadResource):
        elements.resource_id({"id": wrong})
