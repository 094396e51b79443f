"""The worklist as people read it: one row per patient, the most pressing first, a page at a time.

Reading 50 patients out of 300,000 open tasks must not sort them all. Each clinic's tasks are read along its own index,
the streams are merged by the database, and a page ends at a place from which the next one goes on.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Q

from engage.accounts.models import User
from engage.lib import clock
from engage.lib.text import number
from engage.patients.models import Patient
from engage.worklist.models import Reason, Task, TaskQuerySet

PAGE = 50  # patients
READ = 64  # tasks read at a time: most patients have one
BANDS = ("now", "overdue", "today", "week", "later")
BAND_TITLES = {
    "now": "Needs a person now", "overdue": "Overdue", "today": "Today", "week": "This week", "later": "Later",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Place:
    """Where a task stands: urgent ones first, then by deadline."""

    calm: int  # 0 urgent, 1 anything else
    due: datetime
    pk: int

    @classmethod
    def of(cls, task: Task) -> "Place":
        return cls(int(task.priority != Task.Priority.URGENT), task.due_at, task.pk)

    def __str__(self) -> str:
        return f"{self.calm}.{int(self.due.timestamp() * 1_000_000)}.{self.pk}"

    @classmethod
    def parse(cls, text: str) -> "Place | None":
        """What str() wrote; None for anything else."""
        parts = [n for part in text.split(".") if (n := number(part)) is not None]
        if len(parts) != 3 or text.count(".") != 2:
            return None
        calm, micros, pk = parts
        try:
            due = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)
        except OverflowError:
            return None
        return cls(min(calm, 1), due, pk)


@dataclass(frozen=True)
class Asked:
    """What the list is narrowed to; nothing set means everything of the person's clinics."""

    queue: str = ""
    mine: bool = False
    reason: str = ""
    clinic: int | None = None
    language: str = ""

    @classmethod
    def of(cls, values: Any) -> "Asked":
        """From a page's query; what makes no sense is left out."""
        clinic = str(values.get("clinic", ""))
        language = str(values.get("language", ""))
        return cls(
            queue=values["queue"] if values.get("queue") in Task.Queue.values else "",
            mine=values.get("mine") == "1",
            reason=values["reason"] if values.get("reason") in Reason.values else "",
            clinic=number(clinic),
            language=language if language.isalpha() and len(language) <= 8 else "",
        )

    def __bool__(self) -> bool:
        return self != Asked()

    def narrow(self, rows: TaskQuerySet, user: User) -> TaskQuerySet:
        wanted = {
            "queue": self.queue, "reason": self.reason, "patient__language": self.language,
            "owner": user if self.mine else "",
        }  # fmt: skip
        return rows.filter(**{name: value for name, value in wanted.items() if value})

    def fits(self, task: Task, user: User) -> bool:
        """The same as narrow(), for a task in hand."""
        language = task.patient.language if task.patient else ""
        return (
            (not self.queue or task.queue == self.queue)
            and (not self.reason or task.reason == self.reason)
            and (not self.language or language == self.language)
            and (not self.mine or task.owner_id == user.pk)
            and (self.clinic is None or task.clinic_id == self.clinic)
        )


@dataclass
class Row:
    """One patient (or one task about nobody) with everything that waits for them, the most pressing first."""

    place: Place
    tasks: list[Task]
    extra: dict[str, Any] = field(default_factory=dict)  # what a face adds to draw it

    @property
    def first(self) -> Task:
        return self.tasks[0]

    @property
    def patient(self) -> Patient | None:
        return self.first.patient

    @property
    def key(self) -> str:
        """The row's id on a page."""
        return key_of(self.first)

    @property
    def waiting_since(self) -> datetime:
        return min(t.created_at for t in self.tasks)

    @property
    def holder(self) -> Task | None:
        """A task that somebody holds now: it carries who and until when."""
        return next((t for t in self.tasks if t.held_by()), None)

    @property
    def owner(self) -> User | None:
        return next((t.owner for t in self.tasks if t.owner), None)


def key_of(task: Task) -> str:
    return f"p{task.patient_id}" if task.patient_id else f"t{task.pk}"


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    next: Place | None  # after which the following page begins; None at the end


def page(user: User, asked: Asked, after: Place | None = None, size: int = PAGE) -> Page:
    """The first patients after a place. One whose most pressing task stands before it has been shown already."""
    found: dict[str, Row] = {}
    reach = after
    while len(found) <= size:
        rows, reach = _read(user, asked, reach)
        found |= {row.key: row for row in rows if after is None or row.place > after}
        if reach is None:
            break
    ordered = sorted(found.values(), key=lambda row: row.place)
    more = len(ordered) > size
    return Page(ordered[:size], ordered[size - 1].place if more else None)


def one(user: User, key: str) -> Row | None:
    """The row of one patient ("p812") or of one task about nobody ("t7"); None when nothing waits there any more."""
    name = "patient" if key.startswith("p") else "pk"
    tasks = _together(user, Q(**{name: key[1:]}))
    return _row(tasks, tasks) if tasks else None


def _read(user: User, asked: Asked, after: Place | None) -> tuple[list[Row], Place | None]:
    """The rows of the next tasks, each patient's together; and how far it read (None: to the end)."""
    streamed = _stream(user, asked, after)
    ids = [pk for pk, _ in streamed]
    patients = {patient for _, patient in streamed if patient}
    tasks = _together(user, Q(pk__in=ids) | Q(patient__in=patients))
    rows = []
    for _, group in groupby(sorted(tasks, key=key_of), key=key_of):
        together = list(group)
        fitting = [t for t in together if asked.fits(t, user)]
        if fitting:
            rows.append(_row(together, fitting))
    last = next((t for t in tasks if t.pk == ids[-1]), None) if len(ids) == READ else None
    return rows, Place.of(last) if last else None


def together(user: User, pks: Iterable[int | None]) -> list[Task]:
    """These tasks and all else that waits for their patients, each row's most pressing first."""
    wanted = [pk for pk in pks if pk is not None]
    patients = Task.objects.visible_to(user).filter(pk__in=wanted, patient__isnull=False).values("patient")
    return sorted(_together(user, Q(pk__in=wanted) | Q(patient__in=patients)), key=Place.of)


def _together(user: User, which: Q) -> list[Task]:
    """These tasks with what a row shows. Their clinics are this person's, known already: no need to join them."""
    rows = Task.objects.visible_to(user).waiting().filter(which)
    tasks = list(rows.select_related("patient", "owner", "claimed_by"))
    clinics = {clinic.pk: clinic for clinic in user.own_clinics()}
    for task in tasks:
        task.clinic = clinics.get(task.clinic_id or 0)
    return tasks


def _row(tasks: list[Task], fitting: list[Task]) -> Row:
    return Row(min(map(Place.of, fitting)), sorted(tasks, key=Place.of))


def _stream(user: User, asked: Asked, after: Place | None) -> list[tuple[int, int | None]]:
    """(task, patient) in the order of the list, READ of them at most."""
    parts: list[str] = []
    values: list[Any] = []
    for rows in _sources(user, asked, after):
        ordered = rows.order_by("due_at", "pk").values("pk", "patient_id", "priority", "due_at")[:READ]
        sql, params = ordered.query.sql_with_params()
        parts.append(f"SELECT * FROM ({sql}) AS part")  # noqa: S608 - the ORM's own SQL, values apart
        values += params
    if not parts:
        return []
    merged = " UNION ALL ".join(parts)
    order = "CASE WHEN priority = 0 THEN 0 ELSE 1 END, due_at, pk"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pk, patient_id FROM ({merged}) AS s ORDER BY {order} LIMIT {READ}", values)  # noqa: S608
        return [(int(pk), patient) for pk, patient in cursor.fetchall()]


def _sources(user: User, asked: Asked, after: Place | None) -> Iterator[TaskQuerySet]:
    """What is merged: for each clinic its urgent tasks and its calm ones, from the place on."""
    for scope in _scopes(user, asked):
        rows = asked.narrow(Task.objects.filter(scope).waiting(), user)
        urgent = rows.filter(priority=Task.Priority.URGENT)
        calm = rows.exclude(priority=Task.Priority.URGENT)  # "not", so that the deadline's index is taken
        if after is None:
            yield from (urgent, calm)
        elif after.calm:
            yield calm.filter(_beyond(after))
        else:
            yield from (urgent.filter(_beyond(after)), calm)


def _scopes(user: User, asked: Asked) -> list[Q]:
    if asked.mine:
        return [user.scope() & (Q(clinic=asked.clinic) if asked.clinic else Q())]
    clinics: list[int | None] = [*user.clinic_ids(), *([None] if user.sees_unassigned else [])]
    return [Q(clinic=c) for c in clinics if asked.clinic in (None, c)]


def _beyond(place: Place) -> Q:
    # The first half lets the index begin where the page ends; the second leaves out what stands on the same moment before.
    return Q(due_at__gte=place.due) & (Q(due_at__gt=place.due) | Q(pk__gt=place.pk))


def bands(rows: Iterable[Row], zone: str) -> list[tuple[str, list[Row]]]:
    """The rows by when they must be acted on, in this zone's days: (band, rows), bands without rows left out."""
    now = clock.now()
    grouped = groupby(rows, key=lambda row: band(row.place, now, ZoneInfo(zone)))
    return [(name, list(group)) for name, group in grouped]


def band(place: Place, now: datetime, zone: ZoneInfo) -> str:
    if not place.calm:
        return "now"
    if place.due < now:
        return "overdue"
    there = now.astimezone(zone)
    tomorrow = datetime.combine(there.date() + timedelta(days=1), time.min, zone)
    if place.due < tomorrow:
        return "today"
    monday = datetime.combine(there.date() + timedelta(days=7 - there.weekday()), time.min, zone)
    return "week" if place.due < monday else "later"


def latest(rows: dict[int | None, TaskQuerySet], order: tuple[str, ...], size: int) -> list[Task]:
    """The first rows of several clinics' querysets in one order, each read along its own index."""
    ids = [pk for mine in rows.values() for pk in mine.order_by(*order).values_list("pk", flat=True)[:size]]
    found = Task.objects.filter(pk__in=ids).select_related("patient", "clinic", "closed_by", "owner")
    return list(found.order_by(*order)[:size])
