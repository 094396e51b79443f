"""Proof that a request is the carrier's: its signature over the address we published, and our account's id.

Source: the provider's request signing (HMAC-SHA1 of the full URL and the sorted parameters with the account's token).
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from twilio.request_validator import RequestValidator

from engage.lib import text

LARGEST_BODY = 64 * 1024
SIGNATURE = "X-Twilio-Signature"


class Forged(Exception):
    """Not the carrier's; `answer` says no more than that."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.answer = HttpResponse(f"{sentence}\n", status=status, content_type="text/plain")


def proven(request: HttpRequest) -> dict[str, str]:
    """The parameters of a request the carrier has signed, with what no database keeps (NUL) taken out.

    Raises Forged: 413 when too large, 403 without or with a wrong signature, or for another account.
    """
    length = request.headers.get("Content-Length") or "0"
    if not length.isdigit() or int(length) > LARGEST_BODY or len(request.body) > LARGEST_BODY:
        raise Forged(413, "Too large.")
    if not signed(request):
        raise Forged(403, "The signature does not match.")
    params = {name: text.clean(value) for name, value in request.POST.items() if isinstance(value, str)}
    if params.get("AccountSid") != settings.TWILIO_ACCOUNT_SID:
        raise Forged(403, "Not our account.")
    return params


def signed(request: HttpRequest) -> bool:
    """Whether one of our tokens (two during a rotation) signed exactly this, blanks included."""
    signature = request.headers.get(SIGNATURE, "")
    if not signature.isascii() or not signature:
        return False
    params: Any = request.POST
    if request.content_type == "application/json":
        # Such a body is signed by its digest in the address; without one nothing vouches for it.
        if "bodySHA256" not in request.GET:
            return False
        params = request.body.decode("utf-8", "replace")
    url = address_of(request)
    tokens: list[str] = settings.TWILIO_AUTH_TOKENS
    matches = [RequestValidator(token).validate(url, params, signature) for token in tokens]
    return any(matches)


def address_of(request: HttpRequest) -> str:
    """The address as the carrier called it: by configuration, never by Host or X-Forwarded-* headers."""
    query = request.META.get("QUERY_STRING", "")
    return f"{settings.PUBLIC_BASE_URL}{request.path}" + (f"?{query}" if query else "")
