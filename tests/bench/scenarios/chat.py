"""S5: /v1/chat/completions, beside asking the model server directly."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.bench.measure import (
    Figures,
    ScenarioSkipped,
    WrongAnswer,
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
    problems = {
        name: figures.pop(name) for name in list(figures) if name.endswith("_problems")
    }
    return {**figures, **({"problems": problems} if problems else {})}


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
        "messages": [{"role": "user", "content": "Hello!"}],
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
