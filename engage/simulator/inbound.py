"""A phone writes back: the provider reads its own words first, then the product's webhook gets the text."""

import asyncio
import re
from typing import Any
from xml.etree import ElementTree

from engage.simulator.book import Message
from engage.simulator.caller import Outcome
from engage.simulator.carrier import Carrier
from engage.simulator.resources import VERSION
from engage.simulator.segments import segments

# The provider's default lists; a word counts only when it is the whole text.
STOP = frozenset(["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"])
START = frozenset(["START", "YES", "UNSTOP"])
LONGEST = 1600  # characters a handset sends in one text
HELP = frozenset(["HELP", "INFO"])

ANSWERS = {
    "STOP": "(Carrier) You are unsubscribed. This number sends you nothing more. START brings it back.",
    "START": "(Carrier) You are subscribed again. STOP ends it, HELP tells more.",
    "HELP": "(Carrier) STOP ends the messages of this number. Your phone company may charge for texts.",
}
PLACES = [f"{end}{part}" for end in ("To", "From") for part in ("Country", "State", "City", "Zip")]


def keyword(body: str) -> str:
    """STOP, START, HELP or "" for anything longer than one of their words."""
    word = body.strip().upper()
    for kind, listed in (("STOP", STOP), ("START", START), ("HELP", HELP)):
        if word in listed:
            return kind
    return ""


async def say(carrier: Carrier, phone: str, body: str, *, to: str = "", **how: Any) -> dict[str, Any]:
    """The handset `phone` sends a text to one of our numbers; returns the sid and how the webhook answered.

    how: `times` the webhook gets it so often, `together` all of those at once; `params` replaces or adds
    parameters (None takes one away); `signature` "bad" or "none"; `sid` repeats a text sent before.
    """
    message = carrier.book.messages.get(how.get("sid") or "")
    if message is None:
        message = receive(carrier, phone, body, to)
        if how.get("sid"):
            message.sid = str(how["sid"])
        carrier.book.add(message)
        obey(carrier, message)
    if not carrier.script.settings.inbound:
        carrier.book.change(message, note="The webhook is switched off; the clinic was not told.")
        answers: list[Outcome] = []
    else:
        answers = await tell(carrier, message, how)
    return {"sid": message.sid, "answers": [{"status": a.status, "tries": a.tries} for a in answers]}


def receive(carrier: Carrier, phone: str, body: str, to: str) -> Message:
    """The inbound message, addressed to the number that wrote to this phone last."""
    wrote = (m for m in carrier.book.newest_first(phone) if not m.inbound and m.sender)
    last = next(wrote, None)
    ours = to or (last.sender if last else carrier.options.numbers[0])
    service = carrier.services.get(ours) or (last.service if last else "")
    return carrier.book.new(
        to=ours,
        sender=phone,
        body=body,
        direction="inbound",
        status="received",
        service=service or next(iter(carrier.options.services), ""),
        parts=segments(body),
        arrived=True,
    )


def obey(carrier: Carrier, message: Message) -> None:
    """Blocks or unblocks the sender (and its service) for this phone and answers in the carrier's name."""
    kind = keyword(message.body)
    scopes = [scope for scope in (message.to, message.service) if scope]
    if kind == "STOP":
        changed = [carrier.book.block(scope, message.sender) for scope in scopes]
    elif kind == "START":
        changed = [carrier.book.unblock(scope, message.sender) for scope in scopes]
    else:
        changed = [kind == "HELP" and (message.to, message.sender) not in carrier.book.blocked]
    if any(changed):
        reply(carrier, message, ANSWERS[kind])


def reply(carrier: Carrier, message: Message, body: str) -> None:
    """A text to the handset that no API request asked for."""
    answer = carrier.book.new(
        to=message.sender,
        sender=message.to,
        body=body,
        direction="outbound-reply",
        status="delivered",
        service=message.service,
        parts=segments(body),
        arrived=True,
    )
    answer.sent = answer.created
    carrier.book.add(answer)
    carrier.journal.note("reply", sid=answer.sid, to=answer.to, body=body)


def inbound_form(carrier: Carrier, message: Message) -> dict[str, str]:
    """Every parameter of an inbound text; the places are empty, as they often are, and are signed all the same."""
    form = {
        "AccountSid": carrier.options.account,
        "ApiVersion": VERSION,
        "Body": message.body,
        "From": message.sender,
        "MessageSid": message.sid,
        "NumMedia": "0",
        "NumSegments": str(message.parts),
        "SmsMessageSid": message.sid,
        "SmsSid": message.sid,
        "SmsStatus": "received",
        "To": message.to,
        **dict.fromkeys(PLACES, ""),
        "ToCountry": "US",
        "FromCountry": "US",
    }
    if message.service:
        form["MessagingServiceSid"] = message.service
    if carrier.options.advanced_opt_out and (kind := keyword(message.body)):
        form["OptOutType"] = kind
    return form


async def tell(carrier: Carrier, message: Message, how: dict[str, Any]) -> list[Outcome]:
    """The webhook's answers, one for each time it was told."""
    changed = {**inbound_form(carrier, message), **(how.get("params") or {})}
    form = {name: str(value) for name, value in changed.items() if value is not None}
    signature = {"bad": "bm90IHRoZSByaWdodCBvbmU=", "none": ""}.get(how.get("signature", ""))
    posts = [post(carrier, message, form, signature) for _ in range(int(how.get("times", 1)))]
    if how.get("together"):
        answers = list(await asyncio.gather(*posts))
    else:
        answers = [await one for one in posts]
    if answers:
        carrier.book.change(message, note=why_not(carrier, answers[-1]))
        for text in texts_of(answers[0]):
            reply(carrier, message, text)
    return answers


async def post(carrier: Carrier, message: Message, form: dict[str, str], signature: str | None) -> Outcome:
    """One event: the webhook, and the fallback when that fails."""
    options = carrier.options
    outcome = await carrier.caller.post(options.inbound_url, form, signature=signature)
    if not outcome.good and options.inbound_fallback_url:
        more = {"ErrorCode": "11200", "ErrorUrl": options.inbound_url}
        outcome = await carrier.caller.post(options.inbound_fallback_url, form | more)
    carrier.journal.note(
        "inbound",
        sid=message.sid,
        sender=message.sender,
        to=message.to,
        body=message.body,
        answer=outcome.status,
        error=outcome.error,
        tries=outcome.tries,
    )
    return outcome


def why_not(carrier: Carrier, outcome: Outcome) -> str:
    """A sentence for the handset's page when the clinic did not take the text; "" when it did."""
    if outcome.good:
        return ""
    if outcome.status:
        return f"The clinic's webhook answered HTTP {outcome.status} ({carrier.options.inbound_url})."
    what = "Nothing answers at" if outcome.error == "ct" else "The answer did not come in time from"
    return f"{what} {carrier.options.inbound_url}."


def texts_of(outcome: Outcome) -> list[str]:
    """The texts a TwiML answer asks to be sent back; an answer that is not TwiML asks for none."""
    if not outcome.good or not re.search(r"<Message", outcome.body):
        return []
    try:
        root = ElementTree.fromstring(outcome.body)  # noqa: S314 - the answer of the product under test
    except ElementTree.ParseError:
        return []
    found = ["".join(node.itertext()).strip() for node in root.iter("Message")]
    return [text for text in found if text]
