"""Eight server processes against a real sandbox make one request for definitions per poll together."""

import asyncio
import importlib.util
import os
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from posthog_mcp.sandbox.process import SandboxProcess

pytestmark = pytest.mark.skipif(importlib.util.find_spec("chdb") is None, reason="needs posthog-mcp[sandbox]")

WORKER = Path(__file__).with_name("definitions_worker.py")
PROCESSES = 8
POLL = 2.0
SECONDS = 30.0


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[SandboxProcess]:
    async with SandboxProcess(throttle="off") as process:
        headers = {"Authorization": "Bearer phx_sandbox"}
        async with httpx2.AsyncClient(base_url=process.url, headers=headers) as api:
            body = {"key": "shared", "filters": {"groups": [{"properties": [], "rollout_percentage": 100}]}}
            assert (await api.post("/api/projects/1/feature_flags/", json=body)).status_code == 201
        yield process


class Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, sandbox: SandboxProcess, state: Path) -> "Worker":
        own = {"POSTHOG_MCP_DATA_DIR": str(state), "POSTHOG_MCP_FLAG_POLL_SECONDS": str(POLL)}
        pipe = asyncio.subprocess.PIPE
        environment = {**os.environ, **sandbox.environment, **own}
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), stdin=pipe, stdout=pipe, env=environment
        )
        return cls(process)

    async def says(self) -> str:
        assert self.process.stdout
        async with asyncio.timeout(SECONDS):
            return (await self.process.stdout.readline()).decode().strip()

    def tell(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"\n")

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


async def fetched(sandbox: SandboxProcess) -> list[float]:
    """When definitions were asked for."""
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        served = (await control.get("/_sandbox/requests")).json()["requests"]
    times = [
        datetime.fromisoformat(one["at"]) for one in served if one["path"].startswith("/flags/definitions")
    ]
    return sorted(time.timestamp() for time in times)


@pytest.fixture
async def forgotten(sandbox: SandboxProcess) -> None:
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        await control.delete("/_sandbox/requests")


@pytest.mark.usefixtures("forgotten")
async def test_eight_processes_make_one_request_per_poll_together_and_none_while_idle(sandbox, tmp_path):
    workers = [await Worker.start(sandbox, tmp_path) for _ in range(PROCESSES)]
    assert [await worker.says() for worker in workers] == ["ready"] * PROCESSES
    assert await fetched(sandbox) == []  # running is not evaluating

    for worker in workers:
        worker.tell()
    assert [await worker.says() for worker in workers] == ["True"] * PROCESSES
    await asyncio.sleep(2.5 * POLL)
    for worker in workers:
        worker.tell()
    evaluated = [int(await worker.says()) for worker in workers]
    for worker in workers:
        await worker.process.wait()

    times = await fetched(sandbox)
    assert all(count > 1 for count in evaluated)
    assert 2 <= len(times) <= 1 + round((times[-1] - times[0]) / POLL)
    # Two of one poll would be moments apart; how long each was on its way is the machine's load.
    assert all(later - earlier > POLL / 2 for earlier, later in pairwise(times))


@pytest.mark.usefixtures("forgotten")
async def test_a_process_killed_while_it_asks_holds_up_nobody(sandbox, tmp_path):
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        fault = {"route": "/flags/definitions", "delay": SECONDS, "times": 1}
        await control.post("/_sandbox/faults", json=fault)
    first, second = [await Worker.start(sandbox, tmp_path) for _ in range(2)]
    for worker in (first, second):
        assert await worker.says() == "ready"
    first.tell()
    async with asyncio.timeout(SECONDS), httpx2.AsyncClient(base_url=sandbox.url) as control:
        while (await control.get("/_sandbox/faults")).json():  # noqa: ASYNC110 - it is another process's matter
            await asyncio.sleep(0.05)
    second.tell()
    await first.kill()
    assert await second.says() == "True"
    await second.kill()
