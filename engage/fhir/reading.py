"""Reads files of FHIR resources one at a time: NDJSON, JSON and Bundles, plain or gzipped, alone or in folders.

Nothing larger than one line is held. A line beyond MAX_LINE is skipped, not read; a Bundle in a file of its own may be
MAX_BUNDLE long.
"""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from engage.fhir import elements

MAX_LINE = 16 * 1024 * 1024
MAX_BUNDLE = 256 * 1024 * 1024
SUFFIXES = (".ndjson", ".json", ".jsonl", ".ndjson.gz", ".json.gz", ".jsonl.gz")
# What others refer to comes first, so that little has to wait for the end.
FIRST = (
    "Organization", "Location", "Practitioner", "PractitionerRole", "Patient", "Medication", "Encounter",
)  # fmt: skip

DAMAGED = (OSError, EOFError, zlib.error)  # what opening and reading a file may raise
TOO_DEEP = "Its elements lie too deep in one another."
NO_RESOURCE = "An entry of the Bundle holds no resource that can be read."


class Item(NamedTuple):
    """One resource and where it was, or why there is none."""

    file: str
    line: int
    resource: dict[str, Any] | None
    problem: str = ""
    passed_over: str = ""  # a name for what is no resource, on purpose
    deleted: bool = False  # the record has deleted it; the resource has type and id only


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The files of the paths and folders, each once, in the order that lets references resolve early.

    Raises FileNotFoundError with the path that does not exist.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(
                sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES))
            )
        elif path.exists():
            found[path] = None
        else:
            raise FileNotFoundError(str(path))
    return sorted(found, key=_turn)


def _turn(path: Path) -> int:
    """When a file's turn comes, by the type of its first resource."""
    kind = next((i.resource.get("resourceType") for i in read(path) if i.resource), "")
    return FIRST.index(kind) if kind in FIRST else len(FIRST)


def opened(path: Path) -> io.BufferedReader:
    """The file's bytes, unpacked when they are gzip, whatever the name says."""
    raw = path.open("rb")
    if raw.peek(2)[:2] == b"\x1f\x8b":
        return io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 18)
    return raw


def read(path: Path, limit: int = MAX_LINE) -> Iterator[Item]:
    """Every resource of a file. What cannot be read is an item with a problem; the next lines go on."""
    name = str(path)
    try:
        with opened(path) as stream:
            yield from _read(stream, name, limit)
    except DAMAGED as error:
        what = "damaged gzip" if isinstance(error, zlib.error) else type(error).__name__
        yield Item(name, 0, None, f"The file cannot be read to its end: {what}.")


def _read(stream: io.BufferedReader, name: str, limit: int) -> Iterator[Item]:
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) > limit and not line.endswith(b"\n"):
            if number == 1 and _starts_bundle(line):
                yield from _whole(stream, name, line)
                return
            line = b""  # 16 MB less while the rest goes by
            _skip_line(stream)
            yield Item(name, number, None, f"The line is longer than {limit >> 20} MB; it was skipped.")
            continue
        line = line.removeprefix(b"\xef\xbb\xbf").strip()
        if number == 1 and is_pretty(line, stream.peek(64)[:64]):
            yield from _whole(stream, name, line)
            return
        if line:
            yield from of_line(line, name, number)


def _starts_bundle(line: bytes) -> bool:
    return b'"Bundle"' in line[:4096] and b'"entry"' in line[: MAX_LINE // 4]


def is_pretty(line: bytes, ahead: bytes) -> bool:
    """Whether the first line is the beginning of a JSON text that goes on over the next ones."""
    if not line.startswith((b"{", b"[")) or not line.endswith((b",", b"{", b"[")):
        return False
    # A line broken off after a comma is followed by the next resource.
    return b'"Bundle"' in line or line.endswith(b"[") or not ahead.lstrip().startswith(b"{")


def _skip_line(stream: io.BufferedReader) -> None:
    while (part := stream.readline(1 << 20)) and not part.endswith(b"\n"):
        pass


def _whole(stream: io.BufferedReader, name: str, start: bytes) -> Iterator[Item]:
    """A JSON text that fills the file."""
    text = (
        start + b"\n" + stream.read(MAX_BUNDLE + 1)
        if start[-1:] != b"\n"
        else start + stream.read(MAX_BUNDLE)
    )
    if len(text) > MAX_BUNDLE:
        yield Item(
            name, 1, None, f"The file is one JSON text of more than {MAX_BUNDLE >> 20} MB: use NDJSON."
        )
        return
    yield from of_line(text, name, 1)


def of_line(line: bytes, name: str, number: int) -> Iterator[Item]:
    """The resources of one line: one, or those of a Bundle or list."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        yield Item(name, number, None, f"The line is not JSON: {str(error)[:120]}.")
        return
    for resource in found if isinstance(found, list) else [found]:
        yield from of_value(resource, name, number)


def of_value(found: Any, name: str, number: int) -> Iterator[Item]:
    """The resource itself, or those inside it when it is a Bundle."""
    if not isinstance(found, dict):
        yield Item(name, number, None, "The line is JSON, but no object.")
    elif isinstance(kind := found.get("resourceType"), str) and kind:
        if kind == "Bundle":
            try:
                yield from of_bundle(found, name, number)
            except RecursionError:
                yield Item(name, number, None, TOO_DEEP)
        else:
            yield Item(name, number, found)
    elif "exportId" in found and "eventId" in found:  # the log that bulk-data clients keep beside the files
        yield Item(name, number, None, passed_over="ExportLog")
    else:
        yield Item(name, number, None, "The line has no resourceType.")


def of_bundle(bundle: dict[str, Any], name: str, number: int) -> Iterator[Item]:
    """A Bundle's resources in a good order, with ids for those known only by a urn, and references that use them."""
    entries = bundle.get("entry")
    urns: dict[str, str] = {}
    found = []
    for entry in entries if isinstance(entries, list) else [] if entries is None else [entries]:
        item = _of_entry(entry, name, number)
        if item and item.resource and not item.deleted and isinstance(url := entry.get("fullUrl"), str):
            urns |= _known_as(item.resource, url)
        found += [item] if item else []
    if bundle.get("type") == "history":
        found.reverse()  # the newest came first
    found.sort(key=_bundle_turn)
    for item in found:
        if item.resource is None or item.deleted:
            yield item
            continue
        try:
            if urns:
                repoint(item.resource, urns)
        except RecursionError:
            yield Item(name, number, None, TOO_DEEP)
            continue
        yield from of_value(item.resource, name, number)


def _of_entry(entry: Any, name: str, number: int) -> Item | None:
    """What a Bundle's entry holds or deletes; None for an outcome, which holds nothing."""
    if not isinstance(entry, dict):
        return Item(name, number, None, NO_RESOURCE)
    request, resource = entry.get("request"), entry.get("resource")
    if isinstance(request, dict) and request.get("method") == "DELETE":
        gone = elements.reference({"reference": request.get("url")})
        if not gone.type or not elements.ID.match(gone.id):
            return Item(name, number, None, "A deletion does not name a resource by its id.")
        return Item(name, number, {"resourceType": gone.type, "id": gone.id}, deleted=True)
    if resource is None:
        return None
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return Item(name, number, None, NO_RESOURCE)
    return Item(name, number, resource)


def _known_as(resource: dict[str, Any], url: str) -> dict[str, str]:
    """What other entries may call a resource, when that is not its own id: hl7.org/fhir/R4/bundle.html#references."""
    kind = resource["resourceType"]
    if url.startswith("urn:"):
        resource.setdefault("id", url.rsplit(":", 1)[-1])
        return {url: f"{kind}/{resource['id']}"}
    named = "/".join(url.split("/")[-2:])
    own = f"{kind}/{resource.setdefault('id', url.rsplit('/', 1)[-1])}"
    return {url: own, named: own} if named != own and named.startswith(f"{kind}/") else {}


def _bundle_turn(item: Item) -> int:
    kind = item.resource["resourceType"] if item.resource else ""
    return FIRST.index(kind) if kind in FIRST else len(FIRST)


def repoint(value: Any, urns: dict[str, str]) -> None:
    """Replaces urn references by the relative ones they mean, in place."""
    if isinstance(value, list):
        for item in value:
            repoint(item, urns)
    elif isinstance(value, dict):
        written = value.get("reference")
        if isinstance(written, str) and written in urns:
            value["reference"] = urns[written]
        for item in value.values():
            if isinstance(item, dict | list):
                repoint(item, urns)
