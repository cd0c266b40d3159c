"""The headers that every answer has, whether or not its request reached a view."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from nodetool_site.lib.origins import cors_headers

if TYPE_CHECKING:
    from django.http.response import HttpResponseBase

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(given: str) -> str:
    """Return the id that the client gives its request, or a new one."""
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def add_headers(
    response: HttpResponseBase, *, request_id: str, origin: str | None
) -> None:
    """Add them; ``origin`` is the page that may read the answer, if there is one."""
    headers = response.headers
    headers["x-request-id"] = request_id
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    if origin:
        for name, value in cors_headers(origin).items():
            headers.setdefault(name, value)
