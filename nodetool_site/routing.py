"""WebSocket root: which path leads where, and who may open a socket."""

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from chat.consumers import ChatConsumer
from chat.socket_commands import COMMANDS as CHAT_COMMANDS
from chat.socket_commands import CommandSession
from jobs.consumers import CommandConsumer
from jobs.sessions import Session
from jobs.socket_commands import COMMANDS as JOB_COMMANDS
from jobs.socket_reads import READS
from nodetool_site.auth import SocketAuthentication
from nodetool_site.connection_cap import ConnectionCap
from nodetool_site.lib import surfaces
from nodetool_site.lib.asgi_types import App, Receive, Scope, Send
from nodetool_site.lib.origins import may_open_socket


class JobSocket(CommandConsumer):
    """``/ws``: the commands of every app that has some."""

    table = {**JOB_COMMANDS, **READS, **CHAT_COMMANDS}
    session_class: type[Session] = CommandSession


SOCKETS: dict[str, App] = {
    "/ws": JobSocket(),
    "/chat": ChatConsumer(),
    "/ws/chat": ChatConsumer(),
}

REASONS = {400: "Invalid Host header", 403: "Origin not allowed", 404: "Not found"}


class SocketRouter:
    """Refuses what must not be opened; hands the rest to the application of its path.

    Host and Origin are checked as for HTTP: a page that points its own name at this
    machine, or that comes from elsewhere, must not reach a server without
    authentication.
    """

    def __init__(self, apps: dict[str, App]) -> None:
        cap = ConnectionCap()
        self.apps = {
            path: SocketAuthentication(cap.around(app)) for path, app in apps.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket."""
        app = self.apps.get(scope["path"].rstrip("/"))
        is_off = app is None or surfaces.refusal(scope["path"])
        status = 404 if is_off else _refusal(scope)
        if app is None or status:
            await receive()
            await _refuse(scope, send, status)
        else:
            await app(scope, receive, send)


def _refusal(scope: Scope) -> int:
    """Return the status to refuse the handshake with; 0 if it may go on."""
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"")
    if settings.USE_X_FORWARDED_HOST:
        host = headers.get(b"x-forwarded-host", host)
    host = host.decode("latin-1")
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return 400
    origin = headers.get(b"origin")
    if not may_open_socket(origin.decode("latin-1") if origin else None, host):
        return 403
    return 0


async def _refuse(scope: Scope, send: Send, status: int) -> None:
    """Answer the handshake with a status; 403 under servers that know no other."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    await send(
        {
            "type": "websocket.http.response.start",
            "status": status,
            "headers": [(b"content-type", b"text/plain; charset=utf-8")],
        }
    )
    await send(
        {"type": "websocket.http.response.body", "body": REASONS[status].encode()}
    )
