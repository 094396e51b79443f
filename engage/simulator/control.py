"""`/_control/…`: JSON for tests and demonstrations, from this machine only. Nothing of it exists at the provider."""

import asyncio
import functools
import ipaddress
import json
from dataclasses import asdict
from typing import Any

from aiohttp import web

from engage.simulator import inbound
from engage.simulator.api import CARRIER, Handler
from engage.simulator.book import Message
from engage.simulator.faults import FATES, REFUSALS, Callbacks, Rule, Settings, made
from engage.simulator.listener import Listener
from engage.simulator.orders import e164
from engage.simulator.resources import rfc2822

LISTENER = web.AppKey("listener", Listener)
TASKS = web.AppKey("tasks", set[asyncio.Task[None]])


def loopback(request: web.Request) -> bool:
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def controlled(handler: Handler) -> Handler:
    """For this machine's programs only: a page in a browser cannot send application/json to another origin."""

    @functools.wraps(handler)
    async def inner(request: web.Request) -> web.StreamResponse:
        if not loopback(request):
            return web.json_response({"error": "Only this machine controls the simulator."}, status=403)
        if request.method == "POST" and request.content_type != "application/json":
            return web.json_response({"error": "Send application/json."}, status=415)
        try:
            answer = await handler(request)
            await request.app[CARRIER].journal.written()  # whoever reads the log next finds what this did
            return answer
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return web.json_response({"error": str(error) or type(error).__name__}, status=400)

    return inner


async def facts_of(request: web.Request) -> dict[str, Any]:
    facts = json.loads(await request.text() or "{}")
    if not isinstance(facts, dict):
        raise ValueError("send a JSON object")
    return facts


def number_of(text: str) -> str:
    if not (number := e164(text)):
        raise ValueError(f"{text!r} is not a phone number")
    return number


async def script(request: web.Request) -> web.StreamResponse:
    """`{rules: [...], replace: bool}`, or one rule by itself; see faults.Rule."""
    facts, carrier = await facts_of(request), request.app[CARRIER]
    replace = facts.pop("replace", False)
    rules = [made(Rule, one) for one in facts.get("rules", [facts] if facts else [])]
    carrier.script.rules = rules if replace else [*carrier.script.rules, *rules]
    return web.json_response({"rules": len(carrier.script.rules)})


async def settings(request: web.Request) -> web.StreamResponse:
    """Changes what holds for every request; see faults.Settings."""
    carrier, facts = request.app[CARRIER], await facts_of(request)
    changed = asdict(made(Settings, {**asdict(carrier.script.settings), **facts}))
    changed["callbacks"] = Callbacks(**changed["callbacks"])
    carrier.script.settings = Settings(**changed)
    return web.json_response(asdict(carrier.script.settings))


async def numbers(request: web.Request) -> web.StreamResponse:
    """`{"+15551230001": "unreachable", "*0002": "landline", "+15551230003": null}`."""
    facts, fates = await facts_of(request), request.app[CARRIER].script.fates
    for number, fate in facts.items():
        if fate and fate not in FATES and fate not in REFUSALS:
            raise ValueError(f"no fate {fate!r}; there are {', '.join([*FATES, *REFUSALS])}")
        fates.pop(number, None)
        if fate:
            fates[number] = fate
    return web.json_response(fates)


async def refuse(request: web.Request) -> web.StreamResponse:
    """`{seconds: n}`: the listener is closed for so long, a moment after this answer."""
    seconds = float((await facts_of(request)).get("seconds", 1))
    listener = request.app[LISTENER]

    async def soon() -> None:
        await asyncio.sleep(0.02)
        await listener.refuse(seconds)

    request.app[TASKS].add(asyncio.create_task(soon()))
    return web.json_response({"refused_for": seconds}, headers={"Connection": "close"})


def message_facts(message: Message) -> dict[str, Any]:
    return {
        "sid": message.sid,
        "to": message.to,
        "from": message.sender,
        "body": message.body,
        "at": rfc2822(message.created),
        "status": message.status,
        "error_code": message.error or None,
        "status_callback": message.callback,
        "direction": message.direction,
        "arrived": message.arrived,
    }


async def messages(request: web.Request) -> web.StreamResponse:
    """What the API has accepted, oldest first; `?all=1` with the phones' own texts."""
    held = request.app[CARRIER].book.messages.values()
    every = request.query.get("all") == "1"
    found = [message_facts(m) for m in held if every or m.direction == "outbound-api"]
    return web.json_response({"messages": found})


async def say(request: web.Request) -> web.StreamResponse:
    """`{from, body, to?, times?, together?, params?, signature?, sid?}`: a phone writes to us; see inbound.say."""
    facts = await facts_of(request)
    phone, body = number_of(facts.pop("from")), str(facts.pop("body", ""))
    return web.json_response(await inbound.say(request.app[CARRIER], phone, body, **facts))


async def callback(request: web.Request) -> web.StreamResponse:
    """`{sid, status, code?, signature?}`: one status callback now, whatever the message's real status is."""
    carrier, facts = request.app[CARRIER], await facts_of(request)
    message = carrier.book.messages[facts["sid"]]
    status = await carrier.callback(
        message, facts["status"], int(facts.get("code", 0)), signature=facts.get("signature")
    )
    return web.json_response({"answer": status})


async def reset(request: web.Request) -> web.StreamResponse:
    request.app[CARRIER].forget()
    return web.json_response({})


async def health(request: web.Request) -> web.StreamResponse:
    book = request.app[CARRIER].book
    return web.json_response({"messages": len(book.messages), "phones": len(book.threads)})


def routes() -> list[web.RouteDef]:
    posts = {
        "script": script,
        "settings": settings,
        "numbers": numbers,
        "refuse": refuse,
        "say": say,
        "callback": callback,
        "reset": reset,
    }
    gets = {"messages": messages, "health": health}
    return [web.post(f"/_control/{name}", controlled(handler)) for name, handler in posts.items()] + [
        web.get(f"/_control/{name}", controlled(handler)) for name, handler in gets.items()
    ]
