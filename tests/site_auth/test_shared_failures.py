"""Failed sign-ins are counted for all web processes together (A-08)."""

import logging

import pytest
from redis import Redis

from storage.failed_attempts import FailedAttempts
from tests.end_to_end.processes import wait_until

LIMIT = 20
ADDRESS = "10.0.0.1"


@pytest.fixture
def share(settings):
    def share(url: str) -> None:
        settings.CHANNEL_LAYER_URL = url
        config = {"hosts": [url], "prefix": "nodetool-test"}
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": "", "CONFIG": config}}

    return share


def waits(attempts: FailedAttempts, address: str = ADDRESS) -> bool:
    return bool(attempts.retry_after_s(address, LIMIT))


def counts(client: Redis) -> list[int]:
    return sorted(int(client.get(key) or 0) for key in client.keys("*.failures.*"))


@pytest.mark.scale_out
def test_a08_what_others_have_seen_counts_from_the_next_failure_on(share, redis_url):
    share(redis_url)
    first, second = FailedAttempts(), FailedAttempts()

    for _ in range(LIMIT - 1):
        first.record(ADDRESS)
    first.record("10.0.0.2")
    with Redis.from_url(redis_url) as client:
        wait_until(lambda: counts(client) == [1, LIMIT - 1], what="the first one's")
    assert not waits(first)
    second.record(ADDRESS)

    wait_until(lambda: waits(second), what="the count of both")
    assert 0 < second.retry_after_s(ADDRESS, LIMIT) <= 60
    assert not waits(second, "10.0.0.2")
    first.record(ADDRESS)
    assert waits(first)


def test_a08_without_redis_each_process_counts_alone(share, caplog):
    share("redis://127.0.0.1:1")
    attempts = FailedAttempts()

    for _ in range(LIMIT):
        assert not waits(attempts)
        attempts.record(ADDRESS)

    assert waits(attempts)
    with caplog.at_level(logging.WARNING):
        wait_until(lambda: "counts failures alone" in caplog.text, what="a warning")


def test_a08_a_count_of_all_never_lowers_ones_own():
    attempts = FailedAttempts()
    for _ in range(LIMIT):
        attempts.record(ADDRESS)

    attempts.learn(ADDRESS, 3, ends_in_s=1.0)

    assert attempts.retry_after_s(ADDRESS, LIMIT) > 50
