"""Announcements between processes: the only user of the channel layer.

An announcement is a hint: the committed batch where it is small, else its numbers. It
may be lost; nobody trusts that it comes. With one process (no ``REDIS_URL``) there is
nobody else to tell, and every function here does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import msgspec
from channels.layers import get_channel_layer
from django.conf import settings

from jobs.batches import Batch

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
MAX_QUEUED = 10_000
RECHECK_S = 0.05
RETRY_S = 1.0
# A subscription outlives its last reader for a while: one request after the other
# would else subscribe and unsubscribe each time.
LINGER_S = 60.0
SEND_TIMEOUT_S = 5.0
COMMANDS = "nodetool.commands"


def is_remote() -> bool:
    """Whether other processes take part."""
    return bool(settings.CHANNEL_LAYER_URL)


def owner_group(owner_id: str) -> str:
    """The group that hears about the jobs of one user; any id makes a valid name."""
    return "nodetool.jobs." + hashlib.sha256(owner_id.encode()).hexdigest()[:32]


class Broadcast:
    """This process's side of the channel layer, on one long-lived loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: deque[tuple[str, dict[str, Any]]] = deque(maxlen=MAX_QUEUED)
        self._has_work: asyncio.Event | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._interest: Counter[str] = Counter()
        self._idle_since: dict[str, float] = {}
        self._wanted: set[str] = set()
        self._joined: set[str] = set()
        self._membership: asyncio.Event | None = None
        self._on_batch: Callable[[Batch], None] | None = None
        self._on_command: Callable[[str], None] | None = None
        self._on_join: Callable[[], None] | None = None

    def start(
        self,
        *,
        on_batch: Callable[[Batch], None] | None = None,
        on_command: Callable[[str], None] | None = None,
        on_join: Callable[[], None] | None = None,
    ) -> None:
        """Publish and listen on the running loop.

        ``on_batch`` gets what other processes stored for users somebody here listens
        for; ``on_command`` a job id with new commands; ``on_join`` is called a moment
        after a subscription, when the log has to be read once more.
        """
        if not is_remote():
            return
        self._loop = asyncio.get_running_loop()
        self._has_work = asyncio.Event()
        self._membership = asyncio.Event()
        self._on_batch = self._on_batch or on_batch
        self._on_command = self._on_command or on_command
        self._on_join = on_join
        if on_command is not None:
            self._wanted.add(COMMANDS)
        self._tasks = [
            self._loop.create_task(self._forever(self._publish)),
            self._loop.create_task(self._forever(self._listen)),
        ]

    async def stop(self) -> None:
        """End the tasks of ``start``, if they are the running loop's."""
        if self._loop is not asyncio.get_running_loop():
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks, self._loop = [], None

    def send(self, group: str, message: dict[str, Any]) -> None:
        """Queue a message for ``group``; any thread. The oldest give way."""
        loop = self._loop
        if loop is None:
            return
        self._queue.append((group, message))
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._wake_publisher)

    def change_interest(self, owner_id: str, by: int) -> None:
        """Count the readers of a user's jobs; the first joins, the last leaves."""
        loop = self._loop
        if loop is None:
            return
        group = owner_group(owner_id)
        with self._lock:
            self._interest[group] += by
            is_new = by > 0 and group not in self._wanted
            if self._interest[group] > 0:
                self._wanted.add(group)
                self._idle_since.pop(group, None)
            else:
                del self._interest[group]
                self._idle_since[group] = time.monotonic()
        if is_new:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._wake_membership)

    def _wake_publisher(self) -> None:
        if self._has_work is not None:
            self._has_work.set()

    def _wake_membership(self) -> None:
        if self._membership is not None:
            self._membership.set()

    async def _forever(self, step: Callable[[], Any]) -> None:
        while True:
            try:
                await step()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the broker may be away
                logger.warning("announcements are interrupted: %s", error)
                self._joined.clear()
                await asyncio.sleep(RETRY_S)

    async def _publish(self) -> None:
        if self._has_work is None:
            return
        await self._has_work.wait()
        self._has_work.clear()
        layer = get_channel_layer()
        while self._queue:
            group, message = self._queue.popleft()
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await layer.group_send(group, message)

    async def _listen(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        keeper = asyncio.create_task(self._keep_membership(layer, channel))
        try:
            while True:
                receive = asyncio.ensure_future(layer.receive(channel))
                await asyncio.wait(
                    {receive, keeper}, return_when=asyncio.FIRST_COMPLETED
                )
                if keeper.done():
                    receive.cancel()
                    keeper.result()
                self._dispatch(await receive)
        finally:
            keeper.cancel()

    async def _keep_membership(self, layer: Any, channel: str) -> None:
        self._joined.clear()
        while self._membership is not None:
            self._membership.clear()
            wanted = self._still_wanted()
            new = wanted - self._joined
            for group in new:
                await layer.group_add(group, channel)
            for group in self._joined - wanted:
                await layer.group_discard(group, channel)
            self._joined = wanted
            if new and self._on_join is not None:
                # SUBSCRIBE returns before Redis has processed it.
                asyncio.get_running_loop().call_later(RECHECK_S, self._on_join)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._membership.wait()

    def _still_wanted(self) -> set[str]:
        with self._lock:
            oldest = time.monotonic() - LINGER_S
            for group, since in [*self._idle_since.items()]:
                if since < oldest:
                    del self._idle_since[group]
                    self._wanted.discard(group)
            return set(self._wanted)

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message["type"] == "command" and self._on_command is not None:
            self._on_command(message["job_id"])
        elif message["type"] == "batch" and self._on_batch is not None:
            self._on_batch(msgspec.msgpack.decode(message["batch"], type=Batch))


_broadcast = Broadcast()
start = _broadcast.start
stop = _broadcast.stop


def publish_batch(batch: Batch) -> None:
    """Tell the other processes that ``batch`` was stored."""
    if not is_remote():
        return
    if len(batch.body) > MAX_BODY_BYTES:
        batch = msgspec.structs.replace(batch, body=b"")
    _broadcast.send(
        owner_group(batch.owner_id),
        {"type": "batch", "batch": msgspec.msgpack.encode(batch)},
    )


def publish_command(job_id: str) -> None:
    """Tell the holder of a job, wherever it is, that a command was stored."""
    if is_remote():
        _broadcast.send(COMMANDS, {"type": "command", "job_id": job_id})


def subscribe(owner_id: str) -> None:
    """Hear what other processes store for this user's jobs."""
    if is_remote():
        _broadcast.change_interest(owner_id, +1)


def unsubscribe(owner_id: str) -> None:
    """The reverse of ``subscribe``."""
    if is_remote():
        _broadcast.change_interest(owner_id, -1)
