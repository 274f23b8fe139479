"""Who the key belongs to, its organization and project, and the log of changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

PROJECT = "/api/projects/1/"
LOG = "/api/projects/1/activity_log/"


async def test_me_names_the_current_project_and_organization(reader: AsyncClient):
    me = (await reader.get("/api/users/@me/")).json()
    assert me["team"]["id"] == 1
    assert me["team"]["api_token"] == "phc_sandbox"
    assert me["organization"]["id"] == me["organizations"][0]["id"] == me["team"]["organization"]
    assert me["organization"]["projects"] == [
        {"id": 1, "name": "Sandbox", "organization_id": me["organization"]["id"]}
    ]


async def test_the_key_is_known_by_its_id_too(api: AsyncClient):
    key = (await api.get("/api/personal_api_keys/@current/")).json()
    assert (await api.get(f"/api/personal_api_keys/{key['id']}/")).json() == key
    assert (await api.get("/api/personal_api_keys/other/")).status_code == 404


async def test_organizations_and_their_projects_are_listed(api: AsyncClient):
    organization = (await api.get("/api/organizations/")).json()["results"][0]
    for which in (organization["id"], "@current"):
        assert (await api.get(f"/api/organizations/{which}/")).json() == organization
        projects = (await api.get(f"/api/organizations/{which}/projects/")).json()
        assert [one["id"] for one in projects["results"]] == [1]
    members = (await api.get("/api/organizations/@current/members/")).json()
    assert members["results"][0]["user"]["email"] == "sandbox@example.com"
    assert (await api.get("/api/projects/")).json()["count"] == 1


async def test_settings_of_the_project_can_be_changed(sandbox: Sandbox, api: AsyncClient):
    reply = await api.patch(PROJECT, json={"name": "Shop", "timezone": "Europe/Berlin", "week_start_day": 1})
    assert reply.status_code == 200
    assert (await api.get(PROJECT)).json() == reply.json()
    assert (reply.json()["name"], sandbox.project.timezone) == ("Shop", "Europe/Berlin")
    assert type(sandbox.project).load(sandbox.store).settings == sandbox.project.settings


@pytest.mark.parametrize(
    ("fields", "attr"), [({"timezone": "Mars/Base"}, "timezone"), ({"timezone": "../etc"}, "timezone"),
                         ({"name": ""}, "name"), ({"week_start_day": 3}, "week_start_day")],
)  # fmt: skip
async def test_settings_that_make_no_sense_are_refused(api: AsyncClient, fields: dict[str, Any], attr: str):
    before = (await api.get(PROJECT)).json()
    reply = await api.patch(PROJECT, json=fields)
    assert (reply.status_code, reply.json()["attr"]) == (400, attr)
    assert (await api.get(PROJECT)).json() == before


async def test_the_activity_log_goes_by_cursor_and_by_page(api: AsyncClient):
    for number in range(5):
        await api.patch(PROJECT, json={"name": f"Shop {number}"})
    first = (await api.get(LOG, params={"page_size": 2})).json()
    names = [entry["detail"]["name"] for entry in first["results"]]
    page = first
    while page["next"]:
        page = (await api.get(page["next"])).json()
        names += [entry["detail"]["name"] for entry in page["results"]]
    assert names == [f"Shop {number}" for number in (4, 3, 2, 1, 0)]

    second = (await api.get(LOG, params={"page_size": 2, "page": 2})).json()
    assert [entry["detail"]["name"] for entry in second["results"]] == ["Shop 2", "Shop 1"]
    assert second["count"] == 5
    assert (await api.get(LOG, params={"page": 9})).status_code == 404
    assert (await api.get(LOG, params={"scopes": "FeatureFlag,Annotation"})).json()["results"] == []
    assert len((await api.get(LOG, params={"item_id": "1", "user": "1"})).json()["results"]) == 5
