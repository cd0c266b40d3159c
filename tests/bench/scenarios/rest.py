"""S0, S1, S1sse: requests over HTTP."""

import json
from typing import Any

from tests.bench.graphs import hello
from tests.bench.measure import (
    Figures,
    ScenarioSkipped,
    WrongAnswer,
    describe,
    for_window,
    now,
    spread,
)
from tests.bench.target import Target

ANSWER = "hello world"
BODY = {"params": {"prompt": "hello"}}


async def floor(target: Target) -> Figures:
    """S0: /health, which touches nothing, one at a time over a kept connection."""
    latencies = []
    for _ in range(300):
        began = now()
        await target.get("/health")
        latencies.append(now() - began)
    return spread("health", latencies[20:])


async def blocking_runs(target: Target, *, concurrency: int) -> Figures:
    """S1: POST run of the tiny workflow, ``concurrency`` at a time."""
    async with target.workflow(hello(), "bench-tiny") as workflow_id:
        url = f"{target.url}/api/workflows/{workflow_id}/run"

        async def once() -> None:
            async with target.session.post(url, json=BODY) as reply:
                answer = await reply.json(content_type=None)
                if reply.status != 200 or not _contains(answer, ANSWER):
                    raise WrongAnswer(f"HTTP {reply.status} {str(answer)[:120]}")

        for _ in range(3):
            await once()
        window = await for_window(
            once,
            concurrency=concurrency,
            seconds=target.options.window_s,
            at_least=2 * concurrency,
        )
        figures = {
            **spread("run", window.latencies),
            "ok_rps": window.per_second,
            "ok": len(window.latencies),
            "errors": window.errors.total(),
        }
        problems: Figures = dict(window.errors)
        began = now()
        try:  # still usable after that load?
            await once()
            figures["run_after_load_ms"] = (now() - began) * 1000
        except Exception as error:
            problems["after load"] = describe(error)
        return {**figures, **({"problems": problems} if problems else {})}


async def streamed_runs(target: Target) -> Figures:
    """S1sse: the tiny workflow through POST run/stream, one and eight at a time."""
    figures: Figures = {}
    async with target.workflow(hello(), "bench-tiny-sse") as workflow_id:
        url = f"{target.url}/workflows/{workflow_id}/run/stream"
        firsts: list[float] = []

        async def once() -> None:
            firsts.append(await _streamed_run(target, url))

        await once()
        for concurrency in (1, 8):
            firsts.clear()
            window = await for_window(
                once,
                concurrency=concurrency,
                seconds=target.options.window_s / 2,
                at_least=2 * concurrency,
            )
            measured = {
                **spread("first_event", firsts),
                **spread("total", window.latencies),
                "rps": window.per_second,
                "errors": window.errors.total(),
            }
            figures.update({f"c{concurrency}_{k}": v for k, v in measured.items()})
            if window.errors:
                problems = figures.setdefault("problems", {})
                problems[f"c{concurrency}"] = dict(window.errors)
    return figures


async def _streamed_run(target: Target, url: str) -> float:
    """Read one stream to its end; the time to its first event."""
    began, first = now(), None
    has_output = has_end = False
    headers = {"Accept": "text/event-stream"}
    async with target.session.post(url, json=BODY, headers=headers) as reply:
        if reply.status in (404, 405):
            raise ScenarioSkipped(f"POST run/stream answers {reply.status}")
        async for line in reply.content:
            if not line.startswith(b"data:"):
                continue
            if first is None:
                first = now() - began
            event = json.loads(line[5:])
            has_output |= event["type"] == "output_update" and event["value"] == ANSWER
            has_end |= event["type"] == "job_update" and event["status"] == "completed"
    if first is None or not (has_output and has_end):
        raise WrongAnswer(f"stream without output or end ({has_output}, {has_end})")
    return first


def _contains(value: Any, wanted: str) -> bool:
    if isinstance(value, dict):
        return any(_contains(v, wanted) for v in value.values())
    if isinstance(value, list):
        return any(_contains(v, wanted) for v in value)
    return bool(value == wanted)
