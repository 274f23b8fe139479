"""What tools change is recorded by itself, listed, and taken back exactly or not at all."""

import json
from typing import Any

import httpx2
import pytest
from mcp import Client

from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings

CHANGE, WHEN, KIND, OBJECT, ACTION, WORDS, TOOL, BY, NOTE = range(9)
RICH = {
    "payloads": {"true": '{"steps": 1}'},
    "groups": [
        {"variant": None, "rollout_percentage": 10, "properties": [], "description": "Everybody, at first"},
        {"sort_key": "b", "properties": [{"value": ["pro", "été"], "key": "plan", "type": "person"}],
         "rollout_percentage": 33.5},
    ],
    "early_exit": True,
}  # fmt: skip


@pytest.fixture
def settings(unattended: Settings) -> Settings:
    return unattended


async def make_flag(posthog: httpx2.AsyncClient, name: str, **fields: Any) -> dict[str, Any]:
    answer = await posthog.post("/feature_flags/", json={"key": name, "filters": RICH, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def get(posthog: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    answer = await posthog.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_filters_are_restored_byte_for_byte(agent, posthog, name):
    flag = await make_flag(posthog, name)
    path = f"/feature_flags/{flag['id']}/"
    before = json.dumps((await get(posthog, path))["filters"])
    changes = [
        {"do": "set_rollout", "condition": 1, "rollout_percentage": 75},
        {"do": "remove_condition", "condition": 2},
        {"do": "add_condition", "where": [{"property": "plan", "value": "free"}]},
        {"do": "set_payloads", "payloads": {"true": {"steps": 2}}},
        {"do": "set_description", "description": "Another"},
        {"do": "disable"},
    ]
    changed = await agent.record("update_flag", flag=name, changes=changes)
    assert json.dumps((await get(posthog, path))["filters"]) != before
    undone = await agent.record("undo_change", change=changed["change"])
    after = await get(posthog, path)
    assert json.dumps(after["filters"]) == before
    assert (after["name"], after["active"]) == ("", True)
    assert undone["undone"] == changed["change"]
    assert "not_restored" not in undone
    assert {"field": "active", "from": False, "to": True} in undone["changed"]


async def test_only_what_the_change_touched_is_restored(agent, posthog, name):
    flag = await make_flag(posthog, name)
    changed = await agent.record("update_flag", flag=name, changes=[{"do": "disable"}])
    path = f"/feature_flags/{flag['id']}/"
    await posthog.patch(path, json={"name": "Said by somebody else", "tags": ["theirs"]})
    await agent.record("undo_change", change=changed["change"])
    after = await get(posthog, path)
    assert (after["active"], after["name"], after["tags"]) == (True, "Said by somebody else", ["theirs"])


async def test_an_edit_of_a_field_since_is_never_overwritten(agent, posthog, name):
    flag = await make_flag(posthog, name)
    rollout = [{"do": "set_rollout", "condition": 1, "rollout_percentage": 75}]
    changed = await agent.record("update_flag", flag=name, changes=rollout)
    theirs = json.loads(json.dumps(RICH))
    theirs["groups"][0]["rollout_percentage"] = 99
    await posthog.patch(f"/feature_flags/{flag['id']}/", json={"filters": theirs})
    for dry_run in (True, False):
        refused = await agent.refusal("undo_change", change=changed["change"], dry_run=dry_run)
        assert f"Change {changed['change']} was not undone. It was edited since:" in refused
        assert "`filters.groups[0].rollout_percentage` became 75 and is 99" in refused
    after = await get(posthog, f"/feature_flags/{flag['id']}/")
    assert after["filters"]["groups"][0]["rollout_percentage"] == 99


async def test_a_dry_run_shows_the_request_and_sends_nothing(agent, posthog, name):
    flag = await make_flag(posthog, name)
    changed = await agent.record("update_flag", flag=name, changes=[{"do": "disable"}])
    shown = await agent.record("undo_change", change=changed["change"], dry_run=True)
    assert shown["request"] == f"PATCH /api/projects/1/feature_flags/{flag['id']}/"
    # The version keeps PostHog from overwriting an edit between the look and the write.
    assert shown["body"] == {"active": True, "version": flag["version"] + 1}
    assert shown["would_change"] == [{"field": "active", "from": False, "to": True}]
    assert (await get(posthog, f"/feature_flags/{flag['id']}/"))["active"] is False
    assert len(await agent.rows("list_changes", kind="feature_flag")) == 1


async def test_an_undo_is_a_change_that_can_be_undone(agent, posthog, name):
    flag = await make_flag(posthog, name)
    changed = await agent.record("update_flag", flag=name, changes=[{"do": "disable"}])
    undone = await agent.record("undo_change", change=changed["change"])
    again = await agent.record("undo_change", change=undone["change"])
    assert (await get(posthog, f"/feature_flags/{flag['id']}/"))["active"] is False
    rows = await agent.rows("list_changes")
    assert [row[NOTE] for row in rows] == [
        f"undoes {undone['change']}",
        f"undone by {again['change']}; undoes {changed['change']}",
        f"undone by {undone['change']}",
    ]
    refused = await agent.refusal("undo_change", change=undone["change"])
    assert f"Change {again['change']} undid it, or someone edited it since" in refused


async def test_a_flag_that_was_created_is_put_away_and_had_back(agent, posthog, name):
    made = await agent.record("create_flag", key=name)
    undone = await agent.record("undo_change", change=made["change"])
    assert (await posthog.get(f"/feature_flags/{made['id']}/")).status_code == 404
    await agent.record("undo_change", change=undone["change"])
    assert (await get(posthog, f"/feature_flags/{made['id']}/"))["key"] == name


async def test_a_flag_that_was_created_and_edited_since_stays(agent, posthog, name):
    made = await agent.record("create_flag", key=name)
    await posthog.patch(f"/feature_flags/{made['id']}/", json={"name": "We need it"})
    refused = await agent.refusal("undo_change", change=made["change"])
    assert '`name` became "" and is "We need it"' in refused
    assert (await posthog.get(f"/feature_flags/{made['id']}/")).status_code == 200


async def test_a_deleted_flag_is_restored(agent, posthog, name):
    flag = await make_flag(posthog, name)
    deleted = await agent.record("delete_flag", flag=name)
    assert (await agent.record("undo_change", change=deleted["change"], dry_run=True))["would_change"] == [
        {"field": "deleted", "from": True, "to": False}
    ]
    await agent.record("undo_change", change=deleted["change"])
    after = await get(posthog, f"/feature_flags/{flag['id']}/")
    assert (after["key"], after["filters"]) == (name, flag["filters"])


async def test_an_annotation_goes_both_ways(agent, posthog, name):
    made = await agent.record("create_annotation", content=f"Deployed {name}")
    path = f"/annotations/{made['id']}/"
    changed = await agent.record("update_annotation", annotation=made["id"], content="", date="2026-03-01")
    assert (await get(posthog, path))["content"] == ""
    await agent.record("undo_change", change=changed["change"])
    after = await get(posthog, path)
    assert (after["content"], after["date_marker"]) == (f"Deployed {name}", made["date"])
    undone = await agent.record("undo_change", change=made["change"])
    assert (await posthog.get(path)).status_code == 404
    await agent.record("undo_change", change=undone["change"])
    assert (await get(posthog, path))["content"] == f"Deployed {name}"


async def test_the_list_says_who_changed_what_with_which_tool(agent, name):
    made = await agent.record("create_flag", key=name)
    await agent.record("update_flag", flag=name, changes=[{"do": "disable"}])
    await agent.record("create_annotation", content=name)
    rows = await agent.rows("list_changes")
    assert [(row[KIND], row[ACTION], row[TOOL]) for row in rows] == [
        ("annotation", "created", "create_annotation"),
        ("feature_flag", "updated", "update_flag"),
        ("feature_flag", "created", "create_flag"),
    ]
    assert rows[1][OBJECT] == f"{name} ({made['id']})"
    assert rows[1][WORDS] == "active: true → false"
    assert rows[1][BY].startswith("mcp ")
    assert len(await agent.rows("list_changes", kind="annotation")) == 1
    assert "2 of 3 rows. For the rest: offset=2" in await agent.ask("list_changes", limit=2)
    assert await agent.rows("list_changes", limit=2, offset=2) == rows[2:]
    assert "that fits. Leave out kind" in await agent.ask("list_changes", since="2099-01-01")


async def test_what_posthog_refuses_is_no_change(agent, name):
    await agent.record("create_flag", key=name)
    assert "already" in await agent.refusal("create_flag", key=name)
    assert len(await agent.rows("list_changes")) == 1


async def test_another_number_or_project_is_no_change(agent):
    refused = await agent.refusal("undo_change", change=999_999)
    assert refused.startswith("There is no change 999999 of project Sandbox (1).")


async def test_numbers_no_journal_has_are_no_fault(agent):
    assert "too large" in await agent.refusal("undo_change", change=10**30)
    assert "There is no change" in await agent.refusal("undo_change", change=2**53 - 1)
    assert "No rows." in await agent.ask("list_changes", offset=2**53 - 1)


async def test_a_kind_that_nothing_has_is_not_said_to_mean_that_nothing_changed(agent, posthog, name):
    await make_flag(posthog, name)
    await agent.record("update_flag", flag=name, changes=[{"do": "disable"}])
    assert "that fits. Leave out kind" in await agent.ask("list_changes", kind="flags")


async def test_a_secret_in_a_payload_is_never_kept_and_so_not_restored(agent, posthog, name, tmp_path):
    key = "phx_" + "s3cret" * 6
    flag = await make_flag(posthog, name, filters={**RICH, "payloads": {"true": json.dumps({"key": key})}})
    payloads = [{"do": "set_payloads", "payloads": {"true": 1}}]
    changed = await agent.record("update_flag", flag=name, changes=payloads)
    refused = await agent.refusal("undo_change", change=changed["change"])
    assert "`filters` cannot be restored: it holds a secret, which is never kept." in refused
    assert "filters (it holds a secret, which is never kept)" in await agent.ask("list_changes")
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("journal.db*"))
    assert name.encode() in kept
    assert b"s3cret" not in kept
    assert (await get(posthog, f"/feature_flags/{flag['id']}/"))["filters"]["payloads"] == {"true": "1"}


async def test_encrypted_payloads_are_not_taken_for_what_they_were(agent, posthog, name):
    await make_flag(posthog, name, is_remote_configuration=True, has_encrypted_payloads=True)
    payloads = [{"do": "set_payloads", "payloads": {"true": {"steps": 9}}}]
    changed = await agent.record("update_flag", flag=name, changes=payloads)
    refused = await agent.refusal("undo_change", change=changed["change"])
    assert "PostHog shows a mark instead of encrypted payloads" in refused


async def test_a_project_that_is_bound_shows_no_changes_of_others(sandbox, tmp_path, name):
    own = {"POSTHOG_MCP_DATA_DIR": str(tmp_path), "POSTHOG_MCP_AREAS": "all"}
    app = App(Settings.load({**sandbox.environment, **own}, pinned_project_id=1))
    async with Client(app.server()) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert "project_id" not in tools["undo_change"].input_schema["properties"]
        made = await client.call_tool("create_flag", {"key": name})
        listed = await client.call_tool("list_changes", {})
        assert made.structured_content["key"] in listed.content[0].text
    await app.close()


async def test_another_server_of_the_machine_takes_a_change_back(settings, posthog, name):
    flag = await make_flag(posthog, name)
    one, other = App(settings), App(settings)
    async with Client(one.server()) as first, Client(other.server()) as second:
        await first.call_tool("update_flag", {"flag": name, "changes": [{"do": "disable"}]})
        await one.close()
        [line] = [
            line
            for line in (await second.call_tool("list_changes", {})).content[0].text.split("\n")
            if name in line
        ]
        undone = await second.call_tool("undo_change", {"change": int(line.split("\t")[CHANGE])})
        assert not undone.is_error, undone.content
    assert (await get(posthog, f"/feature_flags/{flag['id']}/"))["active"] is True
    await other.close()


async def test_where_nothing_can_be_written_changes_are_kept_in_memory_and_undone(sandbox, tmp_path, name):
    (tmp_path / "file").write_text("")
    own = {
        "POSTHOG_MCP_AREAS": "all",
        "POSTHOG_MCP_DATA_DIR": str(tmp_path / "file"),
        "POSTHOG_MCP_LIMITS": "off",
    }
    app = App(Settings.load({**sandbox.environment, **own}))
    async with Client(app.server()) as client:
        made = (await client.call_tool("create_annotation", {"content": name})).structured_content
        listed = (await client.call_tool("list_changes", {})).content[0].text
        assert "They are kept in the memory of this process alone." in listed
        undone = await client.call_tool("undo_change", {"change": made["change"]})
        assert not undone.is_error, undone.content
    await app.close()


async def test_without_the_redis_of_all_machines_changes_go_on_and_the_list_says_what_is_missing(
    sandbox, tmp_path, name
):
    own = {
        "POSTHOG_MCP_AREAS": "all",
        "POSTHOG_MCP_DATA_DIR": str(tmp_path),
        "POSTHOG_MCP_REDIS_URL": "redis://127.0.0.1:1",
    }
    app = App(Settings.load({**sandbox.environment, **own}))
    async with Client(app.server()) as client:
        made = (await client.call_tool("create_annotation", {"content": name})).structured_content
        listed = (await client.call_tool("list_changes", {})).content[0].text
        assert "Redis cannot be reached since" in listed
        assert "only what was noted by the servers of this machine meanwhile is shown." in listed
        assert f"\n{made['change']}\t" in listed
        unknown = await client.call_tool("undo_change", {"change": 7})
        assert unknown.content[0].text.startswith(
            "Nothing was undone. Redis, which keeps the changes of all machines, cannot be reached."
        )
        undone = await client.call_tool("undo_change", {"change": made["change"]})
        assert not undone.is_error, undone.content
    await app.close()
