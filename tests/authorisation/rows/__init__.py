"""Every row, by the app whose routes it tells of.

To add one: open the file of the app, append a ``Row`` (or ``AdminRow``, ``ActionRow``,
``SocketRow``) to its list. ``tests/authorisation/model.py`` says what the columns mean,
``tests/authorisation/objects.py`` has what rows can be about. Without a row for each
route and method, command, admin page and action, ``test_completeness.py`` fails.
"""

from tests.authorisation.model import ActionRow, AdminRow, Row, SocketRow
from tests.authorisation.rows import (
    admin,
    chat,
    jobs,
    probes,
    settings,
    sockets,
    storage,
    workflows,
)

ROWS: dict[str, list[Row]] = {
    "probes": probes.ROWS,
    "workflows": workflows.ROWS,
    "jobs": jobs.ROWS,
    "chat": chat.ROWS,
    "storage": storage.ROWS,
    "settings": settings.ROWS,
}
ADMIN_ROWS: list[AdminRow] = admin.ROWS
ACTION_ROWS: list[ActionRow] = admin.ACTIONS
SOCKET_ROWS: dict[str, list[SocketRow]] = {
    "/ws": sockets.ROWS,
    "/chat": sockets.CHAT_ROWS,
    "/ws/chat": sockets.CHAT_ROWS,
}

ALL = [row for rows in ROWS.values() for row in rows]
