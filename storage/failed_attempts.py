"""Brute force: how often an address has presented a wrong credential."""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections.abc import Mapping
from threading import Lock
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from storage.shared_failures import SharedFailures

WINDOW_S = 60.0
TABLE_SIZE = 10_000
IPV6_PREFIX = 64
_WITH_PORT = re.compile(r"(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?")


class FailedAttempts:
    """Failures per address in a fixed window of a minute; the oldest leave first.

    Only addresses are counted, never tokens or users: the right token works from
    any other address whatever happens at this one.
    """

    def __init__(self, size: int = TABLE_SIZE) -> None:
        self._windows: dict[str, tuple[float, int]] = {}  # address: (start, failures)
        self._size = size
        self._lock = Lock()
        self._shared = SharedFailures(WINDOW_S, self.learn)

    def retry_after_s(self, address: str, limit: int) -> int:
        """Return how many seconds ``address`` has to wait; 0 if it may try."""
        if not self._windows or limit <= 0:
            return 0
        start, failures = self._windows.get(network_of(address), (0.0, 0))
        rest = start + WINDOW_S - time.monotonic()
        return max(0, math.ceil(rest)) if failures >= limit else 0

    def record(self, address: str) -> None:
        """Count one failure, here and for the other web processes."""
        network, now = network_of(address), time.monotonic()
        with self._lock:
            start, failures = self._windows.get(network, (now, 0))
            if now - start >= WINDOW_S:
                start, failures = now, 0
            self._keep(network, start, failures + 1)
        self._shared.tell(network)

    def learn(self, network: str, failures: int, ends_in_s: float) -> None:
        """Take over what all web processes have counted, where it is more."""
        start = time.monotonic() + ends_in_s - WINDOW_S
        with self._lock:
            known_start, known = self._windows.get(network, (start, 0))
            if failures > known:
                self._keep(network, max(start, known_start), failures)

    def _keep(self, network: str, start: float, failures: int) -> None:
        self._windows.pop(network, None)
        while len(self._windows) >= self._size:
            del self._windows[next(iter(self._windows))]
        self._windows[network] = (start, failures)

    def clear(self) -> None:
        """Forget all failures."""
        with self._lock:
            self._windows.clear()


failed_attempts = FailedAttempts()
"""Those of tokens and passwords alike."""


def address_of(request: HttpRequest) -> str:
    """Return the address a request comes from."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        return client_address(scope)
    return str(request.META.get("REMOTE_ADDR", ""))


def client_address(scope: Mapping[str, Any]) -> str:
    """Return the address an ASGI connection comes from.

    Behind a trusted proxy that is the last entry of the last ``X-Forwarded-For``: the
    one the proxy itself wrote, into the caller's header or below it; those before are
    the caller's claim.
    """
    if settings.TRUST_PROXY_HEADERS:
        for name, value in reversed(list(scope["headers"])):
            if name == b"x-forwarded-for":
                return str(value.decode("latin-1").rpartition(",")[2].strip())
    client = scope.get("client")
    return str(client[0]) if client else ""


def network_of(address: str) -> str:
    """Return what is counted: an IPv4 address, or the /64 that one IPv6 user owns.

    Some proxies add a port, which is another one for each connection; a socket for
    both families shows an IPv4 address within an IPv6 one.
    """
    found = _WITH_PORT.fullmatch(address)
    name = (found[1] or found[2]) if found else address
    try:
        parsed = ipaddress.ip_address(name)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed.packed, IPV6_PREFIX), strict=False))
