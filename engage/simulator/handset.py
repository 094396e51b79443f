"""The phones the carrier has written to, as pages: read what arrived, answer as the patient."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from aiohttp import web

from engage.simulator import inbound
from engage.simulator.api import CARRIER
from engage.simulator.carrier import Carrier
from engage.simulator.markup import (
    PAGES,
    bubble,
    document,
    escape,
    page,
    phone_item,
    place,
    quick_buttons,
    shown,
)
from engage.simulator.orders import e164

LISTED = 100
TALK = 100
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
FILES = {"handset.css": "text/css", "handset.js": "text/javascript", "handset.svg": "image/svg+xml"}


def html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)


def opted_out(carrier: Carrier, phone: str) -> bool:
    scopes = (*carrier.options.numbers, *carrier.options.services, *carrier.services.values())
    return any((scope, phone) in carrier.book.blocked for scope in scopes)


# --- all phones ---


def phones_like(carrier: Carrier, query: str) -> list[str]:
    """Phones with these digits in their number, the last to be heard of first."""
    digits = "".join(character for character in query if character.isdigit())
    return [phone for phone in reversed(carrier.book.threads) if digits in phone]


def phone_items(carrier: Carrier, phones: list[str]) -> str:
    threads = carrier.book.threads
    return "".join(phone_item(p, threads[p][-1], opted_out(carrier, p)) for p in phones[:LISTED])


def counted(found: int, query: str) -> str:
    if not found:
        return "No phone has these digits." if query else "No phone yet: nothing has been sent."
    text = "1 phone" if found == 1 else f"{found:,} phones"
    return f"{text}, the latest {LISTED} shown." if found > LISTED else text


async def phones(request: web.Request) -> web.StreamResponse:
    """The list; a whole number opens its phone."""
    carrier, query = request.app[CARRIER], request.query.get("number", "").strip()[:40]
    found = phones_like(carrier, query)
    if query and not found and (number := e164(query)):
        raise web.HTTPSeeOther(place(number))
    content = page("phones.html").substitute(
        query=escape(query),
        count=counted(len(found), query),
        refresh=escape(f"/phones.part?number={quote(query)}"),
        items=phone_items(carrier, found),
    )
    return html(document("Phones", "list", content))


async def phones_part(request: web.Request) -> web.StreamResponse:
    carrier = request.app[CARRIER]
    return html(phone_items(carrier, phones_like(carrier, request.query.get("number", ""))))


# --- one phone ---


def number_in(request: web.Request) -> str:
    """The number of the address, with or without its plus; 404 when it is none."""
    text = request.match_info["number"].strip()
    if not (number := e164(text) or e164(f"+{text}")):
        raise web.HTTPNotFound(text="This is not a phone number.")
    return number


def talk(carrier: Carrier, phone: str) -> str:
    said = carrier.book.thread(phone)[-TALK:]
    if not said:
        return '<li id="none" class="none">Nothing has arrived on this phone. You may write first.</li>'
    return "".join(bubble(message) for message in said)


def phone_page(carrier: Carrier, phone: str, problem: str = "", draft: str = "") -> str:
    said = carrier.book.thread(phone)
    ours = next((m.ours for m in reversed(said) if m.ours), carrier.options.numbers[0])
    stopped = (
        '<p class="state">This phone has opted out: the carrier stops every text until it sends START.</p>'
    )
    content = page("phone.html").substitute(
        phone=shown(phone),
        ours=shown(ours),
        state=stopped if opted_out(carrier, phone) else "",
        earlier=f'<p class="earlier">The last {TALK} of {len(said):,} texts.</p>' if len(said) > TALK else "",
        refresh=f"{place(phone)}part",
        items=talk(carrier, phone),
        action=place(phone),
        problem=f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else "",
        draft=escape(draft),
        quick=quick_buttons(),
    )
    return document(shown(phone), "phone", content)


async def phone(request: web.Request) -> web.StreamResponse:
    return html(phone_page(request.app[CARRIER], number_in(request)))


async def phone_part(request: web.Request) -> web.StreamResponse:
    return html(talk(request.app[CARRIER], number_in(request)))


def from_here(request: web.Request) -> bool:
    """Whether a form was sent from our own pages, not from somebody's else in the same browser."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


async def answer(request: web.Request) -> web.StreamResponse:
    """The patient's text goes to the clinic's webhook; the page then says whether it was taken."""
    if not from_here(request):
        raise web.HTTPForbidden(text="Answer from the simulator's own page.")
    carrier, number, form = request.app[CARRIER], number_in(request), await request.post()
    body = str(form.get("quick") or form.get("body") or "").replace("\r\n", "\n").strip()
    if again := str(form.get("again") or ""):
        if again not in carrier.book.messages:
            raise web.HTTPNotFound(text="This text is no longer held.")
        await inbound.say(carrier, number, "", sid=again)
    elif not body or len(body) > inbound.LONGEST:
        problem = f"A text has at most {inbound.LONGEST:,} characters." if body else "Write something first."
        return html(phone_page(carrier, number, problem, body), 422)
    else:
        await inbound.say(carrier, number, body)
    raise web.HTTPSeeOther(f"{place(number)}#latest")


# --- files ---


def file(name: str, kind: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def send(request: web.Request) -> web.StreamResponse:
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        return web.Response(
            body=(PAGES / name).read_bytes(), content_type=kind, charset="utf-8", headers=headers
        )

    return send


def routes() -> list[web.RouteDef]:
    return [
        web.get("/", phones),
        web.get("/phones.part", phones_part),
        web.get("/phones/{number}/", phone),
        web.get("/phones/{number}/part", phone_part),
        web.post("/phones/{number}/", answer),
        *(web.get(f"/{name}", file(name, kind)) for name, kind in FILES.items()),
    ]
