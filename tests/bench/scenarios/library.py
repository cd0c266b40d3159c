"""S7: listing and reading when a thousand workflows are saved."""

import asyncio
import json

from tests.bench.graphs import hello
from tests.bench.measure import Figures, WrongAnswer, now, spread
from tests.bench.target import Target


async def thousand_workflows(target: Target) -> Figures:
    count = 50 if target.options.quick else 1000
    rounds = 3 if target.options.quick else 12
    at_once = asyncio.Semaphore(4)

    async def create(number: int) -> str:
        async with at_once:
            return await target.create(hello(), f"bench-list-{number}")

    async def delete(workflow_id: str) -> None:
        async with at_once:
            await target.delete(workflow_id)

    began = now()
    ids = await asyncio.gather(*(create(number) for number in range(count)))
    figures: Figures = {"create_per_s": count / (now() - began)}
    for limit in (100, 500):
        latencies = []
        for _ in range(rounds):
            began = now()
            content = await target.get(f"/api/workflows/?limit={limit}")
            latencies.append(now() - began)
        listed = len(json.loads(content)["workflows"])
        if listed < min(limit, count):  # there are the examples as well
            raise WrongAnswer(f"{listed} workflows listed of {min(limit, count)}")
        figures.update(spread(f"limit{limit}_list", latencies[1:]))
        figures[f"limit{limit}_kib"] = len(content) / 1024
    latencies = []
    for workflow_id in ids[:100]:
        began = now()
        await target.get(f"/api/workflows/{workflow_id}")
        latencies.append(now() - began)
    figures.update(spread("get", latencies))
    began = now()
    await asyncio.gather(*(delete(workflow_id) for workflow_id in ids))
    figures["delete_per_s"] = count / (now() - began)
    return figures
