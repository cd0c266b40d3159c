"""A limit lets exactly so many pass, in one process and in several (A-11)."""

import asyncio
import logging

import pytest

from nodetool_site.lib import rate_limits
from nodetool_site.lib.errors import TooManyRequests
from nodetool_site.lib.rate_limits import RateLimiter

LIMIT = 600
CALLER = "user alice"


@pytest.fixture(autouse=True)
async def _one_process(settings, monkeypatch):
    # However slow this machine is: who is not answered goes on alone.
    monkeypatch.setattr(rate_limits, "REDIS_TIMEOUT_S", 30)
    settings.CHANNEL_LAYER_URL = ""
    settings.AUTH_PROVIDER = "multi_user"
    await rate_limits.close()
    yield
    await rate_limits.close()


@pytest.fixture
async def process():
    """Makes the limiters of as many processes."""
    made = []

    def make(name: str = "x", **options) -> RateLimiter:
        made.append(RateLimiter(name, **options))
        return made[-1]

    yield make
    for limiter in made:
        await limiter.close()


@pytest.fixture
def _patient(monkeypatch):
    """On a busy machine an answer of Redis may take its time, and must still count."""
    monkeypatch.setattr(rate_limits, "REDIS_TIMEOUT_S", 30.0)


def share_by_redis(settings, url: str) -> None:
    settings.CHANNEL_LAYER_URL = url
    config = {"hosts": [url], "prefix": "nodetool-test"}
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "", "CONFIG": config}}


async def passed(limiters, count: int, limit: int = LIMIT, caller: str = CALLER) -> int:
    """How many of ``count`` parallel requests pass; they take turns at processes."""
    waits = await asyncio.gather(
        *(limiters[n % len(limiters)].take(caller, limit) for n in range(count))
    )
    assert all(0 <= wait <= 60 for wait in waits)
    return waits.count(0)


async def test_a11_1000_parallel_requests_pass_the_limit_by_0(process):
    assert await passed([process()], 1000) == LIMIT


@pytest.mark.scale_out
@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize("limit", [1, 3, 60, LIMIT])
async def test_a11_several_processes_pass_one_limit_by_0(
    process, settings, redis_url, limit
):
    share_by_redis(settings, redis_url)
    processes = [process() for _ in range(3)]

    at_once = await passed(processes, 1000, limit)
    one_by_one = [await passed([one], 1, limit) for one in processes * 20]

    assert at_once == limit
    assert not any(one_by_one)


@pytest.mark.scale_out
async def test_a11_one_by_one_nothing_of_a_shared_limit_is_lost(
    process, settings, redis_url
):
    share_by_redis(settings, redis_url)
    first, second = process(), process()

    taken = [await passed([(first, second)[n % 2]], 1, 60) for n in range(100)]

    assert sum(taken) == 60


@pytest.mark.scale_out
async def test_a11_most_requests_ask_redis_nothing(
    process, settings, redis_url, monkeypatch
):
    share_by_redis(settings, redis_url)
    asked = []
    fetch = rate_limits.SharedCounts.fetch
    monkeypatch.setattr(
        rate_limits.SharedCounts,
        "fetch",
        lambda *args: asked.append(1) or fetch(*args),
    )
    limiter = process()

    for _ in range(LIMIT // 2):
        await limiter.take(CALLER, LIMIT)

    assert len(asked) <= 20


@pytest.mark.scale_out
async def test_callers_and_kinds_are_counted_apart(process, settings, redis_url):
    share_by_redis(settings, redis_url)
    requests, runs = process("requests"), process("runs")

    assert await passed([requests], 5, 2) == 2
    assert await passed([requests], 5, 2, "user bob") == 2
    assert await passed([runs], 5, 2) == 2


@pytest.mark.scale_out
async def test_a_new_minute_begins_after_the_first_request(
    process, settings, redis_url, monkeypatch
):
    monkeypatch.setattr(rate_limits, "WINDOW_S", 0.3)
    for url in ("", redis_url):
        share_by_redis(settings, url)
        limiter = process()

        assert await passed([limiter], 50, 20) == 20
        await asyncio.sleep(0.35)
        assert await passed([limiter], 50, 20) == 20


async def test_without_redis_each_process_counts_and_says_so_once(
    process, settings, caplog
):
    share_by_redis(settings, "redis://127.0.0.1:1/0")
    first, second = process(), process()

    with caplog.at_level(logging.WARNING, logger=rate_limits.__name__):
        assert await passed([first], 1000) == LIMIT
        assert await passed([first], 50, caller="user bob") == 50

    assert caplog.text.count("counts rate limits alone") == 1
    assert await passed([second], 1000) == LIMIT


@pytest.mark.scale_out
async def test_a_redis_that_comes_back_is_used_again(
    process, settings, redis_url, monkeypatch
):
    monkeypatch.setattr(rate_limits, "REDIS_PAUSE_S", 0.1)
    first, second = process(), process()
    share_by_redis(settings, "redis://127.0.0.1:1/0")
    await first.take("user bob", 10)
    await asyncio.sleep(0.1)
    share_by_redis(settings, redis_url)
    first._shares._client = None

    assert await passed([first, second], 100, 60) == 60


async def test_a_table_of_callers_has_a_bound(process):
    limiter = process("x", size=100)

    for number in range(1000):
        await limiter.take(f"user {number}", 1)

    assert len(limiter._windows) == 100
    assert await limiter.take("user 999", 1) > 0


async def test_a11_the_refusal_says_how_long_to_wait(settings):
    settings.RUN_LIMIT_PER_MINUTE = 2
    for _ in range(2):
        await rate_limits.check_run("alice")

    with pytest.raises(TooManyRequests, match="at most 2 a minute") as caught:
        await rate_limits.check_run("alice")

    assert 0 < caught.value.retry_after_s <= 60
    await rate_limits.check_run("bob")


@pytest.mark.parametrize("provider", ["none", "local", "static"])
async def test_a11_where_everybody_is_one_user_nobody_is_counted(settings, provider):
    settings.AUTH_PROVIDER = provider
    settings.RUN_LIMIT_PER_MINUTE = settings.RATE_LIMIT_PER_MINUTE = 1

    for _ in range(5):
        await rate_limits.check_run("1")
        await rate_limits.check_request("user 1")


async def test_0_is_no_limit(settings):
    settings.RUN_LIMIT_PER_MINUTE = 0

    for _ in range(5):
        await rate_limits.check_run("alice")
