"""Start and stop hooks, the stop signal for long answers, SSE framing."""

import asyncio

import pytest

from nodetool_site.lib import lifecycle, sse
from nodetool_site.lib.lifecycle import Stopping


@pytest.fixture
def hooks(monkeypatch):
    called = []
    monkeypatch.setattr(lifecycle, "_start_hooks", [])
    monkeypatch.setattr(lifecycle, "_stop_hooks", [])
    yield called
    lifecycle.stopping.clear()


def hook_of(called: list, name: str):
    async def hook() -> None:
        called.append(name)

    return hook


async def test_stop_hooks_run_in_reverse_order(hooks):
    for name in ("a", "b"):
        lifecycle.on_start(hook_of(hooks, f"start {name}"))
        lifecycle.on_stop(hook_of(hooks, f"stop {name}"))

    await lifecycle.start()
    await lifecycle.stop()

    assert hooks == ["start a", "start b", "stop b", "stop a"]


async def test_start_hook_that_fails_keeps_the_server_from_starting(hooks):
    async def fail() -> None:
        raise RuntimeError("no engine")

    lifecycle.on_start(fail)

    with pytest.raises(RuntimeError, match="no engine"):
        await lifecycle.start()


async def test_stop_hook_that_fails_or_hangs_does_not_keep_the_process(
    hooks, monkeypatch, caplog
):
    async def fail() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(lifecycle, "STOP_TIMEOUT_S", 0.01)
    lifecycle.on_stop(hook_of(hooks, "first"))
    lifecycle.on_stop(fail)
    lifecycle.on_stop(asyncio.Event().wait)

    await lifecycle.stop()

    assert hooks == ["first"]
    assert "broken" in caplog.text


def test_listeners_hear_once_that_the_server_stops():
    stopping, heard = Stopping(), []
    stopping.add_listener(lambda: heard.append("early"))
    removed = lambda: heard.append("removed")  # noqa: E731
    stopping.add_listener(removed)
    stopping.remove_listener(removed)

    stopping.set()
    stopping.set()
    stopping.add_listener(lambda: heard.append("late"))

    assert heard == ["early", "late"]
    assert stopping.is_set()


def test_event_is_one_id_line_one_data_line_and_a_blank_one():
    """E-10: the body is one line of JSON, whatever its values hold."""
    body = '{"a":"x\\ny\u2028data: z"}'.encode()

    assert sse.event(body, "j1:7") == b"id: j1:7\ndata: " + body + b"\n\n"
    assert sse.event(body) == b"data: " + body + b"\n\n"
    assert sse.KEEP_ALIVE == b": keep-alive\n\n"
    assert sse.SHUTDOWN == b": shutdown\n\n"
    assert sse.retry(2_000) == b"retry: 2000\n\n"
