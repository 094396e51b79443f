"""The carrier: accepts orders, moves messages along and tells whoever asked."""

import time
from functools import partial
from typing import Any

from engage.simulator.agenda import Agenda
from engage.simulator.book import BEFORE_SENDING, TERMINAL, Book, Message
from engage.simulator.caller import Caller
from engage.simulator.errors import FAILED, ApiError
from engage.simulator.faults import FATES, REFUSALS, Callbacks, Rule, Script, Settings
from engage.simulator.journal import Journal, read
from engage.simulator.options import Options
from engage.simulator.orders import Order
from engage.simulator.resources import VERSION
from engage.simulator.segments import segments

GAP = 0.02  # between callbacks whose order is scripted


class Carrier:
    """Everything one running simulator holds."""

    def __init__(self, options: Options) -> None:
        self.options = options
        settings = Settings(
            latency=options.latency, sent_after=options.sent_after, delivered_after=options.delivered_after
        )
        self.script = Script(options.seed, settings)
        self.journal = Journal(options.log, sync=options.sync)
        self.book = Book(options.keep, options.seed)
        self.state: Journal | None = None
        self.agenda = Agenda()
        self.caller = Caller(options.tokens[0], options.public_hosts)
        self.services: dict[str, str] = {}
        self.generation = 0  # what began before a reset must not tell anybody after it
        if options.state:
            self._restore(options)

    def _restore(self, options: Options) -> None:
        """Rebuilds the book, writes its state anew without what has been left behind, and goes on sending."""
        path = options.state
        assert path is not None
        self.book.replay(read(path))
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        self.state = Journal(fresh, sync=False, eager=True)
        for event in self.book.snapshot():
            self.state.note(event.pop("event"), **event)
        fresh.replace(path)
        self.book.tell = self.state.note
        for message in list(self.book.messages.values()):
            if message.status not in TERMINAL and message.fate not in ("lost", "stuck"):
                self._dispatch(message, Callbacks())

    async def close(self) -> None:
        await self.agenda.close()
        await self.caller.close()
        self.journal.close()
        if self.state:
            self.state.close()

    def forget(self) -> None:
        """Back to an empty carrier; the log keeps what was and says where this happened."""
        self.generation += 1
        self.script.reset()
        self.agenda.clear()
        self.book.forget()
        self.services.clear()
        self.journal.note("reset")

    # --- accepting ---

    def refuse_or_pass(self, order: Order, rule: Rule | None) -> None:
        """Raises what the provider answers at once for this recipient: unsubscribed, no mobile, no route…"""
        if code := REFUSALS.get(self._fate(order, rule)):
            raise ApiError(code)
        if (order.service or order.sender, order.to) in self.book.blocked:
            raise ApiError(21610)

    def _fate(self, order: Order, rule: Rule | None) -> str:
        return (rule.fate if rule else "") or self.script.fate(order.to)

    def compose(self, order: Order, rule: Rule | None) -> Message:
        """The message of an order; it is not in the book before `accept`."""
        if order.service:
            for number in self.options.numbers:
                self.services[number] = order.service
        lag = self.script.settings.list_lag if rule is None or rule.list_lag is None else rule.list_lag
        status = "scheduled" if order.send_at else "accepted" if order.service else "queued"
        return self.book.new(
            "MM" if order.media else "SM",
            to=order.to,
            sender=order.sender,
            body=order.body,
            direction="outbound-api",
            status=status,
            service=order.service,
            callback=order.callback,
            validity=order.validity,
            parts=segments(order.body),
            media=order.media,
            fate=self._fate(order, rule),
            visible_at=time.time() + lag if lag else 0.0,
            send_at=order.send_at,
        )

    def accept(self, message: Message, rule: Rule | None) -> None:
        """Takes a message into the book and sends it on its way."""
        self.book.add(message)
        self._dispatch(message, (rule and rule.callbacks) or self.script.settings.callbacks)

    # --- sending ---

    def _dispatch(self, message: Message, callbacks: Callbacks) -> None:
        """Plans every step between here and the message's end."""
        settings = self.script.settings
        wait = max(0.0, message.send_at - time.time()) if message.send_at else 0.0
        wait += settings.slow if message.fate == "slow" else 0.0
        steps = self._steps(message, wait, settings)
        for after, status, code in steps:
            self.agenda.later(after, partial(self._step, message, status, code))
        if message.callback and not callbacks.off and steps:
            self._plan_callbacks(message, callbacks, steps)

    def _steps(self, message: Message, wait: float, settings: Settings) -> list[tuple[float, str, int]]:
        """(seconds from now, status, error code), for a message that is before sending or already sent."""
        sent, ended = wait + settings.sent_after, wait + settings.delivered_after
        end, code = FATES.get(message.fate, FATES["delivered"])
        steps: list[tuple[float, str, int]] = []
        if message.status in ("accepted", "scheduled"):
            steps.append((min(sent, wait), "queued", 0))
        if end == "queued":
            return steps
        if message.validity < sent and message.status in BEFORE_SENDING:
            return [*steps, (float(message.validity), "failed", 30036)]
        if end != "failed" and message.status in BEFORE_SENDING:
            steps.append((sent, "sent", 0))
        return steps if end == "sent" else [*steps, (ended, end, code)]

    def _step(self, message: Message, status: str, code: int) -> None:
        if message.status in TERMINAL:
            return
        facts: dict[str, Any] = {"status": status, "error": code}
        if not message.sender:
            facts["sender"] = self._pick_sender(message)
        if status in ("sent", "failed") and message.sent is None:
            facts["sent"] = time.time()
        if status == "delivered":
            facts["arrived"] = True
        self.book.change(message, **facts)

    def _pick_sender(self, message: Message) -> str:
        """The service's sender for a phone: the one that it knows, else one by its last digits."""
        known = (m.sender for m in self.book.newest_first(message.to) if not m.inbound and m.sender)
        return next(known, "") or self.options.numbers[int(message.to[-2:]) % len(self.options.numbers)]

    # --- telling ---

    def _plan_callbacks(self, message: Message, how: Callbacks, steps: list[tuple[float, str, int]]) -> None:
        told = [(after, status, code) for after, status, code in steps]
        if how.sequence is not None:
            words = [word.partition(":") for word in how.sequence]
            told = [(steps[-1][0], status, int(code or 0)) for status, _, code in words]
        if how.contradict:
            status, code = ("failed", 30008) if told[-1][1] == "delivered" else ("delivered", 0)
            told.append((told[-1][0], status, code))
        told = [notice for notice in told for _ in range(1 + how.duplicates)]
        if how.shuffle:
            self.script.chance.shuffle(told)
        now = time.monotonic()
        self._next_callback(message, [(now + how.delay + at, status, code) for at, status, code in told])

    def _next_callback(self, message: Message, told: list[tuple[float, str, int]]) -> None:
        """One message's callbacks keep their order: the next leaves when the one before it was answered."""
        if told:
            wait = max(told[0][0] - time.monotonic(), 0.0)
            self.agenda.later(wait, lambda: self.agenda.call(partial(self._tell, message, told)))

    async def _tell(self, message: Message, told: list[tuple[float, str, int]]) -> None:
        _, status, code = told[0]
        generation = self.generation
        if message.status != "canceled" or status == "canceled":
            await self.callback(message, status, code)
        if generation == self.generation:
            self._next_callback(message, told[1:])

    async def callback(
        self, message: Message, status: str, code: int = 0, *, signature: str | None = None
    ) -> int:
        """One signed status callback; the HTTP status it was answered with, 0 when nobody answered."""
        form = status_form(self.options.account, message, status, code)
        generation = self.generation
        outcome = await self.caller.post(message.callback, form, signature=signature)
        if generation != self.generation:
            return outcome.status
        self.journal.note(
            "callback",
            sid=message.sid,
            status=status,
            code=code,
            url=message.callback,
            answer=outcome.status,
            error=outcome.error,
            tries=outcome.tries,
        )
        return outcome.status

    # --- changing ---

    def cancel(self, message: Message) -> None:
        if message.status not in BEFORE_SENDING:
            raise ApiError(30409)
        self.book.change(message, status="canceled")
        if message.callback:
            self.agenda.call(partial(self._tell, message, [(0.0, "canceled", 0)]))

    def redact(self, message: Message) -> None:
        if message.status not in TERMINAL:
            raise ApiError(20009)
        self.book.change(message, body="")

    def delete(self, message: Message) -> None:
        if message.status not in TERMINAL:
            raise ApiError(20009)
        self.book.remove(message)


def status_form(account: str, message: Message, status: str, code: int) -> dict[str, str]:
    """The parameters of a status callback; never the body."""
    form = {
        "AccountSid": account,
        "ApiVersion": VERSION,
        "From": message.sender,
        "MessageSid": message.sid,
        "MessageStatus": status,
        "SmsSid": message.sid,
        "SmsStatus": status,
        "To": message.to,
    }
    if message.service:
        form["MessagingServiceSid"] = message.service
    if code:
        form |= {"ErrorCode": str(code), "ErrorMessage": FAILED.get(code, "")}
    if status in ("delivered", "undelivered"):
        form["RawDlrDoneDate"] = time.strftime("%y%m%d%H%M", time.gmtime())
    return form
