"""Permits under the limits of an organization, beside the libraries one would otherwise use, in one run.

python benchmarks/limits.py [--quick]

Two tables: what a permit costs when all are free, in one process and in eight; and eight processes against
the sliding logs of the sandbox (60 in 3 s and 320 in 20 s, 20 to 170 ms of travel), with four of them killed
half-way, and with a wall clock that jumps an hour forth and back. Needs redis-server
and posthog-mcp[sandbox,bench].
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

from posthog_mcp.sandbox.process import SandboxProcess

WORKER = Path(__file__).with_name("limits_worker.py")
PROCESSES = 8
LIMITS = [[60, 3.0], [320, 20.0]]
ROUND = 20.2  # seconds: the longer window and the guard
FREE = [[10_000_000, 60.0], [20_000_000, 3600.0]]
ALONE = ["ours", "ours, Redis", "pyrate-limiter, SQLite", "limits, Redis", "aiolimiter"]
SHARED = ["ours", "ours, Redis", "pyrate-limiter, SQLite", "limits, Redis"]


@dataclass
class Process:
    """A worker."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(cls, **job: Any) -> Process:
        words = json.dumps({"processes": PROCESSES, "url": "", "jump": 0, "callers": 4, **job})
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            # -P: this file has the name of one of the libraries
            sys.executable,
            "-P",
            str(WORKER),
            words,
            stdin=pipe,
            stdout=pipe,
            limit=2**26,
        )
        return cls(process)

    async def ready(self) -> None:
        assert self.process.stdout
        assert await self.process.stdout.readline() == b"ready\n"

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"go\n")

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def done(self) -> dict[str, Any]:
        assert self.process.stdout
        line = await self.process.stdout.readline()
        await self.process.wait()
        return json.loads(line) if line else {"waits": [], "took": [], "failed": ["ended"]}


@asynccontextmanager
async def redis_server() -> AsyncIterator[str]:
    """A Redis of our own on a free port."""
    program = shutil.which("redis-server")
    if not program:
        raise SystemExit("redis-server is needed: apt-get install redis-server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    quiet = asyncio.subprocess.DEVNULL
    server = await asyncio.create_subprocess_exec(program, *arguments, stdout=quiet)
    await asyncio.sleep(0.5)
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.terminate()
        await server.wait()


async def flat_out(limiter: str, processes: int, redis: str, seconds: float) -> list[float]:
    """What each permit took, in ms, over all processes."""
    with tempfile.TemporaryDirectory() as place:
        job = {"limiter": limiter, "place": place, "redis": redis, "limits": FREE, "seconds": seconds}
        workers = [await Process.start(**job) for _ in range(processes)]
        for worker in workers:
            await worker.ready()
        for worker in workers:
            worker.go()
        done = await asyncio.gather(*(worker.done() for worker in workers))
    return sorted(took for one in done for took in one["took"])


@dataclass
class Outcome:
    """One run against the sandbox."""

    sent: int = 0
    refused: int = 0
    used: float = 0.0
    fairness: float = 0.0
    failed: list[str] = field(default_factory=list)


async def against(limiter: str, redis: str, rounds: float, *, kill: bool = False, jump: int = 0) -> Outcome:
    """Eight processes against the sandbox."""
    seconds = ROUND * rounds + 1
    words = "crud=" + ",".join(f"{permits}/{window:g}s" for permits, window in LIMITS)
    with tempfile.TemporaryDirectory() as place:
        async with SandboxProcess(limits=words) as sandbox:
            job = {"limiter": limiter, "place": place, "redis": redis, "limits": LIMITS, "url": sandbox.url}
            job |= {"seconds": seconds, "jump": jump}
            mortal = [await Process.start(**job, callers=1 if kill else 6) for _ in range(PROCESSES // 2)]
            lasting = [await Process.start(**job, callers=6) for _ in range(PROCESSES // 2)]
            for worker in mortal + lasting:
                await worker.ready()
            for worker in mortal + lasting:
                worker.go()
            if kill:
                await asyncio.sleep(seconds / 3)
                for worker in mortal:
                    await worker.kill()
                mortal = []
            done = await asyncio.gather(*(worker.done() for worker in mortal + lasting))
            async with httpx2.AsyncClient(base_url=sandbox.url, trust_env=False) as client:
                log = (await client.get("/_sandbox/requests/")).json()["requests"]
    log = [one for one in log if one["path"].endswith("annotations/")]
    times = [datetime.fromisoformat(one["at"]) for one in log if one["status"] == 200]
    permits, window = LIMITS[-1]
    within = sum((at - times[0]).total_seconds() < ROUND * rounds for at in times)
    means = [statistics.mean(one["waits"]) for one in done if one["waits"]]
    return Outcome(
        sent=len(log),
        refused=sum(one["status"] == 429 for one in log),
        used=within / (permits / window * ROUND * rounds),
        fairness=max(means) / statistics.mean(means),
        failed=[failure for one in done for failure in one["failed"]],
    )


def costs(name: str, took: list[float], seconds: float) -> str:
    """A row of the first table."""
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    return f"| {name} | {p50:.3f} | {p99:.2f} | {took[-1]:.1f} | {len(took) / seconds:,.0f} |"


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Limits, beside other libraries")
    parser.add_argument("--quick", action="store_true", help="a short run, for a look")
    quick = parser.parse_args().quick
    seconds, rounds = (1.0, 1) if quick else (5.0, 3)
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    print("| permit, free | p50 ms | p99 ms | slowest ms | permits/s |\n| --- | --- | --- | --- | --- |")
    async with redis_server() as redis:
        for processes, names in ((1, ALONE), (PROCESSES, SHARED)):
            for name in names:
                took = await flat_out(name, processes, redis, seconds)
                print(
                    costs(f"{name}, {processes} process{'es' * (processes > 1)}", took, seconds), flush=True
                )
        print(f"\nload {os.getloadavg()[0]:.1f}\n")
        print(
            "| 8 processes against the sandbox | sent | refused | of what is allowed | slowest / mean wait |"
        )
        print("| --- | --- | --- | --- | --- |")
        runs: list[tuple[str, str, dict[str, Any]]] = [(name, name, {}) for name in ALONE]
        runs += [(f"{name}, 4 killed", name, {"kill": True}) for name in ("ours", "ours, Redis")]
        runs += [("ours, wall clock jumps 1 h", "ours", {"jump": 3600})]
        for title, name, how in runs:
            one = await against(name, redis, rounds, **how)
            row = f"| {title} | {one.sent} | {one.refused} | {one.used:.1%} | {one.fairness:.2f} |"
            print(row, *one.failed[:1], flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    asyncio.run(main())
