"""One line for each request, without a secret in it."""

import logging
import re

logger = logging.getLogger("nodetool.access")

_SECRET = re.compile(
    r"(?i)\b(api_key|token|access_token|auth_token|sig|signature)=[^&]*"
)


def mask_tokens(query: str) -> str:
    """Return a query string without the values of its tokens."""
    return _SECRET.sub(r"\1=***", query)


def masked_target(path: str, query: str) -> str:
    """Return path and query, with the values of tokens masked."""
    target = f"{path}?{mask_tokens(query)}" if query else path
    return target.encode("unicode_escape").decode("ascii")


def log_request(
    method: str,
    target: str,
    status: int,
    duration_s: float,
    *,
    user_id: str,
    request_id: str,
) -> None:
    """Write the line of one request; ``target`` is of ``masked_target``."""
    logger.info(
        "%s %s %s %.1fms user=%s id=%s",
        method,
        target,
        status,
        duration_s * 1_000,
        user_id or "-",
        request_id or "-",
    )
