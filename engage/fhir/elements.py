"""The small parts of resources: codings, references, numbers, text."""

import math
import re
from collections.abc import Container, Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

from engage.fhir.problems import BadResource
from engage.lib import text as plain

ID = re.compile(r"[^\s/|#?\x00-\x1f\x7f]{1,64}\Z")
MAX_SYSTEM, MAX_CODE, MAX_DISPLAY = 120, 80, 250


class Concept(NamedTuple):
    """A CodeableConcept, or the union of several: its codings sorted, each once, and words for a person."""

    codings: tuple[tuple[str, str], ...]
    display: str


NOTHING = Concept((), "")


def things(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list, or the one object given in its place; whatever else is there is passed over."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield item


def concept(value: Any) -> Concept:
    """The union of the codings of one or several CodeableConcepts."""
    found: set[tuple[str, str]] = set()
    display = ""
    for part in (value,) if isinstance(value, dict) else things(value):
        display = display or words(part.get("text"), MAX_DISPLAY)
        for coding in part.get("coding") or ():
            if not isinstance(coding, dict):
                continue
            pair = (coding.get("system") or "", coding.get("code"))
            if _fits(*pair):
                found.add(pair)  # type: ignore[arg-type]
                display = display or words(coding.get("display"), MAX_DISPLAY)
    if not found and not display:
        return NOTHING
    ordered = tuple(sorted(found)) if len(found) > 1 else tuple(found)
    return Concept(ordered, display or ordered[0][1])


def _fits(system: Any, code: Any) -> bool:
    return (
        isinstance(code, str)
        and isinstance(system, str)
        and 0 < len(code) <= MAX_CODE
        and len(system) <= MAX_SYSTEM
        and "\0" not in code
        and "\0" not in system
    )


def join(*parts: Concept) -> Concept:
    """One concept that has the codings of all."""
    codings = tuple(sorted({pair for part in parts for pair in part.codings}))
    return Concept(codings, next((p.display for p in parts if p.display), ""))


def codes(value: Any, system: str) -> set[str]:
    """The codes of one system in one or several CodeableConcepts."""
    return {
        str(c.get("code"))
        for part in things(value)
        for c in things(part.get("coding"))
        if c.get("system") == system
    }


def code_of(value: Any, known: Container[Any]) -> str:
    """The first code that is among `known`, whatever its system; "" when there is none."""
    for part in things(value):
        for coding in things(part.get("coding")):
            if coding.get("code") in known:
                return str(coding["code"])
    return ""


def words(value: Any, limit: int = 200) -> str:
    """Text fit to be stored: no control characters, at most `limit` long, "" for anything that is not text."""
    if not isinstance(value, str):
        return ""
    value = value[: limit * 2]
    return (value if value.isprintable() else plain.clean(value)).strip()[:limit]


def number(value: Any, what: str = "value") -> float | None:
    """A decimal; None when it is absent. Raises BadResource for text or a number no one can store."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadResource(f"The {what} should be a number and is {_kind(value)}.")
    try:
        found = float(value)
    except OverflowError:
        raise BadResource(f"The {what} is too large a number.") from None
    if not math.isfinite(found):
        raise BadResource(f"The {what} is not a finite number.")
    return found


def _kind(value: Any) -> str:
    return {str: "text", bool: "true or false", list: "a list", dict: "an object"}.get(
        type(value), "something else"
    )


def quantity_unit(value: dict[str, Any]) -> str:
    """The UCUM code, else the unit as written; "" when there is neither."""
    return words(value.get("code") or value.get("unit"), 24)


def resource_id(resource: dict[str, Any]) -> str:
    """The id. Raises BadResource when there is none, or one that no reference could name."""
    found = resource.get("id")
    if not isinstance(found, str) or not found:
        raise BadResource("The resource has no id.")
    if not ID.match(found):
        raise BadResource("The id has characters FHIR does not allow, or more than 64.")
    return found


class Reference(NamedTuple):
    """Whom or what an element points at: a type with an id, or an identifier ("system|value"), or something inside."""

    type: str = ""
    id: str = ""
    identifier: str = ""
    contained: str = ""
    display: str = ""


NOBODY = Reference()


def reference(value: Any, kind: str = "") -> Reference:
    """Reads a Reference: relative, absolute, versioned, conditional, contained, or by identifier only.

    `kind` is the type when the text does not say it. What can't be read is NOBODY.
    """
    if not isinstance(value, dict):
        return NOBODY
    written, shown = value.get("reference"), words(value.get("display"), 160)
    if isinstance(written, str) and written:
        return _written(written, kind, shown) if written.isprintable() else NOBODY
    named = value.get("identifier")
    if isinstance(named, dict) and isinstance(named.get("value"), str):
        kind = words(value.get("type"), 40) or kind
        identifier = f"{words(named.get('system'), 120)}|{words(named['value'], 120)}"
        return Reference(kind, identifier=identifier, display=shown)
    return NOBODY


@lru_cache(maxsize=16_384)  # the next fact is mostly about the same patient and visit
def _written(written: str, kind: str, shown: str) -> Reference:
    if written[0] == "#":
        return Reference(kind, contained=written[1:], display=shown)
    if "?" in written:
        path, _, query = written.partition("?")
        named = next((q[11:] for q in query.split("&") if q.startswith("identifier=")), "")
        return Reference(
            path.rsplit("/", 1)[-1] or kind, identifier=words(unquote(named), 241), display=shown
        )
    if written.startswith(("urn:uuid:", "urn:oid:")):
        return Reference(kind, written.rsplit(":", 1)[-1], display=shown)
    parts = written.split("/_history/")[0].rstrip("/").split("/")
    return Reference(parts[-2] if len(parts) > 1 else kind, parts[-1], display=shown)


def contained(resource: dict[str, Any], name: str) -> dict[str, Any]:
    """The resource of that id inside this one, or {}."""
    return next((r for r in things(resource.get("contained")) if r.get("id") == name), {})
