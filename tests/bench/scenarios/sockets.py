"""S2, S3, S4, S4c8: jobs over /ws."""

import asyncio
import statistics
from collections import Counter
from typing import Any

from tests.bench.graphs import chain, fan, hello, sequence
from tests.bench.measure import Figures, WrongAnswer, describe, now, spread
from tests.bench.target import JobTimes, Target

MAX_BAD = 3


async def long_graphs(target: Target) -> Figures:
    """S2: chains of 10, 100 and 1,000 nodes, and 200 nodes side by side."""
    figures: Figures = {}
    totals: dict[int, float] = {}
    async with target.socket() as socket:
        await target.run_job(socket, graph=chain(3), prompt="Hello")
        for length in (10, 100) if target.options.quick else (10, 100, 1000):
            wanted = "hello" if length % 2 == 0 else "HELLO"
            graph, repeats = chain(length), 5 if length <= 100 else 1
            ends, job = await _repeat(target, socket, graph, wanted, repeats)
            totals[length] = statistics.median(ends)
            figures[f"chain{length}_total_ms"] = totals[length] * 1000
            figures[f"chain{length}_messages"] = job.messages
            figures[f"chain{length}_completed_nodes"] = len(job.completed_nodes)
        wanted = ",".join(["HELLO"] * 200)
        ends, job = await _repeat(target, socket, fan(200), wanted, 3)
        figures["fan200_total_ms"] = statistics.median(ends) * 1000
        figures["fan200_messages"] = job.messages
    per_node = (totals[100] - totals[10]) * 1000 / 90
    figures["marginal_10_to_100_ms_per_node"] = per_node
    if 1000 in totals:
        per_node = (totals[1000] - totals[100]) * 1000 / 900
        figures["marginal_100_to_1000_ms_per_node"] = per_node
    return figures


async def _repeat(
    target: Target, socket: Any, graph: dict[str, Any], wanted: str, repeats: int
) -> tuple[list[float], JobTimes]:
    ends = []
    for _ in range(repeats):
        job = await target.run_job(socket, graph=graph, prompt="Hello")
        job.require(wanted)
        ends.append(job.end)
    return ends, job


async def streamed_items(target: Target) -> Figures:
    """S3: one node streams 10,000 items to an output; none lost, none reordered."""
    count = 1000 if target.options.quick else 10_000
    async with target.socket() as socket:
        await target.run_job(socket, graph=sequence(10))
        job = await target.run_job(socket, graph=sequence(count))
    is_right = job.status == "completed" and job.values == list(range(count))
    figures: Figures = {
        "total_ms": job.end * 1000,
        "items_per_s": count / job.end,
        "messages": job.messages,
        "mib": job.size_bytes / 2**20,
        "lost_or_reordered": int(not is_right),
    }
    if not is_right:
        got = f"{job.status} {job.error}; {len(job.values)} of {count} items"
        figures["problems"] = {"stream": got}
    return figures


async def latency(target: Target) -> Figures:
    """S4: run_job to the first job_update and to completed, over an open socket."""
    figures: Figures = {}
    async with target.workflow(hello(), "bench-latency") as workflow_id:
        for name, mode, request in (
            ("inline", "text", {"graph": hello()}),
            ("saved", "text", {"workflow_id": workflow_id}),
            ("msgpack", "binary", {"graph": hello()}),
        ):
            measured = await _latency(target, mode, request)
            figures.update({f"{name}_{key}": v for key, v in measured.items()})
    problems = {k: figures.pop(k) for k in list(figures) if k.endswith("_problems")}
    return {**figures, **({"problems": problems} if problems else {})}


async def _latency(target: Target, mode: str, request: dict[str, Any]) -> Figures:
    jobs: list[JobTimes] = []
    errors: Counter[str] = Counter()
    async with target.socket() as socket:
        for _ in range(7 if target.options.quick else 32):
            job = await target.run_job(socket, mode=mode, **request)
            try:
                job.require("hello world")
            except WrongAnswer as error:
                errors[describe(error)] += 1
                if errors.total() >= MAX_BAD:
                    break
            jobs.append(job)
    warm = jobs[2:]
    figures = {
        **spread("first_message", [j.first for j in warm if j.first is not None]),
        **spread(
            "first_job_update",
            [j.first_update for j in warm if j.first_update is not None],
        ),
        **spread("completed", [j.end for j in warm]),
        "messages_per_job": jobs[-1].messages if jobs else 0,
        "errors": errors.total(),
    }
    return {**figures, **({"problems": dict(errors)} if errors else {})}


async def throughput(target: Target) -> Figures:
    """S4c8: eight connections, each running the tiny job back to back."""
    done: list[float] = []
    errors: Counter[str] = Counter()
    sockets = [await target.open_socket() for _ in range(8)]
    await target.run_job(sockets[0], graph=hello())
    start = now()

    async def repeat(socket: Any) -> None:
        while now() - start < target.options.window_s:
            began = now()
            try:
                async with asyncio.timeout(60):
                    job = await target.run_job(socket, graph=hello())
                job.require("hello world")
            except Exception as error:
                errors[describe(error)] += 1
                if socket.closed or isinstance(error, TimeoutError):
                    return
            else:
                done.append(now() - began)

    await asyncio.gather(*(repeat(socket) for socket in sockets))
    figures = {
        **spread("completed", done),
        "ok_jobs_per_s": len(done) / (now() - start),
        "ok": len(done),
        "errors": errors.total(),
    }
    await asyncio.sleep(target.options.settle_s)
    for socket in sockets:
        await socket.close()
    return {**figures, **({"problems": dict(errors)} if errors else {})}
