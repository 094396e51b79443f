"""Packs value sets for shipping: ship_valuesets.py FILE… > engage/records/valuesets/shipped.json.gz

Each FILE (.json.gz) has {"valuesets": {url: {"name", "codes": [[system, code], …]}}}, as measure packages list them. Sets
are keyed by OID, each once; the shorter of two names stays.
"""

import gzip
import json
import sys
from collections import defaultdict
from pathlib import Path

ORIGIN = (
    "Value sets of the eCQM content for the 2025 measurement period (CMS2, 117, 122, 124, 125, 130, 131, 138, 139, 153,"
    " 165, 347, 349, 951), as published through the NLM Value Set Authority Center; see NOTICE."
)


def packed(paths: list[Path]) -> dict:
    sets: dict[str, dict] = {}
    for path in paths:
        for url, found in json.loads(gzip.decompress(path.read_bytes()))["valuesets"].items():
            oid, codes = url.rsplit("/", 1)[-1], defaultdict(set)
            for system, code in found["codes"]:
                codes[system].add(code)
            one = {"name": found["name"], "codes": {s: sorted(c) for s, c in sorted(codes.items())}}
            before = sets.get(oid)
            if before and before["codes"] != one["codes"]:
                sys.exit(f"{oid} has different codes in {path}")
            if before is None or len(one["name"]) < len(before["name"]):
                sets[oid] = one
    return {"origin": ORIGIN, "version": "eCQM 2025", "valuesets": dict(sorted(sets.items()))}


if __name__ == "__main__":
    text = json.dumps(packed([Path(p) for p in sys.argv[1:]]), separators=(",", ":")).encode()
    sys.stdout.buffer.write(gzip.compress(text, 9, mtime=0))
