"""S9: clients that hang up, and whether the server is usable afterwards."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp

from tests.bench.graphs import hello, sequence
from tests.bench.measure import Figures, WrongAnswer, describe
from tests.bench.target import TERMINAL, Target

ROUNDS = 20
PATIENCE_S = 40
MAX_BAD = 3


async def clients_that_hang_up(target: Target) -> Figures:
    """Twenty times each: close right after `completed`; close at a first output."""
    figures: Figures = {}
    problems: Counter[str] = Counter()
    for name, hang_up in (
        ("close_after_completed", _close_after_completed),
        ("close_mid_job", _close_mid_job),
    ):
        figures[f"{name}_ok_of_20"] = await _rounds(target, name, hang_up, problems)
    await asyncio.sleep(1)
    try:
        async with target.socket() as socket, asyncio.timeout(60):
            job = await target.run_job(socket, graph=hello())
            job.require("hello world")
        figures["job_afterwards_ms"] = job.end * 1000
    except Exception as error:
        problems[f"afterwards: {describe(error)}"] += 1
    figures["usable_afterwards"] = int("job_afterwards_ms" in figures)
    return {**figures, **({"problems": dict(problems)} if problems else {})}


async def _rounds(
    target: Target,
    name: str,
    hang_up: Callable[[Target], Awaitable[None]],
    problems: Counter[str],
) -> int:
    good = bad = 0
    for _ in range(ROUNDS):
        try:
            async with asyncio.timeout(PATIENCE_S):
                await hang_up(target)
            good += 1
        except Exception as error:
            problems[f"{name}: {describe(error)}"] += 1
            bad += 1
            if bad >= MAX_BAD:
                break
    return good


async def _close_after_completed(target: Target) -> None:
    async with target.open_socket() as socket:
        job = await target.run_job(socket, graph=hello())
        job.require("hello world")


async def _close_mid_job(target: Target) -> None:
    async with target.open_socket() as socket:
        request = target.request(graph=sequence(100_000))
        await socket.send_str(json.dumps({"command": "run_job", "data": request}))
        async for message in socket:
            if message.type != aiohttp.WSMsgType.TEXT:
                continue
            frame = json.loads(message.data)
            if frame.get("type") == "output_update":
                return
            if frame.get("status") in TERMINAL:
                raise WrongAnswer(f"{frame['status']} {frame.get('error')}")
    raise WrongAnswer("closed by the server")
