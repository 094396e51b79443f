"""The ORM's statements, compiled once: for what each webhook asks and writes, Django's compiling of a query anew costs ten
times what the database takes to run it.

    POINTS = Fixed(lambda address: ContactPoint.objects.filter(value=address).select_related("patient"))
    POINTS(address="+16175550142")

The models stay the truth: a question is a queryset, and a written row is an instance with all its fields.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.models import (
    BooleanField,
    CharField,
    DateTimeField,
    Expression,
    Field,
    ForeignKey,
    IntegerField,
    Model,
    QuerySet,
    TextField,
)
from django.db.models.base import ModelState
from django.db.models.query import ModelIterable, get_related_populators

from engage.lib.statements import ask

R = TypeVar("R")
Fields = tuple["Field[Any, Any]", ...]
Write = tuple[str, Callable[[Model], list[Any]]]  # a statement, and what it is given of an instance


class Given(Expression):
    """Stands in a queryset for a value that the question will be asked with."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


class Fixed(Generic[R]):
    """A queryset of models or of `values_list` rows, as a function of its values; the values come as columns hold them."""

    def __init__(self, build: Callable[..., QuerySet[Any, R]]) -> None:
        self.build = build

    def __call__(self, **values: Any) -> list[R]:
        sql, parameters, read = self._compiled
        return read(ask(sql, [values[p.name] if isinstance(p, Given) else p for p in parameters]))

    def first(self, **values: Any) -> R | None:
        """For a question that ends in `[:1]`."""
        return next(iter(self(**values)), None)

    @cached_property
    def _compiled(self) -> tuple[str, Sequence[Any], Callable[[Iterable[Any]], list[Any]]]:
        asked = self.build(**{name: Given(name) for name in inspect.signature(self.build).parameters})
        compiler = asked.query.get_compiler(using=DEFAULT_DB_ALIAS)
        sql, parameters = compiler.as_sql()
        return (
            sql,
            parameters,
            _models(compiler) if asked._iterable_class is ModelIterable else _rows(compiler),
        )


def _rows(compiler: Any) -> Callable[[Iterable[Any]], list[Any]]:
    """Turns what the database gives into the values of Python."""
    converters = [
        (place, convert, column)
        for place, (all_of_it, column) in compiler.get_converters([s[0] for s in compiler.select]).items()
        for convert in all_of_it
    ]

    if not converters:
        return list

    def read(found: Iterable[Any]) -> list[Any]:
        rows, on = [], connections[DEFAULT_DB_ALIAS]
        for row in map(list, found):
            for place, convert, column in converters:
                row[place] = convert(row[place], column, on)
            rows.append(tuple(row))
        return rows

    return read


class Quick:
    """Stands for a model in whatever asks it for instances from the database; ours have neither `__init__` nor signals
    of their own."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model

    def from_db(self, db: str, names: Sequence[str], values: Sequence[Any]) -> Model:
        instance = self.model.__new__(self.model)
        instance.__dict__.update(zip(names, values, strict=True))
        instance._state = ModelState()
        instance._state.adding, instance._state.db = False, db
        return instance


def _quicken(populators: Any) -> Any:
    """Related instances are made in the same way."""
    for populator in populators:
        populator.model_cls = Quick(populator.model_cls)
        _quicken(populator.related_populators)
    return populators


def _models(compiler: Any) -> Callable[[Iterable[Any]], list[Any]]:
    """Turns rows into instances with their related ones, as QuerySet does."""
    model, select, columns = (
        Quick(compiler.klass_info["model"]),
        compiler.select,
        compiler.klass_info["select_fields"],
    )
    begin, end = columns[0], columns[-1] + 1
    names = [s[0].target.attname for s in select[begin:end]]
    related: Any = get_related_populators
    populators = _quicken(related(compiler.klass_info, select, DEFAULT_DB_ALIAS))
    values = _rows(compiler)

    def read(found: Iterable[Any]) -> list[Any]:
        instances = []
        for row in values(found):
            instance = model.from_db(DEFAULT_DB_ALIAS, names, row[begin:end])
            for populator in populators:
                populator.populate(row, instance)
            instances.append(instance)
        return instances

    return read


# In a column as in an instance; `ask` makes moments what the database keeps.
AS_THEY_ARE = (CharField, TextField, BooleanField, IntegerField, ForeignKey, DateTimeField)


def insert(row: Model, *, once: bool = False) -> bool:
    """A new row, whose instance gets its key. `once`: False, and nothing written, when a unique key has it already.

    What it refers to has been written before.
    """
    sql, values = _insert(type(row), 1, "DO NOTHING" if once else "")
    found = ask(sql, values(row))
    if found:
        row.pk, row._state.adding, row._state.db = found[0][0], False, DEFAULT_DB_ALIAS
    return bool(found)


def insert_missing(rows: Sequence[Model]) -> None:
    """Those of the new rows of one model that no unique key has yet; the instances do not get their keys."""
    if rows:
        sql, values = _insert(type(rows[0]), len(rows), "DO NOTHING")
        ask(sql, [value for row in rows for value in values(row)])


def insert_or_update(row: Model, key: str, *names: str) -> None:
    """A new row, or these fields of the one that has the same `key` (a unique field)."""
    columns = [_field(type(row), name).column for name in (key, *names)]
    then = f'("{columns[0]}") DO UPDATE SET ' + ", ".join(f'"{c}" = excluded."{c}"' for c in columns[1:])
    sql, values = _insert(type(row), 1, then)
    row.pk = ask(sql, values(row))[0][0]
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def update(row: Model, *names: str) -> None:
    """These fields of a row that is there; all of them when none is named."""
    sql, values = _update(type(row), names)
    if not ask(sql, [*values(row), row.pk]):
        raise DatabaseError(f"{row._meta.label} {row.pk} is not there.")


def _reader(fields: Fields, *, new: bool) -> Callable[[Model], list[Any]]:
    """Reads what these columns will hold from an instance."""
    read = attrgetter(*(f.attname for f in fields), "pk")  # a tuple, even of one
    others = [(n, f) for n, f in enumerate(fields) if not isinstance(f, AS_THEY_ARE) or is_stamped(f)]

    def values(row: Model) -> list[Any]:
        found = list(read(row)[:-1])
        for n, field in others:
            found[n] = field.get_db_prep_save(field.pre_save(row, new), connections[DEFAULT_DB_ALIAS])
        return found

    return values


def is_stamped(field: "Field[Any, Any]") -> bool:
    """Whether saving gives it its value."""
    return isinstance(field, DateTimeField) and (field.auto_now or field.auto_now_add)


@cache
def _insert(model: type[Model], count: int, conflict: str) -> Write:
    fields = tuple(f for f in model._meta.local_concrete_fields if not f.primary_key)
    names, marks = ", ".join(f'"{f.column}"' for f in fields), ", ".join(["%s"] * len(fields))
    values = ", ".join([f"({marks})"] * count)
    tail = f"ON CONFLICT {conflict} " if conflict else ""
    into = f'INSERT INTO "{model._meta.db_table}" ({names})'
    return f'{into} VALUES {values} {tail}RETURNING "id"', _reader(fields, new=True)


@cache
def _update(model: type[Model], names: tuple[str, ...]) -> Write:
    every = tuple(f for f in model._meta.local_concrete_fields if not f.primary_key)
    fields = tuple(_field(model, name) for name in names) or every
    sets = ", ".join(f'"{f.column}" = %s' for f in fields)
    sql = f'UPDATE "{model._meta.db_table}" SET {sets} WHERE "id" = %s RETURNING "id"'  # noqa: S608
    return sql, _reader(fields, new=False)


def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name)
