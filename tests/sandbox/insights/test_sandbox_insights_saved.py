"""Insights and dashboards as PostHog keeps them: documents, results kept and computed, tiles."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from insight_examples import event

from posthog_mcp.sandbox.http.throttles import Throttles
from posthog_mcp.sandbox.sandbox import Options, Sandbox

if TYPE_CHECKING:
    from httpx2 import AsyncClient

INSIGHTS, DASHBOARDS = "/api/projects/1/insights/", "/api/projects/1/dashboards/"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TRENDS = {
    "kind": "InsightVizNode",
    "source": {
        "kind": "TrendsQuery",
        "series": [{"kind": "EventsNode", "event": "view"}],
        "dateRange": {"date_from": "-1d"},
    },
}


@pytest.fixture
def options() -> Options:
    return Options(throttles=Throttles(scope="off"), clock=lambda: NOW)


@pytest.fixture(autouse=True)
async def views(sandbox: Sandbox) -> None:
    await sandbox.ingest.accept([event("view", who, NOW, {"plan": who}) for who in ("a", "b")])


async def make(api: AsyncClient, path: str = INSIGHTS, status: int = 201, **body: Any) -> dict[str, Any]:
    reply = await api.post(path, json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


async def get(api: AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    reply = await api.get(path, params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_an_insight_is_found_by_both_its_ids_and_computed_only_when_asked_for(api):
    made = await make(api, name="Views", query=TRENDS, saved=True)
    assert made["result"] is None
    assert len(made["short_id"]) == 8
    path = f"{INSIGHTS}{made['short_id']}/"
    assert (await get(api, path))["result"] is None
    computed = await get(api, path, refresh="blocking")
    assert computed["result"][0]["data"] == [0, 2]
    assert computed["is_cached"] is False
    kept = await get(api, f"{INSIGHTS}{made['id']}/")
    assert kept["result"] == computed["result"]
    assert kept["is_cached"] is True
    assert (await get(api, path, refresh="blocking"))["is_cached"] is True
    assert (await get(api, path, refresh="force_blocking"))["is_cached"] is False


async def test_another_query_has_no_result_until_it_is_computed(api):
    made = await make(api, name="Views", query=TRENDS)
    await get(api, f"{INSIGHTS}{made['id']}/", refresh="blocking")
    other = {**TRENDS, "source": {**TRENDS["source"], "interval": "week"}}
    reply = await api.patch(f"{INSIGHTS}{made['id']}/", json={"query": other})
    assert reply.status_code == 200
    assert (await get(api, f"{INSIGHTS}{made['id']}/"))["result"] is None


async def test_a_query_in_the_background_answers_with_where_to_look(api):
    made = await make(api, name="Views", query=TRENDS)
    answer = await get(api, f"{INSIGHTS}{made['id']}/", refresh="async")
    assert answer["query_status"]["id"]
    assert answer["result"] is None
    with anyio.fail_after(10):
        path = f"/api/projects/1/query/{answer['query_status']['id']}/"
        while (await api.get(path)).status_code == 202:  # noqa: ASYNC110 - PostHog tells nobody
            await anyio.sleep(0.01)
    kept = await get(api, f"{INSIGHTS}{made['id']}/")
    assert kept["is_cached"] is True
    assert kept["result"] is not None


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"search": "sign"}, ["Sign-ups"]),
        ({"saved": "true"}, ["Sign-ups"]),
        ({"insight": "SQL"}, ["Rows"]),
        ({"tags": '["kpi"]'}, ["Rows"]),
        ({"limit": 1, "offset": 1}, ["Rows"]),
        ({}, ["Sign-ups", "Rows"]),
    ],
)
async def test_lists_are_narrowed_as_in_posthog(api, query, names):
    await make(api, name="Sign-ups", query=TRENDS, saved=True)
    rows = {"kind": "DataVisualizationNode", "source": {"kind": "HogQLQuery", "query": "SELECT 1"}}
    await make(api, name="Rows", query=rows, tags=["kpi"])
    page = await get(api, INSIGHTS, **query)
    assert [one["name"] for one in page["results"]] == names


async def test_a_dashboard_shows_its_insights_over_its_own_period(api):
    dashboard = await make(api, DASHBOARDS, name="Growth", filters={"date_from": "dStart"})
    made = await make(api, name="Views", query=TRENDS, dashboards=[dashboard["id"]])
    assert made["dashboards"] == [dashboard["id"]]
    whole = await get(api, f"{DASHBOARDS}{dashboard['id']}/", refresh="blocking")
    (tile,) = whole["tiles"]
    assert tile["insight"]["result"][0]["data"] == [2]
    ran = await get(api, f"{DASHBOARDS}{dashboard['id']}/run_insights/", refresh="blocking")
    assert ran["results"][0]["insight"]["name"] == "Views"


async def test_tiles_come_and_go_with_the_insights_dashboards(api):
    dashboard = await make(api, DASHBOARDS, name="Growth")
    path = f"{DASHBOARDS}{dashboard['id']}/"
    made = await make(api, name="Views", query=TRENDS, dashboards=[dashboard["id"]])
    text = await make(api, f"{path}create_text_tile/", body="# Read me")
    tiles = (await get(api, path))["tiles"]
    assert [tile["text"] for tile in tiles] == [None, {"body": "# Read me"}]
    reply = await api.post(f"{path}delete_tile/", json={"tile_id": text["id"]})
    assert reply.status_code == 204
    await api.patch(f"{INSIGHTS}{made['id']}/", json={"dashboards": []})
    assert (await get(api, path))["tiles"] == []
    refused = await api.patch(f"{INSIGHTS}{made['id']}/", json={"dashboards": [99]})
    assert refused.status_code == 400
    assert refused.json()["attr"] == "dashboards"


async def test_what_is_deleted_is_hidden_and_can_come_back(api):
    made = await make(api, name="Views", query=TRENDS)
    path = f"{INSIGHTS}{made['id']}/"
    assert (await api.delete(path)).status_code == 405
    await api.patch(path, json={"deleted": True})
    assert (await api.get(path)).status_code == 404
    assert (await get(api, INSIGHTS))["count"] == 0
    await api.patch(path, json={"deleted": False})
    assert (await get(api, path))["name"] == "Views"


async def test_a_key_that_may_only_read_changes_nothing(reader):
    assert (await reader.post(INSIGHTS, json={"name": "x"})).status_code == 403
    assert (await reader.get(DASHBOARDS)).status_code == 200


async def test_what_was_changed_about_insights_is_told_of_one_and_of_all(api):
    one, other = await make(api, name="One", query=TRENDS), await make(api, name="Other", query=TRENDS)
    await api.patch(f"{INSIGHTS}{one['id']}/", json={"name": "First"})
    told = (await api.get(f"{INSIGHTS}{one['short_id']}/activity/")).json()["results"]
    assert [entry["activity"] for entry in told] == ["updated", "created"]
    every = (await api.get(f"{INSIGHTS}activity/")).json()
    assert {entry["item_id"] for entry in every["results"]} == {str(one["id"]), str(other["id"])}
    assert every["total_count"] == 3
