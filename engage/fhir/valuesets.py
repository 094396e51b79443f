"""FHIR ValueSets as lists of codes. Pure: a resource in, one row out."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from engage.fhir.elements import MAX_CODE, MAX_SYSTEM, things, words
from engage.fhir.problems import BadResource

OID = re.compile(r"(?:^|[/:])([0-2](?:\.\d+){3,})(?:\||$)")
Code = tuple[str, str]


class ValueSetRow(NamedTuple):
    """A value set: its OID (its URL when it has none), name, version and codes (system, code)."""

    oid: str
    name: str
    version: str
    codes: frozenset[Code]


def value_set(r: dict[str, Any]) -> ValueSetRow:
    """Reads an expansion, or codes listed one by one. Raises BadResource for a set defined by a rule, a part of one, or none
    at all: a measure would find nobody by it."""
    expansion, compose = r.get("expansion"), r.get("compose")
    if isinstance(expansion, dict) and expansion.get("contains") is not None:
        codes = whole(expansion)
    elif isinstance(compose, dict):
        codes = frozenset(composed(compose))
    else:
        raise BadResource("The value set lists no codes: it needs an expansion.")
    name = words(r.get("title") or r.get("name"), 200)
    key = key_of(r)
    if not codes:
        raise BadResource("The value set lists no codes.")
    return ValueSetRow(key, name or key, words(r.get("version"), 40), codes)


def key_of(r: dict[str, Any]) -> str:
    """The OID in the URL, an identifier or the id; else the URL."""
    identifiers = [i.get("value") for i in things(r.get("identifier"))]
    for text in (r.get("url"), *identifiers, r.get("id")):
        if isinstance(text, str) and (found := OID.search(text)):
            return found[1][:80]
    url = words(r.get("url"), 81)
    if not url or len(url) > 80:
        raise BadResource("The value set has neither an OID nor a URL of at most 80 characters.")
    return url


def whole(expansion: dict[str, Any]) -> frozenset[Code]:
    """The codes of an expansion, all of them. Its total may count what only groups others, and what comes twice."""
    codes: set[Code] = set()
    count = 0
    for found in expanded(expansion["contains"]):
        count += 1
        if found:
            codes.add(found)
    total = expansion.get("total")
    if isinstance(total, int) and total > count:
        raise BadResource(f"The expansion is a part only: {count:,} of {total:,} codes.")
    return frozenset(codes)


def expanded(contains: Any) -> Iterator[Code | None]:
    """The codes of an expansion, those below others included; None for what only groups others."""
    for entry in objects(contains):
        grouping = entry.get("code") is None or entry.get("abstract") is True
        yield None if grouping else code(entry.get("system"), entry["code"])
        if entry.get("contains"):
            yield from expanded(entry["contains"])


def composed(compose: dict[str, Any]) -> set[Code]:
    """The codes listed one by one, less those excluded one by one."""
    found: set[Code] = set()
    for part in objects(compose.get("include")):
        if part.get("filter") or part.get("valueSet") or not part.get("concept"):
            raise BadResource("The value set is defined by a rule, not by codes: expand it first.")
        found |= {code(part.get("system"), c.get("code")) for c in objects(part["concept"])}
    for part in objects(compose.get("exclude")):
        found -= {code(part.get("system"), c.get("code")) for c in objects(part.get("concept"))}
    return found


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list, or the one in its place. Raises BadResource when anything else is there."""
    for entry in value if isinstance(value, list) else [] if value is None else [value]:
        if not isinstance(entry, dict):
            raise BadResource("A part of the value set is no object.")
        yield entry


def code(system: Any, value: Any) -> Code:
    """One code. Raises BadResource for what could never match a record."""
    if not isinstance(system, str) or not isinstance(value, str) or not value:
        raise BadResource("A code of the value set has no system, or is no text.")
    if len(system) > MAX_SYSTEM or len(value) > MAX_CODE or "\0" in system + value:
        raise BadResource("A code of the value set is too long, or has a NUL in it.")
    return system, value
