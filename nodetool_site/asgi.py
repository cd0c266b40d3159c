"""The ASGI application: HTTP, WebSockets and, where the server has one, a lifespan."""

import os

import django
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nodetool_site.settings")
django.setup(set_prefix=False)

from nodetool_site.checks import settings_problems  # noqa: E402 - needs the settings

# Under every server, not only our own command: what must not start does not.
for _, problem, cure in settings_problems():
    raise ImproperlyConfigured(f"{problem}; {cure}")

from nodetool_site.handler import Handler  # noqa: E402 - needs the settings
from nodetool_site.lib import lifecycle  # noqa: E402
from nodetool_site.lib.asgi_types import Receive, Scope, Send  # noqa: E402
from nodetool_site.lib.db import db  # noqa: E402
from nodetool_site.lib.errors import ApplicationError  # noqa: E402
from nodetool_site.routing import SOCKETS, SocketRouter  # noqa: E402
from storage.start_up import prepare_process  # noqa: E402

http = Handler()
websocket = SocketRouter(SOCKETS)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection of any kind."""
    if scope["type"] == "http":
        await http(scope, receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        raise ValueError(f"no application for '{scope['type']}'")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await db(prepare_process)
            except ApplicationError as error:
                failed = {"type": "lifespan.startup.failed", "message": error.message}
                await send(failed)
                return
            await lifecycle.start()
            await send({"type": "lifespan.startup.complete"})
        else:
            await lifecycle.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
