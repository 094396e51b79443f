"""Interned concepts: a set of codings is stored once, and value sets become sets of small integers."""

from collections.abc import Iterable
from hashlib import blake2b

from engage.fhir import elements
from engage.lib import bulk
from engage.records import changes
from engage.records.models import Coding, Concept

CACHE_LIMIT = 100_000
Key = tuple[tuple[tuple[str, str], ...], str]


def key_of(found: elements.Concept) -> str:
    """The digest of the sorted codings; of the words when there are none."""
    if found.codings:
        return digest("\n".join(f"{system}|{code}" for system, code in found.codings))
    return digest(f"text:{found.display}")


def digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


class Interner:
    """Concept ids by codings, remembered within limits. Call `learn` before `id_of`, inside a transaction."""

    def __init__(self) -> None:
        self.known: dict[Key, int] = {}

    def learn(self, wanted: Iterable[elements.Concept]) -> None:
        """Makes sure that all of these have ids."""
        if len(self.known) > CACHE_LIMIT:
            self.known.clear()
        new = {self.memory(c): c for c in wanted if self.memory(c) not in self.known}
        if not new:
            return
        keys = {key_of(c): (m, c) for m, c in new.items()}
        ids = self._stored(keys)
        missing = {k: c for k, (_, c) in keys.items() if k not in ids}
        if missing:
            self._store(missing)
            ids = self._stored(keys)
        for key, (memory, _) in keys.items():
            self.known[memory] = ids[key]

    def id_of(self, wanted: elements.Concept) -> int:
        return self.known[self.memory(wanted)]

    @staticmethod
    def memory(found: elements.Concept) -> Key:
        return (found.codings, "" if found.codings else found.display)

    def _stored(self, keys: Iterable[str]) -> dict[str, int]:
        sql = f'SELECT "key", id FROM records_concept WHERE {bulk.among(chr(34) + "key" + chr(34))}'  # noqa: S608
        return dict(bulk.select(sql, [bulk.listed(keys)]))

    def _store(self, missing: dict[str, elements.Concept]) -> None:
        rows = [(key, c.display or "Not coded") for key, c in missing.items()]
        bulk.upsert("records_concept", ("key", "display"), ("key",), rows, keep=("display",))
        ids = self._stored(missing)
        # Another import may have made the concept meanwhile, codings and all.
        have = set(Coding.objects.filter(concept_id__in=ids.values()).values_list("concept_id", flat=True))
        Coding.objects.bulk_create(
            Coding(concept_id=ids[key], system=system, code=code)
            for key, c in missing.items()
            if ids[key] not in have
            for system, code in c.codings
        )


def set_codings(concept: Concept, found: elements.Concept) -> None:
    """Gives a concept that stands for one Medication the codings it has now."""
    Concept.objects.filter(pk=concept.pk).update(display=found.display or "Not coded")
    Coding.objects.filter(concept=concept).delete()
    Coding.objects.bulk_create(Coding(concept=concept, system=s, code=c) for s, c in found.codings)
    changes.note_all_with(concept.pk)


def members(oid: str) -> set[int]:
    """The ids of the concepts any of whose codings is in the value set; empty when it is not loaded."""
    sql = (
        "SELECT DISTINCT c.concept_id FROM records_valueset v"
        " JOIN records_valuesetcode m ON m.value_set_id = v.id"
        " JOIN records_coding c ON c.system = m.system AND c.code = m.code WHERE v.oid = %s"
    )
    return {row[0] for row in bulk.select(sql, [oid])}


def matching(system: str, code: str) -> set[int]:
    """The ids of the concepts that have this coding."""
    return set(Coding.objects.filter(system=system, code=code).values_list("concept_id", flat=True))
