import pytest

from engage.fhir.problems import BadResource
from engage.fhir.valuesets import value_set

URL = "http://cts.nlm.nih.gov/fhir/ValueSet/2.16.840.1.113883.3.464.1003.108.12.1020|20250101"


def test_an_expansion_with_nesting_and_groups():
    row = value_set(
        {
            "url": URL,
            "name": "Colonoscopy",
            "expansion": {
                "total": 4,
                "contains": [
                    {
                        "system": "s",
                        "code": "group",
                        "abstract": True,
                        "contains": [{"system": "s", "code": "1"}],
                    },
                    {"system": "s", "code": "2"},
                    {"system": "s", "code": "2"},
                ],
            },
        }
    )
    assert (row.oid, row.name) == ("2.16.840.1.113883.3.464.1003.108.12.1020", "Colonoscopy")
    assert row.codes == {("s", "1"), ("s", "2")}


def test_codes_listed_one_by_one_less_those_excluded():
    concepts = [{"code": "1"}, {"code": "2"}]
    compose = {
        "include": [{"system": "s", "concept": concepts}],
        "exclude": [{"system": "s", "concept": concepts[:1]}],
    }
    assert value_set({"url": "http://example.org/vs", "compose": compose}).codes == {("s", "2")}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"url": URL}, "lists no codes"),
        ({"url": URL, "compose": {"include": [{"system": "s", "filter": [{}]}]}}, "defined by a rule"),
        ({"url": URL, "compose": {"include": [{"system": "s"}]}}, "defined by a rule"),
        (
            {"url": URL, "expansion": {"total": 9, "offset": 0, "contains": [{"system": "s", "code": "1"}]}},
            "part only",
        ),
        ({"url": URL, "expansion": {"total": 9, "contains": [{"system": "s", "code": "1"}]}}, "1 of 9"),
        ({"url": URL, "expansion": {"contains": []}}, "lists no codes"),
        (
            {"url": URL, "expansion": {"contains": [{"system": "s", "code": "1", "abstract": True}]}},
            "no codes",
        ),
        ({"url": URL, "expansion": {"contains": [None, "x"]}}, "no object"),
        ({"url": URL, "expansion": {"contains": [{"system": "s", "code": "1"}, "x"]}}, "no object"),
        ({"url": URL, "compose": {}}, "lists no codes"),
        ({"url": URL, "compose": {"include": ["x"]}}, "no object"),
        ({"url": URL, "compose": {"include": [{"system": "s", "concept": ["x"]}]}}, "no object"),
        ({"url": URL, "expansion": {"contains": [{"code": "1"}]}}, "no system"),
        ({"url": URL, "expansion": {"contains": [{"system": "s", "code": "x" * 100}]}}, "too long"),
        ({"expansion": {"contains": []}}, "neither an OID nor a URL"),
    ],
)
def test_what_cannot_be_used_says_why(broken, said):
    with pytest.raises(BadResource, match=said):
        value_set(broken)
