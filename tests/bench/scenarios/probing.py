"""S8: does a long stream hold the server's loop up? And the probe that asks."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.bench.graphs import sequence
from tests.bench.measure import Figures, spread
from tests.bench.target import Target


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
    """Ask /health over and over while the body runs; the latencies in seconds.

    They are there when the block has ended. A process of its own asks: this one is busy
    with what it receives, which is no delay of the server.
    """
    latencies: list[float] = []
    address = urlsplit(target.url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.probe"),
        *(str(address.hostname), str(address.port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield latencies
    finally:
        answer, _ = await process.communicate(b"")
        latencies += json.loads(answer)
