"""Eight copies of the installed server, each with its own client, share what the organization is allowed."""

import importlib.util
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from posthog_mcp.sandbox.process import SandboxProcess

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("chdb") is None, reason="needs posthog-mcp[sandbox]"),
    pytest.mark.xdist_group("limits"),
]

PROGRAM = str(Path(sys.executable).with_name("posthog-mcp"))
LIMITS = "crud=16/2s,200/60s"
CALLS = 3


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxProcess]:
    async with SandboxProcess(limits=LIMITS) as sandbox:
        yield sandbox


@dataclass
class Said:
    """What the clients were answered and told."""

    answers: int = 0
    errors: list[str] = field(default_factory=list)
    progress: list[str] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)


async def drive(sandbox: SandboxProcess, state_dir: Path, said: Said, **environment: str) -> None:
    """One client, one server of its own, some calls one after the other."""
    env = {
        "PATH": os.environ["PATH"],
        **sandbox.environment,
        "POSTHOG_MCP_DATA_DIR": str(state_dir),
        "POSTHOG_MCP_LIMITS": LIMITS,
        **environment,
    }

    async def told(done: float, total: float | None, message: str | None) -> None:
        del done, total
        said.progress.append(message or "")

    async with Client(stdio_client(StdioServerParameters(command=PROGRAM, env=env, cwd="/"))) as client:
        for _ in range(CALLS):
            answer = await client.call_tool("list_annotations", {}, progress_callback=told)
            said.answers += 1
            said.errors += [str(answer.content)] * bool(answer.is_error)
        status = await client.call_tool("get_status", {})
        assert status.structured_content
        said.statuses.append(status.structured_content["limits"])


async def statuses(sandbox: SandboxProcess) -> dict[str, int]:
    """How often each status stands in the sandbox's log."""
    async with httpx2.AsyncClient(base_url=sandbox.url, trust_env=False) as client:
        return (await client.get("/_sandbox/requests/")).json()["statuses"]


async def share(sandbox: SandboxProcess, places: list[Path], shared_by: str, **environment: str) -> None:
    """A server for each place, at once; none is refused, each is answered, who waited was told."""
    said = Said()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for place in places:
                group.start_soon(lambda place=place: drive(sandbox, place, said, **environment))
    assert said.errors == []
    assert said.answers == CALLS * len(places)
    assert set(await statuses(sandbox)) == {"200"}
    assert any(message.endswith(" s for the organization's crud limit") for message in said.progress)
    assert all(message.startswith("waiting ") for message in said.progress)
    assert {status["shared_by"] for status in said.statuses} == {shared_by}
    most = max(status["limits"]["crud"]["windows"][1]["used"] for status in said.statuses)
    assert most == sum((await statuses(sandbox)).values())


async def test_eight_servers_over_stdio_cause_no_429(sandbox: SandboxProcess, tmp_path: Path):
    await share(sandbox, [tmp_path] * 8, "all processes of this machine")


async def test_four_and_four_on_two_machines_with_one_redis_cause_no_429(
    sandbox: SandboxProcess, tmp_path: Path, redis_url: str
):
    places = [tmp_path / "one", tmp_path / "two"] * 4
    await share(sandbox, places, "all machines that use this Redis", POSTHOG_MCP_REDIS_URL=redis_url)
