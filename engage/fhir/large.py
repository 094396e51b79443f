"""JSON texts too large to hold: long arrays of codes go to a file as they are read, the rest is small.

A ValueSet of a million codes is one line of 90 MB, which as objects would be six times that. Here each element of an array
called "contains" or "concept" is parsed alone and spooled; what remains is parsed as usual, with lists that read the spool.
"""

import codecs
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import orjson

from engage.fhir import reading
from engage.fhir.reading import Item

CHUNK = 1 << 20
ARRAY = re.compile(r'"(?:contains|concept)"\s*:\s*\[')
LONGEST_START = 64  # an array's start may be cut by the end of a chunk
FILLER = re.compile(r"[\s,]*")
DECODER = json.JSONDecoder()


class Spooled(list[Any]):
    """A list whose elements are lines of a file, between two offsets."""

    def __init__(self, file: IO[bytes], start: int, end: int, length: int) -> None:
        super().__init__()
        self.file, self.start, self.end, self.length = file, start, end, length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        place, rest = self.start, b""
        while place < self.end:
            block = os.pread(self.file.fileno(), min(CHUNK, self.end - place), place)
            place += len(block)
            *lines, rest = (rest + block).split(b"\n")
            yield from map(orjson.loads, lines)


def is_large(path: Path) -> bool:
    """Whether the file is one JSON text beyond what a line may hold."""
    try:
        with reading.opened(path) as stream:
            head = stream.read(reading.MAX_LINE + 1)
    except reading.DAMAGED:
        return False  # the ordinary reader says what is wrong
    first, _, ahead = head.partition(b"\n")
    return len(head) > reading.MAX_LINE and (not ahead or reading.is_pretty(first.strip(), ahead[:64]))


def read(path: Path) -> Iterator[Item]:
    """The resources of a large file."""
    name = str(path)
    with reading.opened(path) as stream, TemporaryFile() as spool:
        try:
            shell, arrays = Splitter(stream, spool).split()
            spool.flush()
            found = _filled(orjson.loads(shell), arrays)
        except (*reading.DAMAGED, ValueError, RecursionError, orjson.JSONEncodeError) as error:
            yield Item(name, 1, None, f"The file is not JSON: {str(error)[:120]}.")
            return
        yield from reading.of_value(found, name, 1)


def _filled(value: Any, arrays: list[Spooled]) -> Any:
    """The text's objects, with the arrays back in their places."""
    if isinstance(value, dict):
        return {k: _filled(v, arrays) for k, v in value.items()}
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], dict) and "@spooled" in value[0]:
            return arrays[value[0]["@spooled"]]
        return [_filled(v, arrays) for v in value]
    return value


class Splitter:
    """Takes the arrays out of a stream of JSON."""

    def __init__(self, stream: io.BufferedReader, spool: IO[bytes]) -> None:
        self.stream, self.spool = stream, spool
        self.decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self.text, self.ended = "", False

    def more(self) -> bool:
        """Reads on; False at the end."""
        block = self.stream.read(CHUNK)
        self.ended = not block
        self.text += self.decode(block, final=self.ended)
        return not self.ended

    def split(self) -> tuple[str, list[Spooled]]:
        """What remains of the text, and the arrays."""
        shell: list[str] = []
        arrays: list[Spooled] = []
        while True:
            found = ARRAY.search(self.text)
            if found:
                shell.append(self.text[: found.end()] + f'{{"@spooled":{len(arrays)}}}')
                self.text = self.text[found.end() :]
                arrays.append(self.array())
            elif self.ended or not self.more():
                return "".join([*shell, self.text]), arrays
            elif len(self.text) > 2 * CHUNK:
                keep = len(self.text) - LONGEST_START
                shell.append(self.text[:keep])
                self.text = self.text[keep:]

    def array(self) -> Spooled:
        """Spools the elements up to the closing bracket, which stays."""
        start, place, count = self.spool.tell(), 0, 0
        while True:
            place = FILLER.match(self.text, place).end()  # type: ignore[union-attr]
            if self.text[place : place + 1] == "]":
                self.text = self.text[place:]
                return Spooled(self.spool, start, self.spool.tell(), count)
            try:
                element, place = DECODER.raw_decode(self.text, place)
            except json.JSONDecodeError:
                self.text, place = self.text[place:], 0
                if len(self.text) > 4 * CHUNK or not self.more():
                    raise
                continue
            self.spool.write(orjson.dumps(element) + b"\n")
            count += 1
