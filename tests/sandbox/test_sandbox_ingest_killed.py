"""A sandbox killed amid ingestion loses nothing it acknowledged, and doubles nothing that is sent again."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx2
import pytest

from posthog_mcp.sandbox.engine import Engine
from posthog_mcp.sandbox.ingest import Ingest, RawEvent
from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.sandbox.project import Project
from posthog_mcp.sandbox.store import Store

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("chdb")

SENDERS, SIZE = 4, 50
TIME = "2026-03-01T10:00:00Z"


def batch(sender: int, number: int) -> list[dict[str, Any]]:
    return [
        {
            "event": "seen",
            "uuid": str(uuid4()),
            "distinct_id": f"user-{sender}-{index % 5}",
            "timestamp": TIME,
            "properties": {"$set": {"last": number}},
        }
        for index in range(SIZE)
    ]


class Senders:
    """What was sent, and the uuids that were answered with 200."""

    def __init__(self) -> None:
        self.sent: list[list[dict[str, Any]]] = []
        self.acknowledged: set[str] = set()
        self.enough = asyncio.Event()

    async def send(self, url: str, sender: int) -> None:
        """Send batches one after the other until the sandbox is gone."""
        async with httpx2.AsyncClient(base_url=url, timeout=20) as client:
            for number in range(10_000):
                events = batch(sender, number)
                self.sent.append(events)
                try:
                    reply = await client.post("/batch/", json={"api_key": "phc_sandbox", "batch": events})
                except httpx2.TransportError:
                    return
                if reply.status_code == 200:
                    self.acknowledged.update(event["uuid"] for event in events)
                if len(self.acknowledged) > SIZE * SENDERS * 5:
                    self.enough.set()


async def stored(engine: Engine) -> dict[str, str]:
    rows = (await engine.query("SELECT uuid, distinct_id FROM ph.events FINAL")).rows
    return {row[0]: row[1] for row in rows}


async def test_a_killed_sandbox_keeps_what_it_acknowledged_and_takes_the_rest_again(tmp_path: Path):
    senders = Senders()
    async with SandboxProcess(data=tmp_path) as sandbox:
        sending = [asyncio.create_task(senders.send(sandbox.url, number)) for number in range(SENDERS)]
        await asyncio.wait_for(senders.enough.wait(), 30)
        assert sandbox.pid is not None
        os.kill(sandbox.pid, signal.SIGKILL)
        await asyncio.gather(*sending)
    engine = await Engine.start(tmp_path / "engine")
    store = Store(tmp_path / "sandbox.sqlite")
    ingest = Ingest(store, engine, Project(), lambda: datetime.now(UTC))
    await ingest.start()
    found = await stored(engine)
    assert senders.acknowledged <= found.keys()
    assert all(ingest.people.person_of(distinct_id) for distinct_id in found.values())

    for events in senders.sent:
        await ingest.accept([_raw(event) for event in events])
    assert (await stored(engine)).keys() == {event["uuid"] for events in senders.sent for event in events}
    assert await ingest.start() == []
    await ingest.close()
    store.close()
    await engine.close()


def _raw(event: dict[str, Any]) -> RawEvent:

    return RawEvent(
        event["event"], event["distinct_id"], event["properties"], event["uuid"], event["timestamp"]
    )
