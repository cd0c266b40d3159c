"""Which scope opens what: requests and socket commands."""

import pytest

from nodetool_site.lib import scopes
from nodetool_site.routing import SOCKETS

JOB = "/api/jobs/abc"
RUNS = [
    ("DELETE", "/v1/chat/completions/chatcmpl-1"),
    ("POST", "/api/workflows/w/run"),
    ("POST", "/api/workflows/w/run/"),
    ("POST", "/workflows/w/run/stream/"),
    ("POST", "/workflows/w/run"),
    ("POST", "/api/workflows/w/run/stream"),
    ("POST", "/v1/chat/completions"),
    *(
        ("POST", f"{JOB}/{verb}")
        for verb in ("cancel", "pause/", "resume", "input", "end-input", "cancel/\n")
    ),
]
FOLLOWS = [
    ("GET", "/api/jobs"),
    ("GET", "/api/jobs/"),
    ("GET", "/api/jobs/running/all"),
    ("HEAD", JOB),
    ("GET", f"{JOB}/events"),
    ("GET", f"{JOB}/stream"),
    ("GET", "/v1/chat/completions/chatcmpl-1/stream"),
]
READS = [
    ("GET", "/api/workflows/"),
    ("HEAD", "/api/workflows/w"),
    ("GET", "/api/nodes/metadata"),
    ("GET", "/storage/x.png"),
    ("GET", "/api/settings/secrets"),
    ("GET", "/v1/models"),
    ("POST", "/api/workflows/validate"),
]
WRITES = [
    ("POST", "/api/workflows/"),
    ("PUT", "/api/workflows/w"),
    ("DELETE", "/api/workflows/w"),
    ("DELETE", JOB),
    ("PUT", "/storage/x.png"),
    ("POST", "/api/assets/"),
    ("PUT", "/api/settings/secrets/KEY"),
    ("DELETE", "/api/settings/secrets/KEY/"),
    ("PATCH", "/unknown"),
    ("POST", "/api/workflows/w/run/other"),
    ("POST", f"{JOB}/cancel/now"),
]
ADMINS = [
    ("GET", "/api/tokens"),
    ("POST", "/api/tokens/"),
    ("DELETE", "/api/tokens/1"),
    ("GET", "/api/settings/"),
    ("PUT", "/api/settings"),
    ("GET", "/api/settings/secrets/KEY"),
    ("GET", "/api/settings/secrets/KEY/"),
    ("GET", "/admin/models"),
]
ROWS = [
    *((row, {"run"}) for row in RUNS),
    *((row, {"run", "read"}) for row in FOLLOWS),
    *((row, {"read"}) for row in READS),
    *((row, {"write"}) for row in WRITES),
    *((row, {"admin"}) for row in ADMINS),
]


@pytest.mark.parametrize(
    ("request_", "opens"), ROWS, ids=[" ".join(r) for r, _ in ROWS]
)
def test_each_request_is_opened_by_its_scopes_alone(request_, opens):
    needed = scopes.for_request(*request_)

    opened_by = {s for s in scopes.SCOPES if scopes.missing({s}, needed) is None}

    assert opened_by == opens
    assert scopes.missing(scopes.EVERYTHING, needed) is None
    assert scopes.missing({"none"}, needed) in opens


def test_every_command_of_every_socket_has_a_row():
    commands = {name for socket in SOCKETS.values() for name in socket.table}

    assert commands <= set(scopes.COMMANDS)


def test_a_command_without_a_row_is_closed():
    needed = scopes.for_command("erase_everything")

    assert scopes.missing({"run", "read", "write"}, needed) == "admin"
