import dataclasses
from collections.abc import Callable

import pytest
from server_tools import TOOLS, echo, send

from posthog_mcp.server.catalog import Catalogue, collect
from posthog_mcp.settings import Settings, SettingsError
from posthog_mcp.tool import ToolFailure

Make = Callable[..., Settings]


def names(settings: Settings) -> list[str]:
    return [tool.name for tool in Catalogue.of(settings, TOOLS).tools]


def test_the_default_catalogue_has_what_write_access_may_do_and_no_rarely_used_tool(settings: Make) -> None:
    assert names(settings()) == ["send", "echo", "rows", "fail"]


def test_read_access_shows_only_what_changes_nothing(settings: Make) -> None:
    assert names(settings(access="read", areas="all")) == ["rare", "echo", "rows", "fail"]


def test_full_access_with_all_areas_shows_everything(settings: Make) -> None:
    assert names(settings(access="full", areas="all")) == ["send", "destroy", "rare", "echo", "rows", "fail"]


def test_named_areas_are_shown_whole(settings: Make) -> None:
    assert names(settings(areas="web,events")) == ["send", "rare"]


def test_single_tools_can_be_added_and_taken_out(settings: Make) -> None:
    assert names(settings(tools="+rare,-send,-fail")) == ["rare", "echo", "rows"]


def test_a_tool_taken_out_stays_out_whatever_adds_it(settings: Make) -> None:
    assert "rare" not in names(settings(areas="all", tools="+rare,-rare"))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("-sendd", "did you mean `send`"),
        ("+destroy", "needs access full"),
        ("+nothing_like_it", "no such tool"),
    ],
)
def test_a_choice_that_cannot_be_meant_stops_the_start(settings: Make, choice: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        names(settings(tools=choice))


def test_a_pinned_project_leaves_the_schemas(settings: Make) -> None:
    assert "project_id" in Catalogue.of(settings(), TOOLS).schema(echo)["properties"]
    pinned = Catalogue.of(settings(pinned_project_id=3), TOOLS)
    assert "project_id" not in pinned.schema(echo)["properties"]


def test_an_argument_that_is_not_there_is_not_required_either(settings: Make) -> None:
    pinned = Catalogue.of(settings(pinned_project_id=3), TOOLS)
    schema = {
        "type": "object",
        "properties": {"project_id": {"type": "integer"}, "name": {"type": "string"}},
        "required": ["project_id"],
        "additionalProperties": False,
    }
    assert pinned.schema(dataclasses.replace(echo, schema=schema)) == {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "additionalProperties": False,
    }


def test_a_hidden_tool_looks_like_one_that_does_not_exist(settings: Make) -> None:
    catalogue = Catalogue.of(settings(access="read"), TOOLS)
    said: list[str] = []
    for name in ("send", "sand"):
        with pytest.raises(ToolFailure) as caught:
            catalogue.find(name)
        said.append(str(caught.value).replace(name, "NAME"))
    assert said[0] == said[1]
    assert "full" not in said[0]


def test_an_unknown_name_is_answered_with_the_nearest_one_that_is_shown(settings: Make) -> None:
    with pytest.raises(ToolFailure, match="Did you mean `send`"):
        Catalogue.of(settings(), TOOLS).find("sned")


def test_the_tools_of_the_package_are_found_in_the_same_order_every_time() -> None:
    assert collect() == collect()
    assert send not in collect()
