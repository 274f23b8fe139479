"""Eight processes against the sliding logs of a real sandbox: none is refused, hardly anything is wasted."""

import asyncio
import importlib.util
import json
import statistics
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from posthog_mcp.sandbox.process import SandboxProcess

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("chdb") is None, reason="needs posthog-mcp[sandbox]"),
    # One after the other: they measure time, and there are more processes than processors as it is.
    pytest.mark.xdist_group("limits"),
]

WORKER = Path(__file__).with_name("limits_worker.py")
LIMITS = [["short", 20, 1.0], ["long", 100, 10.0]]
ROUND = 10.2  # seconds: the longer window and the guard
ASKED = 0.97
ATTEMPTS = 3
LONGEST_TRAVEL = 0.22  # seconds: the least travel and the guard


class Worker:
    """A process of `limits_worker.py`."""

    def __init__(self, process: asyncio.subprocess.Process, callers: int) -> None:
        self.process, self.callers = process, callers

    @classmethod
    async def start(cls, callers: int, **job: Any) -> "Worker":
        words = json.dumps({"redis_url": "", "jump": 0, "limits": LIMITS, "callers": callers, **job})
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), words, stdin=pipe, stdout=pipe
        )
        return cls(process, callers)

    async def ready(self) -> None:
        assert self.process.stdout
        assert await self.process.stdout.readline() == b"ready\n"

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"go\n")

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def end(self) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.close()
        with anyio.fail_after(20):
            written, _ = await self.process.communicate()
        return json.loads(written)


async def requests(sandbox: SandboxProcess) -> list[tuple[datetime, int]]:
    """When each request arrived at the limited endpoint, and how it was answered."""
    async with httpx2.AsyncClient(base_url=sandbox.url, trust_env=False) as client:
        log = (await client.get("/_sandbox/requests/")).json()["requests"]
    return [
        (datetime.fromisoformat(one["at"]), one["status"])
        for one in log
        if one["path"].endswith("annotations/")
    ]


async def run(lasting: list[Worker], doomed: list[Worker], seconds: float) -> list[dict[str, Any]]:
    """Let them all work, kill some half-way, and get what the others did."""
    for worker in doomed + lasting:
        await worker.ready()
    for worker in doomed + lasting:
        worker.go()
    await asyncio.sleep(seconds / 4)
    for worker in doomed:
        await worker.kill()
    await asyncio.sleep(seconds * 3 / 4)
    return [await worker.end() for worker in lasting]


Start = Callable[[str, Path], Awaitable[tuple[list[Worker], list[Worker]]]]
Outcome = tuple[list[tuple[datetime, int]], list[dict[str, Any]]]


async def outcome(start: Start, seconds: float, folder: Path) -> Outcome:
    """What came of the first run whose requests travelled no longer than the guard pays for: arrivals, work.

    A machine that holds a process up for longer than the guard can have any limiter refused.
    """
    limits = "crud=" + ",".join(f"{permits}/{seconds:g}s" for _, permits, seconds in LIMITS)
    for attempt in range(ATTEMPTS):
        async with SandboxProcess(limits=limits) as sandbox:
            lasting, doomed = await start(sandbox.url, folder / str(attempt))
            done = await run(lasting, doomed, seconds)
            log = await requests(sandbox)
        if max(one["slowest"] for one in done) <= LONGEST_TRAVEL:
            return log, done
    pytest.skip(f"this machine holds requests up for longer than {LONGEST_TRAVEL} s")


async def test_eight_processes_use_what_is_allowed_and_no_more_though_four_are_killed_and_the_clock_jumps(
    tmp_path: Path,
):
    async def start(url: str, folder: Path) -> tuple[list[Worker], list[Worker]]:
        job: dict[str, Any] = {"url": url, "state_dir": str(folder), "jump": 3_600}
        return [await Worker.start(6, **job) for _ in range(4)], [
            await Worker.start(1, **job) for _ in range(4)
        ]

    log, done = await outcome(start, 2 * ROUND + 1, tmp_path)
    assert [status for _, status in log if status != 200] == []
    assert [one["errors"] + one["given_up"] for one in done] == [[]] * 4
    used = sum((at - log[0][0]).total_seconds() < 2 * ROUND for at, _ in log)
    lost = 4  # at most one permit for each slot that the killed ones held
    assert used + lost >= ASKED * 100 / 10 * 2 * ROUND
    means = [statistics.mean(one["waits"]) for one in done]
    assert max(means) <= 2 * statistics.mean(means)


async def test_processes_of_two_machines_are_not_refused_either_though_some_are_killed(
    tmp_path: Path, redis_url: str
):
    async def start(url: str, folder: Path) -> tuple[list[Worker], list[Worker]]:
        limits = [[f"{name} {folder.name}", *rest] for name, *rest in LIMITS]  # Redis forgets nothing
        job: dict[str, Any] = {"url": url, "redis_url": redis_url, "limits": limits}
        doomed = [await Worker.start(1, state_dir=str(folder / "one"), **job) for _ in range(2)]
        return [await Worker.start(6, state_dir=str(folder / at), **job) for at in ("one", "two")], doomed

    log, done = await outcome(start, ROUND / 2, tmp_path)
    assert [status for _, status in log if status != 200] == []
    assert [one["errors"] + one["given_up"] for one in done] == [[]] * 2
    assert len(log) > 2 * 20
