"""Signs a person out after 15 idle minutes. Polling is not activity, so an open page does not keep a session alive."""

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

LAST_ACT = "last_act"
WRITE_EVERY = 30  # seconds between writes of the session, so reading does not cost a row each time


class IdleSignOutMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            now = int(time.time())
            last = request.session.get(LAST_ACT, now)
            if now - last > settings.SESSION_IDLE_SECONDS:
                logout(request)
            elif not request.path.startswith("/poll/") and (
                now - last > WRITE_EVERY or LAST_ACT not in request.session
            ):
                request.session[LAST_ACT] = now
        return self.get_response(request)
