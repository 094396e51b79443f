"""The phones the carrier has written to, as pages."""

from aiohttp import web


def routes() -> list[web.RouteDef]:
    return []
