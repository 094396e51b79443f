import gzip
import io
import json
import time

import pytest
from django.core.management import CommandError, call_command

from engage.records import concepts, valuesets
from engage.records.actions import import_resources
from engage.records.models import ValueSet, ValueSetCode

pytestmark = pytest.mark.django_db
COLONOSCOPY = "2.16.840.1.113883.3.464.1003.108.12.1020"


@pytest.fixture(autouse=True)
def none_loaded(db):
    """The database of the tests begins with those shipped."""
    ValueSetCode.objects.all().delete()
    ValueSet.objects.all().delete()


def value_set(oid="1.2.3.4", *codes, **more):
    contains = [{"system": "s", "code": c} for c in codes]
    return {
        "resourceType": "ValueSet",
        "url": f"urn:oid:{oid}",
        "name": "N",
        "expansion": {"contains": contains},
        **more,
    }


def load(*paths):
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("load_valuesets", *map(str, paths), stdout=out, stderr=err)
        code = 0
    except SystemExit as ended:
        code = ended.code
    return out.getvalue().strip(), err.getvalue().splitlines(), code


def test_the_shipped_sets_hold_what_the_cards_say():
    found = {row.oid: row for row in valuesets.shipped()}
    assert len(found) == 172
    assert sum(len(row.codes) for row in found.values()) == 24_227
    for oid, count in {
        COLONOSCOPY: 51,
        "2.16.840.1.113883.3.464.1003.108.12.1018": 97,  # mammography
        "2.16.840.1.113883.3.464.1003.104.12.1011": 17,  # essential hypertension
        "2.16.840.1.113883.3.464.1003.110.12.1082": 1797,  # advanced illness
        "2.16.840.1.113883.3.526.3.1570": 17,  # referral, adolescent depression
    }.items():
        assert len(found[oid].codes) == count
    assert ("http://www.ama-assn.org/go/cpt", "45378") in found[COLONOSCOPY].codes


def test_ensure_loads_them_once_and_quickly(django_assert_num_queries):
    started = time.monotonic()
    valuesets.ensure()
    assert time.monotonic() - started < 10  # 0.5 s alone
    assert (ValueSet.objects.count(), ValueSetCode.objects.count()) == (172, 24_227)
    with django_assert_num_queries(1):
        valuesets.ensure()


def test_ensure_leaves_a_set_that_was_loaded_from_a_file(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(value_set(COLONOSCOPY, "1")))
    load(file)
    valuesets.ensure()
    assert ValueSetCode.objects.filter(value_set__oid=COLONOSCOPY).count() == 1
    load()
    assert ValueSetCode.objects.filter(value_set__oid=COLONOSCOPY).count() == 1


def test_members_are_concepts_any_of_whose_codings_is_in_the_set():
    def procedure(id, *codings):
        coded = [{"system": s, "code": c} for s, c in codings]
        return {
            "resourceType": "Procedure",
            "id": id,
            "subject": {"reference": "Patient/p"},
            "code": {"coding": coded},
        }

    cpt = "http://www.ama-assn.org/go/cpt"
    import_resources(
        [
            {"resourceType": "Patient", "id": "p"},
            procedure("a", ("local", "1"), (cpt, "45378")),
            procedure("b", (cpt, "45378")),
            procedure("c", ("local", "45378")),
        ]
    )
    valuesets.ensure()
    assert len(concepts.members(COLONOSCOPY)) == 2
    assert len(concepts.matching(cpt, "45378")) == 2
    assert len(concepts.matching("local", "45378")) == 1
    assert concepts.members("9.9.9.9") == set()


def test_files_bundles_lines_and_gzip(tmp_path):
    bundle = {"resourceType": "Bundle", "entry": [{"resource": value_set("1.2.3.1", "a", "b")}]}
    (tmp_path / "bundle.json").write_text(json.dumps(bundle, indent=1))
    lines = "\n".join(json.dumps(value_set(f"1.2.3.{n}", "a")) for n in (2, 3))
    (tmp_path / "lines.ndjson.gz").write_bytes(gzip.compress(lines.encode()))
    assert load(tmp_path) == ("ValueSet created=3 updated=0 unchanged=0 rejected=0 codes=4", [], 0)
    assert load(tmp_path)[0] == "ValueSet created=0 updated=0 unchanged=3 rejected=0 codes=4"


def test_a_set_that_has_become_empty_is_a_problem_and_the_old_one_stays(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(value_set("1.2.3.4", "a")))
    load(file)
    file.write_text(json.dumps(value_set("1.2.3.4")))
    assert load(file) == (
        "ValueSet created=0 updated=0 unchanged=0 rejected=1 codes=0",
        [f"{file}:1: The value set lists no codes."],
        1,
    )
    assert ValueSetCode.objects.count() == 1


@pytest.mark.parametrize(
    ("older", "newer"), [("2019", "2026"), ("20250101", "2026"), ("1.9", "1.10"), ("", "1"), ("same", "same")]
)
@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_versions_in_one_load_the_newer_is_kept_and_told(tmp_path, older, newer, turn):
    file = tmp_path / "a.ndjson"
    sets = [value_set("1.2.3.4", code, version=v) for code, v in (("old", older), ("new", newer))][::turn]
    file.write_text("\n".join(map(json.dumps, sets)))
    _, problems, code = load(file)
    assert (problems, code) == ([f'{file}:2: 1.2.3.4 came twice; version "{newer}" was kept.'], 1)
    assert ValueSetCode.objects.get().code == ("old" if turn < 0 and older == newer else "new")
    file.write_text(json.dumps(sets[0]) + "\n" + json.dumps(sets[0]))
    assert load(file)[1:] == ([], 0)


def test_a_changed_set_loses_the_codes_it_no_longer_has(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(value_set("1.2.3.4", "a", "b")))
    load(file)
    file.write_text(json.dumps(value_set("1.2.3.4", "b", "c")))
    assert load(file)[0].startswith("ValueSet created=0 updated=1")
    assert set(ValueSetCode.objects.values_list("code", flat=True)) == {"b", "c"}


def test_half_a_line_is_named_and_the_others_are_loaded(tmp_path):
    file = tmp_path / "a.ndjson"
    good = json.dumps(value_set("1.2.3.4", "a"))
    file.write_text(
        good + "\n" + good[: len(good) // 2] + "\n" + json.dumps({"resourceType": "Patient", "id": "p"})
    )
    out, problems, code = load(file)
    assert out.startswith("ValueSet created=1 updated=0 unchanged=0 rejected=2")
    assert problems[0].startswith(f"{file}:2: The line is not JSON")
    assert problems[1] == f"{file}:3: This is no ValueSet."
    assert code == 1


def test_a_path_that_is_not_there():
    with pytest.raises(CommandError, match="no file or folder"):
        call_command("load_valuesets", "/nowhere/x")


def test_a_large_set_goes_in_by_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(valuesets, "BATCH", 1000)
    file = tmp_path / "big.json"
    file.write_text(json.dumps(value_set("1.2.3.4", *(f"c{n}" for n in range(25_000)))))
    assert load(file)[0].endswith("codes=25000")
    assert ValueSetCode.objects.count() == 25_000
