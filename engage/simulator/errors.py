"""The provider's error codes that matter here, in our own words, and the body it answers them with.

Codes: domain-facts of the project (§7) and the provider's error dictionary; 21624, 21625 and 30409 are from memory.
"""

from typing import Any

REFUSED: dict[int, tuple[int, str]] = {
    20001: (400, "A parameter is not valid."),
    20003: (401, "The account or its token is not right."),
    20004: (405, "This method is not allowed here."),
    20005: (403, "The account is not active."),
    20009: (409, "The resource cannot be changed before it has come to its end."),
    20404: (404, "There is nothing at this address."),
    20429: (429, "Too many requests."),
    20500: (500, "Something broke inside the provider."),
    20503: (503, "The service is not available now."),
    21201: (400, "A call needs a 'To' number."),
    21205: (400, "The 'Url' is not valid."),
    21211: (400, "The 'To' number is not a valid phone number."),
    21212: (400, "The 'From' number is not a valid phone number."),
    21213: (400, "A call needs a 'From' number."),
    21266: (400, "'To' and 'From' may not be the same number."),
    21408: (400, "Sending to this region is not enabled."),
    21602: (400, "A message needs a body."),
    21603: (400, "A message needs a 'From' number or a messaging service."),
    21604: (400, "A message needs a 'To' number."),
    21609: (400, "The 'StatusCallback' address is not valid."),
    21610: (400, "The recipient has unsubscribed from this sender."),
    21612: (400, "There is no route from this 'From' to this 'To'."),
    21614: (400, "The 'To' number is not a mobile number."),
    21617: (400, "The body is longer than 1600 characters."),
    21624: (400, "The validity period is not a whole number."),
    21625: (400, "The validity period is not between 1 and 36000 seconds."),
    21659: (400, "The 'From' number does not belong to this account."),
    21701: (404, "The messaging service does not exist."),
    21705: (400, "The messaging service sid is not valid."),
    30409: (409, "Only a message that has not been sent can be cancelled."),
}

FAILED: dict[int, str] = {
    21610: "The recipient has unsubscribed.",
    30001: "The queue is full.",
    30002: "The account is suspended.",
    30003: "The handset cannot be reached.",
    30004: "The message is blocked.",
    30005: "The number is unknown.",
    30006: "A landline, or a carrier that cannot be reached.",
    30007: "The carrier filtered the message.",
    30008: "An unknown error.",
    30022: "The rate of the brand is exceeded.",
    30034: "The sender is not registered.",
    30036: "The validity period has run out.",
}


class ApiError(Exception):
    """A request that is answered with an error; nothing was accepted."""

    def __init__(
        self, code: int, *, status: int = 0, detail: str = "", retry_after: float | None = None
    ) -> None:
        known = REFUSED.get(code, (400, FAILED.get(code, "The request was refused.")))
        self.code = code
        self.status = status or known[0]
        self.message = detail or known[1]
        self.retry_after = retry_after
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """`{code, message, more_info, status}`, the shape of every refusal."""
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        return {"code": self.code, "message": self.message, "more_info": more, "status": self.status}

    def headers(self) -> dict[str, str]:
        if self.status == 401:
            return {"WWW-Authenticate": 'Basic realm="Engage carrier simulator"'}
        return {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
