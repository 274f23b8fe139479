"""Tools against a real sandbox: one process for all tests of a worker, each test with names of its own."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.types import ElicitRequestFormParams, ElicitResult, TextContent
from slow_posthog import Control
from table_reader import read_table

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings

_names = count()


@dataclass
class Agent:
    """A client of our server, the way an agent sees it."""

    client: Client

    async def ask(self, tool: str, /, **arguments: Any) -> str:
        """The text of an answer that is no error."""
        answer = await self.client.call_tool(tool, arguments)
        text = "\n".join(block.text for block in answer.content if isinstance(block, TextContent))
        assert not answer.is_error, text
        return text

    async def record(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """The structured half of an answer that is no error."""
        answer = await self.client.call_tool(tool, arguments)
        assert not answer.is_error, answer.content
        assert answer.structured_content is not None
        return answer.structured_content

    async def refusal(self, tool: str, /, **arguments: Any) -> str:
        """The text of an answer that is an error."""
        answer = await self.client.call_tool(tool, arguments)
        text = "\n".join(block.text for block in answer.content if isinstance(block, TextContent))
        assert answer.is_error, text
        return text

    async def rows(self, tool: str, /, **arguments: Any) -> list[list[Any]]:
        """The rows of a table; a column that has one text in all of many rows comes first."""
        return read_table(await self.ask(tool, **arguments))[1]

    async def named_rows(self, tool: str, /, **arguments: Any) -> list[dict[str, Any]]:
        """The rows of a table by the names of its columns, wherever those stand."""
        columns, rows = read_table(await self.ask(tool, **arguments))
        return [dict(zip(columns, row, strict=True)) for row in rows]


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[SandboxProcess]:
    async with SandboxProcess(throttle="off") as process:
        yield process


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    own = {"POSTHOG_MCP_DATA_DIR": str(tmp_path), "POSTHOG_MCP_AREAS": "all"}
    return Settings.load({**sandbox.environment, **own})


@pytest.fixture
def unattended(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    """Every tool, and nobody to ask."""
    own = {
        "POSTHOG_MCP_AREAS": "all",
        "POSTHOG_MCP_ACCESS": "full",
        "POSTHOG_MCP_UNATTENDED_DELETES": "true",
        "POSTHOG_MCP_DATA_DIR": str(tmp_path),
    }
    return Settings.load({**sandbox.environment, **own})


@pytest.fixture(params=["auto", "legacy"])
async def agent(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Agent]:
    app = App(settings)
    async with Client(app.server(), mode=request.param) as client:
        yield Agent(client)
    await app.close()


class Human:
    """Types what they are told to, and remembers what they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.types = ""

    async def __call__(self, _context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        self.asked.append(params.message)
        return ElicitResult(action="accept", content={"name": self.types})


@pytest.fixture
def human() -> Human:
    return Human()


@pytest.fixture(params=["auto", "legacy"])
async def client(
    sandbox: SandboxProcess, tmp_path: Path, human: Human, request: pytest.FixtureRequest
) -> AsyncIterator[Client]:
    """Every tool, and a person who is asked."""
    own = {
        "POSTHOG_MCP_AREAS": "all",
        "POSTHOG_MCP_ACCESS": "full",
        "POSTHOG_MCP_DATA_DIR": str(tmp_path),
    }
    app = App(Settings.load({**sandbox.environment, **own}))
    async with Client(app.server(), mode=request.param, elicitation_callback=human) as client:
        yield client
    await app.close()


@pytest.fixture
async def posthog(sandbox: SandboxProcess) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody else who works on the same project, past our tools."""
    headers = {"Authorization": "Bearer phx_sandbox"}
    base = f"{sandbox.environment['POSTHOG_HOST']}/api/projects/1"
    async with httpx2.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"t{os.getpid()}-{next(_names)}"


@pytest.fixture
async def control(sandbox: SandboxProcess) -> AsyncIterator[Control]:
    async with httpx2.AsyncClient(base_url=sandbox.url) as client:
        control = Control(client)
        await client.delete("/_sandbox/requests")
        yield control
        await control.clear()


@pytest.fixture
async def hurried(settings: Settings) -> AsyncIterator[App]:
    """A server whose calls have one second."""
    app = App(settings.model_copy(update={"call_seconds": 1.0}))
    yield app
    await app.close()


@pytest.fixture
async def app_of(settings: Settings) -> AsyncIterator[Callable[..., App]]:
    """Makes servers with other settings, and closes them."""
    made: list[App] = []

    def make(**changes: Any) -> App:
        made.append(App(settings.model_copy(update=changes)))
        return made[-1]

    yield make
    for app in made:
        await app.close()
