"""Charts over the installed program."""

import base64
import sys
import time
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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_program_ends_at_once_after_a_chart_and_so_does_what_draws(
    start: Callable[..., Program], posthog: dict[str, str]
) -> None:
    program = start(**posthog).shake_hands()
    program.send(call(1, "query_trends", **ASKED))
    assert len(program.answer(1)["result"]["content"]) == 2
    number = program.process.pid
    [drawer] = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    program.close_input()
    code, seconds = program.wait()
    assert code == 0
    assert seconds < 1
    assert program.said() == ""
    assert ended(drawer)


def ended(number: str, seconds: float = 5) -> bool:
    """Whether a process ends within the time; what nobody waits for has ended too."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False
