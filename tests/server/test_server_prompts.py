"""Prompts and resources: jobs and guides that a person picks, in both eras of the protocol."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import pytest
from hypothesis import given, strategies
from hypothesis import settings as bounds
from mcp import Client, MCPError
from mcp.types import TextContent, TextResourceContents

from posthog_mcp.server.app import App
from posthog_mcp.server.catalog import collect
from posthog_mcp.server.prompts import TEMPLATES, Template, filled
from posthog_mcp.settings import Settings
from posthog_mcp.tool import guides

Mode = Literal["auto", "legacy"]


@pytest.fixture(params=["auto", "legacy"], ids=["modern", "legacy"])
async def client(settings: Callable[..., Settings], request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client(App(settings()).server(), mode=request.param) as client:
        yield client


async def said(client: Client, name: str, **arguments: str) -> str:
    """What a prompt says."""
    [message] = (await client.get_prompt(name, arguments)).messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text


async def test_every_prompt_of_the_default_catalogue_is_listed_with_its_arguments(client: Client) -> None:
    prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
    assert list(prompts) == [template.name for template in TEMPLATES]
    arguments = prompts["who_hit_this_error"].arguments or []
    assert [(one.name, one.required) for one in arguments] == [("error", True), ("flag", False)]


async def test_arguments_stand_where_they_belong_and_may_be_left_out(client: Client) -> None:
    text = await said(client, "who_hit_this_error", error="TypeError in cart", flag="new-checkout")
    assert 'Find the error "TypeError in cart" with list_errors' in text
    assert 'My flag: "new-checkout".' in text
    assert "Look which feature flags" in await said(client, "who_hit_this_error", error="TypeError")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("who_hit_this", {}, "There is no prompt `who_hit_this`; there are who_hit_this_error"),
        ("read_experiment", {}, "read_experiment needs `experiment`"),
        ("read_experiment", {"experiment": "  "}, "read_experiment needs `experiment`"),
        ("read_experiment", {"experiment": "a", "flag": "b"}, "`flag` is no argument of read_experiment"),
    ],
)
async def test_what_does_not_fit_is_refused_in_words(
    client: Client, name: str, arguments: dict[str, str], words: str
) -> None:
    with pytest.raises(MCPError) as refused:
        await client.get_prompt(name, arguments)
    assert words in refused.value.error.message
    assert refused.value.error.code == -32602


async def test_a_prompt_is_only_there_where_its_tools_are(settings: Callable[..., Settings]) -> None:
    reader = App(settings(access="read", areas="query,annotations"))
    async with Client(reader.server()) as client:
        assert [one.name for one in (await client.list_prompts()).prompts] == ["why_did_it_change"]


def test_every_tool_a_prompt_names_exists_and_is_declared() -> None:
    known = {tool.name for tool in collect()}
    for template in TEMPLATES:
        assert set(template.tools) <= known
        assert known.intersection(re.findall(r"\w+", template.text)) == set(template.tools)


@bounds(max_examples=80, deadline=None)
@given(template=strategies.sampled_from(TEMPLATES), value=strategies.text(max_size=700))
def test_an_argument_stays_in_its_quotes_whatever_it_holds(template: Template, value: str) -> None:
    names = [name.removesuffix("?") for name in template.arguments]
    text = filled(template, dict.fromkeys(names, f"x{value} {{flag}}"))
    assert len(text) < len(template.text) + 600 * len(names)
    assert "\n" not in text


async def test_every_guide_is_a_resource(client: Client) -> None:
    resources = (await client.list_resources()).resources
    assert [one.name for one in resources] == guides.names()
    for one in resources:
        [content] = (await client.read_resource(one.uri)).contents
        assert isinstance(content, TextResourceContents)
        assert content.text == guides.read(one.name)
        assert content.mime_type == "text/markdown"
        assert one.size == len(content.text.encode())
        assert content.text.startswith(f"# {one.title}\n")


async def test_clients_that_ask_for_templates_get_the_address_of_a_guide(client: Client) -> None:
    [template] = (await client.list_resource_templates()).resource_templates
    uri = template.uri_template.replace("{name}", guides.names()[0])
    assert (await client.read_resource(uri)).contents


@pytest.mark.parametrize(
    "uri", ["posthog://guides/nothing", "posthog://guides/../settings", "file:///etc/passwd"]
)
async def test_what_is_no_guide_is_not_found(client: Client, uri: str) -> None:
    with pytest.raises(MCPError) as refused:
        await client.read_resource(uri)
    assert refused.value.error.code == -32602
    data: Any = refused.value.error.data
    assert data == {"uri": uri}
