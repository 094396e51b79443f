"""One run of the stages over a reply: which steps were taken, which failed, and what an earlier run has done already."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from django.db import transaction

from engage.inbox.models import Flag, Level, Reading
from engage.inbox.triage.reading import Attempt
from engage.inbox.triage.reading import Reading as Found
from engage.lib import clock
from engage.messaging.models import Message

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """Something a reply leads to. `keys` name what is done by it once and for all; without them it may be repeated."""

    name: str
    act: Callable[[], object]
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Earlier:
    """What came of a reply before the stages run over it once more."""

    reading: Reading
    done: frozenset[str]
    standing: int = (
        Level.ROUTINE
    )  # the gravest flag of people and the second reader, or that people agreed with

    @classmethod
    def of(cls, message: Message) -> "Earlier":
        reading = Reading.objects.filter(message=message).first() or Reading(message=message)
        left = message.flags.exclude(state=Flag.State.DISMISSED)
        said = left.filter(source__in=("staff", "llm")) | left.filter(state=Flag.State.CONFIRMED)
        levels = said.values_list("level", flat=True)
        return cls(reading, frozenset(reading.done), min(levels, default=Level.ROUTINE))

    def anew(self, *, tell: bool) -> "Earlier":
        """For replies that have changed hands: all is asked for once more but what is urgent, whose task goes along.

        `tell`: those on call in the clinic that they have come to do not know of it.
        """
        kept = ("tasks:urgent:", "crisis:") if tell else ("tasks:urgent:", "crisis:", "alert:")
        return replace(self, done=frozenset(key for key in self.done if key.startswith(kept)))

    def level(self, found: int, fresh: int) -> int:
        """The level now: what is `fresh` counts in full, all else never above what people have left standing."""
        left = self.reading.level
        most = Level.URGENT if left == Level.UNSORTED else left
        return min(fresh, max(min(found, self.standing), most))


@dataclass
class Run:
    """The stages over one reply and which of them failed (by name and kind of error: never the patient's words)."""

    message: Message
    earlier: Earlier | None = None
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.done: frozenset[str] = self.earlier.done if self.earlier else frozenset()
        self.fresh: frozenset[str] = frozenset()  # what this run has done for the first time

    def read(self, name: str, act: Callable[[], T]) -> T | None:
        """A stage that only reads."""
        try:
            return act()
        except Exception as error:
            self.failed(name, error)
            return None

    def triage(self, act: Callable[[], Attempt]) -> Found | None:
        """The reading stages: what they found, though one of them failed; nothing when none could start."""
        tried = self.read("triage", act)
        if tried is None:
            return None
        for failure in tried.failures:
            log.error("message %s: triage stage %s", self.message.pk, failure)
            self.failures.append(failure)
        return tried.reading

    def all(self, steps: Iterable[Step]) -> None:
        """Together when nothing fails; otherwise one by one, each in its own savepoint, so that one loses no other."""
        todo = [step for step in steps if self.is_due(step)]
        try:
            with transaction.atomic():
                for step in todo:
                    step.act()
        except Exception as error:
            log.warning(
                "message %s: %s; its steps are taken one by one", self.message.pk, type(error).__name__
            )
            for step in todo:
                self.step(step)
        else:
            self.did(*todo)

    def step(self, step: Step) -> None:
        if not self.is_due(step):
            return
        try:
            with transaction.atomic():
                step.act()
        except Exception as error:
            self.failed(step.name, error)
        else:
            self.did(step)

    def is_due(self, step: Step) -> bool:
        return not step.keys or not step.keys <= self.done

    def did(self, *steps: Step) -> None:
        keys = frozenset(key for step in steps for key in step.keys)
        self.fresh |= keys - self.done
        self.done |= keys

    def failed(self, name: str, error: Exception) -> None:
        log.error("message %s: %s failed with %s", self.message.pk, name, type(error).__name__)
        self.failures.append(f"{name}: {type(error).__name__}")

    def kept(self, **values: Any) -> Reading:
        """The reading of this run, not yet written."""
        return Reading(
            message=self.message,
            complete=not self.failures,
            failure="; ".join(self.failures)[:200],
            done=sorted(self.done),
            tried_at=clock.machine_now(),
            **values,
        )
