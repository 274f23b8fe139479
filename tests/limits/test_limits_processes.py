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

pytestmark = pytest.mark.skipif(importlib.util.find_spec("chdb") is None, reason="needs posthog-mcp[sandbox]")

WORKER = Path(__file__).with_name("limits_worker.py")
LIMITS = [["short", 20, 1.0], ["long", 80, 8.0]]
ROUND = 8.2  # seconds: the longer window and the guard
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
        (datetime.fromisoformat(one["at"]), one["status"]) for one in log if one["path"].endswith("annotations/")
    ]


@pytest.mark.parametrize("where", ["file", "redis"])
async def test_eight_processes_use_what_is_allowed_and_no_more_though_four_are_killed_and_the_clock_jumps(
    sandbox: SandboxProcess, tmp_path: Path, where: str, request: pytest.FixtureRequest
):
    job: dict[str, Any] = {"url": sandbox.url}
    if where == "redis":
        job["redis_url"] = request.getfixturevalue("redis_url")
    else:
        job["jump"] = 3_600
    doomed = [await Worker.start(1, state_dir=str(tmp_path / "a"), **job) for _ in range(4)]
    lasting = [
        await Worker.start(6, state_dir=str(tmp_path / ("a" if where == "file" else "b")), **job)
        for _ in range(4)
    ]
    for worker in doomed + lasting:
        await worker.ready()
    for worker in doomed + lasting:
        worker.go()
    await asyncio.sleep(ROUND / 2)
    for worker in doomed:
        await worker.kill()
    await asyncio.sleep(ROUND * 1.5 + 1)
    done = [await worker.end() for worker in lasting]

    log = await requests(sandbox)
    assert [status for _, status in log if status != 200] == []
    assert [one["errors"] + one["given_up"] for one in done] == [[]] * 4
    first = log[0][0]
    used = sum((at - first).total_seconds() < 2 * ROUND for at, _ in log)
    lost = sum(worker.callers for worker in doomed)  # at most one permit for each slot they held
    allowed = 2 * ROUND * 80 / 8
    print(used, lost, allowed, [statistics.mean(one["waits"]) for one in done], len(log))
    assert used + lost >= ASKED * allowed
    means = [statistics.mean(one["waits"]) for one in done]
    assert max(means) <= 2 * statistics.mean(means)
