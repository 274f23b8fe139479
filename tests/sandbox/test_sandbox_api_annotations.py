"""Annotations through the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

NOTES = "/api/projects/1/annotations/"


async def note(api: AsyncClient, content: str = "Deployed", **fields: Any):
    reply = await api.post(NOTES, json={"content": content, "scope": "project", **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def contents(api: AsyncClient, **query: Any):
    reply = await api.get(NOTES, params=query)
    assert reply.status_code == 200, reply.text
    return [one["content"] for one in reply.json()["results"]]


async def test_a_new_annotation_is_answered_whole(api: AsyncClient):
    one = await note(api, "Deployed v3", date_marker="2026-03-01T11:00:00+01:00", creation_type="USR")
    created_at, updated_at = one.pop("created_at"), one.pop("updated_at")
    assert created_at == updated_at
    assert one.pop("created_by")["email"] == "sandbox@example.com"
    assert one == {
        "id": 1, "content": "Deployed v3", "date_marker": "2026-03-01T10:00:00Z", "creation_type": "USR",
        "dashboard_item": None, "dashboard_id": None, "dashboard_name": None, "insight_short_id": None,
        "insight_name": None, "insight_derived_name": None, "deleted": False, "scope": "project",
        "emoji": None, "hidden_in_user_interface": None, "tags": [],
    }  # fmt: skip


async def test_the_newest_moment_comes_first(api: AsyncClient):
    await note(api, "b", date_marker="2026-03-02T00:00:00.5Z")
    await note(api, "a", date_marker="2026-03-01T00:00:00Z")
    await note(api, "c", date_marker="2026-03-02T00:00:00.7+00:00")
    assert await contents(api) == ["c", "b", "a"]


async def test_filters_narrow_the_list(api: AsyncClient):
    await note(api, "Deployed API", date_marker="2026-03-01T00:00:00Z")
    await note(api, "Outage", date_marker="2026-03-05T00:00:00Z", scope="organization", creation_type="GIT")
    await note(api, "Chart note", date_marker="2026-03-09T00:00:00Z", scope="dashboard_item", emoji="🚀")
    assert await contents(api, search="deploy") == ["Deployed API"]
    assert await contents(api, scope="organization") == ["Outage"]
    assert (
        await contents(api, scope="insight") == await contents(api, scope="dashboard_item") == ["Chart note"]
    )
    assert await contents(api, date_from="2026-03-02", date_to="2026-03-06T00:00:00Z") == ["Outage"]
    assert await contents(api, is_emoji="true") == ["Chart note"]
    assert len(await contents(api, is_emoji="false")) == 2


@pytest.mark.parametrize(
    ("query", "attr"),
    [
        ({"scope": "galaxy"}, "scope"),
        ({"date_from": "yesterday"}, "date_from"),
        ({"date_from": "2026-03-02", "date_to": "2026-03-01"}, "date_from"),
    ],
)
async def test_filters_that_make_no_sense_are_refused(api: AsyncClient, query: dict[str, Any], attr: str):
    reply = await api.get(NOTES, params=query)
    assert (reply.status_code, reply.json()["attr"]) == (400, attr)


@pytest.mark.parametrize(
    ("fields", "attr", "code"),
    [
        ({"scope": "recording"}, "scope", "invalid_input"),
        ({"scope": "galaxy"}, "scope", "invalid_choice"),
        ({"content": "x" * 8193}, "content", "max_length"),
        ({"content": 3}, "content", "invalid_input"),
        ({"date_marker": "soon"}, "date_marker", "invalid_input"),
        ({"creation_type": "BOT"}, "creation_type", "invalid_choice"),
        ({"emoji": "x" * 17}, "emoji", "max_length"),
        ({"scope": "dashboard", "dashboard_id": 99}, "dashboard_id", "invalid_input"),
        ({"scope": "tag"}, "tags", "invalid_input"),
        ({"scope": "project", "tags": ["a"]}, "tags", "invalid_input"),
        ({"deleted": None}, "deleted", "null"),
    ],
)
async def test_fields_that_make_no_sense_are_refused_by_name(
    api: AsyncClient, fields: dict[str, Any], attr: str, code: str
):
    reply = await api.post(NOTES, json=fields)
    assert reply.status_code == 400
    body = reply.json()
    assert (body["type"], body["attr"], body["code"]) == ("validation_error", attr, code)
    assert await contents(api) == []


async def test_only_the_fields_given_change(api: AsyncClient):
    one = await note(api, "before", date_marker="2026-03-01T00:00:00Z", emoji="🚀")
    reply = await api.patch(f"{NOTES}{one['id']}/", json={"content": "after", "unknown": 1})
    assert reply.status_code == 200
    after = reply.json()
    assert after["content"] == "after"
    assert {k: v for k, v in after.items() if k not in ("content", "updated_at")} == {
        k: v for k, v in one.items() if k not in ("content", "updated_at")
    }
    assert (await api.get(f"{NOTES}{one['id']}/")).json() == after


async def test_delete_is_a_patch_and_can_be_taken_back(api: AsyncClient):
    one = await note(api)
    path = f"{NOTES}{one['id']}/"
    reply = await api.delete(path)
    assert reply.status_code == 405
    assert reply.json()["detail"] == (
        'Hard delete of this model is not allowed. Use a patch API call to set "deleted" to true'
    )
    assert (await api.patch(path, json={"deleted": True})).json()["deleted"] is True
    assert (await api.get(path)).status_code == 404
    assert (await api.patch(path, json={"content": "x"})).status_code == 404
    assert await contents(api) == []
    assert (await api.patch(path, json={"deleted": False})).status_code == 200
    assert await contents(api) == ["Deployed"]


async def test_ids_are_never_given_out_twice(api: AsyncClient):
    ids = [(await note(api))["id"] for _ in range(3)]
    assert ids == [1, 2, 3]


@pytest.mark.parametrize("number", ["99", "x", "-1"])
async def test_one_that_is_not_there_is_not_found(api: AsyncClient, number: str):
    reply = await api.get(f"{NOTES}{number}/")
    assert (reply.status_code, reply.json()["detail"]) == (404, "Not found.")


async def test_a_page_holds_a_thousand(sandbox: Sandbox, api: AsyncClient):
    for number in range(1001):
        sandbox.store.create(
            "annotation", (await note(api)) if number == 0 else sandbox.store.get("annotation", 1)
        )
    page = (await api.get(NOTES)).json()
    assert len(page["results"]) == 1000
    assert page["next"].endswith("limit=1000&offset=1000")


async def test_changes_are_in_the_activity_log(api: AsyncClient):
    one = await note(api, "before")
    await api.patch(f"{NOTES}{one['id']}/", json={"content": "after"})
    await api.patch(f"{NOTES}{one['id']}/", json={"deleted": True})
    log = (await api.get("/api/projects/1/activity_log/", params={"scope": "Annotation"})).json()["results"]
    assert [entry["activity"] for entry in log] == ["deleted", "updated", "created"]
    assert log[1]["detail"]["changes"] == [
        {"type": "Annotation", "action": "changed", "field": "content", "before": "before", "after": "after"}
    ]
    assert log[1]["user"]["email"] == "sandbox@example.com"
