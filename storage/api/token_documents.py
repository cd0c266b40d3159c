"""How the API and the command line speak of API tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from nodetool_site.lib.rendering import format_time
from storage.models import ApiToken


def token_document(token: ApiToken) -> dict[str, Any]:
    """Return what may be told of a token: all but its text and its hash."""
    return {
        "id": str(token.pk),
        "user_id": token.owner_id,
        "name": token.name,
        "prefix": token.prefix,
        "scopes": token.scopes,
        "created_at": format_time(token.created_at),
        "last_used_at": _time(token.last_used_at),
        "expires_at": _time(token.expires_at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
