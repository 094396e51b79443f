"""The simulator's door on the loopback address."""

import asyncio
import socket

from aiohttp import web

from engage.simulator.options import HOST

BACKLOG = 1024


class Listener:
    """The door, which a script may close for a while: then connecting is refused, as when a host is down."""

    def __init__(self, app: web.Application, port: int) -> None:
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        self.port = port
        self.site: web.SockSite | None = None

    async def open(self) -> None:
        """Binds; port 0 becomes the one the system gave."""
        door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((HOST, self.port))
        self.port = door.getsockname()[1]
        self.site = web.SockSite(self.runner, door, backlog=BACKLOG)
        await self.site.start()

    async def refuse(self, seconds: float) -> None:
        """Closes the door and every connection, and opens again after so many seconds."""
        if self.site is None:
            return
        site, self.site = self.site, None
        await site.stop()
        for connection in list(self.runner.server.connections if self.runner.server else ()):
            if connection.transport:
                connection.transport.abort()
        await asyncio.sleep(seconds)
        await self.open()
