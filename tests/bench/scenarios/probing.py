"""S8: does a long stream hold the server's loop up? And the probe that asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.bench.graphs import sequence
from tests.bench.measure import Figures, now, spread
from tests.bench.target import Target

PROBE_PAUSE_S = 0.02


async def health_during_stream(target: Target) -> Figures:
    count = 1000 if target.options.quick else target.options.stream_items
    async with target.socket() as socket:
        await target.run_job(socket, graph=sequence(10))
        async with health_probe(target) as idle:
            await asyncio.sleep(2)
        async with health_probe(target) as busy:
            job = await target.run_job(socket, graph=sequence(count))
    figures = {
        **spread("health_idle", idle),
        **spread("health_during_stream", busy),
        "health_during_stream_max_ms": max(busy) * 1000,
        "stream_items": count,
        "stream_s": job.end,
        "probes": len(busy),
    }
    if job.status != "completed" or job.values != list(range(count)):
        got = f"{job.status} {job.error}; {len(job.values)} of {count} items"
        figures["problems"] = {"stream": got}
    return figures


@asynccontextmanager
async def health_probe(target: Target) -> AsyncIterator[list[float]]:
    """Ask /health over and over while the body runs; the latencies in seconds."""
    latencies: list[float] = []
    stop = asyncio.Event()

    async def probe() -> None:
        while not stop.is_set():
            began = now()
            try:
                await target.get("/health")
                latencies.append(now() - began)
            except (aiohttp.ClientError, TimeoutError):
                latencies.append(target.options.timeout_s)
            await asyncio.sleep(PROBE_PAUSE_S)

    task = asyncio.create_task(probe())
    try:
        yield latencies
    finally:
        stop.set()
        await task
