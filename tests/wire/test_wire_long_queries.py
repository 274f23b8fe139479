"""A query that takes longer than a call, over the installed program's own pipes."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import TextContent
from wire_program import PROGRAM

from posthog_mcp.sandbox.process import SandboxProcess

STOPPED = {
    "route": "/api/projects/*/query/",
    "method": "POST",
    "status": 504,
    "times": 1,
    "body": {"code": "error", "detail": "Query has hit the max execution time."},
}
RUNNING = {
    "route": "/api/projects/*/query/*/",
    "method": "GET",
    "status": 202,
    "body": {"query_status": {"complete": False, "query_progress": {"rows_read": 12345}}},
}


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[SandboxProcess]:
    async with SandboxProcess(throttle="off") as process:
        yield process


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_long_query_tells_how_far_it_is_and_is_answered_by_its_handle(
    sandbox: SandboxProcess, mode: Literal["auto", "legacy"], tmp_path: Path
) -> None:
    heard: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        heard.append(message or "")

    async def ask(tool: str, arguments: dict[str, Any], **more: Any) -> str:
        answer = await client.call_tool(tool, arguments, **more)
        text = "".join(block.text for block in answer.content if isinstance(block, TextContent))
        assert not answer.is_error, text
        return text

    asked = {"series": mode, "date_from": "-2d"}
    async with httpx2.AsyncClient(base_url=sandbox.url) as control:
        own = {"POSTHOG_MCP_DATA_DIR": str(tmp_path), "POSTHOG_MCP_CALL_SECONDS": "2"}
        program = StdioServerParameters(command=PROGRAM, env={**sandbox.environment, **own}, cwd="/")
        async with Client(stdio_client(program), mode=mode) as client:
            expected = await ask("query_trends", asked)
            for fault in (STOPPED, RUNNING):
                (await control.post("/_sandbox/faults", json=fault)).raise_for_status()
            first = await ask("query_trends", asked, progress_callback=hear)
            (await control.delete("/_sandbox/faults")).raise_for_status()
            handle = re.search(r'"handle":\s*"([A-Za-z0-9_-]+)"', first)
            assert handle is not None, first
            assert await ask("get_query_status", {"handle": handle[1]}) == expected
    assert "PostHog runs the query in the background, 12,345 rows read so far" in heard
