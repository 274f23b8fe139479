"""Notes are changed field by field, deleted by a person's word, and told apart by where they show."""

from typing import Any

import httpx2
import pytest
from mcp import Client

from posthog_mcp.server.app import App
from posthog_mcp.settings import Settings


async def call(client: Client, tool: str, **arguments: Any) -> tuple[Any, str]:
    """The structured half of an answer, None for an error, and its text."""
    answer = await client.call_tool(tool, arguments)
    return (None if answer.is_error else answer.structured_content), answer.content[0].text


async def test_only_what_is_given_changes(client, name):
    made, _ = await call(client, "create_annotation", content=name, date="2026-03-01T10:00:00Z")
    changed, _ = await call(client, "update_annotation", annotation=made["id"], scope="organization")
    assert changed["changed"] == [{"field": "scope", "from": "project", "to": "organization"}]
    assert (changed["content"], changed["date"]) == (name, made["date"])
    moved, _ = await call(client, "update_annotation", annotation=made["id"], date="2026-03-02")
    assert moved["date"].startswith("2026-03-02T00:00:00")
    cleared, _ = await call(client, "update_annotation", annotation=made["id"], content="")
    assert cleared["content"] == ""


async def test_what_is_so_already_sends_nothing(client, name):
    made, _ = await call(client, "create_annotation", content=name)
    same, _ = await call(client, "update_annotation", annotation=made["id"], content=name)
    assert same["changed"] == "nothing: it is so already"
    assert "change" not in same


async def test_a_dry_run_shows_the_difference_and_sends_nothing(client, human, name):
    made, _ = await call(client, "create_annotation", content=name)
    one = {"annotation": made["id"], "dry_run": True}
    shown, _ = await call(client, "update_annotation", content="Other", **one)
    assert shown["request"] == f"PATCH /api/projects/1/annotations/{made['id']}/"
    assert shown["would_change"] == [{"field": "content", "from": name, "to": "Other"}]
    shown, _ = await call(client, "delete_annotation", **one)
    assert shown["body"] == {"deleted": True}
    assert human.asked == []
    assert name in (await call(client, "list_annotations", search=name))[1]


async def test_one_is_deleted_when_a_person_typed_its_number(client, human, name):
    made, _ = await call(client, "create_annotation", content=name)
    human.types = "another"
    assert (await call(client, "delete_annotation", annotation=made["id"]))[0] is None
    human.types = str(made["id"])
    deleted, text = await call(client, "delete_annotation", annotation=made["id"])
    assert deleted["deleted"] == made["id"], text
    assert f"Delete the annotation {made['id']} ({name})" in human.asked[-1]
    assert "undo_change can restore it. Type" in human.asked[-1]
    assert "No rows." in (await call(client, "list_annotations", search=name))[1]
    undone, _ = await call(client, "undo_change", change=deleted["change"])
    assert undone["changed"] == [{"field": "deleted", "from": True, "to": False}]
    assert name in (await call(client, "list_annotations", search=name))[1]


async def test_one_that_is_not_there_is_said_to_be_so(client):
    for tool in ("update_annotation", "delete_annotation"):
        _, text = await call(client, tool, annotation=999_999)
        assert text.startswith("There is no annotation 999999 in project Sandbox (1).")


async def test_they_are_listed_by_where_they_show(client, name):
    await call(client, "create_annotation", content=f"{name} here")
    await call(client, "create_annotation", content=f"{name} everywhere", scope="organization")
    everywhere = (await call(client, "list_annotations", search=name, scope="organization"))[1]
    assert f"{name} everywhere" in everywhere
    assert f"{name} here" not in everywhere
    assert "2 rows." in (await call(client, "list_annotations", search=name))[1]


@pytest.mark.parametrize("access", ["read", "write"])
def test_below_full_access_none_is_deleted(access, tmp_path):
    settings = Settings.load({}, access=access, areas="all", data_dir=tmp_path)
    names = {tool.name for tool in App(settings).catalogue.tools}
    assert "delete_annotation" not in names
    assert ("update_annotation" in names) == (access == "write")


async def test_one_that_somebody_deleted_is_not_changed(client, sandbox, name):
    headers = {"Authorization": "Bearer phx_sandbox"}
    base = f"{sandbox.environment['POSTHOG_HOST']}/api/projects/1"
    async with httpx2.AsyncClient(base_url=base, headers=headers, trust_env=False) as posthog:
        made = (await posthog.post("/annotations/", json={"content": name, "scope": "project"})).json()
        await posthog.patch(f"/annotations/{made['id']}/", json={"deleted": True})
    _, text = await call(client, "update_annotation", annotation=made["id"], content="x")
    assert "It may have been deleted" in text
