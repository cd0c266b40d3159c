"""What a token with scopes opens: one table for REST, streams and sockets.

A token without scopes opens all that its owner may do. One with scopes opens what one
of them names, and nothing else: none of them includes another.

- ``run``: start runs, steer them, and read jobs
- ``read``: read everything that is not an account's own
- ``write``: create, change and delete what is stored
- ``admin``: tokens, settings, single secrets, the admin paths
"""

import re
from collections.abc import Collection

SCOPES = ("run", "read", "write", "admin")
EVERYTHING: frozenset[str] = frozenset()
"""The scopes of a caller who may do all that their user may."""

_ADMIN_PREFIXES = ("/api/tokens", "/api/settings", "/admin")
_SECRETS = "/api/settings/secrets"
_RUN = re.compile(r"(?:/api)?/workflows/[^/]+/run(?:/stream)?")
_STEER = re.compile(r"/api/jobs/[^/]+/(?:cancel|pause|resume|input|end-input)")
_JOBS = ("/api/jobs/", "/api/jobs")
_OPENAI_PREFIX = "/v1/"
_COMPLETIONS = "/v1/chat/completions/"
_READS_BY_POST = ("/api/workflows/validate", "/api/assets/download")

_NOTHING: tuple[str, ...] = ()
_READ, _STEERS, _FOLLOWS = ("read",), ("run",), ("read", "run")
_WRITE, _ADMIN = ("write",), ("admin",)
COMMANDS = {
    "run_job": _STEERS,
    "cancel_job": _STEERS,
    "pause_job": _STEERS,
    "resume_job": _STEERS,
    "stream_input": _STEERS,
    "end_input_stream": _STEERS,
    "reconnect_job": _FOLLOWS,
    "get_status": _FOLLOWS,
    "list_workflows": _READ,
    "get_workflow": _READ,
    "list_nodes": _READ,
    "get_node": _READ,
    "list_assets": _READ,
    "get_asset": _READ,
    "set_mode": _NOTHING,
    "ping": _NOTHING,
    "chat_message": _STEERS,
    "stop": _STEERS,
}
FRAMES = {"client_tools_manifest": _NOTHING, "tool_result": _STEERS}
"""Of sockets, too: what has a type and is no command."""


def for_request(method: str, path: str) -> tuple[str, ...]:
    """Return the scopes of which one opens the request; the first names it best."""
    path = path.removesuffix("\n").removesuffix("/")  # as the routes do
    reads = method in ("GET", "HEAD")
    if path.startswith(_SECRETS):
        # One secret may be asked for with its value.
        return _WRITE if not reads else _READ if path == _SECRETS else _ADMIN
    if path.startswith(_ADMIN_PREFIXES):
        return _ADMIN
    if path.startswith(_JOBS):
        return _FOLLOWS if reads else _STEERS if _STEER.fullmatch(path) else _WRITE
    if reads and path.startswith(_COMPLETIONS):
        return _FOLLOWS
    if reads or path in _READS_BY_POST:
        return _READ
    is_run = _RUN.fullmatch(path) or path.startswith(_OPENAI_PREFIX)
    return _STEERS if is_run else _WRITE


def for_command(command: str) -> tuple[str, ...]:
    """Return the same for a socket's command; without a row it is an admin's."""
    return COMMANDS.get(command, _ADMIN)


def for_frame(kind: str) -> tuple[str, ...]:
    """Return the same for a socket's frame of a type."""
    return FRAMES.get(kind, _ADMIN)


def missing(held: Collection[str], needed: tuple[str, ...]) -> str | None:
    """Return the scope that a caller lacks; None if they may go on.

    ``held``: the caller's scopes, none of them for everything.
    """
    if not held or not needed or any(scope in held for scope in needed):
        return None
    return needed[0]


def refusal(scope: str) -> str:
    """Return the sentence for a caller who lacks ``scope``."""
    return f"This token lacks the scope '{scope}'."
