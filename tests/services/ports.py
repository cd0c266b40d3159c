"""Ports for servers that a test is about to start.

Between the choice and the start lie seconds. So the ports are not of those that the
system hands out to everything else, and no two processes of a run choose the same.
"""

import itertools
import os
import secrets
import socket
from collections.abc import Iterator

FIRST, COUNT = 20_000, 12_000


def share() -> range:
    """The ports that are this process's alone in a run."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = COUNT // workers
    start = FIRST + number % workers * size
    return range(start, start + size)


def _turns() -> Iterator[int]:
    """Those in turn, begun anywhere: other runs of this machine have the same."""
    mine = share()
    begin = secrets.randbelow(len(mine))
    return itertools.cycle([*mine[begin:], *mine[:begin]])


_next_ports = _turns()


def free_port() -> int:
    """A port of this machine at which nobody listens."""
    for port in itertools.islice(_next_ports, COUNT):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"no port is free of {COUNT} from {FIRST} on")
