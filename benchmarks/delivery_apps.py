"""Applications that send events, ours or posthog-python's: `delivery_apps.py WHO HOST DIR WHAT …`.

`latency N` times N captures; `batches N` times appends of 100 (ours only); `fill N` captures N, waits for a
line on standard input, and times the delivery; `steady RATE SECONDS` captures at a rate and ends as programs
should; `forever` captures until it is killed. Each prints JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PEOPLE = 20


def properties(n: int) -> dict[str, Any]:
    """About 500 bytes as JSON, like a small event of a product."""
    return {
        "n": n,
        "plan": "pro",
        "total": n * 1.5,
        "$current_url": "https://shop.example/cart",
        "text": "x" * 250,
    }


def say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def quantiles(times: list[float]) -> dict[str, float]:
    times.sort()
    return {"p50": times[len(times) // 2] * 1000, "p99": times[len(times) * 99 // 100] * 1000}


class Ours:
    """Our outbox, in a loop of its own."""

    def __init__(self, host: str, folder: str, *, delivers: bool = True) -> None:
        from posthog_mcp.outbox import Outbox

        self.box = Outbox("phc_benchmark", host, Path(folder), delivers=delivers)
        self.loop = asyncio.new_event_loop()

    async def capture(self, n: int) -> None:
        await self.box.capture(f"u{n % PEOPLE}", "order placed", properties(n))

    async def latency(self, count: int) -> None:
        times: list[float] = []
        for n in range(count):
            started = time.perf_counter()
            await self.capture(n)
            times.append(time.perf_counter() - started)
            await asyncio.sleep(0.0005)
        say(**quantiles(times))

    async def batches(self, count: int) -> None:
        from posthog_mcp.outbox import made

        started = time.perf_counter()
        for first in range(0, count, 100):
            now = datetime.now(UTC)
            await self.box.append(
                [
                    made("order placed", f"u{n % PEOPLE}", properties(n), now)
                    for n in range(first, first + 100)
                ]
            )
        say(rate=count / (time.perf_counter() - started))

    async def fill(self, count: int) -> None:
        for n in range(count):
            await self.capture(n)
        say(filled=count)
        await asyncio.to_thread(sys.stdin.readline)
        started = time.perf_counter()
        assert await self.box.flush(300)
        say(rate=count / (time.perf_counter() - started))

    async def steady(self, rate: int, seconds: int) -> None:
        ends = time.monotonic() + seconds
        n = 0
        while time.monotonic() < ends:
            await self.capture(n)
            n += 1
            await asyncio.sleep(1 / rate)
        say(captured=n)
        await self.box.close()

    async def forever(self) -> None:
        n = int(sys.argv[5])
        while True:
            await self.capture(n)
            say(n=n)
            n += 1
            await asyncio.sleep(0.001)


class Official:
    """posthog-python with its defaults, and gzip."""

    def __init__(self, host: str, _folder: str, *, queue: int = 10_000) -> None:
        from posthog import Posthog

        self.client = Posthog("phc_benchmark", host=host, gzip=True, max_queue_size=queue)

    def capture(self, n: int) -> None:
        self.client.capture("order placed", distinct_id=f"u{n % PEOPLE}", properties=properties(n))

    def latency(self, count: int) -> None:
        times: list[float] = []
        for n in range(count):
            started = time.perf_counter()
            self.capture(n)
            times.append(time.perf_counter() - started)
            time.sleep(0.0005)
        say(**quantiles(times))

    def fill(self, count: int) -> None:
        for n in range(count):
            self.capture(n)
        say(filled=count)
        sys.stdin.readline()
        started = time.perf_counter()
        self.client.flush()
        say(rate=count / (time.perf_counter() - started))

    def steady(self, rate: int, seconds: int) -> None:
        ends = time.monotonic() + seconds
        n = 0
        while time.monotonic() < ends:
            self.capture(n)
            n += 1
            time.sleep(1 / rate)
        say(captured=n)
        self.client.shutdown()

    def forever(self) -> None:
        n = int(sys.argv[5])
        while True:
            self.capture(n)
            say(n=n)
            n += 1
            time.sleep(0.001)


def main() -> None:
    who, host, folder, what, *numbers = sys.argv[1:]
    given = [int(number) for number in numbers] if what != "forever" else []
    if who == "ours":
        app = Ours(host, folder, delivers=what not in ("fill", "batches"))
        app.loop.run_until_complete(getattr(app, what)(*given))
        return
    official = Official(host, folder, queue=200_000 if what == "fill" else 10_000)
    run: Callable[..., None] = getattr(official, what)
    run(*given)


if __name__ == "__main__":
    main()
