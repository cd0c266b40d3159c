"""Framing of server-sent events: text in, bytes out."""

CONTENT_TYPE = "text/event-stream; charset=utf-8"
HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
KEEP_ALIVE = b": keep-alive\n\n"
SHUTDOWN = b": shutdown\n\n"
SIGNED_OUT = b": authentication expired or revoked\n\n"
DONE = b"data: [DONE]\n\n"


def event(body: bytes, event_id: str = "") -> bytes:
    """Return one event. ``body`` is one line of JSON, so it needs one ``data:``."""
    if event_id:
        return b"id: %b\ndata: %b\n\n" % (event_id.encode(), body)
    return b"data: %b\n\n" % body


def retry(milliseconds: int) -> bytes:
    """Return the time after which a browser connects again."""
    return f"retry: {milliseconds}\n\n".encode()
