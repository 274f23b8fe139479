"""The names of events and properties are found with what is known of them, and described."""

from pathlib import Path
from typing import Any

import pytest

from posthog_mcp.sandbox.process import SandboxProcess
from posthog_mcp.settings import Settings


@pytest.fixture
def settings(sandbox: SandboxProcess, tmp_path: Path) -> Settings:
    own = {"POSTHOG_MCP_AREAS": "all", "POSTHOG_MCP_DATA_DIR": str(tmp_path)}
    return Settings.load({**sandbox.environment, **own})


async def send(agent, event: str, *, times: int = 1, **properties: Any) -> None:
    for number in range(times):
        await agent.record(
            "capture_event", event=event, distinct_id=f"p{number}", properties=properties, wait=True
        )


async def test_events_come_with_their_volume_and_what_the_team_noted(agent, name):
    await send(agent, f"{name} ordered", times=3)
    await send(agent, f"{name} refunded")
    await agent.record(
        "update_definition",
        kind="event",
        name=f"{name} ordered",
        description="Paid for",
        tags=["money", "shop"],
        verified=True,
    )
    rows = await agent.rows("list_definitions", search=name)
    found = {row[0]: [row[1], *row[3:]] for row in rows}
    assert found == {
        f"{name} ordered": ["3", "verified", "money, shop", "Paid for"],
        f"{name} refunded": ["1", "", "", ""],
    }
    assert all(row[2].startswith("20") for row in rows)
    text = await agent.ask("list_definitions", search=name, limit=1)
    assert "1 of 2 rows. Written by outsiders: name. For the rest: offset=1" in text


async def test_properties_come_with_their_types_and_owners(agent, name):
    properties: dict[str, Any] = {
        f"{name}_total": 9.5,
        f"{name}_coupon": "x",
        "$set": {f"{name}_plan": "pro"},
    }
    await send(agent, name, **properties)
    rows = await agent.rows("list_definitions", kind="properties", search=name)
    assert [row[:2] for row in rows if row[0].startswith(name)] == [
        [f"{name}_coupon", "String"], [f"{name}_total", "Numeric"],
    ]  # fmt: skip
    rows = await agent.rows("list_definitions", kind="properties", of="person", search=name)
    assert [row[0] for row in rows] == [f"{name}_plan"]
    rows = await agent.rows("list_definitions", kind="properties", of="session", search="$session_duration")
    assert rows[0][:2] == ["$session_duration", "Duration"]
    assert "group type" in await agent.refusal("list_definitions", kind="properties", of=f"{name}x")


async def test_properties_of_groups_are_found_by_the_type_of_group(agent, name):
    properties = {f"{name}_seats": 5}
    await agent.record(
        "identify_group", group_type="company", group_key=name, properties=properties, wait=True
    )
    rows = await agent.rows("list_definitions", kind="properties", of="company", search=name)
    assert rows == [[f"{name}_seats", "Numeric", "", "", ""]]


async def test_a_note_changes_what_it_names_and_nothing_else(agent, name):
    properties: dict[str, Any] = {f"{name}_code": "12"}
    await send(agent, name, **properties)
    about = {"kind": "property", "name": f"{name}_code"}
    noted = await agent.record("update_definition", **about, description="Voucher", tags=["a"])
    assert (noted["description"], noted["tags"]) == ("Voucher", ["a"])
    noted = await agent.record("update_definition", **about, property_type="Numeric", hidden=True)
    assert (noted["description"], noted["property_type"], noted["hidden"]) == ("Voucher", "Numeric", True)
    dry = await agent.record("update_definition", **about, description="", no_tags=True, dry_run=True)
    assert dry["would_change"] == [
        {"field": "description", "from": "Voucher", "to": ""}, {"field": "tags[0]", "from": "a"},
    ]  # fmt: skip
    cleared = await agent.record("update_definition", **about, description="", no_tags=True)
    assert "description" not in cleared
    assert "tags" not in cleared
    again = await agent.record("update_definition", **about, hidden=True)
    assert again["changed"] == "nothing: it is so already"


async def test_a_name_that_was_never_seen_is_told_from_the_nearest(agent, name):
    await send(agent, f"{name} checkout", **{f"{name}_amount": 1})
    refused = await agent.refusal("update_definition", kind="event", name=f"{name} chekout", verified=True)
    assert f"Similar: {name} checkout" in refused
    refused = await agent.refusal(
        "update_definition", kind="property", name=f"{name}_amout", description="Paid"
    )
    assert f"Similar: {name}_amount" in refused
    assert "No rows." in await agent.ask("list_definitions", search=f"{name} nothing")


async def test_arguments_that_do_not_go_together_are_refused(agent):
    assert "`kind` properties" in await agent.refusal("list_definitions", of="person")
    assert "`kind` property" in await agent.refusal(
        "update_definition", kind="event", name="x", property_type="String"
    )
    assert "either `tags` or `no_tags`" in await agent.refusal(
        "update_definition", kind="event", name="x", tags=["a"], no_tags=True
    )


async def test_a_change_that_names_none_is_refused_rather_than_said_to_be_done(agent, name):
    await send(agent, name)
    await agent.record("update_definition", kind="event", name=name, tags=["kept"])
    for nothing in ({}, {"tags": []}, {"tags": ""}):
        words = await agent.refusal("update_definition", kind="event", name=name, **nothing)
        assert "Changes nothing: give description" in words
        assert "no_tags takes the tags off" in words
    assert (await agent.record("update_definition", kind="event", name=name, no_tags=True))["changed"]


async def test_properties_of_an_event_are_found_elsewhere(agent, name):
    words = await agent.refusal("list_definitions", kind="properties", of=name)
    assert words.endswith("Of one event: describe_schema.")
