"""The model file belongs to the data beside it, loads fast and needs nothing but Python."""

import hashlib
import json
import subprocess
import sys
import time

from engage.inbox.triage import classifier
from engage.inbox.triage.reading import LABELS
from engage.inbox.triage.split import part

DATA = classifier.PATH.parent
TIED = ("replies-*.jsonl", "extra-*.jsonl", "lexicon.json", "vocabulary.json", "meanings.json.gz")


def test_the_model_is_tied_to_its_data():
    digest = hashlib.sha256()
    for pattern in TIED:
        for path in sorted(DATA.glob(pattern)):
            digest.update(path.read_bytes())
    assert classifier.load().data_sha256 == digest.hexdigest(), (
        "train again: python -m engage.inbox.triage.train"
    )


def test_the_sealed_part_is_not_in_the_training_data():
    rows = [json.loads(line) for path in DATA.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(rows) > 3000
    assert not [r["id"] for r in rows if r.get("origin") != "written" and part(r["id"]) == "test"]
    assert all(set(r["labels"]) <= set(LABELS) and r["labels"] for r in rows)
    assert {r.get("origin") for r in rows} == {None, "written"}


def test_small_and_quick_to_load():
    assert classifier.PATH.stat().st_size < 10_000_000
    classifier.load.cache_clear()
    begin = time.process_time()
    classifier.load()
    assert time.process_time() - begin < 1


def test_reading_needs_no_third_party_package():
    code = (
        "import sys; from engage.inbox.triage import read; read('hi');"
        "print([m for m in ('django', 'numpy', 'scipy', 'sklearn') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
