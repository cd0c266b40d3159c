"""What a workflow may be called by in a path."""

import re

_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
# Matched as words before any id: a workflow of this name could not be reached.
RESERVED = frozenset(
    {"names", "tools", "public", "examples", "validate", "import-bundle"}
)


def is_usable_id(text: str) -> bool:
    """Whether a workflow may have this id; no stored one has another."""
    return bool(_CLIENT_ID.fullmatch(text)) and text not in RESERVED
