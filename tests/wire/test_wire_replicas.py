"""Two copies of the HTTP service as replicas: own directories, one key, one Redis, one PostHog."""

import importlib.util
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx2
import pytest
from slow_posthog import RUNNING, TOO_LONG
from wire_program import MODERN, SECONDS, Program, request

from posthog_mcp.sandbox.process import SandboxProcess

pytestmark = pytest.mark.skipif(importlib.util.find_spec("chdb") is None, reason="needs posthog-mcp[sandbox]")

CAN_ASK = {**MODERN, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}


class Replica:
    """One service, as a client of the newest protocol calls it."""

    def __init__(self, program: Program) -> None:
        said = program.complaints.get(timeout=SECONDS).decode()
        self._url = said.removeprefix("MCP at ").strip()

    async def call(self, tool: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The result of a call, whatever it is."""
        body = request(1, "tools/call", name=tool, arguments=arguments, **more, _meta=CAN_ASK)
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MODERN["io.modelcontextprotocol/protocolVersion"],
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        async with httpx2.AsyncClient(timeout=SECONDS, trust_env=False) as client:
            answer = await client.post(self._url, json=body, headers=headers)
        messages = [line.removeprefix("data: ") for line in answer.text.splitlines() if '"jsonrpc"' in line]
        return json.loads(messages[-1])["result"]

    async def record(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured half of an answer that is no error."""
        result = await self.call(tool, arguments)
        assert not result.get("isError"), result
        return result["structuredContent"]


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[SandboxProcess]:
    async with SandboxProcess(throttle="off") as process:
        yield process


@pytest.fixture(scope="module")
def replica(
    sandbox: SandboxProcess, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Starts replicas, each with a directory of its own."""
    started: list[Program] = []

    def make(**environment: str) -> Replica:
        own = {
            **sandbox.environment,
            "POSTHOG_MCP_REDIS_URL": redis_url,
            "POSTHOG_MCP_ACCESS": "full",
            "POSTHOG_MCP_AREAS": "all",
            "POSTHOG_MCP_DATA_DIR": str(tmp_path_factory.mktemp("replica")),
            **environment,
        }
        started.append(Program("serve", "--transport", "http", "--port", "0", **own))
        return Replica(started[-1])

    yield make
    for program in started:
        program.end()


@pytest.fixture(scope="module")
def pair(replica: Any) -> tuple[Replica, Replica]:
    return replica(), replica()


async def test_a_change_made_at_one_is_listed_and_undone_at_the_other_once(
    pair: tuple[Replica, Replica],
) -> None:
    one, other = pair
    # PostHog itself would take every one of these undoings: an annotation has no version.
    made = await one.record("create_annotation", content="Deployed 1")
    changed = await one.record("update_annotation", annotation=made["id"], content="Deployed 2")
    listed = await other.call("list_changes", {"kind": "annotation"})
    assert f"\n{changed['change']}\t" in listed["content"][0]["text"]
    undoings: list[dict[str, Any]] = []

    async def undo_at(place: Replica) -> None:
        undoings.append(await place.call("undo_change", {"change": changed["change"]}))

    async with anyio.create_task_group() as tasks:
        for place in (one, other) * 3:
            tasks.start_soon(undo_at, place)
    done = [result["structuredContent"] for result in undoings if not result["isError"]]
    assert [one["changed"] for one in done] == [
        [{"field": "content", "from": "Deployed 2", "to": "Deployed 1"}]
    ]


async def test_a_persons_answer_to_one_counts_once_at_whichever_it_arrives(
    pair: tuple[Replica, Replica],
) -> None:
    one, other = pair
    await one.record("create_flag", key="old")
    arguments = {"flag": "old"}
    asked = await one.call("delete_flag", arguments)
    assert asked["resultType"] == "input_required"
    answer = {
        "requestState": asked["requestState"],
        "inputResponses": {"consent": {"action": "accept", "content": {"name": "old"}}},
    }
    deleted = await other.call("delete_flag", arguments, **answer)
    assert not deleted.get("isError"), deleted
    await one.record("create_flag", key="old")  # another one of this name
    for place in (one, other):
        again = await place.call("delete_flag", arguments, **answer)
        assert "was used before" in again["content"][0]["text"]
    assert (await other.record("get_flag", flag="old"))["active"] is True


async def test_a_query_handed_over_by_one_is_found_at_the_other(
    replica: Any, pair: tuple[Replica, Replica], sandbox: SandboxProcess
) -> None:
    one, other = replica(POSTHOG_MCP_CALL_SECONDS="2"), pair[1]
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        for fault in (TOO_LONG, RUNNING):
            (await control.post("/_sandbox/faults", json=fault)).raise_for_status()
        handle = (await one.record("query_hogql", query="SELECT 40 + 2"))["handle"]
        (await control.delete("/_sandbox/faults")).raise_for_status()
    assert (await other.record("get_query_status", handle=handle, format="json"))["rows"] == [[42]]
