from collections.abc import AsyncIterator, Callable
from typing import Literal

import anyio
import pytest
from mcp import Client
from server_tools import Wait

from posthog_mcp import __version__
from posthog_mcp.server.app import App, instructions
from posthog_mcp.settings import Settings

Make = Callable[..., App]
Mode = Literal["auto", "legacy"]


@pytest.fixture(params=["auto", "legacy"], ids=["modern", "legacy"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param


@pytest.fixture
async def client(make_app: Make, wait: Wait, mode: Mode) -> AsyncIterator[Client]:
    async with Client(make_app(wait.tool).server(), mode=mode) as client:
        yield client


async def test_the_server_says_who_it_is(client: Client) -> None:
    assert client.server_info is not None
    assert (client.server_info.name, client.server_info.version) == ("posthog", __version__)
    assert client.server_info.title == "PostHog"


async def test_tools_are_listed_with_all_four_hints_and_no_output_schema(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == ["send", "echo", "rows", "fail", "wait"]
    hints = tools["send"].annotations
    assert hints is not None
    assert (hints.title, hints.read_only_hint, hints.destructive_hint) == ("Send", False, False)
    assert (hints.idempotent_hint, hints.open_world_hint) == (True, True)
    assert tools["send"].output_schema is None
    assert tools["send"].description == "Do as if something were sent."


async def test_an_object_comes_in_both_halves(client: Client) -> None:
    result = await client.call_tool("echo", {"name": "n", "limit": "7"})
    assert not result.is_error
    assert result.structured_content is not None
    assert result.structured_content["limit"] == 7
    [content] = result.content
    assert content.type == "text"
    assert '"limit":7' in content.text


async def test_rows_come_as_text_alone(client: Client) -> None:
    result = await client.call_tool("rows")
    assert result.structured_content is None


async def test_unknown_tools_and_arguments_are_answers_a_model_can_read(client: Client) -> None:
    for name, arguments, words in [
        ("ech", {}, "Did you mean `echo`"),
        ("echo", {"nam": 1}, "did you mean `name`"),
    ]:
        result = await client.call_tool(name, arguments)
        assert result.is_error
        assert result.content[0].type == "text"
        assert words in result.content[0].text


async def test_progress_reaches_a_client_that_asked_for_it(client: Client, wait: Wait) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        seen.append((done, total, message))
        wait.release.set()

    with anyio.fail_after(5):
        result = await client.call_tool("wait", {}, progress_callback=progress)
    assert seen == [(1, 2, "half")]
    assert result.content[0].type == "text"
    assert result.content[0].text == "done"


async def test_a_client_that_gives_up_cancels_the_work(client: Client, wait: Wait) -> None:
    with anyio.move_on_after(0.2):
        await client.call_tool("wait", {})
    with anyio.fail_after(5):
        await wait.cancelled.wait()
    assert not (await client.call_tool("send", {})).is_error


async def test_the_name_of_the_client_reaches_the_tools(client: Client) -> None:
    result = await client.call_tool("echo", {"name": "n"})
    assert result.structured_content is not None
    assert result.structured_content["caller"].startswith("mcp")


def test_the_instructions_are_short_and_name_a_pinned_project(settings: Callable[..., Settings]) -> None:
    assert len(instructions(settings())) < 2_000
    assert "project 31337" in instructions(settings(pinned_project_id=31337))
    assert "project_id" not in instructions(settings(pinned_project_id=31337))
