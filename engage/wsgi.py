"""The WSGI entry point for gunicorn."""

import os
from collections.abc import Iterable
from typing import Any

from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.middleware.security import SecurityMiddleware

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "engage.settings")


class WebhookHandler(WSGIHandler):
    """For callers without session, page or browser: the middleware that serves those costs a webhook a tenth of its time."""

    def load_middleware(self, is_async: bool = False) -> None:
        handler: Any = self  # whose attributes are not public
        handler._view_middleware = handler._template_response_middleware = handler._exception_middleware = ()
        answer = convert_exception_to_response(handler._get_response)
        handler._middleware_chain = convert_exception_to_response(SecurityMiddleware(answer))


pages = get_wsgi_application()
webhooks = WebhookHandler()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    handler = webhooks if environ.get("PATH_INFO", "").startswith("/webhooks/") else pages
    return handler(environ, start_response)
