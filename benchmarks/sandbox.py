"""The embedded PostHog: events a second over HTTP, and what HogQL costs over the SQL it compiles to.

Run with `python benchmarks/sandbox.py [EVENTS]`. The machine's load is printed, since it decides much of it.
"""

import asyncio
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx2

from posthog_mcp.hogql import parse
from posthog_mcp.sandbox.compiler import World, compile_query
from posthog_mcp.sandbox.engine import Engine
from posthog_mcp.sandbox.process import SandboxProcess

BATCH, CONNECTIONS = 500, 4
QUERIES = {
    "events of a week": "select event, count() from events "
    "where timestamp > now() - interval 7 day group by event",
    "daily people": "select toStartOfDay(timestamp) d, uniq(person_id) from events "
    "where timestamp > now() - interval 30 day group by d order by d",
    "a property": "select properties.plan, avg(toFloat(properties.total)) from events "
    "where timestamp > now() - interval 30 day group by 1",
    "a funnel": "select level, count() from (select person_id, "
    "windowFunnel(86400)(toDateTime(timestamp), event = 'e1', event = 'e2', event = 'e3') level from events "
    "where timestamp > now() - interval 30 day group by person_id) group by level",
}


def _event(number: int, now: datetime) -> dict[str, object]:
    return {
        "event": f"e{number % 20}",
        "distinct_id": f"u{number * 7 % 20_000}",
        "uuid": str(uuid4()),
        "timestamp": (now - timedelta(seconds=number % 2_000_000)).isoformat(),
        "properties": {"plan": "pro" if number % 3 else "free", "total": number % 500, "$lib": "bench"},
    }


def _bodies(events: int) -> list[bytes]:
    now = datetime.now(UTC)
    batches = [[_event(start + n, now) for n in range(BATCH)] for start in range(0, events, BATCH)]
    return [
        gzip.compress(json.dumps({"api_key": "phc_sandbox", "batch": batch}).encode(), 1) for batch in batches
    ]


async def ingest(url: str, bodies: list[bytes]) -> float:
    """Events a second over HTTP, durable at each answer, and seen by a query at the end."""
    waiting = iter(bodies)

    async def send(client: httpx2.AsyncClient) -> None:
        for body in waiting:
            answer = await client.post("/batch/", content=body, headers={"Content-Encoding": "gzip"})
            assert answer.status_code == 200, answer.text

    async with httpx2.AsyncClient(base_url=url, timeout=120) as client:
        started = time.perf_counter()
        await asyncio.gather(*(send(client) for _ in range(CONNECTIONS)))
        count = await ask(client, "select count() from events")
        seconds = time.perf_counter() - started
    assert count["results"] == [[len(bodies) * BATCH]]
    return len(bodies) * BATCH / seconds


async def ask(client: httpx2.AsyncClient, query: str) -> dict[str, object]:
    answer = await client.post(
        "/api/projects/1/query/",
        json={"query": {"kind": "HogQLQuery", "query": query}},
        headers={"Authorization": "Bearer phx_sandbox"},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def over_http(url: str, query: str) -> float:
    async with httpx2.AsyncClient(base_url=url, timeout=120) as client:
        return await _median(lambda: ask(client, query))


async def _median(run: Callable[[], Awaitable[object]], times: int = 5) -> float:
    await run()
    seconds: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        await run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


async def main(events: int) -> None:
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {events:,} events")
    with tempfile.TemporaryDirectory() as folder:
        async with SandboxProcess(data=Path(folder), throttle="off") as sandbox:
            rate = await ingest(sandbox.url, _bodies(events))
            print(f"ingest over HTTP: {rate:,.0f} events/s (asked: 20,000)")
        # Both ask the same parts on disk, each after a start of its own.
        async with SandboxProcess(data=Path(folder), throttle="off") as sandbox:
            through = {name: await over_http(sandbox.url, query) for name, query in QUERIES.items()}
        engine = await Engine.start(Path(folder) / "engine")
        for name, query in QUERIES.items():
            compiled = compile_query(parse(query), World())
            bare = await _median(lambda sql=compiled.sql: engine.query(sql))
            times = f"{through[name] * 1e3:.0f} ms over HTTP, {bare * 1e3:.0f} ms bare"
            print(f"{name}: {times}: {through[name] / bare:.2f} x (asked: 1.5)")
        await engine.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
