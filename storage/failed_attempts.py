"""Brute force: how often an address has presented a wrong credential."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Mapping
from threading import Lock
from typing import Any

from django.conf import settings
from django.http import HttpRequest

WINDOW_S = 60.0
TABLE_SIZE = 10_000
IPV6_PREFIX = 64


class FailedAttempts:
    """Failures per address in a fixed window of a minute; the oldest leave first.

    Only addresses are counted, never tokens or users: the right token works from
    any other address whatever happens at this one.
    """

    def __init__(self, size: int = TABLE_SIZE) -> None:
        self._windows: dict[str, tuple[float, int]] = {}  # address: (start, failures)
        self._size = size
        self._lock = Lock()

    def retry_after_s(self, address: str, limit: int) -> int:
        """Return how many seconds ``address`` has to wait; 0 if it may try."""
        if not self._windows or limit <= 0:
            return 0
        start, failures = self._windows.get(network_of(address), (0.0, 0))
        rest = start + WINDOW_S - time.monotonic()
        return max(0, math.ceil(rest)) if failures >= limit else 0

    def record(self, address: str) -> None:
        """Count one failure."""
        network, now = network_of(address), time.monotonic()
        with self._lock:
            start, failures = self._windows.pop(network, (now, 0))
            if now - start >= WINDOW_S:
                start, failures = now, 0
            while len(self._windows) >= self._size:
                del self._windows[next(iter(self._windows))]
            self._windows[network] = (start, failures + 1)

    def clear(self) -> None:
        """Forget all failures."""
        with self._lock:
            self._windows.clear()


failed_attempts = FailedAttempts()
"""Those of this process, for tokens and passwords alike."""


def address_of(request: HttpRequest) -> str:
    """Return the address a request comes from."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        return client_address(scope)
    return str(request.META.get("REMOTE_ADDR", ""))


def client_address(scope: Mapping[str, Any]) -> str:
    """Return the address an ASGI connection comes from.

    Behind a trusted proxy that is the last entry of ``X-Forwarded-For``: the one the
    proxy itself wrote; those before it are the caller's claim.
    """
    if settings.TRUST_PROXY_HEADERS:
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                return str(value.decode("latin-1").rpartition(",")[2].strip())
    client = scope.get("client")
    return str(client[0]) if client else ""


def network_of(address: str) -> str:
    """Return what is counted: an IPv4 address, or the /64 that one IPv6 user owns."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
    except ValueError:
        return address
