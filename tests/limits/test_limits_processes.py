"""Eight processes against the sliding logs of a real sandbox: none is refused, hardly anything is wasted."""

import asyncio
import importlib.util
import json
import statistics
import sys
from collections.abc import AsyncIterator
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


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxProcess]:
    limits = "crud=" + ",".join(f"{permits}/{seconds:g}s" for _, permits, seconds in LIMITS)
    async with SandboxProcess(limits=limits) as sandbox:
        yield sandbox


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


async def test_eight_processes_use_what_is_allowed_and_no_more_though_four_are_killed_and_the_clock_jumps(
    sandbox: SandboxProcess, tmp_path: Path
):
    job: dict[str, Any] = {"url": sandbox.url, "state_dir": str(tmp_path), "jump": 3_600}
    doomed = [await Worker.start(1, **job) for _ in range(4)]
    lasting = [await Worker.start(6, **job) for _ in range(4)]
    done = await run(lasting, doomed, 2 * ROUND + 1)

    log = await requests(sandbox)
    assert [status for _, status in log if status != 200] == []
    assert [one["errors"] + one["given_up"] for one in done] == [[]] * 4
    used = sum((at - log[0][0]).total_seconds() < 2 * ROUND for at, _ in log)
    lost = sum(worker.callers for worker in doomed)  # at most one permit for each slot they held
    assert used + lost >= ASKED * 100 / 10 * 2 * ROUND
    means = [statistics.mean(one["waits"]) for one in done]
    assert max(means) <= 2 * statistics.mean(means)


async def test_processes_of_two_machines_are_not_refused_either_though_some_are_killed(
    sandbox: SandboxProcess, tmp_path: Path, redis_url: str
):
    job: dict[str, Any] = {"url": sandbox.url, "redis_url": redis_url}
    doomed = [await Worker.start(1, state_dir=str(tmp_path / "one"), **job) for _ in range(2)]
    lasting = [await Worker.start(6, state_dir=str(tmp_path / name), **job) for name in ("one", "two")]
    done = await run(lasting, doomed, ROUND / 2)

    log = await requests(sandbox)
    assert [status for _, status in log if status != 200] == []
    assert [one["errors"] + one["given_up"] for one in done] == [[]] * 2
    assert len(log) > 2 * 20
