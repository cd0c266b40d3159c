"""S6: start-up, memory and idle sockets of the processes themselves."""

import asyncio
from collections import Counter
from typing import Any

import psutil

from tests.bench.graphs import hello
from tests.bench.measure import Figures, describe, now, spread
from tests.bench.scenarios.probing import health_probe
from tests.bench.target import Target
from tests.end_to_end.processes import ProductProcess

MIB = 2**20


async def footprint(target: Target) -> Figures:
    """First start, start with the data there, memory at rest, and idle sockets."""
    server, web = target.server, target.server.web
    figures: Figures = {"first_run_to_health_s": await _start(target)}
    web.terminate()
    figures["start_to_health_s"] = await _start(target)
    await asyncio.to_thread(server.start_workers)
    await asyncio.sleep(2)
    figures["rss_idle_mb"] = web.rss_bytes() / MIB
    figures["threads_idle"] = psutil.Process(web.pid).num_threads()
    figures["cpu_idle_percent"] = await _cpu_percent(web, 3)
    async with target.socket() as socket:
        began = now()
        await target.run_job(socket, graph=hello())
        figures["first_job_cold_ms"] = (now() - began) * 1000
        for _ in range(5):
            await target.run_job(socket, graph=hello())
    await asyncio.sleep(1)
    figures["rss_after_first_jobs_mb"] = web.rss_bytes() / MIB
    for worker in server.workers:
        figures["worker_rss_mb"] = worker.rss_bytes() / MIB
    figures.update(await _idle_sockets(target, figures["rss_after_first_jobs_mb"]))
    began = now()
    code = await asyncio.to_thread(server.stop)
    figures["shutdown_s"] = now() - began
    if code != 0:
        figures.setdefault("problems", {})["shutdown"] = f"exit code {code}"
    return figures


async def _start(target: Target) -> float:
    began = now()
    target.server.web.spawn()
    await asyncio.to_thread(target.server.wait_for, "/health")
    return now() - began


async def _idle_sockets(target: Target, base_mb: float) -> Figures:
    web = target.server.web
    count = 50 if target.options.quick else 500
    sockets, errors = await _open(target, count)
    frames = [0]

    async def drain(socket: Any) -> None:
        async for _ in socket:
            frames[0] += 1

    readers = [asyncio.create_task(drain(socket)) for socket in sockets]
    await asyncio.sleep(3)
    figures: Figures = {
        "idle_ws_open": len(sockets),
        # The sockets alone: the probe below costs more than they do.
        "idle_ws_cpu_percent": await _cpu_percent(web, 5),
    }
    frames[0] = 0
    async with health_probe(target) as latencies:
        figures["idle_ws_probed_cpu_percent"] = await _cpu_percent(web, 5)
    figures["idle_ws_frames_per_s"] = frames[0] / 5
    figures.update(spread("idle_ws_health", latencies))
    figures["rss_idle_ws_mb"] = web.rss_bytes() / MIB
    figures["rss_growth_idle_ws_mb"] = figures["rss_idle_ws_mb"] - base_mb
    figures["idle_ws_still_open"] = sum(not socket.closed for socket in sockets)
    await asyncio.gather(*(s.close() for s in sockets), return_exceptions=True)
    for reader in readers:
        reader.cancel()
    await asyncio.sleep(2)
    figures["rss_after_close_mb"] = web.rss_bytes() / MIB
    figures["threads_after_close"] = psutil.Process(web.pid).num_threads()
    return {**figures, **({"problems": dict(errors)} if errors else {})}


async def _open(target: Target, count: int) -> tuple[list[Any], Counter[str]]:
    sockets: list[Any] = []
    errors: Counter[str] = Counter()
    for _ in range(count):
        try:
            async with asyncio.timeout(10):
                sockets.append(await target.open_socket())
        except Exception as error:
            errors[f"idle sockets: {describe(error)}"] += 1
            if errors.total() > 20:
                break
    return sockets, errors


async def _cpu_percent(process: ProductProcess, seconds: float) -> float:
    """Processor time of the process and its children, of one core."""
    before, began = _cpu_s(process), now()
    await asyncio.sleep(seconds)
    return (_cpu_s(process) - before) / (now() - began) * 100


def _cpu_s(process: ProductProcess) -> float:
    root = psutil.Process(process.pid)
    members = (root, *root.children(recursive=True))
    return sum(sum(member.cpu_times()[:2]) for member in members)
