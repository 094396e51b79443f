"""Everything the carrier remembers: messages by sid and by number, and who has opted out of whom."""

import hashlib
import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

TERMINAL = frozenset({"delivered", "undelivered", "failed", "canceled", "received"})
BEFORE_SENDING = frozenset({"accepted", "queued", "scheduled"})


@dataclass(slots=True)
class Message:
    """One text in either direction. Times are seconds since the epoch; `note` says why a reply reached nobody."""

    sid: str
    number: int
    to: str
    sender: str
    body: str
    direction: str
    status: str
    created: float
    updated: float
    sent: float | None = None
    service: str = ""
    callback: str = ""
    validity: int = 36_000
    parts: int = 1
    media: int = 0
    error: int = 0
    fate: str = ""
    visible_at: float = 0.0
    send_at: float | None = None
    arrived: bool = False
    note: str = ""

    @property
    def inbound(self) -> bool:
        return self.direction == "inbound"

    @property
    def phone(self) -> str:
        """The patient's end of it."""
        return self.sender if self.inbound else self.to

    @property
    def ours(self) -> str:
        return self.to if self.inbound else self.sender


class Book:
    """Bounded: the oldest messages leave when more than `keep` are held; the log on disk has them all.

    `tell` is called with an event for every change, so that a state file can rebuild the book.
    """

    def __init__(self, keep: int, seed: int | None, tell: Callable[..., None] | None = None) -> None:
        self.keep = keep
        self.seed = seed
        self.tell = tell
        self.counter = 0
        self.clear()

    def clear(self) -> None:
        self.messages: OrderedDict[str, Message] = OrderedDict()
        self.threads: OrderedDict[str, deque[Message]] = OrderedDict()
        self.blocked: set[tuple[str, str]] = set()
        self.ours: set[str] = set()

    def forget(self) -> None:
        self.clear()
        self._tell("reset")

    def _tell(self, event: str, **facts: Any) -> None:
        if self.tell:
            self.tell(event, **facts)

    def sid(self, prefix: str) -> str:
        """A new sid; with a seed, the same ones in the same order."""
        self.counter += 1
        if self.seed is None:
            return prefix + os.urandom(16).hex()
        text = f"{self.seed}:{self.counter}"
        return prefix + hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def new(self, prefix: str = "SM", **facts: Any) -> Message:
        """A message of this moment, not yet in the book."""
        now = time.time()
        sid = self.sid(prefix)
        return Message(sid=sid, number=self.counter, created=now, updated=now, **facts)

    def add(self, message: Message) -> None:
        self._place(message)
        if self.tell:
            self.tell("message", **asdict(message))

    def _place(self, message: Message) -> None:
        self.messages[message.sid] = message
        self._known(message)
        self.threads.setdefault(message.phone, deque()).append(message)
        self.threads.move_to_end(message.phone)
        while len(self.messages) > self.keep:
            self._drop_oldest()

    def _known(self, message: Message) -> None:
        if message.ours:
            self.ours.add(message.ours)

    def _drop_oldest(self) -> None:
        _, oldest = self.messages.popitem(last=False)
        thread = self.threads[oldest.phone]
        thread.remove(oldest)
        if not thread:
            del self.threads[oldest.phone]

    def remove(self, message: Message) -> None:
        """The provider's DELETE."""
        del self.messages[message.sid]
        self.threads[message.phone].remove(message)
        self._tell("removed", sid=message.sid)

    def change(self, message: Message, **facts: Any) -> None:
        """Sets fields of a message and keeps the change."""
        message.updated = time.time()
        for name, value in facts.items():
            setattr(message, name, value)
        self._known(message)
        self._tell("changed", sid=message.sid, updated=message.updated, **facts)

    def block(self, sender: str, phone: str) -> bool:
        """Records an opt-out; False when it was there already."""
        if (sender, phone) in self.blocked:
            return False
        self.blocked.add((sender, phone))
        self._tell("blocked", sender=sender, phone=phone)
        return True

    def unblock(self, sender: str, phone: str) -> bool:
        if (sender, phone) not in self.blocked:
            return False
        self.blocked.discard((sender, phone))
        self._tell("unblocked", sender=sender, phone=phone)
        return True

    def thread(self, phone: str) -> list[Message]:
        """One phone's messages, oldest first."""
        return list(self.threads.get(phone, ()))

    def newest_first(self, phone: str = "") -> Iterator[Message]:
        return reversed(self.threads.get(phone, deque())) if phone else reversed(self.messages.values())

    def replay(self, events: Iterator[dict[str, Any]]) -> None:
        """Rebuilds the book from a state file's lines."""
        for event in events:
            kind = event.pop("event")
            event.pop("at", None)
            getattr(self, f"_replay_{kind}")(**event)

    def _replay_message(self, **facts: Any) -> None:
        self._place(Message(**facts))
        self.counter = max(self.counter, facts["number"])

    def _replay_changed(self, sid: str, **facts: Any) -> None:
        if message := self.messages.get(sid):
            for name, value in facts.items():
                setattr(message, name, value)

    def _replay_removed(self, sid: str) -> None:
        if message := self.messages.pop(sid, None):
            self.threads[message.phone].remove(message)

    def _replay_blocked(self, sender: str, phone: str) -> None:
        self.blocked.add((sender, phone))

    def _replay_unblocked(self, sender: str, phone: str) -> None:
        self.blocked.discard((sender, phone))

    def _replay_reset(self) -> None:
        self.clear()

    def _replay_counter(self, value: int) -> None:
        self.counter = max(self.counter, value)

    def snapshot(self) -> Iterator[dict[str, Any]]:
        """The fewest events that give this book again."""
        yield {"event": "counter", "value": self.counter}
        for message in self.messages.values():
            yield {"event": "message", **asdict(message)}
        for sender, phone in sorted(self.blocked):
            yield {"event": "blocked", "sender": sender, "phone": phone}
