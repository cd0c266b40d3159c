"""S5, S5c200: /v1/chat/completions, beside asking the model server directly."""

import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.bench.measure import (
    Figures,
    ScenarioSkipped,
    WrongAnswer,
    describe,
    for_window,
    now,
    percentile,
    spread,
)
from tests.bench.target import Target


@dataclass(frozen=True)
class Case:
    name: str
    model: str
    tokens: int
    stream: bool
    concurrency: int


CASES = tuple(
    Case(f"{kind}_n{tokens}_c{c}", f"fake-n{tokens}", tokens, kind == "stream", c)
    for kind, tokens in (("nonstream", 20), ("stream", 20), ("stream", 2000))
    for c in (1, 32)
)

HELLO = [{"role": "user", "content": "Hello!"}]
STREAMS = 200
TOKENS_PER_S = 50
STAMP = re.compile(rb'"content": ?"(\d+\.\d+) "')


async def completions(target: Target) -> Figures:
    """What the server adds to each answer of the model server behind it."""
    async with target.session.get(f"{target.url}/v1/models") as reply:
        if reply.status == 404:
            raise ScenarioSkipped("the server has no /v1")
    figures: Figures = {}
    for case in CASES:
        sides: dict[str, tuple[float | None, float | None]] = {}
        for side, url in (("direct", target.options.upstream), ("via", target.url)):
            measured, sides[side] = await _measure(target, case, url)
            figures.update({f"{case.name}_{side}_{k}": v for k, v in measured.items()})
        for what, direct, via in zip(
            ("total", "first_token"), sides["direct"], sides["via"], strict=True
        ):
            if direct is not None and via is not None:
                added = (via - direct) * 1000
                figures[f"{case.name}_added_{what}_p50_ms"] = added
        rates = [figures[f"{case.name}_{side}_rps"] for side in ("via", "direct")]
        figures[f"{case.name}_of_direct"] = rates[0] / rates[1]
    problems = {
        name: figures.pop(name) for name in list(figures) if name.endswith("_problems")
    }
    return {**figures, **({"problems": problems} if problems else {})}


async def many_streams(target: Target, *, streams: int = STREAMS) -> Figures:
    """S5c200: how much later than the model server sends it each chunk arrives."""
    model = f"openai/fake-n{round(target.options.window_s * TOKENS_PER_S)}-d20-s1"
    figures: Figures = {}
    memory: list[int] = []
    await _delays(target, target.url, "openai/fake-n1-s1")  # first, what is imported
    for side, url in (("direct", target.options.upstream), ("via", target.url)):
        watch = asyncio.create_task(_watch_memory(target, memory))
        found = await asyncio.gather(
            *(_delays(target, url, model) for _ in range(streams)),
            return_exceptions=True,
        )
        watch.cancel()
        failed = [error for error in found if isinstance(error, BaseException)]
        delays = [d for one in found if not isinstance(one, BaseException) for d in one]
        figures.update({f"{side}_{k}": v for k, v in spread("delay", delays).items()})
        figures[f"{side}_errors"] = len(failed)
        if failed:
            figures["problems"] = dict(Counter(map(describe, failed)))
    grown = max(memory) - memory[0]
    return {**figures, "added_memory_per_stream_mb": grown / streams / 2**20}


async def _delays(target: Target, url: str, model: str) -> list[float]:
    """The age of each chunk of one stream when it arrives, in seconds."""
    body = {"model": model, "messages": HELLO, "stream": True}
    found: list[float] = []
    async with target.session.post(f"{url}/v1/chat/completions", json=body) as reply:
        if reply.status != 200:
            raise WrongAnswer(f"HTTP {reply.status} {(await reply.text())[:120]}")
        async for line in reply.content:
            stamp = STAMP.search(line)
            if stamp is not None:
                found.append(time.monotonic() - float(stamp[1]))
    wanted = int(model.split("-")[1].removeprefix("n"))
    if len(found) != wanted:
        raise WrongAnswer(f"{len(found)} chunks of {wanted}")
    return found


async def _watch_memory(target: Target, into: list[int]) -> None:
    while True:
        into.append(target.server.web.rss_bytes())
        await asyncio.sleep(0.2)


async def _measure(
    target: Target, case: Case, url: str
) -> tuple[Figures, tuple[float | None, float | None]]:
    firsts: list[float] = []

    async def once() -> None:
        firsts.append(await _complete(target, case, url))

    await once()
    firsts.clear()
    window = await for_window(
        once,
        concurrency=case.concurrency,
        seconds=target.options.window_s / 3,
        at_least=case.concurrency,
    )
    figures = {
        **spread("total", window.latencies),
        **spread("first_token", firsts),
        "rps": window.per_second,
        "errors": window.errors.total(),
    }
    if window.errors:
        figures["problems"] = dict(Counter(window.errors))
    return figures, (percentile(window.latencies, 50), percentile(firsts, 50))


async def _complete(target: Target, case: Case, url: str) -> float:
    """One answer, every token checked; the time to its first token."""
    body = {
        "model": case.model,
        "messages": HELLO,
        "stream": case.stream,
    }
    began, first = now(), None
    parts: list[str] = []
    async with target.session.post(f"{url}/v1/chat/completions", json=body) as reply:
        if reply.status != 200:
            raise WrongAnswer(f"HTTP {reply.status} {(await reply.text())[:120]}")
        if not case.stream:
            parts.append(_text(await reply.json(content_type=None)))
        else:
            async for line in reply.content:
                text = _streamed_text(line)
                if text and first is None:
                    first = now() - began
                parts.append(text)
    wanted = "".join(f"tok{i} " for i in range(case.tokens))
    if "".join(parts).strip() != wanted.strip():
        got = sum(map(len, parts))
        raise WrongAnswer(f"wrong text: {got} of {len(wanted)} characters")
    return first if first is not None else now() - began


def _streamed_text(line: bytes) -> str:
    data = line[5:].strip() if line.startswith(b"data:") else b""
    if not data or data == b"[DONE]":
        return ""
    chunk = json.loads(data)
    if chunk.get("error"):
        raise WrongAnswer(str(chunk)[:120])
    return _text(chunk)


def _text(answer: dict[str, Any]) -> str:
    choice = (answer.get("choices") or [{}])[0]
    part = choice.get("message") or choice.get("delta") or {}
    return part.get("content") or ""
