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
    """Reads an expansion, or codes listed one by one. Raises BadResource for a set defined by a rule, or a part of one."""
    expansion, compose = r.get("expansion"), r.get("compose")
    if isinstance(expansion, dict) and expansion.get("contains") is not None:
        codes = frozenset(expanded(expansion.get("contains")))
        _whole(expansion, len(codes))
    elif isinstance(compose, dict):
        codes = frozenset(composed(compose))
    else:
        raise BadResource("The value set lists no codes: it needs an expansion.")
    name = words(r.get("title") or r.get("name"), 200)
    key = key_of(r)
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


def _whole(expansion: dict[str, Any], found: int) -> None:
    total = expansion.get("total")
    if isinstance(total, int) and total > found and expansion.get("offset") is not None:
        raise BadResource(f"The expansion is a part only: {found:,} of {total:,} codes.")


def expanded(contains: Any) -> Iterator[Code]:
    """The codes of an expansion, those below others included; what only groups others is left out."""
    for entry in things(contains):
        if entry.get("code") is not None and entry.get("abstract") is not True:
            yield code(entry.get("system"), entry["code"])
        if entry.get("contains"):
            yield from expanded(entry["contains"])


def composed(compose: dict[str, Any]) -> set[Code]:
    """The codes listed one by one, less those excluded one by one."""
    found: set[Code] = set()
    for part in things(compose.get("include")):
        if part.get("filter") or part.get("valueSet") or not part.get("concept"):
            raise BadResource("The value set is defined by a rule, not by codes: expand it first.")
        found |= {code(part.get("system"), c.get("code")) for c in things(part["concept"])}
    for part in things(compose.get("exclude")):
        found -= {code(part.get("system"), c.get("code")) for c in things(part.get("concept"))}
    return found


def code(system: Any, value: Any) -> Code:
    """One code. Raises BadResource for what could never match a record."""
    if not isinstance(system, str) or not isinstance(value, str) or not value:
        raise BadResource("A code of the value set has no system, or is no text.")
    if len(system) > MAX_SYSTEM or len(value) > MAX_CODE or "\0" in system + value:
        raise BadResource("A code of the value set is too long, or has a NUL in it.")
    return system, value
