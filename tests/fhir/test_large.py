import gzip
import json
import tracemalloc

import pytest

from engage.fhir import large, reading
from engage.fhir.valuesets import value_set


def a_set(count, start=0, **more):
    contains = [
        {"system": "s", "code": f"c{n}", "display": 'a "contains": [ é'} for n in range(start, start + count)
    ]
    return {
        "resourceType": "ValueSet",
        "url": "urn:oid:1.2.3.4",
        "expansion": {"contains": contains, "total": count},
        **more,
    }


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(reading, "MAX_LINE", 4096)
    monkeypatch.setattr(large, "CHUNK", 512)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_large_text_reads_as_a_small_one_would(tmp_path, small, indent, pack):
    compose = {"include": [{"concept": [{"code": "x"}, {"code": "y"}], "system": "t"}]}
    listed = {"resourceType": "ValueSet", "url": "urn:oid:1.2.3.5", "compose": compose}
    nested = a_set(1, url="urn:oid:1.2.3.6")
    nested["expansion"]["contains"][0]["contains"] = [{"system": "s", "code": "below"}]
    bundle = {"resourceType": "Bundle", "entry": [{"resource": r} for r in (a_set(300), listed, nested)]}
    file = tmp_path / "b.json"
    file.write_bytes(pack(json.dumps(bundle, indent=indent).encode()))
    assert large.is_large(file)
    found = {(row := value_set(i.resource)).oid: row.codes for i in large.read(file)}
    assert found == {
        "1.2.3.4": {("s", f"c{n}") for n in range(300)},
        "1.2.3.5": {("t", "x"), ("t", "y")},
        "1.2.3.6": {("s", "c0"), ("s", "below")},
    }


def test_small_files_and_lines_are_for_the_ordinary_reader(tmp_path, small):
    one, many = tmp_path / "one.json", tmp_path / "many.ndjson"
    one.write_text(json.dumps(a_set(3)))
    many.write_text((json.dumps(a_set(10)) + "\n") * 30)
    assert not large.is_large(one)
    assert not large.is_large(many)


def test_half_a_large_text_is_one_clear_problem(tmp_path, small):
    file = tmp_path / "half.json"
    whole = json.dumps(a_set(300))
    file.write_text(whole[: len(whole) // 2])
    assert large.is_large(file)
    items = list(large.read(file))
    assert len(items) == 1
    assert items[0].problem.startswith("The file is not JSON")


@pytest.mark.parametrize("odd", [r'"\ud800"', str(2**70), '{"a":' * 2000 + "1" + "}" * 2000])
def test_what_no_spool_takes_is_one_clear_problem(tmp_path, small, odd):
    file = tmp_path / "odd.json"
    file.write_text(json.dumps(a_set(300)).replace('"system": "s"', f'"system": {odd}', 1))
    assert large.is_large(file)
    assert [i.problem[:20] for i in large.read(file)] == ["The file is not JSON"]


def test_ninety_thousand_codes_take_little_memory(tmp_path):
    file = tmp_path / "big.json"
    file.write_text(json.dumps(a_set(90_000)).replace('a \\"contains', "x" * 160 + 'a \\"contains'))
    assert file.stat().st_size > reading.MAX_LINE
    tracemalloc.start()
    resource = next(large.read(file)).resource
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(resource["expansion"]["contains"]) == 90_000
    assert peak < 12 * 1024 * 1024
