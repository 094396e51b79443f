import gzip
import json
import tracemalloc

import pytest

from engage.fhir import large, reading


def patient(id="1", **more):
    return {"resourceType": "Patient", "id": id, **more}


def write(path, *lines):
    path.write_bytes(b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines) + b"\n")
    return path


def ids(items):
    return [i.resource["id"] for i in items if i.resource]


def test_lines_plain_and_gzipped_whatever_the_name_says(tmp_path):
    plain = write(tmp_path / "a.ndjson", patient("1"), patient("2"))
    packed = tmp_path / "b.ndjson"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert ids(reading.read(plain)) == ids(reading.read(packed)) == ["1", "2"]


def test_a_broken_line_is_one_problem_and_the_others_go_on(tmp_path):
    file = write(
        tmp_path / "a.ndjson",
        patient("1"),
        b'{"resourceType": "Patient", "id": "2"',
        b"",
        b"\xff\xfe",
        patient("3"),
    )
    found = list(reading.read(file))
    assert ids(found) == ["1", "3"]
    assert [(i.line, i.problem[:20]) for i in found if i.problem] == [
        (2, "The line is not JSON"),
        (4, "The line is not JSON"),
    ]


def test_a_first_line_broken_off_after_a_comma_does_not_swallow_the_file(tmp_path):
    file = write(tmp_path / "a.ndjson", b'{"resourceType": "Patient",', patient("2"), patient("3"))
    assert ids(reading.read(file)) == ["2", "3"]


@pytest.mark.parametrize(
    "line", [b"5", b'"x"', b"null", b"{}", b'{"resourceType": 5}', b'{"a": NaN}', b"[" * 5000]
)
def test_json_that_is_no_resource_is_a_problem(tmp_path, line):
    found = list(reading.read(write(tmp_path / "a.ndjson", patient("1"), line)))
    assert len(found) == 2
    assert found[1].problem


def test_a_line_of_50_megabytes_is_one_reject_and_memory_stays(tmp_path):
    file = tmp_path / "a.ndjson"
    with file.open("wb") as out:
        out.write(json.dumps(patient("1")).encode() + b'\n{"resourceType":"Patient","id":"')
        for _ in range(50):
            out.write(b"x" * 1024 * 1024)
        out.write(b'"}\n' + json.dumps(patient("3")).encode() + b"\n")
    tracemalloc.start()
    found = list(reading.read(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 1024 * 1024
    assert ids(found) == ["1", "3"]
    assert [(i.line, i.problem) for i in found if i.problem] == [
        (2, "The line is longer than 16 MB; it was skipped.")
    ]


def test_a_gzip_that_breaks_off_gives_what_it_has_and_says_so(tmp_path):
    whole = gzip.compress(b"".join(json.dumps(patient(str(n))).encode() + b"\n" for n in range(20_000)))
    file = tmp_path / "a.ndjson.gz"
    file.write_bytes(whole[: len(whole) // 2])
    found = list(reading.read(file))
    assert len(found) > 1
    assert "cannot be read to its end" in found[-1].problem


def test_a_gzip_damaged_inside_is_a_problem(tmp_path):
    packed = bytearray(gzip.compress(json.dumps(patient()).encode()))
    packed[10] = 0xFF  # a kind of block that does not exist
    file = tmp_path / "a.ndjson.gz"
    file.write_bytes(bytes(packed))
    assert [i.problem for i in reading.read(file)] == ["The file cannot be read to its end: damaged gzip."]
    assert reading.find_files([file]) == [file]
    assert not large.is_large(file)


def test_a_file_that_cannot_be_opened_is_a_problem(tmp_path):
    file = tmp_path / "a.ndjson"
    file.symlink_to(tmp_path)  # a folder, by another name
    assert [i.problem for i in reading.read(file)] == [
        "The file cannot be read to its end: IsADirectoryError."
    ]
    assert not large.is_large(file)


def test_an_entry_nested_too_deep_is_a_problem_and_the_others_go_on(tmp_path):
    deep = b'{"a":' * 990 + b"1" + b"}" * 990
    entry = b'{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","id":"1","x":' + deep + b"}}"
    other = b'{"resource":{"resourceType":"Patient","id":"2"}}'
    line = b'{"resourceType":"Bundle","entry":[' + entry + b"," + other + b"]}"
    found = list(reading.read(write(tmp_path / "a.ndjson", line, patient("3"))))
    assert ids(found) == ["2", "3"]
    assert [i.problem for i in found if i.problem] == [reading.TOO_DEEP]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("kind", ["collection", "searchset", "transaction"])
def test_a_bundle_gives_patients_first_and_resolves_its_urns(tmp_path, kind, indent):
    uuid = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    visit = {"resourceType": "Encounter", "id": "e", "subject": {"reference": uuid}}
    bundle = {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": visit},
            {"fullUrl": uuid, "resource": {"resourceType": "Patient"}, "request": {"method": "POST"}},
            {"request": {"method": "DELETE", "url": "Patient/9"}},
        ],
    }
    file = tmp_path / "b.json"
    file.write_text(json.dumps(bundle, indent=indent))
    patient_found, gone, visit_found = [i.resource for i in reading.read(file)]
    assert gone == {"resourceType": "Patient", "id": "9"}
    assert patient_found["id"] == "61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    assert visit_found["subject"]["reference"] == "Patient/61ebe359-bfdc-4613-8bf2-c5e300945f0a"


@pytest.mark.parametrize(
    "entry",
    [5, "x", None, {"resource": {"id": "x"}}, {"resource": {"resourceType": 5}}, {"resource": [1]}]
    + [
        {"request": {"method": "DELETE", "url": url}}
        for url in (None, "x", "Patient?identifier=1", "Patient/")
    ],
)
def test_an_entry_that_cannot_be_read_is_a_problem(entry):
    bundle = {"resourceType": "Bundle", "entry": [entry, {"resource": patient("1")}]}
    found = list(reading.of_value(bundle, "memory", 7))
    assert ids(found) == ["1"]
    assert [(i.line, bool(i.problem)) for i in found if not i.resource] == [(7, True)]


def test_an_outcome_is_no_problem():
    bundle = {"resourceType": "Bundle", "entry": [{"fullUrl": "x", "response": {"status": "404"}}]}
    assert list(reading.of_value(bundle, "memory", 1)) == []


def test_a_history_is_read_from_its_oldest_entry():
    entries = [
        {"request": {"method": "DELETE", "url": "http://x/fhir/Procedure/a"}},
        {"resource": {"resourceType": "Procedure", "id": "a"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "history", "entry": entries}
    assert [i.deleted for i in reading.of_value(bundle, "memory", 1)] == [False, True]


def test_bundles_as_lines_bundles_in_bundles_and_lists(tmp_path):
    inner = {"resourceType": "Bundle", "entry": [{"resource": patient("2")}]}
    outer = {"resourceType": "Bundle", "entry": [{"resource": patient("1")}, {"resource": inner}]}
    file = write(tmp_path / "a.ndjson", outer, [patient("3"), patient("4")])
    assert sorted(ids(reading.read(file))) == ["1", "2", "3", "4"]


def test_a_folder_is_read_in_the_order_that_resolves_references(tmp_path):
    write(tmp_path / "Condition.ndjson", {"resourceType": "Condition", "id": "c"})
    write(tmp_path / "Patient.ndjson", patient())
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep" / "Organization.json", {"resourceType": "Organization", "id": "o"})
    write(tmp_path / "notes.txt", b"x")
    assert [p.name for p in reading.find_files([tmp_path, tmp_path / "Patient.ndjson"])] == [
        "Organization.json",
        "Patient.ndjson",
        "Condition.ndjson",
    ]


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        reading.find_files([tmp_path / "nowhere"])


def test_the_log_of_a_bulk_export_is_passed_over(tmp_path):
    file = write(tmp_path / "log.ndjson", {"exportId": "1", "eventId": "kickoff", "eventDetail": {}})
    assert [i.passed_over for i in reading.read(file)] == ["ExportLog"]


def test_within_a_bundle_a_reference_may_use_the_full_url(tmp_path):
    entries = [
        {"fullUrl": "http://x/fhir/Patient/other", "resource": patient("1")},
        {"fullUrl": "http://x/fhir/Encounter/e", "resource": {"resourceType": "Encounter", "subject": {}}},
    ]
    for written in ("Patient/other", "http://x/fhir/Patient/other", "Patient/1"):
        entries[1]["resource"]["subject"]["reference"] = written
        entries[1]["resource"].pop("id", None)
        bundle = json.loads(json.dumps({"resourceType": "Bundle", "entry": entries}))
        visit = list(reading.of_value(bundle, "memory", 1))[1].resource
        assert (visit["id"], visit["subject"]["reference"]) == ("e", "Patient/1")
