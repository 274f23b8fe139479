"""One of the processes of `limits.py`: it takes permits from one limiter, flat out or against a server.

python limits_worker.py '{"limiter": "ours", "place": ..., "redis": ..., "limits": [[60, 3.0], [320, 20.0]],
"url": "", "callers": 4, "seconds": 5, "jump": 0}'

Prints `ready`, starts with the first line of its input, prints what it measured as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

GUARD = 0.2
TRAVEL = (0.02, 0.17)
PATH = "/api/projects/1/annotations/"
KEY = {"Authorization": "Bearer phx_sandbox"}
Acquire = Callable[[], Awaitable[None]]
wall = time.time


def ours(job: dict[str, Any], redis_url: str = "") -> Acquire:
    from posthog_mcp.limits import Limit, open_limiter

    limits = [Limit(f"limit {seconds:g}", permits, seconds) for permits, seconds in job["limits"]]
    limiter = open_limiter(job["place"], limits, GUARD, redis_url)

    async def acquire() -> None:
        await limiter.acquire(600)

    return acquire


def ours_redis(job: dict[str, Any]) -> Acquire:
    return ours(job, job["redis"])


def pyrate(job: dict[str, Any]) -> Acquire:
    """pyrate-limiter with what it offers to several processes: SQLite and a file lock."""
    from pyrate_limiter import Limiter, Rate, SQLiteBucket

    rates = [Rate(permits, int(seconds * 1000)) for permits, seconds in job["limits"]]
    bucket = SQLiteBucket.init_from_file(rates, db_path=f"{job['place']}/pyrate.db", use_file_lock=True)
    limiter = Limiter(bucket)

    async def acquire() -> None:
        await limiter.try_acquire_async("posthog")

    return acquire


def limits_redis(job: dict[str, Any]) -> Acquire:
    """limits (of flask-limiter), moving windows in Redis: hit each, wait for the one that is full, again."""
    from limits import RateLimitItem, RateLimitItemPerSecond
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import MovingWindowRateLimiter

    storage = RedisStorage("async+" + job["redis"], implementation="redispy")
    limiter = MovingWindowRateLimiter(storage)
    items: list[RateLimitItem] = [
        RateLimitItemPerSecond(permits, int(seconds)) for permits, seconds in job["limits"]
    ]

    async def acquire() -> None:
        while True:
            full = [item for item in items if not await limiter.test(item, "posthog")]
            if not full and all([await limiter.hit(item, "posthog") for item in items]):
                return
            resets = [(await limiter.get_window_stats(item, "posthog")).reset_time for item in full]
            await asyncio.sleep(max(0.01, max(resets, default=0) - time.time()))

    return acquire


def aiolimiter(job: dict[str, Any]) -> Acquire:
    """aiolimiter counts for one process alone, so each of the processes gets its share."""
    from aiolimiter import AsyncLimiter

    limiters = [AsyncLimiter(permits / job["processes"], seconds) for permits, seconds in job["limits"]]

    async def acquire() -> None:
        for limiter in limiters:
            await limiter.acquire()

    return acquire


LIMITERS = {
    "ours": ours,
    "ours, Redis": ours_redis,
    "pyrate-limiter, SQLite": pyrate,
    "limits, Redis": limits_redis,
    "aiolimiter": aiolimiter,
}


async def flat_out(acquire: Acquire, seconds: float) -> dict[str, Any]:
    """Take permits one after the other; the time each took, in ms."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    while (started := time.perf_counter()) < until:
        await acquire()
        took.append((time.perf_counter() - started) * 1e3)
    return {"took": took}


async def against(acquire: Acquire, job: dict[str, Any]) -> dict[str, Any]:
    """Ask a server, after each permit and a journey; how long each permit was waited for, in s."""
    import httpx2

    waits: list[float] = []

    async def call(client: httpx2.AsyncClient) -> None:
        while True:
            started = time.perf_counter()
            await acquire()
            waits.append(time.perf_counter() - started)
            await asyncio.sleep(random.uniform(*TRAVEL))
            await client.get(PATH)

    async with httpx2.AsyncClient(base_url=job["url"], headers=KEY, trust_env=False) as client:
        calls = [asyncio.create_task(call(client)) for _ in range(job["callers"])]
        await asyncio.sleep(job["seconds"])
        for one in calls:
            one.cancel()
        ends = await asyncio.gather(*calls, return_exceptions=True)
    failed = [repr(end) for end in ends if not isinstance(end, asyncio.CancelledError)]
    return {"waits": waits, "failed": failed}


def jumping(seconds: float) -> float:
    """The wall clock, an hour ahead and an hour behind by turns."""
    return wall() + (seconds if int(time.monotonic() / 5) % 2 else -seconds)


async def main() -> None:
    job = json.loads(sys.argv[1])
    if job["jump"]:
        time.time = lambda: jumping(job["jump"])
    acquire = LIMITERS[job["limiter"]](job)
    if not job["url"]:
        await acquire()  # opens what it needs
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    done = await against(acquire, job) if job["url"] else await flat_out(acquire, job["seconds"])
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
