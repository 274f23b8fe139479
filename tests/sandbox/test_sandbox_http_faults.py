"""Faults on request, and the sandbox's own pages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from posthog_mcp.sandbox.http.app import build
from posthog_mcp.sandbox.http.faults import ConnectionDropped
from posthog_mcp.sandbox.ingest import RawEvent
from posthog_mcp.sandbox.process import SandboxProcess

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

NOTES = "/api/projects/1/annotations/"
FAULTS = "/_sandbox/faults/"


async def test_a_fault_answers_with_its_status_body_and_wait_as_often_as_asked(api: AsyncClient):
    fault = {"route": "/api/projects/*/annotations/", "status": 503, "retry_after": 4, "times": 2}
    assert (await api.post(FAULTS, json=fault)).status_code == 201
    for _ in range(2):
        reply = await api.get(NOTES)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "4")
        assert reply.json()["type"] == "server_error"
    assert (await api.get(NOTES)).status_code == 200


async def test_a_fault_meant_for_one_method_leaves_the_others_alone(api: AsyncClient):
    await api.post(FAULTS, json={"route": NOTES, "method": "POST", "status": 500, "body": "boom"})
    assert (await api.get(NOTES)).status_code == 200
    reply = await api.post(NOTES, json={"content": "x"})
    assert (reply.status_code, reply.text) == (500, "boom")
    assert (await api.get(NOTES)).json()["count"] == 0


async def test_faults_are_cleared(api: AsyncClient):
    await api.post(FAULTS, json={"route": "*", "status": 500})
    assert len((await api.get(FAULTS)).json()) == 1
    assert (await api.delete(FAULTS)).status_code == 204
    assert (await api.get(NOTES)).status_code == 200


async def test_a_delay_holds_the_answer_back(sandbox: Sandbox, api: AsyncClient):
    await api.post(FAULTS, json={"route": "/batch/", "delay": 0.05})
    await api.post(FAULTS, json={"route": NOTES, "delay": 30})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(api.get(NOTES), 0.2)
    assert len(sandbox.faults.waiting) == 2


async def test_a_connection_dropped_before_leaves_nothing_done(api: AsyncClient):
    await api.post(FAULTS, json={"route": NOTES, "drop": "before", "times": 1})
    with pytest.raises(ConnectionDropped):
        await api.post(NOTES, json={"content": "lost"})
    assert (await api.get(NOTES)).json()["count"] == 0


async def test_a_connection_dropped_after_has_done_the_work(api: AsyncClient):
    await api.post(FAULTS, json={"route": NOTES, "drop": "after", "times": 1})
    with pytest.raises(ConnectionDropped):
        await api.post(NOTES, json={"content": "kept"})
    assert (await api.get(NOTES)).json()["count"] == 1
    log = (await api.get("/_sandbox/requests/")).json()
    assert log["statuses"] == {"0": 1, "200": 1}


@pytest.mark.parametrize(
    ("fault", "attr"),
    [({}, "route"), ({"route": "*", "status": 42}, "status"), ({"route": "*", "drop": "never"}, "drop"),
     ({"route": "*", "speed": 1}, "speed")],
)  # fmt: skip
async def test_a_fault_that_makes_no_sense_is_refused(api: AsyncClient, fault: dict[str, Any], attr: str):
    reply = await api.post(FAULTS, json=fault)
    assert (reply.status_code, reply.json()["attr"]) == (400, attr)


async def test_another_machine_cannot_reach_the_sandboxs_own_pages(sandbox: Sandbox):
    transport = httpx2.ASGITransport(build(sandbox), client=("192.0.2.7", 4711))
    async with httpx2.AsyncClient(transport=transport, base_url="http://sandbox.test") as stranger:
        for path in ("/_sandbox/status", "/_sandbox/requests", FAULTS):
            assert (await stranger.get(path)).status_code == 403


async def test_status_names_the_versions_and_what_ingestion_warned_about(sandbox: Sandbox, api: AsyncClient):
    await sandbox.ingest.accept([RawEvent("seen", "x" * 401)])
    status = (await api.get("/_sandbox/status")).json()
    assert (status["ok"], status["throttled"]) == (True, 0)
    assert status["engine"].count(".") >= 2
    assert [one["type"] for one in status["ingestion_warnings"]] == ["distinct_id_too_long"]


async def test_health_and_preflight_need_no_key(anyone: AsyncClient):
    assert (await anyone.get("/_health")).status_code == 200
    assert (await anyone.get("/_preflight/")).json()["clickhouse"] is True


async def test_over_a_socket_a_dropped_connection_gives_no_answer_and_hurts_nobody_else():
    async with SandboxProcess() as process, httpx2.AsyncClient(base_url=process.url) as client:
        key = {"Authorization": "Bearer phx_sandbox"}
        for drop, kept in (("before", 0), ("after", 1)):
            await client.post(FAULTS, json={"route": NOTES, "drop": drop, "times": 1})
            with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):  # by FIN or by RST
                await client.post(NOTES, json={"content": "x"}, headers=key)
            assert (await client.get(NOTES, headers=key)).json()["count"] == kept
