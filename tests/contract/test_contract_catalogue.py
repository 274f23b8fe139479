"""Rules for every tool there is. One schema that breaks a rule takes all tools away from some clients."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from posthog_mcp.server.catalog import FILE, Catalogue, collect, written
from posthog_mcp.server.results import definitions
from posthog_mcp.settings import Access, Settings
from posthog_mcp.tool import AREAS, Input, Tool
from posthog_mcp.tools import every

TOOLS = every()
NODE = Path(__file__).parents[1] / "node"
TOKENIZER = shutil.which("node") and (NODE / "node_modules/js-tiktoken").exists()
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
KEYWORDS = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "description", "default",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format",
}  # fmt: skip
TYPES = {"object", "array", "string", "integer", "number", "boolean"}
each_tool = pytest.mark.parametrize("tool", TOOLS, ids=[tool.name for tool in TOOLS])


def catalogue(**flags: Any) -> Catalogue:
    return Catalogue.of(Settings.load({}, data_dir=Path("/nowhere"), **flags))


def schema_of(tool: Tool) -> dict[str, Any]:
    return catalogue().schema(tool)


def parts(schema: dict[str, Any], depth: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every schema inside a schema, with how deep it lies."""
    yield depth, schema
    for inner in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from parts(inner, depth + 1)


def tokens(texts: list[str]) -> list[int]:
    command = ["node", str(NODE / "tokens.mjs")]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_there_are_tools() -> None:
    assert TOOLS


def test_the_committed_catalogue_is_what_the_tools_say_of_themselves() -> None:
    assert FILE.read_text(encoding="utf-8") == written(TOOLS), "run python docs/check.py --write"


def test_a_listed_tool_leads_to_its_code() -> None:
    assert tuple(listing.load() for listing in collect()) == TOOLS


@each_tool
def test_names_fit_every_client_and_begin_with_a_verb(tool: Tool) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", tool.name)
    assert len(tool.name) <= 40


@each_tool
def test_descriptions_are_short_enough_to_be_shown_whole(tool: Tool) -> None:
    assert 20 <= len(tool.description) <= 1_000
    assert tool.description[0].isupper()
    assert 0 < len(tool.title) <= 40


@each_tool
def test_areas_keys_and_scopes_are_known_ones(tool: Tool) -> None:
    assert tool.area in AREAS
    assert set(tool.keys) <= {"project", "personal", "secret"}
    assert all(re.fullmatch(r"[a-z_]+:(read|write)", scope) for scope in tool.scopes)


@each_tool
def test_hints_tell_the_truth_that_access_tells(tool: Tool) -> None:
    assert tool.read_only == (tool.access is Access.READ)
    assert not (tool.read_only and tool.destructive)
    assert not (tool.read_only and any(scope.endswith(":write") for scope in tool.scopes))
    if tool.name.startswith("delete_"):
        assert tool.destructive
        assert tool.access is Access.FULL


@each_tool
def test_the_root_of_a_schema_is_a_closed_object(tool: Tool) -> None:
    schema = schema_of(tool)
    assert schema["type"] == "object"
    assert isinstance(schema["properties"], dict)
    assert schema["additionalProperties"] is False


@each_tool
def test_schemas_keep_to_the_portable_subset(tool: Tool) -> None:
    for depth, part in parts(schema_of(tool)):
        assert set(part) <= KEYWORDS
        assert part["type"] in TYPES
        assert depth <= 2 * 5  # a list is a level in the schema and none to a reader
        if part["type"] == "object":
            assert part["additionalProperties"] is False
            assert set(part.get("required", [])) <= set(part["properties"])
            assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}", name) for name in part["properties"])
        if part["type"] == "array":
            assert part["items"]["type"] in TYPES
        if "enum" in part:
            assert all(isinstance(choice, str) and choice for choice in part["enum"])
            assert part.get("default", part["enum"][0]) in part["enum"]
        assert part.get("format", "date") in FORMATS


@each_tool
def test_every_argument_is_described_and_its_bounds_are_said_in_words(tool: Tool) -> None:
    for _, part in parts(schema_of(tool)):
        for name, argument in part.get("properties", {}).items():
            description = argument["description"]
            assert len(description) > 3, name
            for bound in ("minimum", "maximum"):
                if bound in argument and "maximum" in argument:
                    assert str(argument[bound]) in description


@each_tool
def test_a_schema_is_small_enough_for_every_client(tool: Tool) -> None:
    text = json.dumps(schema_of(tool), separators=(",", ":"))
    assert len(text) < 8_000
    assert sum(len(part.get("properties", {})) for _, part in parts(schema_of(tool))) <= 100


@each_tool
def test_an_argument_that_is_misspelt_is_refused(tool: Tool) -> None:
    assert issubclass(tool.input, Input)
    assert tool.input.model_config.get("extra") == "forbid"


def test_the_default_catalogue_is_a_choice_of_at_most_forty() -> None:
    assert len(catalogue().tools) <= 40


@pytest.mark.skipif(not TOKENIZER, reason="npm install --prefix tests/node brings the tokenizer")
@pytest.mark.parametrize(
    ("flags", "most"), [({}, 10_000), ({"access": "full", "areas": "all"}, 18_000)], ids=["default", "all"]
)
def test_the_list_of_tools_costs_few_tokens(flags: dict[str, str], most: int) -> None:
    shown = [
        {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
        for tool in definitions(catalogue(**flags))
    ]
    whole, *each = tokens([json.dumps(part, separators=(",", ":")) for part in (shown, *shown)])
    assert whole <= most
    assert max(each) <= 850


def test_tools_are_listed_by_area_in_a_fixed_order() -> None:
    areas = [AREAS.index(tool.area) for tool in catalogue(access="full", areas="all").tools]
    assert areas == sorted(areas)
    assert definitions(catalogue()) == definitions(catalogue())


def test_what_a_start_may_not_do_is_not_listed() -> None:
    for access in Access:
        shown = catalogue(access=access, areas="all").tools
        assert all(tool.within(access) for tool in shown)
    assert all(tool.read_only for tool in catalogue(access="read", areas="all").tools)


def test_pinning_a_project_takes_the_choice_out_of_every_schema() -> None:
    pinned = catalogue(areas="all", access="full", pinned_project_id=1)
    for tool in pinned.tools:
        assert "project_id" not in pinned.schema(tool)["properties"]
