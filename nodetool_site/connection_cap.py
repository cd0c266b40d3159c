"""How many sockets one user may have open."""

from collections import Counter

from django.conf import settings

from nodetool_site.lib import rate_limits
from nodetool_site.lib.asgi_types import App, Receive, Scope, Send

TRY_LATER = 1013
REASON = "Too many connections"


class ConnectionCap:
    """Counts the sockets of each user, on all paths together, in this process.

    What a socket costs is this process's memory, so each web process counts its own. In
    desktop mode, and where everybody is one user, nobody is counted.
    """

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def around(self, app: App) -> App:
        """Return ``app`` for users with a place left; others are closed with 1013.

        Accepted before: a browser sees no status of a refused handshake.
        """

        async def capped(scope: Scope, receive: Receive, send: Send) -> None:
            user_id = scope["identity"].user_id
            if self._open[user_id] >= _limit():
                await _turn_away(scope, receive, send)
                return
            self._open[user_id] += 1
            try:
                await app(scope, receive, send)
            finally:
                self._open[user_id] -= 1
                if not self._open[user_id]:
                    del self._open[user_id]

        return capped


def _limit() -> float:
    is_counted = rate_limits.users_differ() and settings.SERVER_MODE != "desktop"
    return (is_counted and settings.WS_MAX_CONNECTIONS_PER_USER) or float("inf")


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    offered = scope.get("subprotocols") or [None]
    await send({"type": "websocket.accept", "subprotocol": offered[0]})
    await send({"type": "websocket.close", "code": TRY_LATER, "reason": REASON})
