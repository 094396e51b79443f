"""The provider's REST API over aiohttp: sign-in, faults, answers."""

import asyncio
import base64
import binascii
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from engage.simulator.calls import Switchboard
from engage.simulator.carrier import Carrier
from engage.simulator.errors import ApiError
from engage.simulator.faults import Rule
from engage.simulator.listing import page_of
from engage.simulator.orders import Form, checked, one
from engage.simulator.resources import VERSION, account_json, call_json, message_json, numbers_json

CARRIER = web.AppKey("carrier", Carrier)
CALLS = web.AppKey("calls", Switchboard)
BASE = f"/{VERSION}/Accounts/{{account}}"
NULL = "The simulator refuses a text with a NUL, as carriers do."

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(facts: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=json.dumps(facts).encode(), status=status, headers=headers, content_type="application/json"
    )


def refusal(error: ApiError) -> web.Response:
    return answer(error.body(), error.status, error.headers())


def signed_in(request: web.Request) -> None:
    """Basic authentication with the account's sid and one of its tokens, for that account's own resources."""
    options = request.app[CARRIER].options
    kind, _, coded = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _, token = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise ApiError(20003) from None
    good = any(hmac.compare_digest(token.encode(), known.encode()) for known in options.tokens)
    if kind.lower() != "basic" or user != options.account or not good:
        raise ApiError(20003)
    if request.match_info.get("account", options.account) != options.account:
        raise ApiError(20404)


def guarded(handler: Handler) -> Handler:
    """Signs in first and answers every refusal in the provider's shape."""

    async def inner(request: web.Request) -> web.StreamResponse:
        try:
            signed_in(request)
            return await handler(request)
        except ApiError as error:
            return refusal(error)

    return inner


async def form_of(request: web.Request) -> Form:
    return parse_qs((await request.read()).decode(errors="replace"), keep_blank_values=True)


def cut(request: web.Request) -> web.Response:
    """Ends the connection without an answer; what is returned reaches nobody."""
    if request.transport:
        request.transport.abort()
    return web.Response()


def fault(rule: Rule) -> ApiError:
    """The refusal a rule asks for; a status without a code takes the provider's general one."""
    general = {401: 20003, 403: 20005, 429: 20429, 503: 20503}.get(rule.status, 20500)
    code = rule.code or (general if rule.status >= 401 else 20001)
    return ApiError(code, status=rule.status, detail=rule.message, retry_after=rule.retry_after)


async def faulty(request: web.Request, on: str, to: str = "") -> web.Response | None:
    """What a rule does to a request that changes nothing; None when it goes through."""
    rule = request.app[CARRIER].script.match(on, to)
    if rule is None:
        return None
    await asyncio.sleep(rule.hold + rule.delay)
    if rule.drop:
        return cut(request)
    return refusal(fault(rule)) if rule.refuses else None


# --- messages ---


async def create_message(request: web.Request) -> web.StreamResponse:
    """Accepts a message, or refuses it; either is in the log before anybody is answered."""
    carrier, form = request.app[CARRIER], await form_of(request)
    rule = carrier.script.match("create", one(form, "To"), one(form, "Body"))
    if rule and rule.hold:
        await asyncio.sleep(rule.hold)
    try:
        order = admitted(carrier, form, rule)
    except ApiError as error:
        return await rejected(request, form, error, rule)
    message = carrier.compose(order, rule)
    facts = message_json(carrier.options.account, message)
    await carrier.journal.write(
        "accepted",
        sid=message.sid,
        to=message.to,
        sender=message.sender,
        service=message.service,
        body=message.body,
        status_callback=message.callback,
        validity=message.validity,
        answer=told(rule),
    )
    if not carrier.options.bare:
        carrier.accept(message, rule)
    return await answered(request, rule, facts)


def admitted(carrier: Carrier, form: Form, rule: Rule | None) -> Any:
    """The checked order, unless a rule, the rate or the recipient stands against it."""
    if rule and not rule.accepts:
        raise fault(rule)
    if wait := carrier.script.wait():
        raise ApiError(20429, retry_after=max(1, round(wait)))
    order = checked(form, carrier.options.numbers, carrier.options.services)
    if "\x00" in order.body:
        raise ApiError(20001, detail=NULL)
    carrier.refuse_or_pass(order, rule)
    return order


def told(rule: Rule | None) -> str:
    """How the answer to an accepted message will be: `201`, `dropped`, or the status that hides it."""
    if rule is None:
        return "201"
    if rule.drop:
        return "dropped"
    return str(fault(rule).status if rule.refuses else 201)


async def rejected(request: web.Request, form: Form, error: ApiError, rule: Rule | None) -> web.Response:
    dropped = bool(rule and rule.drop)
    await request.app[CARRIER].journal.write(
        "rejected",
        to=one(form, "To"),
        body=one(form, "Body"),
        code=error.code,
        answer="dropped" if dropped else str(error.status),
    )
    if rule and rule.delay:
        await asyncio.sleep(rule.delay)
    return cut(request) if dropped else refusal(error)


async def answered(request: web.Request, rule: Rule | None, facts: dict[str, Any]) -> web.Response:
    """The answer to a message that was accepted, as slow and as wrong as the rule wants it."""
    wait = request.app[CARRIER].script.settings.latency + (rule.delay if rule else 0.0)
    if wait:
        await asyncio.sleep(wait)
    if rule and rule.drop:
        return cut(request)
    return refusal(fault(rule)) if rule and rule.refuses else answer(facts, 201)


async def list_messages(request: web.Request) -> web.StreamResponse:
    if bad := await faulty(request, "list", request.query.get("To", "")):
        return bad
    carrier = request.app[CARRIER]
    return answer(page_of(carrier.book, carrier.options.account, dict(request.query)))


def message_of(request: web.Request) -> Any:
    message = request.app[CARRIER].book.messages.get(request.match_info["sid"])
    if message is None:
        raise ApiError(20404)
    return message


async def fetch_message(request: web.Request) -> web.StreamResponse:
    if bad := await faulty(request, "fetch"):
        return bad
    return answer(message_json(request.app[CARRIER].options.account, message_of(request)))


async def update_message(request: web.Request) -> web.StreamResponse:
    """Cancels (`Status=canceled`) or redacts (`Body=`)."""
    if bad := await faulty(request, "update"):
        return bad
    carrier, message, form = request.app[CARRIER], message_of(request), await form_of(request)
    if one(form, "Status") == "canceled":
        carrier.cancel(message)
    elif form.get("Body") == [""]:
        carrier.redact(message)
    else:
        raise ApiError(20001, detail="Only Status=canceled and an empty Body change a message.")
    return answer(message_json(carrier.options.account, message))


async def delete_message(request: web.Request) -> web.StreamResponse:
    request.app[CARRIER].delete(message_of(request))
    return web.Response(status=204)


# --- calls and the account ---


async def create_call(request: web.Request) -> web.StreamResponse:
    carrier, form = request.app[CARRIER], await form_of(request)
    rule = carrier.script.match("call", one(form, "To"))
    if rule and not rule.accepts:
        return cut(request) if rule.drop else refusal(fault(rule))
    call = request.app[CALLS].place(form, rule.answered_by if rule else "")
    facts = call_json(carrier.options.account, call)
    await carrier.journal.write("called", sid=call.sid, to=call.to, sender=call.sender, answer=told(rule))
    return await answered(request, rule, facts)


def call_of(request: web.Request) -> Any:
    call = request.app[CALLS].calls.get(request.match_info["sid"])
    if call is None:
        raise ApiError(20404)
    return call


async def fetch_call(request: web.Request) -> web.StreamResponse:
    return answer(call_json(request.app[CARRIER].options.account, call_of(request)))


async def update_call(request: web.Request) -> web.StreamResponse:
    call, form = call_of(request), await form_of(request)
    if one(form, "Status") in ("completed", "canceled"):
        request.app[CALLS].finish(call, one(form, "Status"))
    return answer(call_json(request.app[CARRIER].options.account, call))


async def fetch_account(request: web.Request) -> web.StreamResponse:
    return await faulty(request, "account") or answer(account_json(request.app[CARRIER].options.account))


async def list_numbers(request: web.Request) -> web.StreamResponse:
    """The senders of a messaging service: every number is in every service, and none is a short code."""
    options, service = request.app[CARRIER].options, request.match_info["service"]
    if options.services and service not in options.services:
        raise ApiError(20404)
    short = request.match_info["kind"] == "ShortCodes"
    return answer(numbers_json(options.account, service, () if short else options.numbers, short=short))


async def nothing_here(request: web.Request) -> web.StreamResponse:
    raise ApiError(20404)


def routes() -> list[web.RouteDef]:
    """The most used first; aiohttp looks them up by their fixed beginning."""
    return [
        web.post(f"{BASE}/Messages.json", guarded(create_message)),
        web.get(f"{BASE}/Messages.json", guarded(list_messages)),
        web.get(f"{BASE}/Messages/{{sid}}.json", guarded(fetch_message)),
        web.post(f"{BASE}/Messages/{{sid}}.json", guarded(update_message)),
        web.delete(f"{BASE}/Messages/{{sid}}.json", guarded(delete_message)),
        web.post(f"{BASE}/Calls.json", guarded(create_call)),
        web.get(f"{BASE}/Calls/{{sid}}.json", guarded(fetch_call)),
        web.post(f"{BASE}/Calls/{{sid}}.json", guarded(update_call)),
        web.get(f"{BASE}.json", guarded(fetch_account)),
        web.get("/v1/Services/{service}/{kind:PhoneNumbers|ShortCodes}", guarded(list_numbers)),
        web.route("*", f"{BASE}/{{rest:.*}}", guarded(nothing_here)),
    ]
