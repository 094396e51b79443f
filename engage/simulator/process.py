"""The process: one listener on the loopback address, one line when it is ready, a clean end on SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from engage.simulator import api, control, handset
from engage.simulator.calls import Switchboard
from engage.simulator.carrier import Carrier
from engage.simulator.listener import Listener
from engage.simulator.options import HOST, Options


def application(carrier: Carrier) -> web.Application:
    app = web.Application(client_max_size=1024 * 1024)
    app[api.CARRIER] = carrier
    app[api.CALLS] = Switchboard(carrier)
    app[control.TASKS] = set()
    app.add_routes(api.routes())
    app.add_routes(control.routes())
    app.add_routes(handset.routes())
    return app


async def serve(options: Options) -> None:
    """Runs until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    carrier = Carrier(options)
    app = application(carrier)
    listener = Listener(app, options.port)
    app[control.LISTENER] = listener
    await listener.runner.setup()
    try:
        await listener.open()
        print(f"simulator ready on http://{HOST}:{listener.port} log {options.log}", flush=True)  # noqa: T201
        await ended.wait()
    finally:
        await listener.runner.cleanup()
        await carrier.close()


def loop_of(main: Coroutine[Any, Any, None]) -> None:
    """uvloop where it is installed, asyncio's own loop elsewhere."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def run(options: Options) -> int:
    """The exit status: 0 after a clean end, 1 when the port is taken."""
    try:
        loop_of(serve(options))
    except OSError as error:
        why = f"The simulator cannot start on port {options.port}: {error.strerror or error}"
        print(why, file=sys.stderr)  # noqa: T201
        return 1
    return 0
