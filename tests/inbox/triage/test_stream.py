import json

from engage.inbox.triage.stream import lines


def test_lines_in_lines_out():
    good = json.dumps({"id": 7, "text": "tengo dolor de pecho", "channel": "sms", "lang": "es"})
    bad = ["{", "[]", '{"id": 1}', '{"id": 2, "text": null}', '{"id": 3, "text": 5}', "", "[" * 100_000]
    found = [json.loads(line) for line in lines([good, *bad, good])]
    assert found[0] == found[-1]
    assert found[0]["id"] == 7 and found[0]["level"] == "urgent" and found[0]["lang"] == "es"
    assert set(found[0]["findings"][0]) == {"label", "evidence", "source"}
    assert [(f["id"], f["line"]) for f in found[1:-1]] == [(None, n) for n in (2, 3, 4, 5, 6, 8)]
    assert "line 2" in found[1]["error"]


def test_absent_fields_are_empty():
    assert json.loads(next(lines(['{"text": "ok"}'])))["id"] is None
    assert "error" not in next(lines(['{"id": "x", "text": "ok", "outbound": null}']))
