"""The folders of the inbox, as objects. Urgent first, then unsorted, then longest waiting; never the newest."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import F, Q

from engage.accounts.models import User
from engage.inbox.models import Conversation, ConversationQuerySet, Level

State = Conversation.State
MOST = 100  # counted up to this: "99+"
Choose = Callable[[ConversationQuerySet, User], ConversationQuerySet]
WAITING_LONGEST = ("level", "waiting_since", "pk")
LAST_TOUCHED = ("-last_message_at", "-pk")


@dataclass(frozen=True)
class Folder:
    """A view of the conversations somebody may see: `slug` in the address, `name` on the page."""

    slug: str
    name: str
    choose: Choose
    order: tuple[str, ...] = WAITING_LONGEST
    counted: bool = True
    few: bool = False  # so few that they are best found by their own index and then sorted
    empty: str = "Nothing waits here."

    def queryset(self, user: User) -> ConversationQuerySet:
        visible: ConversationQuerySet = Conversation.objects.visible_to(user)
        return self.choose(visible, user)

    def ordered(self, user: User) -> ConversationQuerySet:
        return self.queryset(user).order_by(*self.order)

    def page(
        self, user: User, size: int, last: Conversation | None = None, only: Q | None = None
    ) -> ConversationQuerySet:
        """The first rows, or those that follow `last` by key, so that nothing is skipped when rows leave.

        Each clinic's first rows are read along its own index and then merged: sorting what all of them have
        open would cost a second at 300,000 rows.
        """
        wanted = (only or Q()) & (self._beyond(last) if last else Q())
        if self.few:
            return self.ordered(user).filter(wanted)[:size]
        parts: list[str] = []
        values: list[Any] = []
        clinics: list[int | None] = [*user.clinic_ids(), *([None] if user.sees_unassigned else [])]
        for clinic in clinics:
            mine: ConversationQuerySet = Conversation.objects.filter(clinic=clinic)
            rows = self.choose(mine, user).filter(wanted).order_by(*self.order).values("pk")[:size]
            sql, params = rows.query.sql_with_params()
            parts.append(f"SELECT * FROM ({sql}) AS part")  # noqa: S608 - the ORM's own SQL, values apart
            values += params
        found: ConversationQuerySet = Conversation.objects.filter(pk__in=_ids(parts, values))
        return found.order_by(*self.order)[:size]

    def _beyond(self, last: Conversation) -> Q:
        beyond, same, start = Q(), Q(), Q()
        for field in self.order:
            name, way = field.lstrip("-"), "lt" if field.startswith("-") else "gt"
            value = getattr(last, name)
            if value is not None:
                beyond |= same & Q(**{f"{name}__{way}": value})
                start = start or Q(**{f"{name}__{way}e": value})  # lets the index begin where the page ends
            same &= Q(**{name: value})
        return start & beyond


def _ids(parts: list[str], values: list[Any]) -> list[int]:
    if not parts:
        return []
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), values)
        return [int(row[0]) for row in cursor.fetchall()]


FOLDERS = (
    Folder(
        "urgent",
        "Urgent",
        lambda rows, user: rows.filter(state=State.OPEN, level__lte=Level.UNSORTED),
        empty="Nothing urgent and nothing unsorted.",
    ),
    Folder(
        "open",
        "Open",
        lambda rows, user: rows.filter(state=State.OPEN),
        empty="Every reply has been looked at.",
    ),
    Folder(
        "mine",
        "Mine",
        lambda rows, user: rows.filter(owner=user, state=State.OPEN),
        few=True,
        empty="Nothing waits for you.",
    ),
    Folder(
        "unassigned",
        "Unassigned",
        lambda rows, user: rows.filter(owner=None, state=State.OPEN),
        empty="Somebody looks after every open conversation.",
    ),
    Folder(
        "unmatched",
        "Unmatched",
        lambda rows, user: rows.filter(patient=None, state=State.OPEN),
        few=True,
        empty="We know who wrote each reply.",
    ),
    Folder(
        "waiting",
        "Waiting",
        lambda rows, user: rows.filter(state=State.WAITING),
        order=("last_message_at", "pk"),
        counted=False,
        empty="No patient owes us an answer.",
    ),
    Folder(
        "snoozed",
        "Snoozed",
        lambda rows, user: rows.filter(state=State.SNOOZED),
        order=("snoozed_until", "pk"),
        few=True,
        empty="Nothing is put off.",
    ),
    Folder(
        "closed",
        "Closed",
        lambda rows, user: rows.filter(state=State.CLOSED),
        order=LAST_TOUCHED,
        counted=False,
        empty="Nothing has been closed yet.",
    ),
    Folder(
        "all",
        "All",
        lambda rows, user: rows,
        order=LAST_TOUCHED,
        counted=False,
        empty="Nobody has written yet.",
    ),
)
BY_SLUG = {folder.slug: folder for folder in FOLDERS}
START = BY_SLUG["open"]


def counts(user: User) -> dict[str, int]:
    """How many each counted folder holds (up to MOST), in one query whatever the size of the clinic."""
    counted = [folder for folder in FOLDERS if folder.counted]
    parts: list[str] = []
    values: list[Any] = []
    for folder in counted:
        rows = folder.queryset(user).order_by().annotate(one=F("pk")).values("one")[:MOST]
        sql, params = rows.query.sql_with_params()
        parts.append(f"(SELECT COUNT(*) FROM ({sql}) AS part)")  # noqa: S608 - the ORM's own SQL, values apart
        values += params
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(parts), values)
        row = cursor.fetchone()
    return {folder.slug: int(n) for folder, n in zip(counted, row, strict=True)}
