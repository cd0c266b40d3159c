"""Batches of numbered events: how the log stores and announces them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 256 * 1024


class Batch(msgspec.Struct, frozen=True):
    """Events ``first_seq`` to ``last_seq`` of a job, as they are sent.

    ``body`` holds one complete JSON message a line, or nothing where only the numbers
    were announced. ``is_final``: the last one is the terminal ``job_update``.
    """

    job_id: str
    owner_id: str
    first_seq: int
    last_seq: int
    body: bytes
    is_final: bool = False

    def lines(self, after: int = 0) -> list[bytes]:
        """The messages with a number above ``after``."""
        lines = self.body.split(b"\n")
        return lines[max(0, after + 1 - self.first_seq) :]


def pack(
    events: list[bytes],
    *,
    job_id: str,
    owner_id: str,
    workflow_id: str,
    first_seq: int,
    ts: float,
    is_final: bool,
) -> Iterator[Batch]:
    """Number ``events`` from ``first_seq`` on and cut them into batches.

    An event comes as a JSON object without the common fields; they are put before its
    own, so its bytes are not parsed again.
    """
    workflow = msgspec.json.encode(workflow_id or None)
    head = b'{"job_id":%b,"workflow_id":%b,"ts":%.3f,"job_seq":' % (
        msgspec.json.encode(job_id),
        workflow,
        ts,
    )
    lines: list[bytes] = []
    size = 0
    start = first_seq
    end = first_seq + len(events) - 1
    for seq, event in enumerate(events, first_seq):
        if lines and (
            len(lines) >= MAX_BATCH_EVENTS or size + len(event) > MAX_BATCH_BYTES
        ):
            yield Batch(job_id, owner_id, start, seq - 1, b"\n".join(lines))
            lines, size, start = [], 0, seq
        lines.append(b"%b%d,%b" % (head, seq, event[1:]))
        size += len(head) + len(event)
    yield Batch(job_id, owner_id, start, end, b"\n".join(lines), is_final)
