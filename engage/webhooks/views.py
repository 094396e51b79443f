"""What the provider calls. Nothing is answered with success before it is committed."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from engage.inbox import actions as inbox
from engage.messaging.status import apply_status
from engage.webhooks.line import has_line, in_line
from engage.webhooks.proof import Forged, proven

log = logging.getLogger(__name__)
View = Callable[..., HttpResponse]
Act = Callable[[], HttpResponse]


def from_carrier(view: Callable[..., Act]) -> View:
    """Proves the request, hands its parameters to the view, lets the act that this gives stand in line, and answers
    503 (call again) when it was not kept."""

    @csrf_exempt
    @require_POST
    @wraps(view)
    def guarded(request: HttpRequest, **path: Any) -> HttpResponse:
        try:
            params = proven(request)
        except Forged as error:
            log.warning("%s: refused, %s", view.__name__, error)
            return error.answer
        try:
            return in_line(view(params, **path))
        except Exception as error:
            # The traceback could carry the patient's words; its kind and place are enough to find it.
            log.error("%s: not kept (%s)", view.__name__, where(error))
            return HttpResponse("Not kept; call again.\n", status=503, content_type="text/plain")

    return guarded


def where(error: Exception) -> str:
    """`OperationalError in arrival.py:57`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" in {trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"


@from_carrier
def message(params: dict[str, str]) -> Act:
    """A patient's text: kept once, with all that follows from it, in one transaction."""
    if not params.get("MessageSid") or not params.get("From", "").strip():
        return lambda: HttpResponse("No message.\n", status=400, content_type="text/plain")
    sid, address, body = params["MessageSid"][:64], params["From"], params.get("Body", "")
    prepared = inbox.prepare(sid=sid, address=address, body=body) if has_line() else None

    def keep() -> HttpResponse:
        to = params.get("To", "")
        inbox.receive(sid=sid, address=address, to=to, body=body, raw=params, prepared=prepared)
        return HttpResponse("<Response/>", content_type="text/xml")

    return keep


@from_carrier
def status(params: dict[str, str], token: str) -> Act:
    """What became of a message of ours."""

    def keep() -> HttpResponse:
        apply_status(token, params)
        return HttpResponse(status=204)

    return keep
