"""What went wrong, why, and what to do next: the errors people meet, told by the tools."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings

Refused = Callable[..., Awaitable[str]]


@pytest.fixture
def refused(sandbox: SandboxProcess, tmp_path: Path) -> Refused:
    """Calls a tool of a server started with other settings than the sandbox's own, and gives the error."""

    async def call(tool: str, arguments: dict[str, object], **environment: str) -> str:
        given = {**sandbox.environment, "POSTHOG_MCP_DATA_DIR": str(tmp_path), **environment}
        async with _client(given) as client:
            answer = await client.call_tool(tool, arguments)
        text = answer.content[0].text
        assert answer.is_error, text
        return text

    return call


@asynccontextmanager
async def _client(environment: dict[str, str]) -> AsyncIterator[Client]:
    app = App(Settings.load(environment))
    async with Client(app.server()) as client:
        yield client
    await app.close()


async def test_a_project_key_where_a_personal_one_belongs_is_named_with_the_one_wanted(refused: Refused):
    text = await refused("list_flags", {}, POSTHOG_PERSONAL_API_KEY="phc_sandbox")
    assert "phc_" in text
    assert "phx_" in text
    assert "POSTHOG_PERSONAL_API_KEY" in text


async def test_a_personal_key_where_a_project_one_belongs_is_named_and_nothing_is_sent(refused: Refused):
    text = await refused("capture_event", {"event": "x", "distinct_id": "u"}, POSTHOG_API_KEY="phx_sandbox")
    assert "phx_" in text
    assert "phc_" in text
    assert "POSTHOG_API_KEY" in text


async def test_a_missing_key_says_the_variable_and_where_to_get_one(refused: Refused):
    text = await refused("query_hogql", {"query": "SELECT 1"}, POSTHOG_PERSONAL_API_KEY="")
    assert "POSTHOG_PERSONAL_API_KEY" in text
    assert "phx_" in text
    assert "http" in text


async def test_an_unknown_key_is_said_to_be_invalid_and_never_repeated(refused: Refused):
    text = await refused("list_flags", {}, POSTHOG_PERSONAL_API_KEY="phx_nobody_has_this_key_0123456789")
    assert "401" in text
    assert "nobody_has_this" not in text


async def test_a_missing_scope_is_named_with_where_to_add_it(refused: Refused):
    text = await refused("create_flag", {"key": "x"}, POSTHOG_PERSONAL_API_KEY="phx_sandbox_read")
    assert "feature_flag:write" in text


async def test_a_wrong_project_says_to_check_the_project(refused: Refused):
    text = await refused("list_flags", {"project_id": 999})
    assert "999" in text
    assert "project" in text.lower()


async def test_a_host_that_does_not_answer_is_named(refused: Refused):
    text = await refused("list_flags", {"project_id": 1}, POSTHOG_HOST="http://127.0.0.1:9")
    assert "127.0.0.1:9" in text


async def test_a_spent_limit_says_which_and_how_long(refused: Refused, sandbox: SandboxProcess):
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        fault = {"route": "/api/projects/1/annotations*", "status": 429, "retry_after": 120}
        await control.post("/_sandbox/faults", json=fault)
        text = await refused("list_annotations", {})
        await control.delete("/_sandbox/faults")
    assert "429" in text or "limit" in text
    assert "120" in text


async def test_a_tool_above_the_access_level_does_not_exist_and_sends_nothing(
    refused: Refused, sandbox: SandboxProcess
):
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        await control.delete("/_sandbox/requests")
        text = await refused("create_flag", {"key": "x"}, POSTHOG_MCP_ACCESS="read")
        served = (await control.get("/_sandbox/requests")).json()["requests"]
    assert "no tool `create_flag`" in text
    assert not [item for item in served if "feature_flags" in item["path"]]


@pytest.mark.parametrize("identifier", ["../../users/@me", "1/../2", "1?x=y", "%2e%2e", "1\n2"])
async def test_an_id_that_is_no_id_never_reaches_a_url(refused: Refused, identifier: str):
    text = await refused("get_flag", {"flag": identifier})
    assert "There is no flag" in text
