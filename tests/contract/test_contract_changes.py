"""No tool can change anything at PostHog past the journal: there is one way there, and it is watched."""

import ast
from pathlib import Path

import pytest

import posthog_mcp
from posthog_mcp.api.calls import witness
from posthog_mcp.render import Text
from posthog_mcp.server.catalog import Catalogue, collect
from posthog_mcp.server.dispatch import Dispatcher
from posthog_mcp.settings import Access, Settings
from posthog_mcp.tool import Context, Input, Services, tool
from posthog_mcp.tool.recording import Recorder

PACKAGE = Path(posthog_mcp.__file__).parent
SOURCES = sorted([*(PACKAGE / "tools").rglob("*.py"), *(PACKAGE / "tool").rglob("*.py")])
# Whoever had one of these could reach PostHog without being seen.
OTHER_WAYS = {"PostHogClient", "Transport", "Caller", "witness"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_tools_reach_posthog_through_the_watched_client_alone(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typed = [node for node in ast.walk(tree) if isinstance(node, ast.If) and _is_type_checking(node)]
    only_types = {id(inner) for node in typed for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in only_types:
            assert OTHER_WAYS.isdisjoint(name.name for name in node.names)


def _is_type_checking(node: ast.If) -> bool:
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("access", Access)
async def test_every_tool_runs_watched_whatever_its_access(access, tmp_path):
    seen: list[object] = []

    class Nothing(Input):
        pass

    async def look_around(ctx: Context, args: Nothing) -> Text:
        """Looks who watches, and changes nothing itself."""
        del args
        seen.append(witness.get())
        return Text(ctx.tool)

    look_around.__annotations__ = {"ctx": Context, "args": Nothing, "return": Text}
    made = tool(area="project", access=access, title="Look around", keys=())(look_around)
    settings = Settings.load({}, data_dir=tmp_path, access=access)

    async def services() -> Services:
        return Services(None, settings)  # pyright: ignore[reportArgumentType]

    dispatcher = Dispatcher(Catalogue((made,), access), settings, services)
    assert (await dispatcher.call("look_around", {})).text == "look_around"
    assert isinstance(seen[0], Recorder)
    assert witness.get() is None


def test_what_can_be_taken_back_is_for_every_server_that_may_change_something():
    undo = next(tool for tool in collect() if tool.name == "undo_change")
    changing = [tool for tool in collect() if tool.access is not Access.READ and "personal" in tool.keys]
    assert changing
    assert undo.access is Access.WRITE
    assert undo.default
