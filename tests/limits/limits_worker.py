"""One process among several: takes permits, travels, asks the sandbox, until its input ends.

python limits_worker.py '{"state_dir": ..., "redis_url": ..., "limits": [[name, permits, seconds]],
"url": ...,
"callers": 3, "jump": 3600}'

Prints a line when it is ready, starts with the first line of its input, and prints what it did at the end.
"""

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

from posthog_mcp.limits import Limit, LimitExceeded, open_limiter

GUARD = 0.2
TRAVEL = (0.02, 0.17)  # seconds
JUMP_EVERY = 1.5
REOPEN_EVERY = 7  # permits
PATH = "/api/projects/1/annotations/"
wall = time.time


def jumping(seconds: float) -> float:
    """The wall clock, an hour ahead and an hour behind by turns."""
    return wall() + (seconds if int(time.monotonic() / JUMP_EVERY) % 2 else -seconds)


async def call(job: dict[str, Any], client: httpx2.AsyncClient, done: dict[str, Any]) -> None:
    """One caller: permit, travel, request, again."""
    limits = [Limit(*limit) for limit in job["limits"]]
    while True:
        # Opened anew now and then, so that the clock of the file is read while the wall clock jumps.
        limiter = open_limiter(Path(job["state_dir"]), limits, GUARD, job["redis_url"])
        try:
            for _ in range(REOPEN_EVERY):
                waited = await limiter.acquire(30)
                left = time.monotonic()
                await asyncio.sleep(random.uniform(*TRAVEL))
                answer = await client.get(PATH)
                done["slowest"] = max(done["slowest"], time.monotonic() - left)
                done["waits"].append(waited)
                done["refused"] += answer.status_code != 200
        except LimitExceeded as error:
            done["given_up"].append(str(error))
        finally:
            await limiter.close()


async def main() -> None:
    """Work until the input ends."""
    job = json.loads(sys.argv[1])
    if job["jump"]:
        time.time = lambda: jumping(job["jump"])
    done: dict[str, Any] = {"waits": [], "refused": 0, "given_up": [], "slowest": 0.0}
    headers = {"Authorization": "Bearer phx_sandbox"}
    async with httpx2.AsyncClient(base_url=job["url"], headers=headers, trust_env=False) as client:
        await client.get("/_sandbox/status/")
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        callers = [asyncio.create_task(call(job, client, done)) for _ in range(job["callers"])]
        await asyncio.to_thread(sys.stdin.read)
        for caller in callers:
            caller.cancel()
        ends = await asyncio.gather(*callers, return_exceptions=True)
        done["errors"] = [repr(end) for end in ends if not isinstance(end, asyncio.CancelledError)]
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
