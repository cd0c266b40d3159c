"""This process's part in running jobs: its Worker row, its engine, its heartbeat.

Started by ``serve``, a Celery worker or ``nodetool run``; under a plain ASGI server at
the first use.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from functools import partial
from typing import Literal
from uuid import uuid4

from django.conf import settings

from jobs import broadcast, dispatch, feed, polling
from jobs.engine_host import EngineHost
from jobs.liveness import Liveness
from jobs.log_writer import writer
from nodetool_site.lib.memory import limit_heap

Kind = Literal["web", "worker", "cli"]

logger = logging.getLogger(__name__)

_lock = threading.Lock()


class _Process:
    def __init__(self) -> None:
        self.host: EngineHost | None = None
        self.liveness: Liveness | None = None
        self.listening: asyncio.AbstractEventLoop | None = None
        self.silence: asyncio.Task[None] | None = None
        self.stuck_engines = 0


_process = _Process()


def start(kind: Kind, *, places: int | None = None) -> EngineHost:
    """Become a process that runs jobs; the running engine if it is one already.

    ``places``: how many at once, if not ``WORKER_CONCURRENCY``; with 0 the process only
    takes part in what others run.
    """
    with _lock:
        if _process.host is None:
            limit_heap()
            host = _start_host(kind, uuid4().hex, places)
            replace = partial(_replace_host, host.worker_id) if kind == "web" else None
            _process.liveness = Liveness(host.worker_id, kind, host, replace)
            _process.liveness.start()
            _process.host = host
            if kind == "worker":
                broadcast.start(on_command=host.wake_commands)
        return _process.host


def _start_host(kind: Kind, worker_id: str, places: int | None) -> EngineHost:
    host = EngineHost(
        worker_id=worker_id,
        concurrency=settings.WORKER_CONCURRENCY if places is None else places,
        at_once=not broadcast.is_remote(),
        takes_waiting=kind != "cli",
    )
    host.start()
    if settings.IS_SQLITE:
        writer.poll(polling.Poll(host))
    return host


def _replace_host(worker_id: str) -> EngineHost:
    """Leave a stuck engine behind; its thread dies with the process."""
    with _lock:
        _process.stuck_engines += 1
        _process.host = _start_host("web", worker_id, None)
        return _process.host


async def is_engine_well() -> bool:
    """Whether no engine of this process had to be left behind; for ``/ready``."""
    return _process.stuck_engines == 0


def host() -> EngineHost | None:
    """The engine of this process, started on demand where jobs run in the server.

    None in scale-out, where this process only serves.
    """
    if dispatch.is_remote():
        return None
    return _process.host or start("web")


def current_host() -> EngineHost | None:
    """The engine of this process if it has been started."""
    return _process.host


def listen() -> None:
    """Hear what other processes store; on the loop of the sockets. Repeatable."""
    loop = asyncio.get_running_loop()
    if _process.listening is loop:
        return
    _process.listening = loop
    limit_heap()
    _process.silence = loop.create_task(feed.watch_silence())
    if broadcast.is_remote() and _process.host is None:
        broadcast.start(on_batch=feed.hear, on_join=feed.look_again_all)
        with _lock:
            if _process.liveness is None:
                _process.liveness = Liveness(uuid4().hex, "web", None)
                _process.liveness.start()


async def stop(reason: str) -> None:
    """End what runs here, saying why, and stop to count as alive."""
    if _process.silence is not None:
        _process.silence.cancel()
        _process.listening = None
    engine, liveness = _process.host, _process.liveness
    _process.host = _process.liveness = None
    if engine is not None:
        await asyncio.to_thread(engine.stop, reason)
    if liveness is not None:
        await asyncio.to_thread(liveness.stop)
    await asyncio.to_thread(broadcast.stop)
