"""The ASGI application: HTTP, WebSockets and, where the server has one, a lifespan."""

import logging
import os

import django
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseProblem

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nodetool_site.settings")
django.setup(set_prefix=False)

from jobs import dispatch  # noqa: E402 - needs the settings
from nodetool_site.checks import settings_problems  # noqa: E402 - needs the settings

# Under every server, not only our own command: what must not start does not.
for _, problem, cure in settings_problems():
    raise ImproperlyConfigured(f"{problem}; {cure}")

from nodetool_site.database import check_migrated  # noqa: E402
from nodetool_site.handler import Handler  # noqa: E402 - needs the settings
from nodetool_site.lib import lifecycle  # noqa: E402
from nodetool_site.lib.asgi_types import Receive, Scope, Send  # noqa: E402
from nodetool_site.lib.db import db, describe_problem  # noqa: E402
from nodetool_site.lib.errors import ApplicationError, Unavailable  # noqa: E402
from nodetool_site.lib.surfaces import is_probe  # noqa: E402
from nodetool_site.refusals import refusal_response  # noqa: E402
from nodetool_site.routing import SOCKETS, SocketRouter  # noqa: E402
from storage.start_up import is_prepared, prepare_process  # noqa: E402

if dispatch.is_remote():
    dispatch.load_celery()

logger = logging.getLogger(__name__)
http = Handler()
websocket = SocketRouter(SOCKETS)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection of any kind."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif not (is_prepared() or is_probe(scope["path"]) or await _can_prepare()):
        await _refuse(scope, receive, send)
    elif scope["type"] == "http":
        await http(scope, receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        raise ValueError(f"no application for '{scope['type']}'")


async def _can_prepare() -> bool:
    """Prepare the process for the first who comes, under a server with no lifespan."""
    reason = await db(_why_not_prepared)
    if reason:
        logger.error("nobody is served: %s", reason)
    return not reason


def _why_not_prepared() -> str:
    try:
        check_migrated()
        prepare_process()
    except ApplicationError as error:
        return error.message
    except DatabaseProblem as error:
        return describe_problem(error)
    return ""


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await http.send_response(refusal_response(Unavailable(), scope["path"]), send)
    else:
        await receive()
        await send({"type": "websocket.close", "code": 1011})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            if reason := await db(_why_not_prepared):
                await send({"type": "lifespan.startup.failed", "message": reason})
                return
            await lifecycle.start()
            await send({"type": "lifespan.startup.complete"})
        else:
            await lifecycle.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
