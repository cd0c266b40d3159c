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
# Line ends to some clients, though not to the specification; inside JSON text only.
_LINE_ENDS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)


def event(body: bytes, event_id: str = "") -> bytes:
    """Return one event. ``body`` is one line of JSON, so it needs one ``data:``."""
    if event_id:
        return b"id: %b\ndata: %b\n\n" % (event_id.encode(), body)
    return b"data: %b\n\n" % body


def retry(milliseconds: int) -> bytes:
    """Return the time after which a browser connects again."""
    return f"retry: {milliseconds}\n\n".encode()


def one_line_each(data: bytes) -> bytes:
    """Write as escapes what some clients take for the end of a line (E-10)."""
    if data.isascii():  # nearly always, and ten times as quick as to look for each
        return data
    for end, escape in _LINE_ENDS:
        if end in data:
            data = data.replace(end, escape)
    return data
