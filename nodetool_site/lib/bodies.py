"""How large a request body may be."""

from django.conf import settings

UPLOAD_PATHS = ("/api/assets", "/api/storage", "/storage/")


def body_limit(path: str) -> int:
    """Return the most bytes a request to ``path`` may carry; 0 is no limit."""
    limit: int = (
        settings.MAX_UPLOAD_BYTES
        if path.startswith(UPLOAD_PATHS)
        else settings.MAX_BODY_BYTES
    )
    return limit
