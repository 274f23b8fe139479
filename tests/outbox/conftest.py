"""Outboxes against a stub in this process, and against a sandbox in its own."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from posthog_stub import Stub

from posthog_mcp.outbox import Outbox, sender
from posthog_mcp.sandbox.process import SandboxProcess

TOKEN = "phc_outbox_test"
OpenBox = Callable[..., Outbox]


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with Stub() as one:
        yield one


@pytest.fixture
async def open_box(stub: Stub, tmp_path: Path) -> AsyncIterator[OpenBox]:
    """Opens outboxes on one file, by default to the stub; each is like a process of its own."""
    opened: list[Outbox] = []

    def make(token: str = TOKEN, host: str = "", **options: Any) -> Outbox:
        folder = options.pop("state_dir", tmp_path / "state")
        opened.append(Outbox(token, host or stub.url, folder, **options))
        return opened[-1]

    yield make
    for box in opened:
        await box.close(0)


@pytest.fixture
def box(open_box: OpenBox) -> Outbox:
    return open_box()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-off in hundredths of a second."""
    for name in ("_FIRST_PAUSE", "_LONGEST_PAUSE", "_LONGEST_PAUSE_UNREACHABLE"):
        monkeypatch.setattr(sender, name, 0.01)


@pytest.fixture
def environment(stub: Stub, tmp_path: Path) -> dict[str, str]:
    """Of a command that sends to the stub."""
    return {
        "POSTHOG_API_KEY": TOKEN,
        "POSTHOG_HOST": stub.url,
        "POSTHOG_MCP_DATA_DIR": str(tmp_path / "state"),
    }


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[SandboxProcess]:
    pytest.importorskip("chdb")
    async with SandboxProcess(throttle="off") as process:
        yield process


class PostHog:
    """The sandbox, asked what it has and told to fail."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def fail(self, **fault: Any) -> None:
        assert (
            await self._client.post("/_sandbox/faults/", json={"route": "/batch/", **fault})
        ).status_code == 201

    async def mend(self) -> None:
        await self._client.delete("/_sandbox/faults/")

    async def rows(self, query: str, **values: Any) -> list[list[Any]]:
        body = {
            "query": {"kind": "HogQLQuery", "query": query, "values": values},
            "refresh": "force_blocking",
        }
        reply = await self._client.post("/api/projects/1/query/", json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()["results"]

    async def uuids(self, event: str) -> list[str]:
        """The uuids PostHog has of an event name, in the order of their number `n`."""
        rows = await self.rows(
            "SELECT uuid FROM events WHERE event = {event} ORDER BY toInt(properties.n) LIMIT 50000",
            event=event,
        )
        return [row[0] for row in rows]


@pytest.fixture
async def posthog(sandbox: SandboxProcess) -> AsyncIterator[PostHog]:
    headers = {"Authorization": f"Bearer {sandbox.environment['POSTHOG_PERSONAL_API_KEY']}"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, timeout=60) as client:
        yield PostHog(client)
        await client.delete("/_sandbox/faults/")
