"""Charts over the installed program."""

import base64
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import ImageContent, TextContent
from wire_program import PROGRAM, Program, call

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.server.drawing import available

pytestmark = pytest.mark.skipif(
    not available(), reason='pip install "posthog-mcp[charts]" brings the renderer'
)
ASKED = {"series": "$pageview", "chart": True}


@pytest.fixture(scope="module")
async def posthog() -> AsyncIterator[dict[str, str]]:
    """Where there are some page views."""
    async with SandboxProcess(throttle="off", seed="small") as sandbox:
        yield dict(sandbox.environment)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_picture_comes_beside_the_text_in_both_eras(
    mode: Literal["auto", "legacy"], posthog: dict[str, str], tmp_path: Path
) -> None:
    env = {**posthog, "POSTHOG_MCP_DATA_DIR": str(tmp_path)}
    async with Client(
        stdio_client(StdioServerParameters(command=PROGRAM, env=env, cwd="/")), mode=mode
    ) as client:
        answer = await client.call_tool("query_trends", ASKED)
    text, picture = answer.content
    assert isinstance(text, TextContent)
    assert text.text.startswith("Trends of project Sandbox (1)")
    assert isinstance(picture, ImageContent)
    assert picture.mime_type == "image/png"
    assert base64.b64decode(picture.data).startswith(b"\x89PNG")
    assert answer.structured_content is None


def test_the_program_ends_at_once_while_a_chart_is_drawn(
    start: Callable[..., Program], posthog: dict[str, str]
) -> None:
    program = start(**posthog).shake_hands()
    program.send(call(1, "query_trends", series="$pageview"))  # so that the next is no first call
    program.answer(1)
    program.send(call(2, "query_trends", **ASKED))
    program.close_input()
    code, seconds = program.wait()
    assert code == 0
    assert seconds < 2
    assert program.said() == ""


def test_the_command_keeps_a_picture_where_it_is_told_to(posthog: dict[str, str], tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, **posthog, "POSTHOG_MCP_DATA_DIR": str(tmp_path)}
    command = [PROGRAM, "call", "query_trends", json.dumps(ASKED)]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], env=env, capture_output=True, text=True, timeout=60, check=False
        )

    file = tmp_path / "views.png"
    done = run("--picture", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_bytes().startswith(b"\x89PNG")
    assert "give --picture FILE" in run().stderr
    refused = run("--picture", str(tmp_path / "nowhere" / "views.png"))
    assert refused.returncode == 1
    assert "No such file or directory. Give a file that can be written." in refused.stderr
