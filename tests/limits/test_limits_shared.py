"""A Redis that goes away and comes back."""

import asyncio
import logging
from pathlib import Path

import pytest
from redis_server import RedisServer

from posthog_mcp.limits import Limit, LimitExceeded, open_limiter, reach

THREE = Limit("three", 3, 600.0)


@pytest.fixture(autouse=True)
def _try_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "RETRY_SECONDS", 0.0)


async def test_two_machines_share_through_redis(own_redis: RedisServer, tmp_path: Path):
    one = open_limiter(tmp_path / "one", [THREE], redis_url=own_redis.url)
    other = open_limiter(tmp_path / "other", [THREE], redis_url=own_redis.url)
    await one.acquire(0)
    await other.acquire(0)
    await other.acquire(0)
    with pytest.raises(LimitExceeded):
        await one.acquire(0)
    assert (await one.state()).usage[0].used == 3
    await one.close()
    await other.close()


async def test_a_lost_redis_leaves_the_machines_own_count_and_both_ways_are_told_once(
    own_redis: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING)
    limiter = open_limiter(tmp_path / "one", [THREE], redis_url=own_redis.url)
    await limiter.acquire(0)
    own_redis.stop()
    await limiter.acquire(0)  # what was taken through Redis is known here too
    assert (await limiter.state()).usage[0].used == 2
    [lost] = caplog.messages
    assert "Redis cannot be used" in lost
    assert "all processes of this machine" in lost
    own_redis.start()  # it forgot everything, this machine did not
    await limiter.acquire(0)
    with pytest.raises(LimitExceeded):
        await limiter.acquire(0)
    assert caplog.messages[1:] == ["Redis answers again. Limits are shared with the other machines."]
    await limiter.close()


async def test_a_cool_down_is_kept_on_both_sides(own_redis: RedisServer, tmp_path: Path):
    limiter = open_limiter(tmp_path / "one", [THREE], redis_url=own_redis.url)
    assert await limiter.penalize(30) == pytest.approx(30, abs=1)
    own_redis.stop()
    with pytest.raises(LimitExceeded) as refused:
        await limiter.acquire(1)
    assert refused.value.seconds == pytest.approx(30, abs=1)
    await limiter.close()


async def test_a_redis_that_was_never_there_costs_one_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(reach, "RETRY_SECONDS", 60.0)
    limiter = open_limiter(tmp_path, [THREE], redis_url="redis://:CANARY@127.0.0.1:1/0")
    for _ in range(3):
        await limiter.acquire(0)
    with pytest.raises(LimitExceeded):
        await limiter.acquire(0)
    assert len(caplog.messages) == 1
    assert "CANARY" not in caplog.text
    await limiter.close()


async def test_a_caller_that_is_cancelled_while_redis_is_asked_ends_at_whatever_step_it_was(
    own_redis: RedisServer, tmp_path: Path
):
    limiter = open_limiter(tmp_path, [THREE], redis_url=own_redis.url)

    async def call() -> None:
        while True:
            await limiter.state()

    for steps in range(120):
        caller = asyncio.create_task(call())
        for _ in range(steps % 40):
            await asyncio.sleep(0)
        caller.cancel()
        done, _ = await asyncio.wait([caller], timeout=5)
        assert done, f"goes on after it was cancelled at step {steps % 40}"
    await limiter.close()
