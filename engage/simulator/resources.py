"""The JSON of the provider's resources, as its published description has it (api.v2010)."""

import time
from collections.abc import Sequence
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode

from engage.simulator.book import Message
from engage.simulator.errors import FAILED

VERSION = "2010-04-01"
_dates: dict[int, str] = {}


def rfc2822(at: float | None) -> str | None:
    """`Tue, 24 Nov 2026 02:20:08 +0000`; resources are made thousands a second, so a second's text is kept."""
    if at is None:
        return None
    second = int(at)
    if second not in _dates:
        if len(_dates) > 1000:
            _dates.clear()
        _dates[second] = formatdate(second).replace("-0000", "+0000")
    return _dates[second]


def message_json(account: str, message: Message) -> dict[str, Any]:
    """A Message resource."""
    uri = f"/{VERSION}/Accounts/{account}/Messages/{message.sid}"
    return {
        "account_sid": account,
        "api_version": VERSION,
        "body": message.body,
        "date_created": rfc2822(message.created),
        "date_sent": rfc2822(message.sent),
        "date_updated": rfc2822(message.updated),
        "direction": message.direction,
        "error_code": message.error or None,
        "error_message": FAILED.get(message.error),
        "from": message.sender or None,
        "messaging_service_sid": message.service or None,
        "num_media": str(message.media),
        # A sender is chosen later when a service sends, and nothing is counted before.
        "num_segments": str(message.parts if message.sender else 0),
        "price": None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


def page_json(
    account: str, found: list[Message], size: int, page: int, query: dict[str, str], more: bool
) -> dict[str, Any]:
    """One page of a listing; `next_page_uri` carries the place after the last message, not an offset."""
    base = f"/{VERSION}/Accounts/{account}/Messages.json"

    def at(number: int, token: str = "") -> str:
        words = {**query, "PageSize": size, "Page": number} | ({"PageToken": token} if token else {})
        return f"{base}?{urlencode(words)}"

    token = f"PASM{found[-1].number:028x}" if found else ""
    return {
        "end": page * size + max(len(found) - 1, 0),
        "first_page_uri": at(0),
        "messages": [message_json(account, message) for message in found],
        "next_page_uri": at(page + 1, token) if more else None,
        "page": page,
        "page_size": size,
        "previous_page_uri": at(page - 1) if page else None,
        "start": page * size,
        "uri": at(page),
    }


def numbers_json(account: str, service: str, numbers: Sequence[str], *, short: bool) -> dict[str, Any]:
    """All senders of one kind of a messaging service, on one page (messaging.v1)."""
    kind, field = ("short_codes", "short_code") if short else ("phone_numbers", "phone_number")
    known = {"account_sid": account, "service_sid": service, "country_code": "US"}
    return {
        "meta": {"key": kind, "page": 0, "page_size": len(numbers), "next_page_url": None},
        kind: [known | {"sid": f"PN{n:032x}", field: number} for n, number in enumerate(numbers)],
    }


def call_json(account: str, call: Any) -> dict[str, Any]:
    """A Call resource; `duration` is the whole seconds of a finished call, as text."""
    uri = f"/{VERSION}/Accounts/{account}/Calls/{call.sid}"
    subresources = (
        "notifications",
        "recordings",
        "payments",
        "events",
        "transcriptions",
        "siprec",
        "streams",
    )
    return {
        "account_sid": account,
        "annotation": None,
        "answered_by": call.answered_by or None,
        "api_version": VERSION,
        "caller_name": None,
        "date_created": rfc2822(call.created),
        "date_updated": rfc2822(call.updated),
        "direction": "outbound-api",
        "duration": str(int(call.ended - call.answered)) if call.ended and call.answered else None,
        "end_time": rfc2822(call.ended),
        "forwarded_from": None,
        "from": call.sender,
        "from_formatted": call.sender,
        "group_sid": None,
        "parent_call_sid": None,
        "phone_number_sid": None,
        "price": None,
        "price_unit": "USD",
        "queue_time": "0",
        "sid": call.sid,
        "start_time": rfc2822(call.answered),
        "status": call.status,
        "subresource_uris": {name: f"{uri}/{name.title()}.json" for name in subresources},
        "to": call.to,
        "to_formatted": call.to,
        "trunk_sid": None,
        "uri": f"{uri}.json",
    }


def account_json(account: str) -> dict[str, Any]:
    now = rfc2822(time.time())
    return {
        "auth_token": None,
        "date_created": now,
        "date_updated": now,
        "friendly_name": "Carrier simulator",
        "owner_account_sid": account,
        "sid": account,
        "status": "active",
        "subresource_uris": {},
        "type": "Full",
        "uri": f"/{VERSION}/Accounts/{account}.json",
    }
