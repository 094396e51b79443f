"""Phone calls: placed, rung, answered by whom the script says, ended. What is said on them is not played."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial

from engage.simulator.carrier import Carrier
from engage.simulator.errors import ApiError
from engage.simulator.orders import Form, callback_url, e164, one
from engage.simulator.resources import VERSION

EVENTS = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
ENDED = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
UNANSWERED = frozenset({"busy", "failed", "no-answer"})
KEPT = 10_000


@dataclass(slots=True)
class Call:
    """Times are seconds since the epoch; `who` is the script: human, machine_start, busy, no-answer, failed…"""

    sid: str
    to: str
    sender: str
    url: str
    twiml: str
    callback: str
    events: frozenset[str]
    who: str
    detect: bool
    created: float
    updated: float
    status: str = "queued"
    answered: float | None = None
    ended: float | None = None
    answered_by: str = ""
    sequence: int = 0


class Switchboard:
    """The calls of one carrier."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self.calls: OrderedDict[str, Call] = OrderedDict()

    def place(self, form: Form, who: str) -> Call:
        """A call that has been accepted; it goes on by itself.

        Raises:
            ApiError: when a parameter is missing or wrong.
        """
        call = self._checked(form, who)
        self.calls[call.sid] = call
        while len(self.calls) > KEPT:
            self.calls.popitem(last=False)
        step = self.carrier.script.settings.sent_after
        for n, status in enumerate(path(call)):
            self.carrier.agenda.later(step * n, partial(self._step, call, status))
        return call

    def _checked(self, form: Form, who: str) -> Call:
        if not one(form, "To"):
            raise ApiError(21201)
        if not one(form, "From"):
            raise ApiError(21213)
        to, sender, now = e164(one(form, "To")), e164(one(form, "From")), time.time()
        if not to:
            raise ApiError(21211)
        if sender not in self.carrier.options.numbers:
            raise ApiError(21212)
        if not (one(form, "Url") or one(form, "Twiml") or one(form, "ApplicationSid")):
            raise ApiError(21205)
        return Call(
            sid=self.carrier.book.sid("CA"),
            to=to,
            sender=sender,
            url=callback_url(one(form, "Url")),
            twiml=one(form, "Twiml"),
            callback=callback_url(one(form, "StatusCallback")),
            events=frozenset(" ".join(form.get("StatusCallbackEvent", ["completed"])).split()),
            who=who or "human",
            detect=bool(one(form, "MachineDetection")),
            created=now,
            updated=now,
        )

    def finish(self, call: Call, status: str) -> None:
        """Ends a call on request: `canceled` before it is answered, `completed` after."""
        if call.status not in ENDED:
            self._step(call, "canceled" if status == "canceled" and not call.answered else "completed")

    def _step(self, call: Call, status: str) -> None:
        if call.status in ENDED:
            return
        now = time.time()
        call.status, call.updated = status, now
        if status == "in-progress":
            call.answered = now
            call.answered_by = call.who if call.detect else ""
            if call.url:
                self.carrier.agenda.call(partial(self._ask, call))
        if status in ENDED:
            call.ended = now
        event = "completed" if status in ENDED else EVENTS[status]
        if call.callback and event in call.events:
            form = self._form(call, status) | self._progress(call)
            self.carrier.agenda.call(partial(self._tell, call, call.callback, form))

    def _form(self, call: Call, status: str) -> dict[str, str]:
        form = {
            "AccountSid": self.carrier.options.account,
            "ApiVersion": VERSION,
            "CallSid": call.sid,
            "CallStatus": status,
            "Called": call.to,
            "Caller": call.sender,
            "Direction": "outbound-api",
            "From": call.sender,
            "To": call.to,
        }
        return form | ({"AnsweredBy": call.answered_by} if call.answered_by else {})

    def _progress(self, call: Call) -> dict[str, str]:
        """What a progress callback adds; the duration is seconds, the billed one minutes."""
        call.sequence += 1
        form = {
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(call.sequence - 1),
            "Timestamp": formatdate(call.updated).replace("-0000", "+0000"),
        }
        if call.ended:
            seconds = int(call.ended - (call.answered or call.ended))
            form |= {"CallDuration": str(seconds), "Duration": str(-(-seconds // 60))}
        return form

    async def _ask(self, call: Call) -> None:
        await self._tell(call, call.url, self._form(call, "in-progress"))

    async def _tell(self, call: Call, url: str, form: dict[str, str]) -> None:
        outcome = await self.carrier.caller.post(url, form)
        self.carrier.journal.note(
            "call",
            sid=call.sid,
            status=form["CallStatus"],
            url=url,
            answer=outcome.status,
            heard=outcome.body[:500],
        )


def path(call: Call) -> list[str]:
    if call.who in UNANSWERED:
        return ["initiated", "ringing", call.who]
    return ["initiated", "ringing", "in-progress", "completed"]
