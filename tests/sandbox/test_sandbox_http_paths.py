"""Paths, methods, bodies and pages, the same for every area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.routing import Route

from posthog_mcp.sandbox.http.app import build

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from posthog_mcp.sandbox.sandbox import Sandbox

NOTES = "/api/projects/1/annotations/"


async def note(api: AsyncClient, content: str, **fields: Any):
    reply = await api.post(NOTES, json={"content": content, "scope": "project", **fields})
    assert reply.status_code == 201, reply.text
    return reply.json()


@pytest.mark.parametrize(
    "path",
    [
        "/api/projects/1/annotations",
        "/api/projects/@current/annotations/",
        "/api/environments/1/annotations/",
        "/api/environments/@current/annotations",
    ],
)
async def test_every_spelling_of_a_path_reaches_it(api: AsyncClient, path: str):
    await note(api, "one")
    assert [one["content"] for one in (await api.get(path)).json()["results"]] == ["one"]


@pytest.mark.parametrize("project", ["2", "abc", "1x", "00"])
async def test_a_project_that_is_not_there_is_not_found(api: AsyncClient, project: str):
    reply = await api.get(f"/api/projects/{project}/annotations/")
    assert reply.status_code == 404
    assert reply.json() == {
        "type": "invalid_request",
        "code": "not_found",
        "detail": "Project not found.",
        "attr": None,
    }


async def test_an_organization_that_is_not_there_is_not_found(api: AsyncClient):
    reply = await api.get("/api/organizations/0197f000-0000-7000-8000-ffffffffffff/")
    assert (reply.status_code, reply.json()["detail"]) == (404, "Organization not found.")


async def test_an_endpoint_that_is_not_there_is_not_found(api: AsyncClient):
    reply = await api.get("/api/projects/1/nothing_here/")
    assert (reply.status_code, reply.json()["detail"]) == (404, "Endpoint not found.")


async def test_a_method_that_is_not_there_is_named(api: AsyncClient):
    reply = await api.put(NOTES, json={})
    assert reply.status_code == 405
    assert reply.json()["detail"] == 'Method "PUT" not allowed.'
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_head_answers_like_get_without_a_body(api: AsyncClient):
    reply = await api.head(NOTES)
    assert (reply.status_code, reply.content) == (200, b"")


async def test_options_lists_the_methods_without_a_key(anyone: AsyncClient):
    reply = await anyone.options(NOTES)
    assert (reply.status_code, reply.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


async def test_a_body_that_is_not_json_is_a_parse_error(api: AsyncClient):
    reply = await api.post(NOTES, content=b'{"content": ', headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert reply.json()["code"] == "parse_error"
    assert reply.json()["detail"].startswith("JSON parse error - ")


async def test_a_body_that_is_nested_without_end_is_a_parse_error(api: AsyncClient):
    reply = await api.post(NOTES, content=b"[" * 200_000, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (400, "parse_error")


async def test_a_body_that_is_no_object_is_invalid(api: AsyncClient):
    reply = await api.post(NOTES, json=[1])
    assert reply.status_code == 400
    assert reply.json()["detail"] == "Invalid data. Expected a dictionary, but got list."


async def test_another_media_type_is_415(api: AsyncClient):
    reply = await api.post(NOTES, content=b"<a/>", headers={"content-type": "text/xml"})
    assert reply.status_code == 415
    assert reply.json() == {
        "type": "invalid_request",
        "code": "unsupported_media_type",
        "detail": 'Unsupported media type "text/xml" in request.',
        "attr": None,
    }


async def test_a_body_over_20_mb_is_413(api: AsyncClient):
    reply = await api.post(NOTES, content=b" " * (20 * 1024 * 1024 + 1))
    assert reply.status_code == 413


async def test_while_the_sandbox_stops_changes_are_refused_with_503(sandbox: Sandbox, api: AsyncClient):
    await sandbox.ingest.close()
    group = {"group_type_index": 0, "group_key": "acme"}
    sandbox.ingest.groups.register("company", sandbox.clock())
    reply = await api.post("/api/projects/1/groups/", json=group)
    assert (reply.status_code, reply.json()["type"]) == (503, "server_error")
    assert "Traceback" not in reply.text


async def test_what_nobody_foresaw_is_500_and_says_nothing(
    sandbox: Sandbox, api: AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    def broken(_kind: str) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(sandbox.store, "all", broken)
    reply = await api.get(NOTES)
    assert reply.status_code == 500
    assert reply.json() == {
        "type": "server_error",
        "code": "error",
        "detail": "A server error occurred.",
        "attr": None,
    }


async def test_pages_link_to_each_other_on_the_clients_own_host(api: AsyncClient):
    for number in range(5):
        await note(api, str(number), date_marker=f"2026-03-0{number + 1}T00:00:00Z")
    first = (await api.get("/api/environments/@current/annotations/?limit=2&search=")).json()
    assert first["count"] == 5
    assert first["previous"] is None
    parts = urlsplit(first["next"])
    assert (parts.netloc, parts.path) == ("sandbox.test", "/api/environments/@current/annotations/")
    assert parse_qs(parts.query) == {"limit": ["2"], "offset": ["2"]}

    seen, page = [one["content"] for one in first["results"]], first
    while page["next"]:
        page = (await api.get(page["next"])).json()
        seen += [one["content"] for one in page["results"]]
    assert seen == ["4", "3", "2", "1", "0"]
    second = (await api.get(page["previous"])).json()
    assert [one["content"] for one in second["results"]] == ["2", "1"]
    assert [one["content"] for one in (await api.get(second["previous"])).json()["results"]] == ["4", "3"]


@pytest.mark.parametrize("value", ["0", "-1", "x", "٣"])
async def test_a_limit_that_is_no_number_falls_back(api: AsyncClient, value: str):
    await note(api, "one")
    assert len((await api.get(NOTES, params={"limit": value})).json()["results"]) == 1


async def test_no_two_paths_hide_each_other(sandbox: Sandbox):
    paths = [route.path for route in build(sandbox).routes if isinstance(route, Route)]
    assert len(paths) == len(set(paths))
