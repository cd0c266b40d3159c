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
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec
from channels.layers import get_channel_layer
from django.conf import settings

from jobs.batches import Batch

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = 256 * 1024
MAX_QUEUED = 10_000
# Of the bodies among them: while Redis is away, or slow, only numbers gather.
MAX_QUEUED_BYTES = 16 * 1024**2
RECHECK_S = 0.05
RETRY_S = 1.0
# A subscription outlives its last reader for a while: one request after the other
# would else subscribe and unsubscribe each time.
LINGER_S = 60.0
SEND_TIMEOUT_S = 5.0
LAST_WORDS_S = 1.0
COMMANDS = "nodetool.commands"


def is_remote() -> bool:
    """Whether other processes take part."""
    return bool(settings.CHANNEL_LAYER_URL)


def owner_group(owner_id: str) -> str:
    """The group that hears about the jobs of one user; any id makes a valid name."""
    return "nodetool.jobs." + hashlib.sha256(owner_id.encode()).hexdigest()[:32]


class Broadcast:
    """This process's side of the channel layer, on a thread and loop of its own.

    Neither a busy engine nor a busy server holds an announcement up. What gathers while
    one is sent goes out together, one message for each user.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batches: deque[Batch] = deque(maxlen=MAX_QUEUED)
        self._queued_bytes = 0
        self._commands: deque[str] = deque(maxlen=MAX_QUEUED)
        self._interest: Counter[str] = Counter()
        self._idle_since: dict[str, float] = {}
        self._wanted: set[str] = set()
        self._joined: set[str] = set()

    def start(
        self,
        *,
        on_batch: Callable[[Batch], None] | None = None,
        on_command: Callable[[str], None] | None = None,
        on_join: Callable[[], None] | None = None,
    ) -> None:
        """Publish and listen, in the background. All callbacks come on its thread.

        ``on_batch`` gets what other processes stored for users somebody here listens
        for; ``on_command`` a job id with new commands; ``on_join`` is called a moment
        after a subscription, when the log has to be read once more.
        """
        if not is_remote() or self._thread is not None:
            return
        self._on_batch = on_batch
        self._on_command = on_command
        self._on_join = on_join
        self._has_work = asyncio.Event()
        self._membership = asyncio.Event()
        self._stopping = asyncio.Event()
        if on_command is not None:
            self._wanted.add(COMMANDS)
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main(started)),
            name="announcements",
            daemon=True,
        )
        self._thread.start()
        started.wait()

    def stop(self) -> None:
        """Send what is waiting, within a second, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._wake(self._stopping)
            thread.join(LAST_WORDS_S * 2)

    def announce(self, batch: Batch) -> None:
        """Tell the other processes that ``batch`` was stored; any thread."""
        if self._loop is None:
            return
        with self._lock:
            room = MAX_QUEUED_BYTES - self._queued_bytes
            if len(batch.body) > min(room, MAX_BODY_BYTES):
                batch = msgspec.structs.replace(batch, body=b"")
            self._batches.append(batch)
            self._queued_bytes += len(batch.body)
        self._wake(self._has_work)

    def take_batches(self) -> list[Batch]:
        """Return what waits to be sent; it waits no longer."""
        with self._lock:
            taken = _taken(self._batches)
            self._queued_bytes = 0
        return taken

    def announce_command(self, job_id: str) -> None:
        """Tell the holder of a job that a command was stored; any thread."""
        if self._loop is not None:
            self._commands.append(job_id)
            self._wake(self._has_work)

    def change_interest(self, owner_id: str, by: int) -> None:
        """Count the readers of a user's jobs; the first joins, the last lingers."""
        if self._loop is None:
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
            self._wake(self._membership)

    def _wake(self, event: asyncio.Event) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(event.set)

    # --- on the thread

    async def _main(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        tasks = [
            asyncio.create_task(_forever(self._publish, self._joined.clear)),
            asyncio.create_task(_forever(self._listen, self._joined.clear)),
        ]
        started.set()
        await self._stopping.wait()
        self._loop = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._send_waiting()

    async def _publish(self) -> None:
        await self._has_work.wait()
        self._has_work.clear()
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self._send_waiting()

    async def _send_waiting(self) -> None:
        layer = get_channel_layer()
        if job_ids := set(_taken(self._commands)):
            message = {"type": "commands", "job_ids": list(job_ids)}
            await layer.group_send(COMMANDS, message)
        by_owner: dict[str, list[Batch]] = {}
        for batch in self.take_batches():
            by_owner.setdefault(batch.owner_id, []).append(batch)
        for owner_id, batches in by_owner.items():
            encoded = msgspec.msgpack.encode(shortened(batches))
            message = {"type": "batches", "batches": encoded}
            await layer.group_send(owner_group(owner_id), message)

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
        while True:
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
        if message["type"] == "commands" and self._on_command is not None:
            for job_id in message["job_ids"]:
                self._on_command(job_id)
        elif message["type"] == "batches" and self._on_batch is not None:
            for batch in msgspec.msgpack.decode(message["batches"], type=list[Batch]):
                self._on_batch(batch)


def shortened(batches: Iterable[Batch]) -> list[Batch]:
    """What one message says of ``batches``: bodies while they are small and fit.

    Of the others the numbers alone, one entry for all of a job.
    """
    said: list[Batch] = []
    without: dict[str, Batch] = {}
    room = MAX_MESSAGE_BYTES
    for batch in batches:
        size = len(batch.body)
        before = without.get(batch.job_id)
        if before is None and size <= min(room, MAX_BODY_BYTES):
            said.append(batch)
            room -= size
            continue
        first = batch.first_seq if before is None else before.first_seq
        without[batch.job_id] = msgspec.structs.replace(
            batch, first_seq=first, body=b""
        )
    return [*said, *without.values()]


def _taken(queue: deque[Any]) -> list[Any]:
    taken = []
    with contextlib.suppress(IndexError):
        while True:
            taken.append(queue.popleft())
    return taken


async def _forever(
    step: Callable[[], Coroutine[Any, Any, None]], on_failure: Callable[[], None]
) -> None:
    while True:
        try:
            await step()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the broker may be away
            logger.warning("announcements are interrupted: %s", error)
            on_failure()
            await asyncio.sleep(RETRY_S)


_broadcast = Broadcast()
start = _broadcast.start
stop = _broadcast.stop


def publish_batch(batch: Batch) -> None:
    """Tell the other processes that ``batch`` was stored."""
    if is_remote():
        _broadcast.announce(batch)


def publish_command(job_id: str) -> None:
    """Tell the holder of a job, wherever it is, that a command was stored."""
    if is_remote():
        _broadcast.announce_command(job_id)


def subscribe(owner_id: str) -> None:
    """Hear what other processes store for this user's jobs."""
    if is_remote():
        _broadcast.change_interest(owner_id, +1)


def unsubscribe(owner_id: str) -> None:
    """The reverse of ``subscribe``."""
    if is_remote():
        _broadcast.change_interest(owner_id, -1)
